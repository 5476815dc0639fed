//! Flips and quarter turns of patches.

use serde::{Deserialize, Serialize};

/// What is done to the pixels of a patch: flipped in longitude, then in latitude, then turned by
/// quarters, counter-clockwise where north is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orientation {
    /// East and west change places.
    pub flip_lon: bool,
    /// North and south change places.
    pub flip_lat: bool,
    /// Quarter turns, 0 to 3.
    pub turns: u8,
}

/// One of the two components of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Component {
    /// Eastward.
    East,
    /// Northward.
    North,
}

impl Orientation {
    /// Bit 0: longitude; bit 1: latitude; bits 2 and 3: the turns.
    pub fn code(self) -> u8 {
        u8::from(self.flip_lon) | u8::from(self.flip_lat) << 1 | (self.turns & 3) << 2
    }

    /// Whether nothing is done.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// What a component becomes out of: which one, and whether its sign changes.
    pub fn component(self, of: Component) -> (Component, bool) {
        use Component::{East, North};
        // A quarter turn takes (u, v) to (-v, u).
        let (from, turned) = match (of, self.turns & 3) {
            (East, 0) => (East, false),
            (East, 1) => (North, true),
            (East, 2) => (East, true),
            (East, _) => (North, false),
            (North, 0) => (North, false),
            (North, 1) => (East, false),
            (North, 2) => (North, true),
            (North, _) => (East, true),
        };
        let flipped = match from {
            East => self.flip_lon,
            North => self.flip_lat,
        };
        (from, turned != flipped)
    }

    /// Moves the pixels of a plane of `width` columns whose rows run from south to north; odd turns
    /// are of square planes alone.
    pub fn apply<T>(self, pixels: &mut [T], width: usize) {
        let width = width.max(1);
        if self.flip_lon {
            flip_columns(pixels, width);
        }
        if self.flip_lat {
            flip_rows(pixels, width);
        }
        match self.turns & 3 {
            1 => {
                transpose(pixels, width);
                flip_columns(pixels, width);
            }
            2 => pixels.reverse(),
            3 => {
                transpose(pixels, width);
                flip_rows(pixels, width);
            }
            _ => {}
        }
    }
}

fn flip_columns<T>(pixels: &mut [T], width: usize) {
    pixels.chunks_exact_mut(width).for_each(<[T]>::reverse);
}

fn flip_rows<T>(pixels: &mut [T], width: usize) {
    let height = pixels.len() / width;
    let (south, north) = pixels.split_at_mut(height.div_ceil(2) * width);
    let rows = south.chunks_exact_mut(width).zip(north.chunks_exact_mut(width).rev());
    rows.for_each(|(a, b)| a.swap_with_slice(b));
}

fn transpose<T>(pixels: &mut [T], width: usize) {
    for row in 0..pixels.len() / width {
        for column in row + 1..width {
            pixels.swap(row * width + column, column * width + row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pixels 0 1 2 (south), 3 4 5, 6 7 8 (north), as an orientation leaves them.
    fn moved(orientation: Orientation) -> Vec<u8> {
        let mut pixels: Vec<u8> = (0..9).collect();
        orientation.apply(&mut pixels, 3);
        pixels
    }

    fn turned(turns: u8) -> Orientation {
        Orientation { turns, ..Orientation::default() }
    }

    #[test]
    fn pixels_move_as_a_map_does() {
        let lon = Orientation { flip_lon: true, ..Orientation::default() };
        let lat = Orientation { flip_lat: true, ..Orientation::default() };
        assert_eq!(moved(lon), [2, 1, 0, 5, 4, 3, 8, 7, 6]);
        assert_eq!(moved(lat), [6, 7, 8, 3, 4, 5, 0, 1, 2]);
        // What lay in the south-east (2) lies in the north-east after a quarter turn.
        assert_eq!(moved(turned(1)), [6, 3, 0, 7, 4, 1, 8, 5, 2]);
        assert_eq!(moved(turned(2)), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(moved(turned(3)), [2, 5, 8, 1, 4, 7, 0, 3, 6]);
    }

    #[test]
    fn odd_heights_and_oblongs_are_flipped() {
        let mut pixels: Vec<u8> = (0..6).collect();
        Orientation { flip_lon: true, flip_lat: true, turns: 2 }.apply(&mut pixels, 2);
        assert_eq!(pixels, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn vectors_turn_with_their_pixels() {
        use Component::{East, North};
        // Eastward flow, turned by a quarter, flows to the north.
        assert_eq!(turned(1).component(North), (East, false));
        assert_eq!(turned(1).component(East), (North, true));
        let flipped = Orientation { flip_lon: true, flip_lat: false, turns: 1 };
        assert_eq!(flipped.component(North), (East, true));
        assert_eq!(flipped.component(East), (North, true));
        assert_eq!(
            Orientation { flip_lat: true, turns: 2, flip_lon: false }.component(North),
            (North, false)
        );
    }

    #[test]
    fn codes_name_each() {
        let every = Orientation { flip_lon: true, flip_lat: true, turns: 3 };
        assert_eq!((every.code(), turned(1).code(), turned(0).code()), (15, 4, 0));
        assert!(turned(0).is_none() && !every.is_none());
    }
}
