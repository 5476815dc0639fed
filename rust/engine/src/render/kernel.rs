//! Resampling weights along one axis, and which cells they touch.

use std::ops::Range;

use super::axis::{Axis, Indices, Place, Places};

/// An output index's cell and the next one, and their weights; both 0: no cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tap {
    /// Index of the lower cell.
    pub cell: usize,
    /// Weights of the cell and of the one above it.
    pub weights: [f64; 2],
}

impl Tap {
    fn one(cell: usize) -> Self {
        Self { cell, weights: [1.0, 0.0] }
    }

    fn two(cell: usize, t: f64) -> Self {
        Self { cell, weights: [1.0 - t, t] }
    }

    /// The first of the cells that carry weight, and the weights of those that do.
    pub fn run(&self) -> (usize, &[f64]) {
        let [lower, upper] = self.weights;
        let skipped = usize::from(lower == 0.0);
        let end = if upper == 0.0 { 1 } else { 2 };
        (self.cell + skipped, self.weights.get(skipped..end).unwrap_or_default())
    }
}

/// Weights of one output axis: two taps an index, or runs of cells to average.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Interpolation, for every index; empty where each index has a footprint that holds a cell.
    pub taps: Vec<Tap>,
    /// Footprints, for every index; empty where no centre lies inside. `None`: interpolation only.
    pub bins: Option<Vec<Range<usize>>>,
}

impl Kernel {
    /// Linear interpolation at `points`.
    pub fn linear(axis: &Axis, points: &[f64]) -> Self {
        let tap = |place: Option<Place>| place.map_or(Tap::default(), |p| Tap::two(p.lower, p.t));
        Self { taps: axis.places(points).map(tap).collect(), bins: None }
    }

    /// The nearest cell at `points`.
    pub fn nearest(axis: &Axis, points: &[f64]) -> Self {
        let tap = |(place, &x): (Option<Place>, &f64)| {
            place.map_or(Tap::default(), |place| Tap::one(axis.nearest(x, place)))
        };
        Self { taps: axis.places(points).zip(points).map(tap).collect(), bins: None }
    }

    /// Means over the footprints of `points` within `[lo, hi]`.
    pub fn area(axis: &Axis, points: &[f64], lo: f64, hi: f64) -> Self {
        let cuts = points.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
        Self { taps: Vec::new(), bins: Some(axis.bins(lo, cuts, hi)) }
    }

    /// `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` along one axis of
    /// `cells` cells: sources at half-pixel positions, clipped to the outermost centres.
    pub fn half_pixel(cells: usize, size: usize) -> Self {
        let taps = half_pixel_positions(cells, size)
            .into_iter()
            .map(|x| {
                let lower = x as usize;
                Tap::two(lower, x - lower as f64)
            })
            .collect();
        Self { taps, bins: None }
    }

    /// `torch.nn.functional.interpolate(mode="nearest")` along one axis, whose positions torch
    /// computes in float32.
    pub fn torch_nearest(cells: usize, size: usize) -> Self {
        let scale = cells as f32 / size as f32;
        let taps =
            (0..size).map(|i| Tap::one(((i as f32 * scale) as usize).min(cells - 1))).collect();
        Self { taps, bins: None }
    }

    /// `torch.nn.functional.adaptive_avg_pool2d` along one axis.
    pub fn adaptive_pool(cells: usize, size: usize) -> Self {
        let bins = (0..size).map(|i| i * cells / size..((i + 1) * cells).div_ceil(size)).collect();
        Self { taps: Vec::new(), bins: Some(bins) }
    }

    /// One output index a cell.
    pub fn identity(cells: usize) -> Self {
        Self { taps: (0..cells).map(Tap::one).collect(), bins: None }
    }

    /// Coordinates of the kernel's centres on the cells' own axis (the `grid="crop"` convention).
    pub fn centres(&self, cells: &[f64]) -> Vec<f64> {
        let at = |x: f64| {
            let lower = x as usize;
            let upper = (lower + 1).min(cells.len() - 1);
            cells[lower] + (x - lower as f64) * (cells[upper] - cells[lower])
        };
        match &self.bins {
            Some(bins) => {
                bins.iter().map(|bin| at((bin.start + bin.end - 1) as f64 / 2.0)).collect()
            }
            None => self
                .taps
                .iter()
                .map(|tap| {
                    let (first, weights) = tap.run();
                    cells[first..].iter().zip(weights).map(|(x, w)| x * w).sum()
                })
                .collect(),
        }
    }

    /// The number of output indices.
    pub fn len(&self) -> usize {
        self.bins.as_ref().map_or(self.taps.len(), Vec::len)
    }

    /// The memory that it takes besides itself.
    pub fn bytes(&self) -> usize {
        let bins = self.bins.as_ref().map_or(0, |bins| size_of_val(bins.as_slice()));
        size_of_val(self.taps.as_slice()) + bins
    }

    /// The footprint of index `i`, if it holds a cell.
    pub fn bin(&self, i: usize) -> Option<Range<usize>> {
        self.bins.as_ref()?.get(i).filter(|bin| !bin.is_empty()).cloned()
    }

    /// The most cells that a footprint holds.
    pub fn longest_bin(&self) -> usize {
        self.bins.iter().flatten().map(ExactSizeIterator::len).max().unwrap_or(0)
    }

    /// Whether the footprint of each index holds a cell.
    pub fn is_binned(&self) -> bool {
        self.bins.as_ref().is_some_and(|bins| bins.iter().all(|bin| !bin.is_empty()))
    }

    /// The cells that carry weight in the interpolation of those indices that `keep` names.
    fn tapped(&self, keep: impl Fn(usize) -> bool) -> Indices {
        let kept = self.taps.iter().enumerate().filter(|(i, _)| keep(*i));
        let cells = kept.map(|(_, tap)| {
            let (first, weights) = tap.run();
            first..first + weights.len()
        });
        Indices::union(cells)
    }

    /// The cells of the footprints.
    fn binned(&self) -> Indices {
        Indices::union(self.bins.iter().flatten().cloned())
    }
}

/// Source positions of `size` outputs over `cells` cells: half-pixel centres.
fn half_pixel_positions(cells: usize, size: usize) -> Vec<f64> {
    let scale = cells as f64 / size as f64;
    (0..size).map(|i| ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (cells - 1) as f64)).collect()
}

/// Cells of non-zero weight as a union of products (rows x columns) of cell sets.
pub struct Footprint {
    products: Vec<(Indices, Indices)>,
}

impl Footprint {
    /// The cells that `rows` x `columns` touch.
    pub fn new(rows: &Kernel, columns: &Kernel) -> Self {
        let all = |_: usize| true;
        let mut products = if rows.bins.is_none() {
            vec![(rows.tapped(all), columns.tapped(all))]
        } else {
            vec![(rows.binned(), columns.binned())]
        };
        if rows.bins.is_some() && !(rows.is_binned() && columns.is_binned()) {
            // A pixel averages its footprint where both sides hold a centre, and interpolates
            // where the row's or the column's holds none.
            let without = |kernel: &Kernel| kernel.tapped(|i| kernel.bin(i).is_none());
            products.push((without(rows), columns.tapped(all)));
            products.push((rows.tapped(all), without(columns)));
        }
        products.retain(|(r, c)| !r.is_empty() && !c.is_empty());
        Self { products }
    }

    /// The ranges of `rows` x `columns` (positions in the given maps from a tile's indices to the
    /// mosaic's) that carry weight; `None` if the tile carries none.
    pub fn window(&self, rows: &Places, columns: &Places) -> Option<(Range<usize>, Range<usize>)> {
        self.products.iter().filter_map(|(r, c)| Some((rows.span(r)?, columns.span(c)?))).reduce(
            |(r1, c1), (r2, c2)| {
                (
                    r1.start.min(r2.start)..r1.end.max(r2.end),
                    c1.start.min(c2.start)..c1.end.max(c2.end),
                )
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_pixel_rule_is_torchs() {
        // F.interpolate(torch.tensor([[[[0., 1., 2.]]]]), size=(1, 6), mode="bilinear")
        let kernel = Kernel::half_pixel(3, 6);
        let values: Vec<f64> = kernel
            .taps
            .iter()
            .map(|t| t.cell as f64 * t.weights[0] + (t.cell + 1) as f64 * t.weights[1])
            .collect();
        assert_eq!(values, [0.0, 0.25, 0.75, 1.25, 1.75, 2.0]);
        assert_eq!(Kernel::adaptive_pool(5, 3).bins, Some(vec![0..2, 1..4, 3..5]));
        assert_eq!(
            Kernel::adaptive_pool(5, 3).centres(&[0.0, 1.0, 2.0, 3.0, 4.0]),
            [0.5, 2.0, 3.5]
        );
    }

    #[test]
    fn footprints_are_half_open_and_the_last_is_closed() {
        let axis = Axis::new(vec![0.0, 1.0, 2.0, 3.0, 4.0]);
        let kernel = Kernel::area(&axis, &[0.0, 2.0, 4.0], 0.0, 4.0);
        assert_eq!(kernel.bins, Some(vec![0..1, 1..3, 3..5]));
        let kernel = Kernel::area(&axis, &[0.0], 0.0, 4.0);
        assert_eq!(kernel.bins.map(|bins| bins[0].clone()), Some(0..5));
    }

    #[test]
    fn footprint_leaves_out_cells_without_weight() {
        let axis = Axis::new(vec![0.0, 1.0, 2.0, 3.0]);
        let kernel = Kernel::linear(&axis, &[1.0, 1.5]);
        let footprint = Footprint::new(&kernel, &kernel);
        let run = Places::Run;
        assert_eq!(footprint.window(&run(0..4), &run(0..2)), Some((1..3, 1..2)));
        assert_eq!(footprint.window(&run(3..4), &run(0..2)), None);
    }
}
