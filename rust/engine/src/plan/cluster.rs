//! Queries that read the same files, next to each other.

use crate::error::{Error, Result};
use crate::query::Query;

/// The most queries of a cluster, a day of its block. A lane's window of 1,024 queries then holds
/// parts of 16 clusters or more, or of clusters of many days, so that neighbours in a batch come from
/// many days even where one day has thousands.
const MOST_QUERIES: usize = 64;

/// Cells a side of a region of 90 degrees, a power of two: 5.6 degrees each. A region's queries beyond
/// one cluster are cut along the Morton curve of these, which keeps a cluster's boxes close together.
const CELLS: u32 = 16;

/// The size of a cell in degrees.
const CELL_DEGREES: f64 = 90.0 / CELLS as f64;

/// A partition of the queries by region of 90 degrees and block of days that holds their first day, in
/// runs of at most 64 a day along a Morton curve. A *row* is a query's place in this order, its
/// *position* that in the user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// The position of each row; empty where they are equal.
    positions: Vec<u32>,
    /// Cluster c has the rows `offsets[c]..offsets[c + 1]`.
    offsets: Vec<u32>,
}

impl Clusters {
    /// The clusters of queries that read `extra_days` beside their own, counted within a source.
    pub fn new(queries: &[Query], extra_days: u32) -> Result<Self> {
        count(queries.len())?;
        let days = block_days(extra_days);
        let most = MOST_QUERIES.saturating_mul(days.unsigned_abs() as usize);
        let mut keys: Vec<(i32, u32, u32)> =
            (0..).zip(queries).map(|(i, q)| (q.day_start.div_euclid(days), cell(q), i)).collect();
        keys.sort_unstable();
        let mut offsets = vec![0];
        let (mut start, mut prefix) = (0, None);
        for (row, &(block, cell, _)) in keys.iter().enumerate() {
            let here = Some((block, cell / (CELLS * CELLS)));
            if prefix.is_some_and(|_| prefix != here) || row - start == most {
                offsets.push(row as u32);
                start = row;
            }
            prefix = here;
        }
        if !keys.is_empty() {
            offsets.push(keys.len() as u32);
        }
        let mut positions: Vec<u32> = keys.into_iter().map(|(_, _, i)| i).collect();
        // Collecting reuses the memory of the keys, which is three times as large.
        positions.shrink_to_fit();
        Ok(Self { positions, offsets })
    }

    /// The list's own order, as one cluster of `n` queries.
    pub fn list(n: usize) -> Result<Self> {
        Ok(Self { positions: Vec::new(), offsets: vec![0, count(n)?] })
    }

    /// The number of clusters, M.
    pub fn len(&self) -> u64 {
        self.offsets.len() as u64 - 1
    }

    /// Whether there is no query.
    pub fn is_empty(&self) -> bool {
        self.queries() == 0
    }

    /// The number of queries.
    pub fn queries(&self) -> u64 {
        self.offsets.last().copied().unwrap_or(0).into()
    }

    /// The first row of a cluster; that of M is the number of queries.
    pub fn offset(&self, cluster: u64) -> u64 {
        self.offsets[cluster as usize].into()
    }

    /// The position of a row.
    pub fn position(&self, row: u64) -> usize {
        self.positions.get(row as usize).map_or(row as usize, |&p| p as usize)
    }
}

/// The days of a block. A cluster decodes its block and the extra days, so that a block of twice as
/// many decodes each day one and a half times; six more make short windows cheaper still. Longer blocks
/// need more memory than they spare decodes: `benchmarks/blocks_of_days.py`.
fn block_days(extra_days: u32) -> i32 {
    match i32::try_from(extra_days) {
        Ok(0) => 1,
        Ok(extra) => extra.saturating_mul(2).saturating_add(6),
        Err(_) => i32::MAX,
    }
}

fn count(n: usize) -> Result<u32> {
    u32::try_from(n)
        .map_err(|_| Error::invalid_input(format!("{n} queries are more than 4,294,967,295")))
}

/// The Morton code of the cell that holds the centre of a query's box. Its leading bits are those of
/// the region: two of longitude, one of latitude.
fn cell(query: &Query) -> u32 {
    let bbox = query.bbox();
    let east = (bbox.lon + 0.5 * bbox.width + 180.0).rem_euclid(360.0);
    let north = 0.5 * (bbox.lat_min + bbox.lat_max) + 90.0;
    // Rounding may give 360, and the pole belongs to the last row.
    let x = ((east / CELL_DEGREES) as u32).min(4 * CELLS - 1);
    let y = ((north / CELL_DEGREES) as u32).min(2 * CELLS - 1);
    (0..16).fold(0, |code, bit| {
        code | ((x >> bit & 1) << (2 * bit)) | ((y >> bit & 1) << (2 * bit + 1))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn query(lon: f64, lat: f64, day: i32) -> Query {
        let half = 0.5;
        Query {
            lon_min: lon - half,
            lon_max: lon + half,
            lat_min: lat - half,
            lat_max: lat + half,
            day_start: day,
            day_end: day,
        }
    }

    fn groups(queries: &[Query]) -> Vec<Vec<usize>> {
        groups_of(&Clusters::new(queries, 0).unwrap())
    }

    fn groups_of(clusters: &Clusters) -> Vec<Vec<usize>> {
        (0..clusters.len())
            .map(|c| {
                (clusters.offset(c)..clusters.offset(c + 1)).map(|r| clusters.position(r)).collect()
            })
            .collect()
    }

    #[test]
    fn a_cluster_is_one_day_of_one_region() {
        let queries = [
            query(10.0, 10.0, 1),
            query(-170.0, -10.0, 1),
            query(80.0, 80.0, 1),
            query(10.0, 10.0, 0),
            query(190.0, -20.0, 1),
        ];
        assert_eq!(groups(&queries), [vec![3], vec![4, 1], vec![0, 2]]);
    }

    #[test]
    fn the_antimeridian_and_the_pole_have_cells() {
        let crossing = Query { lon_min: 179.0, lon_max: -177.0, ..query(0.0, 10.0, 0) };
        assert_eq!(cell(&crossing), cell(&query(-179.0, 10.0, 0)));
        assert_eq!(cell(&query(180.0, 89.5, 0)) / (CELLS * CELLS), 2);
        assert_eq!(cell(&query(179.9, 89.5, 0)) / (CELLS * CELLS), 7);
    }

    #[test]
    fn extra_days_make_blocks() {
        // Blocks of eight days since 1970; -1 and 0 lie on either side of an edge.
        let days = [7, -1, 0, 8, -8, 15];
        let queries: Vec<Query> = days.iter().map(|&day| query(10.0, 10.0, day)).collect();
        let clusters = Clusters::new(&queries, 1).unwrap();
        assert_eq!(groups_of(&clusters), [vec![1, 4], vec![0, 2], vec![3, 5]]);
        assert_eq!([0, 1, 6, u32::MAX].map(block_days), [1, 8, 18, i32::MAX]);
        let crowded: Vec<Query> = (0..600).map(|i| query(10.0, 10.0, i % 8)).collect();
        let sizes: Vec<usize> =
            groups_of(&Clusters::new(&crowded, 1).unwrap()).iter().map(Vec::len).collect();
        assert_eq!(sizes, [512, 88]);
    }

    #[test]
    fn a_crowded_day_is_cut() {
        let queries: Vec<Query> =
            (0..150).map(|i| query(1.0 + f64::from(i % 10), 5.0, 0)).collect();
        let sizes: Vec<usize> = groups(&queries).iter().map(Vec::len).collect();
        assert_eq!(sizes, [64, 64, 22]);
    }

    #[test]
    fn no_query_no_cluster() {
        let none = Clusters::new(&[], 3).unwrap();
        assert!(none.is_empty());
        assert_eq!(none.len(), 0);
    }
}
