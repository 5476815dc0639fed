//! The share of land of each pixel's cell, out of polygons: exactly, for edges that are straight in
//! longitude and latitude.

use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::computed::cell_edges;
use crate::error::{Error, Result};
use crate::geo::BBox;

/// Bytes of the shares that are kept.
const KEPT: usize = 64 << 20;

/// A box by the bits of its edges, and pixels.
type Key = ([u64; 4], (usize, usize));

/// Land, and the shares that were lately made of it.
pub struct Land {
    rings: Vec<Ring>,
    made: Mutex<Made>,
}

/// Shares of patches, the latest of them.
struct Made {
    shares: LruCache<Key, Arc<[f32]>>,
    bytes: usize,
}

impl Made {
    fn keep(&mut self, key: Key, shares: Arc<[f32]>, most: usize) {
        self.bytes += size_of_val(&*shares);
        // Another thread may have made the same.
        let before = self.shares.put(key, shares);
        self.bytes -= before.map_or(0, |before| size_of_val(&*before));
        while self.bytes > most {
            let Some((_, oldest)) = self.shares.pop_lru() else { return };
            self.bytes -= size_of_val(&*oldest);
        }
    }
}

/// A closed ring of longitudes and latitudes in degrees, land to its left.
struct Ring {
    points: Vec<(f64, f64)>,
    west: f64,
    east: f64,
}

impl Land {
    /// Of polygons as little-endian int32: the number of rings; polygon and number of points of each,
    /// the outer ring of a polygon first; then longitude and latitude of each point in thousandths of
    /// a degree. Rings repeat their first point, and may leave -180..180.
    ///
    /// # Errors
    /// `InvalidInput`: they are none.
    pub fn of(polygons: &[u8]) -> Result<Self> {
        let whole = |four: &[u8]| four.try_into().map(i32::from_le_bytes).unwrap_or_default();
        let numbers: Vec<i32> = polygons.chunks(4).map(whole).collect();
        let rings = Self::rings(&numbers)
            .ok_or_else(|| Error::invalid_input("the outlines of land are damaged"))?;
        let made = Made { shares: LruCache::unbounded(), bytes: 0 };
        Ok(Self { rings, made: Mutex::new(made) })
    }

    fn rings(numbers: &[i32]) -> Option<Vec<Ring>> {
        let (count, rest) = numbers.split_first()?;
        let (heads, mut points) = rest.split_at_checked(2 * usize::try_from(*count).ok()?)?;
        let mut last = None;
        let mut rings = Vec::new();
        for head in heads.chunks_exact(2) {
            let (polygon, n) = (head[0], usize::try_from(head[1]).ok()?);
            let (own, others) = points.split_at_checked(2 * n)?;
            points = others;
            let degrees = |point: &[i32]| (f64::from(point[0]) / 1e3, f64::from(point[1]) / 1e3);
            let ring: Vec<(f64, f64)> = own.chunks_exact(2).map(degrees).collect();
            let is_hole = last == Some(polygon);
            last = Some(polygon);
            rings.push(Ring::new(ring, is_hole));
        }
        Some(rings)
    }

    /// The share of land, 0 to 1, of the area of each of the pixels over a box, row by row.
    pub fn fraction(&self, bbox: &BBox, shape: (usize, usize)) -> Arc<[f32]> {
        let edges = [bbox.lon, bbox.width, bbox.lat_min, bbox.lat_max].map(f64::to_bits);
        let lock = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().shares.get(&(edges, shape)) {
            return known.clone();
        }
        let made: Arc<[f32]> = self.measure(bbox, shape).into();
        lock().keep((edges, shape), made.clone(), KEPT);
        made
    }

    fn measure(&self, bbox: &BBox, shape: (usize, usize)) -> Vec<f32> {
        let (rows, columns) = cell_edges(bbox, shape);
        let mut areas = Areas {
            inside: vec![0.0; shape.0 * shape.1],
            west_of: vec![0.0; shape.0 * (shape.1 + 1)],
            sines: rows.iter().map(|lat| lat.to_radians().sin()).collect(),
            rows,
            columns,
        };
        let (Some(west), Some(east)) =
            (areas.columns.first().copied(), areas.columns.last().copied())
        else {
            return Vec::new();
        };
        for ring in &self.rings {
            let from = ((west - ring.east) / 360.0).ceil() as i64;
            let to = ((east - ring.west) / 360.0).floor() as i64;
            for turn in from..=to {
                let turn = 360.0 * turn as f64;
                for pair in ring.points.windows(2) {
                    let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
                    areas.add((x0 + turn, y0), (x1 + turn, y1));
                }
            }
        }
        areas.shares()
    }
}

impl Ring {
    fn new(mut points: Vec<(f64, f64)>, is_hole: bool) -> Self {
        let twice: f64 = points.windows(2).map(|p| p[0].0 * p[1].1 - p[1].0 * p[0].1).sum();
        if (twice < 0.0) != is_hole {
            points.reverse();
        }
        let west = points.iter().fold(f64::INFINITY, |west, point| west.min(point.0));
        let east = points.iter().fold(f64::NEG_INFINITY, |east, point| east.max(point.0));
        Self { points, west, east }
    }
}

/// Areas that edges bound on their west, in degrees of longitude times sine of latitude; those of
/// edges to the south count against those to the north.
struct Areas {
    /// Edges of the cells, degrees.
    rows: Vec<f64>,
    columns: Vec<f64>,
    sines: Vec<f64>,
    /// Of each cell, what edges inside it bound.
    inside: Vec<f64>,
    /// Of each row, the heights of edges in each column, and east of all: they bound all cells before.
    west_of: Vec<f64>,
}

/// Three points and weights of Gauss and Legendre on 0..1.
const GAUSS: [(f64, f64); 3] = [
    (0.112_701_665_379_258_31, 5.0 / 18.0),
    (0.5, 4.0 / 9.0),
    (0.887_298_334_620_741_7, 5.0 / 18.0),
];

impl Areas {
    fn add(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) {
        if y0 == y1 || x0.max(x1) <= self.columns[0] {
            return;
        }
        let (low, high) = (y0.min(y1), y0.max(y1));
        let first = self.rows.partition_point(|edge| *edge <= low).saturating_sub(1);
        let at = |y: f64| x0 + (x1 - x0) * ((y - y0) / (y1 - y0));
        for row in first..self.rows.len() - 1 {
            let (south, north) = (low.max(self.rows[row]), high.min(self.rows[row + 1]));
            if self.rows[row] >= high {
                return;
            }
            if south < north {
                let (a, b) = ((at(south), south), (at(north), north));
                if y0 < y1 {
                    self.add_in_row(row, a, b, 1.0)
                } else {
                    self.add_in_row(row, a, b, -1.0)
                }
            }
        }
    }

    /// Adds a part that lies in one row, from south to north.
    fn add_in_row(&mut self, row: usize, south: (f64, f64), north: (f64, f64), sign: f64) {
        let (west, east) = if south.0 <= north.0 { (south, north) } else { (north, south) };
        let width = self.columns.len() - 1;
        // Column 0 here is what lies west of all cells.
        let place = |x: f64| self.columns.partition_point(|edge| *edge <= x);
        let (first, last) = (place(west.0), place(east.0));
        let mut from = west;
        for column in first..=last {
            let to = match self.columns.get(column) {
                Some(&edge) if column < last => {
                    let share = (edge - west.0) / (east.0 - west.0);
                    (edge, west.1 + (east.1 - west.1) * share)
                }
                _ => east,
            };
            if column > 0 {
                let (a, b) = if from.1 <= to.1 { (from, to) } else { (to, from) };
                let height = b.1.to_radians().sin() - a.1.to_radians().sin();
                self.west_of[row * (width + 1) + column - 1] += sign * height;
                if column <= width {
                    self.inside[row * width + column - 1] +=
                        sign * beside(self.columns[column - 1], a, b);
                }
            }
            from = to;
        }
    }

    fn shares(self) -> Vec<f32> {
        let width = self.columns.len() - 1;
        let mut shares = vec![0.0; self.inside.len()];
        for row in 0..self.rows.len() - 1 {
            let height = self.sines[row + 1] - self.sines[row];
            let mut bounded = self.west_of[row * (width + 1) + width];
            for column in (0..width).rev() {
                let across = self.columns[column + 1] - self.columns[column];
                let area = bounded * across + self.inside[row * width + column];
                bounded += self.west_of[row * (width + 1) + column];
                let share = area / (across * height);
                // What rounding leaves of nothing.
                let share = if share.abs() < 1e-9 { 0.0 } else { share };
                shares[row * width + column] = share.clamp(0.0, 1.0) as f32;
            }
        }
        shares
    }
}

/// The area between a meridian and a part of an edge east of it.
fn beside(meridian: f64, (xa, ya): (f64, f64), (xb, yb): (f64, f64)) -> f64 {
    let (ya, yb) = (ya.to_radians(), yb.to_radians());
    let at = |(t, weight): &(f64, f64)| {
        weight * (xa + t * (xb - xa) - meridian) * (ya + t * (yb - ya)).cos()
    };
    (yb - ya) * GAUSS.iter().map(at).sum::<f64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn land(rings: &[(i32, &[(i32, i32)])]) -> Land {
        let mut numbers = vec![rings.len() as i32];
        numbers.extend(rings.iter().flat_map(|(polygon, ring)| [*polygon, ring.len() as i32]));
        numbers.extend(rings.iter().flat_map(|(_, ring)| ring.iter().flat_map(|p| [p.0, p.1])));
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        Land::of(&bytes).unwrap()
    }

    fn bbox(lon: f64, width: f64, lat_min: f64, lat_max: f64) -> BBox {
        BBox { lon, width, lat_min, lat_max }
    }

    #[test]
    fn boxes_with_holes_cover_what_they_do() {
        let outer = [(0, 0), (4000, 0), (4000, 4000), (0, 4000), (0, 0)];
        let hole = [(1000, 1000), (1000, 2000), (2000, 2000), (2000, 1000), (1000, 1000)];
        for turn in [-360.0, 0.0, 360.0] {
            // Cells of a degree whose centres are the pixels.
            let land = land(&[(0, &outer), (0, &hole)]);
            let found = land.fraction(&bbox(turn - 0.5, 5.0, -0.5, 4.5), (6, 6));
            for (i, row) in found.chunks(6).enumerate() {
                for (j, share) in row.iter().enumerate() {
                    let inside = (1..5).contains(&i) && (1..5).contains(&j) && (i, j) != (2, 2);
                    assert!((share - f32::from(inside)).abs() < 1e-6, "{i} {j} {share}");
                }
            }
        }
    }

    #[test]
    fn a_slanted_edge_cuts_a_cell() {
        let land = land(&[(0, &[(0, 0), (2000, 0), (0, 2000), (0, 0)])]);
        let found = land.fraction(&bbox(0.5, 1.0, 0.5, 1.5), (2, 2));
        let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 2e-4;
        assert!(near(found[0], 1.0) && near(found[1], 0.5), "{found:?}");
        assert!(near(found[2], 0.5) && near(found[3], 0.0), "{found:?}");
        let whole = land.fraction(&bbox(-2.0, 5.0, -2.0, 3.0), (1, 1));
        assert!(near(whole[0], 2.0 / 25.0), "{whole:?}");
        assert!(Arc::ptr_eq(&whole, &land.fraction(&bbox(-2.0, 5.0, -2.0, 3.0), (1, 1))));
    }

    #[test]
    fn the_oldest_shares_go_first() {
        let mut made = Made { shares: LruCache::unbounded(), bytes: 0 };
        let key = |n: u64| ([n; 4], (1, 1));
        for n in [0, 1, 2, 2] {
            made.keep(key(n), vec![0.0; 10].into(), 80);
        }
        assert_eq!((made.bytes, made.shares.len()), (80, 2));
        assert!(made.shares.get(&key(0)).is_none() && made.shares.get(&key(2)).is_some());
        made.keep(key(3), vec![0.0; 30].into(), 80);
        assert_eq!((made.bytes, made.shares.len()), (0, 0), "more than all that is kept");
    }

    #[test]
    fn damaged_outlines_are_refused() {
        assert!(Land::of(&[]).is_err());
        assert!(Land::of(&5i32.to_le_bytes()).is_err());
    }
}
