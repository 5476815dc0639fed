//! Axes of cell centres: joining those of several tiles, and placing points between the cells.

use std::ops::Range;

use crate::geo::BBox;

/// Two centres closer than this share of a cell are one, and a point this close to a centre lies on it
/// (axes in float32 miss by less); edges reach this much further.
const TOLERANCE: f64 = 1e-3;

/// The edges of cells around points: half-way between them and as far beyond the outer ones; of a lone
/// point, `(lo, hi)`.
pub fn cut(points: &[f64], (lo, hi): (f64, f64)) -> Vec<f64> {
    let mut edges: Vec<f64> = points.windows(2).map(|p| f64::midpoint(p[0], p[1])).collect();
    match (points, points.len()) {
        ([first, second, ..], n) => {
            let (a, b) = (points[n - 2], points[n - 1]);
            edges.insert(0, first - (second - first) / 2.0);
            edges.push(b + (b - a) / 2.0);
            edges
        }
        _ => vec![lo, hi],
    }
}

/// Strictly ascending cell centres of a mosaic. Where a spacing is more than twice each spacing
/// beside it (a missing tile), the axis has a gap that nothing is interpolated across.
#[derive(Clone, Debug)]
pub struct Axis {
    centres: Vec<f64>,
    /// The size of a cell that has no neighbour to tell it; 0 where nothing does.
    lone: f64,
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

/// Where the centres of a stretch went on a joined axis: ascending indices.
#[derive(Clone, Debug, PartialEq)]
pub enum Places {
    /// One after another.
    Run(Range<usize>),
    /// With others in between.
    Scattered(Vec<usize>),
}

impl Places {
    fn new(indices: Vec<usize>) -> Self {
        match (indices.first(), indices.last()) {
            (Some(&first), Some(&last)) if last - first + 1 == indices.len() => {
                Self::Run(first..last + 1)
            }
            _ => Self::Scattered(indices),
        }
    }

    /// Where the centres at `positions` went.
    pub fn part(&self, positions: &Range<usize>) -> Self {
        match self {
            Self::Run(all) => Self::Run(all.start + positions.start..all.start + positions.end),
            Self::Scattered(all) => Self::new(all[positions.clone()].to_vec()),
        }
    }

    /// From the first index to the last.
    pub fn extent(&self) -> Range<usize> {
        match self {
            Self::Run(range) => range.clone(),
            Self::Scattered(indices) => match (indices.first(), indices.last()) {
                (Some(&first), Some(&last)) => first..last + 1,
                _ => 0..0,
            },
        }
    }

    /// The memory that it takes besides itself.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Run(_) => 0,
            Self::Scattered(indices) => size_of_val(indices.as_slice()),
        }
    }

    /// The indices, one by one.
    pub fn iter(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Self::Run(range) => Box::new(range.clone()),
            Self::Scattered(indices) => Box::new(indices.iter().copied()),
        }
    }

    /// The positions of the first and the last centre whose index is in `set`, as a range.
    pub fn span(&self, set: &Indices) -> Option<Range<usize>> {
        match self {
            Self::Run(range) => {
                let hit = set.within(range)?;
                Some(hit.start - range.start..hit.end - range.start)
            }
            Self::Scattered(indices) => {
                let first = indices.iter().position(|&i| set.contains(i))?;
                let last = indices.iter().rposition(|&i| set.contains(i))?;
                Some(first..last + 1)
            }
        }
    }
}

/// A set of indices on an axis: ascending ranges that do not touch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Indices(Vec<Range<usize>>);

impl Indices {
    /// The union of `ranges`, which start in ascending order; but for the last cells of one, the
    /// next may start in it.
    pub fn union(ranges: impl Iterator<Item = Range<usize>>) -> Self {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for range in ranges.filter(|range| !range.is_empty()) {
            match runs.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => runs.push(range),
            }
        }
        Self(runs)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, i: usize) -> bool {
        let run = self.0.partition_point(|run| run.end <= i);
        self.0.get(run).is_some_and(|run| run.contains(&i))
    }

    /// From the first to the last index in `range`.
    fn within(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let first = self.0.partition_point(|run| run.end <= range.start);
        let after = self.0.partition_point(|run| run.start < range.end);
        let runs = self.0.get(first..after)?;
        let start = runs.first()?.start.max(range.start);
        Some(start..runs.last()?.end.min(range.end))
    }
}

impl Axis {
    /// An axis over strictly ascending centres.
    pub fn new(centres: Vec<f64>) -> Self {
        Self { centres, lone: 0.0 }
    }

    /// The same, where a cell without a neighbour is of this size.
    #[must_use]
    pub fn with_lone_cell(self, lone: f64) -> Self {
        Self { lone, ..self }
    }

    /// Joins stretches of several tiles' axes; also tells where each stretch's centres went.
    pub fn join(parts: &[Vec<Centre>]) -> (Self, Vec<Places>) {
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
        (Self::new(centres), maps.into_iter().map(Places::new).collect())
    }

    /// The cell centres.
    pub fn centres(&self) -> &[f64] {
        &self.centres
    }

    /// Where each of `points`, which ascend, lies; `None` in a gap or more than half a cell outside.
    pub fn places(&self, points: &[f64]) -> impl Iterator<Item = Option<Place>> {
        let mut above = 0;
        points.iter().map(move |&x| {
            above += self.centres.get(above..).map_or(0, |rest| count_while(rest, |c| c <= x));
            self.place(x, above)
        })
    }

    /// Where `x` lies, of which `above` is the first centre beyond.
    fn place(&self, x: f64, above: usize) -> Option<Place> {
        let edge = |i: usize| Place { lower: i, upper: i, t: 0.0 };
        let Some(lower) = above.checked_sub(1) else {
            return self.reaches(0, x).then(|| edge(0));
        };
        if above == self.centres.len() {
            return self.reaches(lower, x).then(|| edge(lower));
        }
        if self.gap(lower) {
            return [lower, above].into_iter().find(|&i| self.reaches(i, x)).map(edge);
        }
        let t = (x - self.centres[lower]) / (self.centres[above] - self.centres[lower]);
        Some(match t {
            t if t <= TOLERANCE => edge(lower),
            t if t >= 1.0 - TOLERANCE => edge(above),
            t => Place { lower, upper: above, t },
        })
    }

    /// Index of the centre nearest to `x`, ties to the lower, out of where it lies.
    pub fn nearest(&self, x: f64, place: Place) -> usize {
        let (below, above) = (x - self.centres[place.lower], self.centres[place.upper] - x);
        if below <= above + 1e-9 { place.lower } else { place.upper }
    }

    /// The centres in `[lo, cuts[0])`, `[cuts[0], cuts[1])`, ..., and `[cuts[n - 1], hi]` after the
    /// last cut; the edges ascend.
    pub fn bins(&self, lo: f64, cuts: impl Iterator<Item = f64>, hi: f64) -> Vec<Range<usize>> {
        let mut start = self.centres.partition_point(|&c| c < lo);
        let mut bins = Vec::with_capacity(cuts.size_hint().0 + 1);
        for cut in cuts {
            let rest = self.centres.get(start..).unwrap_or_default();
            let end = start + count_while(rest, |c| c < cut);
            bins.push(start..end);
            start = end;
        }
        bins.push(start..self.centres.partition_point(|&c| c <= hi).max(start));
        bins
    }

    /// The number of centres in `[lo, hi]`.
    pub fn count(&self, lo: f64, hi: f64) -> usize {
        let start = self.centres.partition_point(|&c| c < lo);
        self.centres.partition_point(|&c| c <= hi).saturating_sub(start)
    }

    /// Whether nothing lies between centres `i` and `i + 1`.
    fn gap(&self, i: usize) -> bool {
        let spacing = |i: usize| Some(self.centres.get(i + 1)? - self.centres.get(i)?);
        let Some(here) = spacing(i) else { return false };
        let beside = [i.checked_sub(1).and_then(spacing), spacing(i + 1)];
        beside.iter().any(Option::is_some) && beside.iter().flatten().all(|s| here > 2.0 * s)
    }

    /// Whether the edge cell `i` of its segment counts at `x`: within half of its size, which is the
    /// spacing to its neighbour.
    fn reaches(&self, i: usize, x: f64) -> bool {
        let inside = |a: usize| {
            let (from, to) = (self.centres.get(a)?, self.centres.get(a + 1)?);
            (!self.gap(a)).then_some(to - from)
        };
        let spacing = i.checked_sub(1).and_then(inside).or_else(|| inside(i));
        let reach = (spacing.unwrap_or(self.lone) * (0.5 + TOLERANCE)).max(1e-9);
        self.centres.get(i).is_some_and(|c| (x - c).abs() <= reach)
    }
}

/// How many leading centres satisfy `test`. Few do, so that they are counted one by one.
fn count_while(centres: &[f64], test: impl Fn(f64) -> bool) -> usize {
    centres.iter().position(|&c| !test(c)).unwrap_or(centres.len())
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

/// The size of the cells of an axis, on the whole; `None` if it has only one.
pub fn cell_size(axis: &[f64]) -> Option<f64> {
    let (first, last) = (axis.first()?, axis.last()?);
    (axis.len() > 1).then(|| (last - first) / (axis.len() - 1) as f64)
}

/// `n` points from `start` to `stop`, both included, computed as NumPy does.
pub fn linspace(start: f64, stop: f64, n: usize) -> Vec<f64> {
    if n < 2 {
        return vec![start; n];
    }
    let step = (stop - start) / (n - 1) as f64;
    (0..n).map(|i| if i + 1 == n { stop } else { start + i as f64 * step }).collect()
}

/// Latitudes and longitudes of pixels that lie on `linspace` over a box.
pub(super) fn pixels_over(bbox: &BBox, (height, width): (usize, usize)) -> (Vec<f64>, Vec<f64>) {
    let lat = linspace(bbox.lat_min, bbox.lat_max, height);
    (lat, linspace(bbox.lon, bbox.lon + bbox.width, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(axis: &Axis, x: f64) -> Option<Place> {
        axis.places(&[x]).next().flatten()
    }

    #[test]
    fn places_between_cells_and_within_half_a_cell() {
        let axis = Axis::new(vec![0.5, 1.5, 2.5]);
        let nearest = |x: f64| Some(axis.nearest(x, place(&axis, x)?));
        assert_eq!(place(&axis, 1.0), Some(Place { lower: 0, upper: 1, t: 0.5 }));
        assert_eq!(place(&axis, 1.5), Some(Place { lower: 1, upper: 1, t: 0.0 }));
        assert_eq!(place(&axis, 0.0).map(|p| (p.lower, p.upper)), Some((0, 0)));
        assert_eq!(place(&axis, 3.0).map(|p| p.lower), Some(2));
        assert_eq!(place(&axis, -0.01), None);
        assert_eq!(place(&axis, 3.01), None);
        // A thousandth of a cell from a centre is on it.
        for (x, cell) in [(1.501, 1), (1.499, 1), (2.4991, 2)] {
            assert_eq!(place(&axis, x), Some(Place { lower: cell, upper: cell, t: 0.0 }));
        }
        assert!(place(&axis, 1.5011).is_some_and(|p| p.upper == 2 && p.t > 1e-3));
        assert_eq!(nearest(1.0), Some(0));
        assert_eq!(nearest(1.01), Some(1));
    }

    #[test]
    fn a_lone_cell_counts_as_far_as_it_is_told_to() {
        let axis = Axis::new(vec![35.0]).with_lone_cell(0.25);
        let counts = |axis: &Axis, x: f64| place(axis, x).is_some();
        assert!([34.875, 35.0, 35.125].into_iter().all(|x| counts(&axis, x)));
        assert!(![34.87, 35.13].into_iter().any(|x| counts(&axis, x)));
        assert!(!counts(&Axis::new(vec![35.0]), 35.001));
        assert_eq!(cell_size(&[1.0, 2.0, 4.0]), Some(1.5));
        assert_eq!(cell_size(&[1.0]), None);
    }

    #[test]
    fn a_missing_tile_is_a_gap() {
        let axis = Axis::new(vec![0.0, 1.0, 2.0, 8.0, 9.0]);
        assert_eq!(place(&axis, 2.5).map(|p| (p.lower, p.t)), Some((2, 0.0)));
        assert_eq!(place(&axis, 4.0), None);
        assert_eq!(place(&axis, 7.6).map(|p| p.lower), Some(3));
        assert!(place(&Axis::new(vec![0.0, 5.0]), 2.0).is_some());
        // Spacings that grow smoothly are no gap.
        assert!(place(&Axis::new(vec![0.0, 1.0, 2.5, 5.0]), 4.0).is_some());
    }

    #[test]
    fn sets_of_indices_span_what_they_share_with_a_stretch() {
        let set = Indices::union([1..2, 2..3, 2..4, 6..8, 7..7].into_iter());
        assert_eq!(set, Indices(vec![1..4, 6..8]));
        assert_eq!(Places::Run(2..7).span(&set), Some(0..5));
        assert_eq!(Places::Run(4..6).span(&set), None);
        assert_eq!(Places::Run(8..9).span(&set), None);
        assert_eq!(Places::new(vec![0, 3, 5, 9]).span(&set), Some(1..2));
        assert_eq!(Places::new(vec![0, 4]).span(&set), None);
        assert_eq!(Places::new(vec![4, 5]), Places::Run(4..6));
    }

    #[test]
    fn joins_with_a_tolerance_of_a_thousandth_of_a_cell() {
        let whole = |axis: &[f64]| stretch(axis, 0..axis.len(), 0.0);
        let (axis, maps) =
            Axis::join(&[whole(&[0.0, 1.0, 2.0]), whole(&[2.0005, 3.0]), whole(&[0.0, 1.0])]);
        assert_eq!(axis.centres(), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(maps, [0..3, 2..4, 0..2].map(Places::Run));
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
