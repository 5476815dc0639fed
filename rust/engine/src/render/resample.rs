//! Mask-normalised resampling, row by row: every value is a mean over valid cells only. The cells
//! of an output row are summed column by column first; then runs of columns become pixels.

use std::ops::Range;

use super::field::{Columns, Field};
use super::kernel::{Kernel, Tap};

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
}

/// Memory that each thread keeps, because fresh pages cost more than the work.
#[derive(Default)]
pub struct Scratch {
    pooled: Columns,
    tapped: Columns,
    row: PixelRow,
}

/// Resamples `field` and hands each row of pixels to `emit`, from south to north.
pub fn resample(
    field: &Field<'_>,
    rows: &Kernel,
    columns: &Kernel,
    scratch: &mut Scratch,
    mut emit: impl FnMut(usize, &PixelRow),
) {
    let Scratch { pooled, tapped, row } = scratch;
    row.clear(columns.len(), 1.0);
    let first = field.first_column();
    let binned = columns.is_binned();
    for i in 0..rows.len() {
        let bin = rows.bin(i);
        if bin.is_none() || !binned {
            tapped.clear(field.width());
            if let Some(tap) = rows.taps.get(i) {
                for (cell, weight) in [(tap.lower, tap.w_lower), (tap.upper, tap.w_upper)] {
                    if weight > 0.0 {
                        field.add(&(cell..cell + 1), weight, tapped);
                    }
                }
            }
            interpolate(tapped, &columns.taps, first, row);
        }
        if let (Some(bin), Some(bins)) = (bin, &columns.bins) {
            pooled.clear(field.width());
            let height = bin.len() as f64;
            field.add(&bin, 1.0, pooled);
            pool(pooled, bins, first, height, row);
        }
        emit(i, row);
    }
}

/// Sums over the columns of each footprint that holds some.
fn pool(columns: &Columns, bins: &[Range<usize>], first: usize, height: f64, row: &mut PixelRow) {
    let PixelRow { sums, weights, full } = row;
    let pixels = sums.iter_mut().zip(weights).zip(full).zip(bins);
    for (((sum, weight), full), bin) in pixels.filter(|(_, bin)| !bin.is_empty()) {
        let cells = bin.start.wrapping_sub(first)..bin.end.wrapping_sub(first);
        let total = |values: &[f64]| {
            values.get(cells.clone()).unwrap_or_default().iter().fold(0.0, |sum, x| sum + x)
        };
        *sum = total(&columns.sums);
        *weight = total(&columns.weights);
        *full = height * bin.len() as f64;
    }
}

/// The two columns around each pixel, by their weights.
fn interpolate(columns: &Columns, taps: &[Tap], first: usize, row: &mut PixelRow) {
    let PixelRow { sums, weights, full } = row;
    for (((sum, weight), full), tap) in sums.iter_mut().zip(weights).zip(full).zip(taps) {
        // A tap without weight may lie anywhere.
        let (lower, upper) = (tap.lower.saturating_sub(first), tap.upper.saturating_sub(first));
        let mix = |values: &[f64]| {
            let at = |i: usize| values.get(i).copied().unwrap_or(0.0);
            tap.w_lower * at(lower) + tap.w_upper * at(upper)
        };
        *sum = mix(&columns.sums);
        *weight = mix(&columns.weights);
        *full = 1.0;
    }
}
