//! Axes, bit for bit, in few bytes.
//!
//! ```text
//!  plain      the doubles themselves
//!  line       start, step; then how far each value is from `start + i * step`
//!  curve      second differences
//! ```
//!
//! Distances are counted in doubles between two numbers (in floats, if the axis has nothing but
//! floats): on a regular axis they are zero but for rounding.

use super::varint::{length, put, take, unzigzag, zigzag};
use crate::error::{Error, Result};
use crate::granule::cf::axes;

const PLAIN: u8 = 0;
const LINE: u8 = 1;
const CURVE: u8 = 2;

/// Trailing zero bits of a float's double.
const FLOAT: u32 = 29;

/// Decimal digits of starts and steps that are tried: writers mean round numbers.
const DIGITS: [usize; 4] = [5, 7, 9, 12];

/// Appends an axis.
pub(super) fn put_axis(out: &mut Vec<u8>, values: &[f64]) {
    put(out, values.len() as u64);
    if values.iter().any(|value| value.to_bits() == (-0.0f64).to_bits()) {
        out.push(PLAIN);
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        return;
    }
    let shift = values.iter().map(|value| rank(*value).trailing_zeros()).min().unwrap_or(0).min(62);
    let ranks: Vec<i64> = values.iter().map(|value| rank(*value) >> shift).collect();
    let lines = lines(values).into_iter().map(|line| (Some(line), line.residuals(&ranks, shift)));
    let curve = (None, second_differences(&ranks));
    let best = lines.chain([curve]).min_by_key(|(_, residuals)| cost(residuals));
    let (line, residuals) = best.unwrap_or_default();
    out.push(if line.is_some() { LINE } else { CURVE });
    out.push(shift as u8);
    if let Some(Line { start, step }) = line {
        out.extend(start.to_le_bytes());
        out.extend(step.to_le_bytes());
    }
    residuals.into_iter().for_each(|residual| put(out, zigzag(residual)));
}

/// Takes an axis off the front: finite and strictly ascending, or it is an error.
pub(super) fn take_axis(rest: &mut &[u8]) -> Result<Vec<f64>> {
    let count = take(rest)? as usize;
    // Every value takes a byte.
    if count > rest.len() {
        return Err(broken());
    }
    let values = match take_bytes(rest)? {
        [PLAIN] => (0..count).map(|_| take_double(rest)).collect::<Result<_>>()?,
        [LINE] => {
            let shift = take_shift(rest)?;
            let line = Line { start: take_double(rest)?, step: take_double(rest)? };
            let mut values = Vec::with_capacity(count);
            for i in 0..count {
                let residual = unzigzag(take(rest)?);
                values.push(unrank(line.rank(i, shift).wrapping_add(residual), shift));
            }
            values
        }
        [CURVE] => {
            let shift = take_shift(rest)?;
            let (mut value, mut step) = (0i64, 0i64);
            let mut values = Vec::with_capacity(count);
            for _ in 0..count {
                step = step.wrapping_add(unzigzag(take(rest)?));
                value = value.wrapping_add(step);
                values.push(unrank(value, shift));
            }
            values
        }
        _ => return Err(broken()),
    };
    if axes::is_sound(&values) { Ok(values) } else { Err(broken()) }
}

/// A regular axis.
#[derive(Clone, Copy, Default)]
struct Line {
    start: f64,
    step: f64,
}

impl Line {
    #[inline]
    fn rank(self, i: usize, shift: u32) -> i64 {
        let value = self.start + i as f64 * self.step;
        let value = if shift >= FLOAT { f64::from(value as f32) } else { value };
        rank(value) >> shift
    }

    fn residuals(self, ranks: &[i64], shift: u32) -> Vec<i64> {
        (0..).zip(ranks).map(|(i, rank)| rank.wrapping_sub(self.rank(i, shift))).collect()
    }
}

/// Regular axes that `values` may be.
fn lines(values: &[f64]) -> Vec<Line> {
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else { return Vec::new() };
    let steps = (values.len().max(2) - 1) as f64;
    let mut lines = vec![Line { start: first, step: (last - first) / steps }];
    for digits in DIGITS {
        let round = |value: f64| format!("{value:.digits$e}").parse().unwrap_or(value);
        let (start, end) = (round(first), round(last));
        let step = (end - start) / steps;
        lines.extend([Line { start, step }, Line { start, step: round(step) }]);
        lines.push(Line { start: first, step: round(step) });
    }
    lines
}

/// Doubles in order: neighbours differ by one.
#[inline]
fn rank(value: f64) -> i64 {
    let size = (value.to_bits() & (u64::MAX >> 1)) as i64;
    if value.is_sign_negative() { -size } else { size }
}

#[inline]
fn unrank(rank: i64, shift: u32) -> f64 {
    let rank = rank << shift;
    let size = f64::from_bits(rank.unsigned_abs() & (u64::MAX >> 1));
    if rank < 0 { -size } else { size }
}

fn second_differences(ranks: &[i64]) -> Vec<i64> {
    let (mut before, mut step) = (0i64, 0i64);
    let mut difference = |rank: &i64| {
        let next = rank.wrapping_sub(before);
        let second = next.wrapping_sub(step);
        (before, step) = (*rank, next);
        second
    };
    ranks.iter().map(&mut difference).collect()
}

/// About what residuals take: zeros compress to nothing.
fn cost(residuals: &[i64]) -> usize {
    residuals.iter().filter(|residual| **residual != 0).map(|r| length(zigzag(*r))).sum()
}

fn take_bytes<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk().ok_or_else(broken)?;
    *rest = after;
    Ok(*bytes)
}

fn take_double(rest: &mut &[u8]) -> Result<f64> {
    take_bytes(rest).map(f64::from_le_bytes)
}

fn take_shift(rest: &mut &[u8]) -> Result<u32> {
    let [shift] = take_bytes(rest)?;
    if shift > 62 { Err(broken()) } else { Ok(u32::from(shift)) }
}

fn broken() -> Error {
    Error::corrupt("an axis of the index is damaged")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn coded(values: &[f64]) -> Vec<u8> {
        let mut out = Vec::new();
        put_axis(&mut out, values);
        out
    }

    fn assert_returns(values: &[f64]) {
        let bytes = coded(values);
        let mut rest = bytes.as_slice();
        let returned = take_axis(&mut rest).unwrap();
        assert!(rest.is_empty());
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&returned), bits(values));
    }

    fn compressed(values: &[f64]) -> usize {
        zstd::bulk::compress(&coded(values), 3).unwrap().len()
    }

    #[test]
    fn regular_axes_take_tens_of_bytes() {
        let n = 5000;
        let index = || (0..n).map(f64::from);
        let linspace: Vec<f64> = index().map(|i| i * (90.0 / 4999.0) - 90.0).collect();
        let centres: Vec<f64> = index().map(|i| -89.99 + i * 0.018).collect();
        let floats: Vec<f64> = centres.iter().map(|value| f64::from(*value as f32)).collect();
        let twelfths: Vec<f64> = index().map(|i| f64::from((-180.0 + i / 12.0) as f32)).collect();
        for axis in [linspace, centres, floats, twelfths] {
            assert_returns(&axis);
            assert!(compressed(&axis) < 128, "{} bytes", compressed(&axis));
        }
    }

    #[test]
    fn odd_axes_come_back_too() {
        let mercator: Vec<f64> =
            (-500..500).map(|i| (f64::from(i) / 300.0).sinh().atan()).collect();
        assert_returns(&mercator);
        assert_returns(&[-0.0]);
        assert_returns(&[-1.0, -0.0, 5e-324, 1e308]);
        assert_returns(&[f64::MIN, 0.0, f64::MAX]);
        assert_returns(&[17.5]);
    }

    proptest! {
        #[test]
        fn every_axis_comes_back(mut values in prop::collection::vec(
            any::<f64>().prop_filter("finite", |value| value.is_finite()), 1..50,
        ), floats in any::<bool>()) {
            if floats {
                values.iter_mut().for_each(|value| *value = f64::from((*value % 360.0) as f32));
            }
            values.sort_by(f64::total_cmp);
            values.dedup();
            assert_returns(&values);
        }

        #[test]
        fn damage_never_yields_a_broken_axis(
            at in any::<prop::sample::Index>(), to in any::<u8>(), cut in 0usize..3,
        ) {
            let mut bytes = coded(&[-90.0, -89.5, -89.25, 3.0]);
            let at = at.index(bytes.len());
            bytes[at] = to;
            bytes.truncate(bytes.len() - cut);
            if let Ok(values) = take_axis(&mut bytes.as_slice()) {
                prop_assert!(axes::is_sound(&values));
            }
        }
    }
}
