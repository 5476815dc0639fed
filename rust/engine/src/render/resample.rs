//! Mask-normalised resampling, row by row: every value is a mean over valid cells only. The cells
//! of an output row are summed column by column first; then runs of columns become pixels.

use std::ops::Range;

use super::field::{Columns, Field};
use super::kernel::{Kernel, Tap};

/// What each thread keeps for the next rows; more is given back.
pub const MOST_KEPT: usize = 64 << 20;

/// One row of pixels before the division: sums and weights that may be added up.
#[derive(Default)]
pub struct PixelRow {
    /// Sums of weight times stored number, over valid cells.
    pub sums: Vec<f64>,
    /// Sums of weights, over valid cells.
    pub weights: Vec<f64>,
    /// Sums of weights, over all cells.
    pub full: Vec<f64>,
}

impl PixelRow {
    /// `n` pixels without a valid cell yet, out of weights that sum to `full`.
    pub fn clear(&mut self, n: usize, full: f64) {
        for (values, value) in
            [(&mut self.sums, 0.0), (&mut self.weights, 0.0), (&mut self.full, full)]
        {
            values.clear();
            values.resize(n, value);
        }
    }

    /// Takes the weight from the pixels that `hidden` names, of which there may be more.
    pub fn hide(&mut self, hidden: &[bool]) {
        for ((sum, weight), _) in
            self.sums.iter_mut().zip(&mut self.weights).zip(hidden).filter(|(_, hidden)| **hidden)
        {
            (*sum, *weight) = (0.0, 0.0);
        }
    }

    /// Gives the memory back if it is more than `bytes`.
    pub fn release_beyond(&mut self, bytes: usize) {
        if capacity([&self.sums, &self.weights, &self.full]) > bytes {
            *self = Self::default();
        }
    }
}

/// The bytes that vectors hold.
fn capacity<const N: usize>(vectors: [&Vec<f64>; N]) -> usize {
    vectors.iter().map(|values| values.capacity() * size_of::<f64>()).sum()
}

/// Memory that each thread keeps, because fresh pages cost more than the work.
#[derive(Default)]
pub struct Scratch {
    pooled: Columns,
    tapped: Columns,
    row: PixelRow,
    /// The weights of a footprint's rows.
    ones: Vec<f64>,
}

impl Scratch {
    /// Gives the memory back if it is more than `bytes`.
    fn release_beyond(&mut self, bytes: usize) {
        let Self { pooled, tapped, row, ones } = self;
        let columns = [&pooled.sums, &pooled.weights, &tapped.sums, &tapped.weights];
        let row = [&row.sums, &row.weights, &row.full, ones];
        if capacity(columns) + capacity(row) > bytes {
            *self = Self::default();
        }
    }
}

/// The most columns of a footprint that are summed without a loop.
const NARROW: usize = 4;

/// Resamples `field` and hands each row of pixels to `emit`, from south to north.
pub fn resample(
    field: &Field<'_>,
    rows: &Kernel,
    columns: &Kernel,
    scratch: &mut Scratch,
    mut emit: impl FnMut(usize, &mut PixelRow),
) {
    let Scratch { pooled, tapped, row, ones } = scratch;
    row.clear(columns.len(), 1.0);
    ones.resize(rows.longest_bin(), 1.0);
    let first = field.first_column();
    let across = Across::new(columns, first);
    let binned = columns.is_binned();
    for i in 0..rows.len() {
        let bin = rows.bin(i);
        if bin.is_none() || !binned {
            add_tapped(field, &rows.taps, i, tapped);
            match across.straight {
                Some(column) => copy(tapped, column, row),
                None => mix(tapped, &across.taps, 1.0, row),
            }
        }
        if let (Some(bin), Some(bins)) = (bin, &columns.bins) {
            if let Some(next) = rows.bin(i + 1) {
                field.prefetch(next.start, &ones[..next.len()]);
            }
            pooled.clear(field.width());
            field.add(bin.start, &ones[..bin.len()], pooled);
            match &across.narrow {
                Some(runs) => mix(pooled, runs, bin.len() as f64, row),
                None => pool(pooled, bins, first, bin.len() as f64, row),
            }
        }
        emit(i, row);
    }
    scratch.release_beyond(MOST_KEPT);
}

/// Sums the rows of cells that pixel row `i` lies between.
fn add_tapped(field: &Field<'_>, taps: &[Tap], i: usize, columns: &mut Columns) {
    if let Some(tap) = taps.get(i + 1) {
        let (row, weights) = tap.run();
        field.prefetch(row, weights);
    }
    columns.clear(field.width());
    if let Some(tap) = taps.get(i) {
        let (row, weights) = tap.run();
        field.add(row, weights, columns);
    }
}

/// `N` columns from one on, and their weights.
#[derive(Clone, Copy)]
struct Run<const N: usize> {
    column: usize,
    weights: [f64; N],
    /// The sum of the weights.
    full: f64,
}

/// How columns become pixels.
struct Across {
    taps: Vec<Run<2>>,
    /// The first column, where each pixel is a cell of its own, side by side.
    straight: Option<usize>,
    /// Footprints where each holds a cell, and few of them.
    narrow: Option<Vec<Run<NARROW>>>,
}

impl Across {
    /// `first` is the kernel's index of the first of the columns.
    fn new(kernel: &Kernel, first: usize) -> Self {
        // Cells west of the field's columns have no weight.
        let tap = |tap: &Tap| {
            let west = first.saturating_sub(tap.cell);
            let weight = |i: usize| tap.weights.get(west.saturating_add(i)).copied();
            Run {
                column: tap.cell.saturating_sub(first),
                weights: std::array::from_fn(|i| weight(i).unwrap_or(0.0)),
                full: 1.0,
            }
        };
        let run = |bin: &Range<usize>| {
            let inside = inside(bin, first);
            Run {
                column: inside.start,
                weights: std::array::from_fn(|i| if i < inside.len() { 1.0 } else { 0.0 }),
                full: bin.len() as f64,
            }
        };
        let narrow = kernel.is_binned() && kernel.longest_bin() <= NARROW;
        let cells = kernel.taps.iter().map(Tap::run);
        let start = kernel.taps.first().map(|tap| tap.run().0);
        let straight = start.filter(|start| {
            cells.enumerate().all(|(i, (cell, weights))| cell == start + i && weights == [1.0])
        });
        Self {
            taps: kernel.taps.iter().map(tap).collect(),
            straight: straight.and_then(|start| start.checked_sub(first)),
            narrow: kernel.bins.as_ref().filter(|_| narrow).map(|b| b.iter().map(run).collect()),
        }
    }
}

/// The columns of a footprint that do not lie west of the field, of which `first` is the first.
fn inside(bin: &Range<usize>, first: usize) -> Range<usize> {
    bin.start.saturating_sub(first)..bin.end.saturating_sub(first)
}

/// The columns from one on as pixels.
fn copy(columns: &Columns, column: usize, row: &mut PixelRow) {
    let PixelRow { sums, weights, full } = row;
    for (out, from) in [(sums, &columns.sums), (weights, &columns.weights)] {
        let from = from.get(column..).unwrap_or_default();
        out.iter_mut().zip(from).for_each(|(out, from)| *out = *from);
        // Beyond the field there is no cell.
        out.iter_mut().skip(from.len()).for_each(|out| *out = 0.0);
    }
    full.fill(1.0);
}

/// Weighted sums over a few columns for each pixel; `height` is the weight of all its rows.
fn mix<const N: usize>(columns: &Columns, runs: &[Run<N>], height: f64, row: &mut PixelRow) {
    let n = columns.sums.len().min(columns.weights.len());
    let (all_sums, all_weights) = (&columns.sums[..n], &columns.weights[..n]);
    let PixelRow { sums, weights, full } = row;
    for (((sum, weight), full), run) in sums.iter_mut().zip(weights).zip(full).zip(runs) {
        let at = run.column..run.column + N;
        let (sums, weights) = match (all_sums.get(at.clone()), all_weights.get(at)) {
            (Some(sums), Some(weights)) => (sums, weights),
            _ => (&[0.0; N][..], &[0.0; N][..]),
        };
        (*sum, *weight) = (dot(sums, &run.weights), dot(weights, &run.weights));
        *full = height * run.full;
    }
}

/// Added in pairs, which a processor does at once.
#[inline(always)]
fn dot<const N: usize>(values: &[f64], weights: &[f64; N]) -> f64 {
    let products: [f64; N] = std::array::from_fn(|i| values[i] * weights[i]);
    let (low, high) = products.split_at(N / 2);
    low.iter().zip(high).fold(0.0, |total, (a, b)| total + (a + b))
}

/// Sums over the columns of each footprint that holds some.
fn pool<'a>(
    columns: &'a Columns,
    bins: &[Range<usize>],
    first: usize,
    height: f64,
    row: &mut PixelRow,
) {
    let PixelRow { sums, weights, full } = row;
    let pixels = sums.iter_mut().zip(weights).zip(full).zip(bins);
    for (((sum, weight), full), bin) in pixels.filter(|(_, bin)| !bin.is_empty()) {
        let cells = inside(bin, first);
        let of = |values: &'a [f64]| {
            let end = cells.end.min(values.len());
            values.get(cells.start..end).unwrap_or_default()
        };
        (*sum, *weight) = (0.0, 0.0);
        for (s, w) in of(&columns.sums).iter().zip(of(&columns.weights)) {
            *sum += s;
            *weight += w;
        }
        *full = height * bin.len() as f64;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::axis::{Axis, Places};
    use super::super::field::Placed;
    use super::*;
    use crate::granule::Window;

    /// Value and support of each pixel; NaN without a valid cell.
    fn run(values: &[f32], width: usize, rows: &Kernel, columns: &Kernel) -> Vec<(f64, f64)> {
        let placed = Placed {
            window: Window::of_values(values.to_vec(), width).unwrap(),
            rows: Places::Run(0..values.len() / width),
            columns: Places::Run(0..width),
        };
        let mut pixels = Vec::new();
        let field = Field::new(vec![placed]).unwrap();
        resample(&field, rows, columns, &mut Scratch::default(), |_, row| {
            let weights = row.weights.iter().zip(&row.full);
            pixels.extend(row.sums.iter().zip(weights).map(|(s, (w, full))| (s / w, w / full)));
        });
        pixels
    }

    #[test]
    fn much_memory_is_given_back_and_little_is_kept() {
        let mut row = PixelRow::default();
        row.clear(1000, 1.0);
        row.release_beyond(24_000);
        assert_eq!(capacity([&row.sums, &row.weights, &row.full]), 24_000);
        row.release_beyond(23_999);
        assert_eq!(capacity([&row.sums, &row.weights, &row.full]), 0);

        let axis = Axis::new(vec![0.0, 1.0]);
        let kernel = Kernel::linear(&axis, &[0.25]);
        let field = |values: &[f32]| {
            let window = Window::of_values(values.to_vec(), values.len()).unwrap();
            let (rows, columns) = (Places::Run(0..1), Places::Run(0..values.len()));
            Field::new(vec![Placed { window, rows, columns }]).unwrap()
        };
        let mut scratch = Scratch::default();
        let held = |scratch: &Scratch| capacity([&scratch.tapped.sums, &scratch.tapped.weights]);
        let few = field(&[1.0; 10]);
        resample(&few, &Kernel::identity(1), &kernel, &mut scratch, |_, _| {});
        assert!(held(&scratch) > 0, "what the next row needs stays");
        let many = field(&vec![1.0; MOST_KEPT / 16]);
        resample(&many, &Kernel::identity(1), &kernel, &mut scratch, |_, _| {});
        assert_eq!(held(&scratch), 0);
    }

    #[test]
    fn invalid_neighbours_drop_out_of_the_mean() {
        let axis = Axis::new(vec![0.0, 1.0]);
        let kernel = Kernel::linear(&axis, &[0.25]);
        // Weights 9/16, 3/16, 3/16, 1/16; the second cell is invalid.
        let out = run(&[1.0, f32::NAN, 3.0, 5.0], 2, &kernel, &kernel);
        assert_eq!(out[0].1, 13.0 / 16.0);
        assert!((out[0].0 - (9.0 + 9.0 + 5.0) / 13.0).abs() < 1e-12);
    }

    #[test]
    fn area_averages_valid_cells_and_interpolates_where_there_are_none() {
        let axis = Axis::new(vec![0.5, 1.5, 2.5, 3.5]);
        let area = |points: &[f64], lo, hi| {
            let taps = Kernel::linear(&axis, points).taps;
            Kernel { taps, ..Kernel::area(&axis, points, lo, hi) }
        };
        let rows = area(&[0.0, 4.0], 0.0, 4.0);
        let columns = area(&[1.9, 2.0, 2.1], 1.9, 2.1);
        let values: Vec<f32> = (0..16).map(|i| if i == 0 { f32::NAN } else { i as f32 }).collect();
        // Rows 0 and 1 (2 and 3) lie in the first (second) footprint; no column does: interpolated
        // at latitude 0, the lowest row's cells 1 and 2.
        let out = run(&values, 4, &rows, &columns);
        assert_eq!(out[1].0, 1.5);
        let out = run(&values, 4, &rows, &rows);
        assert_eq!(out[0], ((1.0 + 4.0 + 5.0) / 3.0, 0.75));
        assert_eq!(out[3], ((10.0 + 11.0 + 14.0 + 15.0) / 4.0, 1.0));
    }

    #[test]
    fn cells_outside_the_field_have_no_weight() {
        // The field has the columns 3..6 of an axis of 9; each method, every pixel.
        let axis = Axis::new((0..9).map(f64::from).collect());
        let values = [30.0f32, 40.0, 50.0];
        let points: Vec<f64> = (0..17).map(|i| f64::from(i) * 0.5).collect();
        let kernels = [
            Kernel::linear(&axis, &points),
            Kernel::nearest(&axis, &points),
            Kernel::adaptive_pool(9, 5),
            Kernel::adaptive_pool(9, 2),
        ];
        for kernel in kernels {
            let placed = Placed {
                window: Window::of_values(values.to_vec(), 3).unwrap(),
                rows: Places::Run(0..1),
                columns: Places::Run(3..6),
            };
            let field = Field::new(vec![placed]).unwrap();
            let rows = match &kernel.bins {
                Some(_) => Kernel::adaptive_pool(1, 1),
                None => Kernel::identity(1),
            };
            let mut found = Vec::new();
            resample(&field, &rows, &kernel, &mut Scratch::default(), |_, row| {
                found.extend(row.sums.iter().copied().zip(row.weights.iter().copied()));
            });
            for (i, (sum, weight)) in found.into_iter().enumerate() {
                let cells: Vec<(usize, f64)> = match kernel.bin(i) {
                    Some(bin) => bin.map(|cell| (cell, 1.0)).collect(),
                    None => {
                        let (start, weights) = kernel.taps[i].run();
                        (start..).zip(weights.iter().copied()).collect()
                    }
                };
                let held = cells.into_iter().filter(|(cell, _)| (3..6).contains(cell));
                let due = held.fold((0.0, 0.0), |(sum, weight), (cell, w)| {
                    (sum + w * 10.0 * cell as f64, weight + w)
                });
                assert!((sum - due.0).abs() < 1e-9 && (weight - due.1).abs() < 1e-12, "pixel {i}");
            }
        }
    }

    #[test]
    fn footprints_of_any_width_are_summed_alike() {
        let width = 23;
        let values: Vec<f32> =
            (0..5 * width).map(|i| if i % 3 == 0 { f32::NAN } else { i as f32 }).collect();
        let rows = Kernel::adaptive_pool(5, 2);
        for pixels in [3, 5, 6, 8, 23] {
            let columns = Kernel::adaptive_pool(width, pixels);
            let out = run(&values, width, &rows, &columns);
            for (i, j) in (0..2).flat_map(|i| (0..pixels).map(move |j| (i, j))) {
                let (row, column) = (rows.bin(i).unwrap(), columns.bin(j).unwrap());
                let cells: Vec<f64> = row
                    .flat_map(|r| column.clone().map(move |c| (r, c)))
                    .map(|(r, c)| f64::from(values[r * width + c]))
                    .collect();
                let valid: Vec<f64> = cells.iter().copied().filter(|x| !x.is_nan()).collect();
                let mean = valid.iter().sum::<f64>() / valid.len() as f64;
                let share = valid.len() as f64 / cells.len() as f64;
                assert_eq!(out[i * pixels + j].1, share);
                assert!(valid.is_empty() || (out[i * pixels + j].0 - mean).abs() < 1e-9);
            }
        }
    }
}
