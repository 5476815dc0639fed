//! Augmentation: boxes that move, and patches that are flipped and turned, as chance has it that is
//! drawn from the seed, the epoch and the draw's place in the order alone.

use serde::{Deserialize, Serialize};

use super::order::Draw;
use super::permutation::key;
use crate::orientation::{Component, Orientation};
use crate::query::Query;

/// What may be done to each query that is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// What chance comes from.
    pub seed: u64,
    /// Degrees of longitude and latitude that a box moves by at most, to either side.
    pub shift: (f64, f64),
    /// The sides of cells in degrees, by whole ones of which it moves.
    pub cell: Option<(f64, f64)>,
    /// Whether patches may be flipped in longitude.
    pub flip_lon: bool,
    /// Whether they may be flipped in latitude.
    pub flip_lat: bool,
    /// Whether they may be turned by quarters.
    pub rotate: bool,
    /// The eastward and the northward component of vectors, as numbers of requests.
    pub vectors: Vec<(usize, usize)>,
}

impl Augment {
    /// Whether boxes move.
    pub fn shifts(&self) -> bool {
        self.shift != (0.0, 0.0)
    }

    /// Where a query is read for a draw. Latitudes stay on the globe.
    pub fn moved(&self, query: &Query, draw: Draw) -> Query {
        if !self.shifts() {
            return *query;
        }
        let (most_lon, most_lat) = self.shift;
        let (cell_lon, cell_lat) =
            self.cell.map_or((None, None), |(lon, lat)| (Some(lon), Some(lat)));
        let east = between(-most_lon, most_lon, cell_lon, self.chance(draw, 0));
        let (south, north) = (-90.0 - query.lat_min, 90.0 - query.lat_max);
        let (south, north) = (south.max(-most_lat).min(0.0), north.min(most_lat).max(0.0));
        let up = between(south, north, cell_lat, self.chance(draw, 1));
        let (lon_min, lon_max) = (query.lon_min + east, query.lon_max + east);
        let turn = if lon_min < -180.0 {
            360.0
        } else if lon_min >= 180.0 {
            -360.0
        } else {
            0.0
        };
        let (lon_min, mut lon_max) = (lon_min + turn, lon_max + turn);
        // A box that now crosses the antimeridian says so as queries do.
        if lon_max > 180.0 && lon_max - 360.0 < lon_min {
            lon_max -= 360.0;
        }
        if lon_max < -180.0 {
            lon_max += 360.0;
        }
        Query {
            lon_min,
            lon_max,
            lat_min: query.lat_min + up,
            lat_max: query.lat_max + up,
            ..*query
        }
    }

    /// How the patches of a draw lie.
    pub fn orientation(&self, draw: Draw) -> Orientation {
        if !(self.flip_lon || self.flip_lat || self.rotate) {
            return Orientation::default();
        }
        let bits = self.chance(draw, 2);
        Orientation {
            flip_lon: self.flip_lon && bits & 1 != 0,
            flip_lat: self.flip_lat && bits & 2 != 0,
            turns: if self.rotate { (bits >> 2) as u8 & 3 } else { 0 },
        }
    }

    /// Which request a cell of `request` is made of, and whether the sign of its values changes.
    pub fn source(&self, request: usize, orientation: Orientation) -> (usize, bool) {
        let component = self.vectors.iter().find_map(|&(east, north)| match request {
            _ if request == east => Some((Component::East, east, north)),
            _ if request == north => Some((Component::North, east, north)),
            _ => None,
        });
        let Some((component, east, north)) = component else { return (request, false) };
        match orientation.component(component) {
            (Component::East, changes) => (east, changes),
            (Component::North, changes) => (north, changes),
        }
    }

    fn chance(&self, Draw { epoch, place }: Draw, what: u64) -> u64 {
        key("augment", &[self.seed, epoch, place, what])
    }
}

/// A number between two, or a whole multiple of `cell` that lies there, each as likely.
fn between(low: f64, high: f64, cell: Option<f64>, chance: u64) -> f64 {
    // The upper 53 bits are a float's.
    let share = (chance >> 11) as f64 / (1u64 << 53) as f64;
    let Some(cell) = cell else { return low + (high - low) * share };
    // A shift of so many cells is meant, whatever the last bit says.
    let (first, last) = ((low / cell - 1e-6).ceil(), (high / cell + 1e-6).floor());
    if last < first {
        return 0.0;
    }
    (first + ((last - first + 1.0) * share).floor()) * cell
}

#[cfg(test)]
mod tests {
    use super::*;

    fn augment(shift: (f64, f64), cell: Option<(f64, f64)>) -> Augment {
        Augment {
            seed: 7,
            shift,
            cell,
            flip_lon: true,
            flip_lat: true,
            rotate: true,
            vectors: vec![(0, 2)],
        }
    }

    fn query(lon: (f64, f64), lat: (f64, f64)) -> Query {
        Query {
            lon_min: lon.0,
            lon_max: lon.1,
            lat_min: lat.0,
            lat_max: lat.1,
            day_start: 3,
            day_end: 4,
        }
    }

    fn draws() -> impl Iterator<Item = Draw> {
        (0..3).flat_map(|epoch| (0..200).map(move |place| Draw { epoch, place }))
    }

    #[test]
    fn boxes_stay_on_the_globe_and_keep_their_size() {
        let moving = augment((170.0, 60.0), None);
        for asked in [query((-179.0, -170.0), (80.0, 90.0)), query((175.0, -175.0), (-88.0, 10.0))]
        {
            let mut south = 0;
            for draw in draws() {
                let moved = moving.moved(&asked, draw);
                assert!(moved.validate().is_ok(), "{moved}");
                assert!((moved.bbox().width - asked.bbox().width).abs() < 1e-9, "{moved}");
                assert!((-180.0..180.0).contains(&moved.lon_min) && moved.lon_max <= 180.0);
                let up = moved.lat_min - asked.lat_min;
                assert!((moved.lat_max - asked.lat_max - up).abs() < 1e-9);
                south += i32::from(up < 0.0);
                assert_eq!((moved.day_start, moved.day_end), (3, 4));
            }
            assert!(south > 5, "some move south, though there is little room");
        }
    }

    #[test]
    fn snapped_boxes_move_by_whole_cells_each_as_often() {
        let moving = augment((0.5, 0.75), Some((0.25, 0.25)));
        let asked = query((10.125, 12.875), (-3.875, 4.125));
        let (mut seen, mut rows) =
            (std::collections::BTreeMap::new(), std::collections::BTreeSet::new());
        for draw in draws() {
            let moved = moving.moved(&asked, draw);
            let cells = (moved.lon_min - asked.lon_min) / 0.25;
            assert_eq!(cells, cells.round());
            *seen.entry(cells as i64).or_insert(0) += 1;
            rows.insert(((moved.lat_min - asked.lat_min) / 0.25) as i64);
        }
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
        assert!(seen.values().all(|&n| (80..160).contains(&n)), "{seen:?}");
        assert_eq!(rows.len(), 7);
        // At the pole only away from it, and not at all where there is no room.
        let polar = query((0.0, 5.0), (80.125, 89.875));
        assert!(draws().all(|draw| moving.moved(&polar, draw).lat_max <= 89.875));
    }

    #[test]
    fn chance_depends_on_seed_epoch_and_place() {
        let moving = augment((1.0, 1.0), None);
        let asked = query((0.0, 5.0), (0.0, 5.0));
        let of = |moving: &Augment, epoch, place| {
            let draw = Draw { epoch, place };
            (moving.moved(&asked, draw).lon_min, moving.orientation(draw).code())
        };
        let first = of(&moving, 0, 0);
        assert_eq!(of(&moving, 0, 0), first);
        for other in
            [of(&moving, 1, 0), of(&moving, 0, 1), of(&Augment { seed: 8, ..moving.clone() }, 0, 0)]
        {
            assert_ne!(other.0, first.0);
        }
        let codes: std::collections::BTreeSet<u8> =
            draws().map(|d| moving.orientation(d).code()).collect();
        assert_eq!(codes.len(), 16);
        let still = Augment { flip_lon: false, rotate: false, ..augment((0.0, 0.0), None) };
        assert!(
            draws()
                .all(|d| still.moved(&asked, d) == asked && still.orientation(d).code() & !2 == 0)
        );
    }

    #[test]
    fn components_change_places() {
        let turned = Orientation { turns: 1, ..Orientation::default() };
        let augment = augment((0.0, 0.0), None);
        assert_eq!(augment.source(0, turned), (2, true));
        assert_eq!(augment.source(2, turned), (0, false));
        assert_eq!(augment.source(1, turned), (1, false));
    }
}
