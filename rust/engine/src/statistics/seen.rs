//! Where on each day queries looked, by cells of a degree: what a leak is found by.

use std::collections::BTreeMap;

use crate::query::Query;

const ROWS: usize = 180;
const COLUMNS: usize = 360;

/// A day, and a bit a cell: from 90 S and 180 W on, row by row, the first cell in the lowest bit of
/// the first byte.
pub struct SeenDay {
    /// Since 1970-01-01.
    pub day: i32,
    /// `ROWS * COLUMNS / 8` bytes.
    pub bits: Vec<u8>,
}

/// The days and cells that any of the queries has an area of.
pub fn seen(queries: &[Query]) -> Vec<SeenDay> {
    let mut days: BTreeMap<i32, Vec<u8>> = BTreeMap::new();
    for query in queries {
        let bbox = query.bbox();
        let south = (bbox.lat_min + 90.0).floor().max(0.0) as usize;
        let north = ((bbox.lat_max + 90.0).ceil().max(0.0) as usize).min(ROWS);
        let west = (bbox.lon + 180.0).floor();
        let wide = ((bbox.lon + bbox.width + 180.0).ceil() - west).clamp(0.0, COLUMNS as f64);
        let west = west.rem_euclid(COLUMNS as f64) as usize;
        for day in query.day_start..=query.day_end {
            let bits = days.entry(day).or_insert_with(|| vec![0; ROWS * COLUMNS / 8]);
            for row in south..north {
                for column in west..west + wide as usize {
                    let cell = row * COLUMNS + column % COLUMNS;
                    bits[cell / 8] |= 1 << (cell % 8);
                }
            }
        }
    }
    days.into_iter().map(|(day, bits)| SeenDay { day, bits }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(query: Query) -> Vec<(i32, usize, usize)> {
        let mut found = Vec::new();
        for SeenDay { day, bits } in seen(&[query]) {
            let set = (0..ROWS * COLUMNS).filter(|cell| bits[cell / 8] >> (cell % 8) & 1 == 1);
            found.extend(set.map(|cell| (day, cell / COLUMNS, cell % COLUMNS)));
        }
        found
    }

    #[test]
    fn boxes_touch_these_cells() {
        let query = |lon_min, lon_max, lat_min, lat_max| Query {
            lon_min,
            lon_max,
            lat_min,
            lat_max,
            day_start: 7,
            day_end: 8,
        };
        assert_eq!(cells(query(-180.0, -179.0, -90.0, -89.0)), [(7, 0, 0), (8, 0, 0)]);
        let across = cells(query(179.5, -179.5, 0.0, 0.5));
        assert_eq!(across[..2], [(7, 90, 0), (7, 90, 359)]);
        assert_eq!(across.len(), 4);
        assert_eq!(cells(query(-0.1, 0.1, 89.9, 90.0)).len(), 4);
        assert_eq!(cells(query(-180.0, 180.0, -90.0, 90.0)).len(), 2 * ROWS * COLUMNS);
        assert_eq!(cells(query(0.5, 360.5, 0.0, 1.0)).len(), 2 * COLUMNS);
    }
}
