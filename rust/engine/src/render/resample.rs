//! Mask-normalised resampling: every value is a mean over valid cells only.

use super::kernel::{Kernel, Tap};
use super::mosaic::Cells;

/// One day's result for one pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pixel {
    /// The weighted mean of the valid cells; NaN without any.
    pub value: f64,
    /// The valid share of the weight.
    pub support: f64,
}

const NOTHING: Pixel = Pixel { value: f64::NAN, support: 0.0 };

/// Resamples `cells` and hands each pixel (row by row) to `emit`.
pub fn resample(
    cells: &Cells<'_>,
    rows: &Kernel,
    columns: &Kernel,
    mut emit: impl FnMut(usize, Pixel),
) {
    let width = columns.len();
    for i in 0..rows.len() {
        for j in 0..width {
            let pixel = match (bin(rows, i), bin(columns, j)) {
                (Some(r), Some(c)) => footprint_mean(cells, r, c),
                _ => interpolate(cells, &rows.taps[i], &columns.taps[j]),
            };
            emit(i * width + j, pixel);
        }
    }
}

/// The non-empty footprint of index `i`.
fn bin(kernel: &Kernel, i: usize) -> Option<(usize, usize)> {
    kernel.bins.as_ref().map(|bins| bins[i]).filter(|&(start, end)| start < end)
}

/// The mean of the valid cells of a footprint.
fn footprint_mean(cells: &Cells<'_>, rows: (usize, usize), columns: (usize, usize)) -> Pixel {
    let (mut sum, mut valid) = (0.0, 0u32);
    for row in rows.0..rows.1 {
        let start = (row - cells.row0) * cells.width;
        for &v in
            &cells.values[start + columns.0 - cells.column0..start + columns.1 - cells.column0]
        {
            let is_valid = !v.is_nan();
            sum += if is_valid { f64::from(v) } else { 0.0 };
            valid += u32::from(is_valid);
        }
    }
    if valid == 0 {
        return NOTHING;
    }
    let all = (rows.1 - rows.0) * (columns.1 - columns.0);
    Pixel { value: sum / f64::from(valid), support: f64::from(valid) / all as f64 }
}

/// The mean of the valid among four neighbours, by their weights.
fn interpolate(cells: &Cells<'_>, row: &Tap, column: &Tap) -> Pixel {
    let (mut sum, mut support) = (0.0, 0.0);
    for (r, w_row) in [(row.lower, row.w_lower), (row.upper, row.w_upper)] {
        if w_row == 0.0 {
            continue;
        }
        for (c, w_column) in [(column.lower, column.w_lower), (column.upper, column.w_upper)] {
            if w_column == 0.0 {
                continue;
            }
            let v = cells.values[(r - cells.row0) * cells.width + c - cells.column0];
            let weight = if v.is_nan() { 0.0 } else { w_row * w_column };
            sum += if v.is_nan() { 0.0 } else { weight * f64::from(v) };
            support += weight;
        }
    }
    if support > 0.0 { Pixel { value: sum / support, support } } else { NOTHING }
}

#[cfg(test)]
mod tests {
    use super::super::axis::Axis;
    use super::*;

    fn run(values: &[f32], width: usize, rows: &Kernel, columns: &Kernel) -> Vec<Pixel> {
        let cells = Cells { row0: 0, column0: 0, width, values };
        let mut out = vec![NOTHING; rows.len() * columns.len()];
        resample(&cells, rows, columns, |i, pixel| out[i] = pixel);
        out
    }

    #[test]
    fn invalid_neighbours_drop_out_of_the_mean() {
        let axis = Axis::new(vec![0.0, 1.0]);
        let kernel = Kernel::linear(&axis, &[0.25]);
        // Weights 9/16, 3/16, 3/16, 1/16; the second cell is invalid.
        let out = run(&[1.0, f32::NAN, 3.0, 5.0], 2, &kernel, &kernel);
        assert_eq!(out[0].support, 13.0 / 16.0);
        assert!((out[0].value - (9.0 + 9.0 + 5.0) / 13.0).abs() < 1e-12);
    }

    #[test]
    fn area_averages_valid_cells_and_interpolates_where_there_are_none() {
        let axis = Axis::new(vec![0.5, 1.5, 2.5, 3.5]);
        let rows = Kernel::area(&axis, &[0.0, 4.0], 0.0, 4.0);
        let columns = Kernel::area(&axis, &[1.9, 2.0, 2.1], 1.9, 2.1);
        let values: Vec<f32> = (0..16).map(|i| if i == 0 { f32::NAN } else { i as f32 }).collect();
        // Rows 0 and 1 (2 and 3) lie in the first (second) footprint; no column does: interpolated
        // at latitude 0, the lowest row's cells 1 and 2.
        let out = run(&values, 4, &rows, &columns);
        assert_eq!(out[1].value, 1.5);
        let out = run(&values, 4, &rows, &rows);
        assert_eq!(out[0], Pixel { value: (1.0 + 4.0 + 5.0) / 3.0, support: 0.75 });
        assert_eq!(out[3], Pixel { value: (10.0 + 11.0 + 14.0 + 15.0) / 4.0, support: 1.0 });
    }
}
