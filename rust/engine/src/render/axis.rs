//! Axes of cell centres: joining those of several tiles, and placing points between the cells.

use std::ops::Range;

/// Two centres closer than this share of a cell are one; edges reach this much further.
const TOLERANCE: f64 = 1e-3;

/// Strictly ascending cell centres of a mosaic. Where a spacing is more than twice each spacing
/// beside it (a missing tile), the axis has a gap that nothing is interpolated across.
#[derive(Clone, Debug)]
pub struct Axis {
    centres: Vec<f64>,
    /// `gap[i]`: nothing lies between centres `i` and `i + 1`.
    gap: Vec<bool>,
}

/// Where a point lies on an axis: its two neighbours and the weight of the upper one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The neighbour below, or the edge cell.
    pub lower: usize,
    /// The neighbour above; equal to `lower` at an edge.
    pub upper: usize,
    /// Weight of `upper`, in `[0, 1)`.
    pub t: f64,
}

/// A cell's centre and the smaller of the spacings beside it.
#[derive(Clone, Copy, Debug)]
pub struct Centre {
    /// Where it lies.
    pub x: f64,
    /// The spacing.
    pub cell: f64,
}

impl Axis {
    /// An axis over strictly ascending centres.
    pub fn new(centres: Vec<f64>) -> Self {
        let spacing: Vec<f64> = centres.windows(2).map(|w| w[1] - w[0]).collect();
        let gap = (0..spacing.len())
            .map(|i| {
                let below = i.checked_sub(1).map(|j| spacing[j]);
                let above = spacing.get(i + 1).copied();
                (below.is_some() || above.is_some())
                    && [below, above].into_iter().flatten().all(|s| spacing[i] > 2.0 * s)
            })
            .collect();
        Self { centres, gap }
    }

    /// Joins stretches of several tiles' axes; also tells where each stretch's centres went.
    pub fn join(parts: &[Vec<Centre>]) -> (Self, Vec<Vec<usize>>) {
        if let [only] = parts {
            let centres = only.iter().map(|centre| centre.x).collect();
            return (Self::new(centres), vec![(0..only.len()).collect()]);
        }
        let mut entries: Vec<(Centre, usize, usize)> = parts
            .iter()
            .enumerate()
            .flat_map(|(p, part)| part.iter().enumerate().map(move |(i, &centre)| (centre, p, i)))
            .collect();
        entries.sort_by(|a, b| a.0.x.total_cmp(&b.0.x));
        let mut centres: Vec<f64> = Vec::new();
        let mut cell = 0.0f64;
        let mut maps: Vec<Vec<usize>> = parts.iter().map(|part| vec![0; part.len()]).collect();
        for (centre, part, i) in entries {
            let reach = TOLERANCE * cell.min(centre.cell);
            if centres.last().is_some_and(|&last| centre.x - last <= reach) {
                cell = cell.min(centre.cell);
            } else {
                centres.push(centre.x);
                cell = centre.cell;
            }
            maps[part][i] = centres.len() - 1;
        }
        (Self::new(centres), maps)
    }

    /// The cell centres.
    pub fn centres(&self) -> &[f64] {
        &self.centres
    }

    /// Where `x` lies; `None` in a gap or more than half a cell outside.
    pub fn place(&self, x: f64) -> Option<Place> {
        let above = self.centres.partition_point(|&c| c <= x);
        let edge = |i: usize| Place { lower: i, upper: i, t: 0.0 };
        let Some(lower) = above.checked_sub(1) else {
            return self.reaches(0, x).then(|| edge(0));
        };
        if above == self.centres.len() {
            return self.reaches(lower, x).then(|| edge(lower));
        }
        if self.gap[lower] {
            return [lower, above].into_iter().find(|&i| self.reaches(i, x)).map(edge);
        }
        let t = (x - self.centres[lower]) / (self.centres[above] - self.centres[lower]);
        Some(if t > 0.0 { Place { lower, upper: above, t } } else { edge(lower) })
    }

    /// Index of the centre nearest to `x`, ties to the lower; `None` where [`Self::place`] is.
    pub fn nearest(&self, x: f64) -> Option<usize> {
        let place = self.place(x)?;
        let (below, above) = (x - self.centres[place.lower], self.centres[place.upper] - x);
        Some(if below <= above + 1e-9 { place.lower } else { place.upper })
    }

    /// Indices of the centres in `[lo, hi)`, or `[lo, hi]` if `closed`.
    pub fn within(&self, lo: f64, hi: f64, closed: bool) -> (usize, usize) {
        let start = self.centres.partition_point(|&c| c < lo);
        let end = self.centres.partition_point(|&c| c < hi || (closed && c <= hi));
        (start, end.max(start))
    }

    /// Whether the edge cell `i` of its segment counts at `x`: within half its own spacing.
    fn reaches(&self, i: usize, x: f64) -> bool {
        let inside = |a: usize, b: usize| {
            (!self.gap.get(a).copied().unwrap_or(true)).then(|| self.centres[b] - self.centres[a])
        };
        let spacing = i.checked_sub(1).and_then(|j| inside(j, i)).or_else(|| inside(i, i + 1));
        let reach = spacing.map_or(1e-9, |s| s * (0.5 + TOLERANCE));
        self.centres.get(i).is_some_and(|c| (x - c).abs() <= reach)
    }
}

/// The centres of a stretch of a tile's axis, moved by `turn`. Spacings are those of the whole axis,
/// as a stretch may have one centre only; the single cell of an axis has none.
pub fn stretch(axis: &[f64], range: Range<usize>, turn: f64) -> Vec<Centre> {
    let spacing = |i: usize| {
        let below = i.checked_sub(1).map(|j| axis[i] - axis[j]);
        let above = axis.get(i + 1).map(|x| x - axis[i]);
        below.into_iter().chain(above).reduce(f64::min).unwrap_or(0.0)
    };
    range.map(|i| Centre { x: axis[i] + turn, cell: spacing(i) }).collect()
}

/// `n` points from `start` to `stop`, both included, computed as NumPy does.
pub fn linspace(start: f64, stop: f64, n: usize) -> Vec<f64> {
    if n < 2 {
        return vec![start; n];
    }
    let step = (stop - start) / (n - 1) as f64;
    (0..n).map(|i| if i + 1 == n { stop } else { start + i as f64 * step }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_between_cells_and_within_half_a_cell() {
        let axis = Axis::new(vec![0.5, 1.5, 2.5]);
        assert_eq!(axis.place(1.0), Some(Place { lower: 0, upper: 1, t: 0.5 }));
        assert_eq!(axis.place(1.5), Some(Place { lower: 1, upper: 1, t: 0.0 }));
        assert_eq!(axis.place(0.0).map(|p| (p.lower, p.upper)), Some((0, 0)));
        assert_eq!(axis.place(3.0).map(|p| p.lower), Some(2));
        assert_eq!(axis.place(-0.01), None);
        assert_eq!(axis.place(3.01), None);
        assert_eq!(axis.nearest(1.0), Some(0));
        assert_eq!(axis.nearest(1.01), Some(1));
    }

    #[test]
    fn a_missing_tile_is_a_gap() {
        let axis = Axis::new(vec![0.0, 1.0, 2.0, 8.0, 9.0]);
        assert_eq!(axis.place(2.5).map(|p| (p.lower, p.t)), Some((2, 0.0)));
        assert_eq!(axis.place(4.0), None);
        assert_eq!(axis.place(7.6).map(|p| p.lower), Some(3));
        assert!(Axis::new(vec![0.0, 5.0]).place(2.0).is_some());
        // Spacings that grow smoothly are no gap.
        assert!(Axis::new(vec![0.0, 1.0, 2.5, 5.0]).place(4.0).is_some());
    }

    #[test]
    fn joins_with_a_tolerance_of_a_thousandth_of_a_cell() {
        let whole = |axis: &[f64]| stretch(axis, 0..axis.len(), 0.0);
        let (axis, maps) =
            Axis::join(&[whole(&[0.0, 1.0, 2.0]), whole(&[2.0005, 3.0]), whole(&[0.0, 1.0])]);
        assert_eq!(axis.centres(), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(maps, [vec![0, 1, 2], vec![2, 3], vec![0, 1]]);
        let (axis, _) = Axis::join(&[whole(&[0.0, 1.0]), whole(&[1.002, 2.0])]);
        assert_eq!(axis.centres().len(), 4);
        // Of each tile only one centre is near: they are two cells all the same.
        let (axis, _) =
            Axis::join(&[stretch(&[-3.0, -1.0], 1..2, 0.0), stretch(&[1.0, 3.0], 0..1, 0.0)]);
        assert_eq!(axis.centres(), [-1.0, 1.0]);
        let (axis, _) = Axis::join(&[whole(&[5.0]), whole(&[7.0]), whole(&[5.0])]);
        assert_eq!(axis.centres(), [5.0, 7.0]);
    }

    #[test]
    fn linspace_is_numpys() {
        assert_eq!(linspace(1.0, 2.0, 3), [1.0, 1.5, 2.0]);
        assert_eq!(linspace(1.0, 2.0, 1), [1.0]);
    }
}
