//! Weighted sums of stored numbers, column by column: the inner loop of rendering.

use crate::granule::cf::packing::Packing;
use crate::granule::format::array::Dtype;
use crate::granule::grids::convert::{Element, Limits, with_element};

/// From stored numbers to values. It is linear, so that a mean may be taken before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unpack {
    scale: f64,
    offset: f64,
    unit_scale: f64,
    unit_offset: f64,
}

impl Unpack {
    /// For numbers that are the values themselves.
    pub const NONE: Self = Self { scale: 1.0, offset: 0.0, unit_scale: 1.0, unit_offset: 0.0 };

    fn new(packing: &Packing) -> Self {
        let &Packing { scale, offset, unit_scale, unit_offset, .. } = packing;
        Self { scale, offset, unit_scale, unit_offset }
    }

    /// The value that a stored number, or a mean of such, stands for.
    #[inline(always)]
    pub fn value(&self, stored: f64) -> f64 {
        (stored * self.scale + self.offset) * self.unit_scale + self.unit_offset
    }
}

/// Which stored numbers are values that float32 holds: those from `low` to `high` but `fill`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds {
    low: f64,
    high: f64,
    /// NaN where there is no fill value.
    fill: f64,
}

/// How the numbers of an array are summed.
#[derive(Clone, Copy, Debug)]
pub(in crate::granule) struct Summation {
    dtype: Dtype,
    bounds: Bounds,
    pub unpack: Unpack,
}

/// Rows of stored numbers in a chunk.
#[derive(Clone, Copy, Debug)]
pub(in crate::granule) struct Rows<'a> {
    pub bytes: &'a [u8],
    /// Where the first row starts.
    pub first: usize,
    /// Bytes from a row to the next.
    pub pitch: isize,
    /// The weight of each row.
    pub row_weights: &'a [f64],
}

impl Summation {
    /// `None` where the numbers must be unpacked one by one: 64-bit integers, which float64 rounds,
    /// and several fill values.
    pub(in crate::granule) fn new(packing: &Packing) -> Option<Self> {
        let dtype = packing.dtype;
        if matches!(dtype, Dtype::I64 | Dtype::U64) {
            return None;
        }
        let (low, high, fills) = with_element!(dtype, T => {
            let limits = Limits::<T>::new(packing);
            let fills: Vec<f64> = limits.fills.into_iter().map(Element::to_f64).collect();
            (limits.low.to_f64(), limits.high.to_f64(), fills)
        });
        let fill = match fills[..] {
            [] => f64::NAN,
            [fill] => fill,
            _ => return None,
        };
        let unpack = Unpack::new(packing);
        let finite = |stored: f64| (unpack.value(stored) as f32).is_finite();
        let (least, greatest) = (extreme(-1.0, finite)?, extreme(1.0, finite)?);
        let bounds = Bounds { low: low.max(least), high: high.min(greatest), fill };
        Some(Self { dtype, bounds, unpack })
    }

    /// For float32 values, NaN where there is none.
    pub(in crate::granule) const fn of_values() -> Self {
        let bounds = Bounds { low: f32::MIN as f64, high: f32::MAX as f64, fill: f64::NAN };
        Self { dtype: Dtype::F32, bounds, unpack: Unpack::NONE }
    }

    /// Asks for the memory of `rows` x `width` columns, which will be added soon.
    pub(in crate::granule) fn prefetch(&self, rows: &Rows<'_>, width: usize) {
        let length = width * self.dtype.size();
        let mut from = rows.first;
        for _ in rows.row_weights {
            prefetch(rows.bytes.get(from..from + length).unwrap_or_default());
            from = from.wrapping_add_signed(rows.pitch);
        }
    }

    /// Whether the one element in `bytes` stands for a value.
    pub(in crate::granule) fn is_valid(&self, bytes: &[u8]) -> bool {
        let (mut sum, mut weight) = ([0.0], [0.0]);
        let row = Rows { bytes, first: 0, pitch: 0, row_weights: &[1.0] };
        self.add(row, &mut sum, &mut weight);
        weight > [0.0]
    }

    pub(in crate::granule) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Adds the valid numbers of `rows`, each times its row's weight, to the sums of their columns,
    /// and the weights behind them to `weights`.
    pub(in crate::granule) fn add(&self, rows: Rows<'_>, sums: &mut [f64], weights: &mut [f64]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2; the function needs nothing else.
            return unsafe { self.add_avx2(rows, sums, weights) };
        }
        self.add_portable(rows, sums, weights);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_avx2(&self, rows: Rows<'_>, sums: &mut [f64], weights: &mut [f64]) {
        self.add_portable(rows, sums, weights);
    }

    #[inline(always)]
    fn add_portable(&self, rows: Rows<'_>, sums: &mut [f64], weights: &mut [f64]) {
        with_element!(self.dtype, T => add_rows::<T>(rows, self.bounds, sums, weights));
    }
}

#[inline(always)]
fn add_rows<T: Element>(
    Rows { bytes, first, pitch, row_weights }: Rows<'_>,
    bounds: Bounds,
    sums: &mut [f64],
    weights: &mut [f64],
) {
    let length = sums.len() * T::SIZE;
    let row = |i: usize| {
        let from = first.wrapping_add_signed(pitch * i as isize);
        T::split(bytes.get(from..from + length).unwrap_or_default())
    };
    let (groups, rest) = row_weights.as_chunks::<4>();
    for (group, &by) in groups.iter().enumerate() {
        let i = 4 * group;
        add_group::<T, 4>([row(i), row(i + 1), row(i + 2), row(i + 3)], by, bounds, sums, weights);
    }
    let i = 4 * groups.len();
    match *rest {
        [a] => add_group::<T, 1>([row(i)], [a], bounds, sums, weights),
        [a, b] => add_group::<T, 2>([row(i), row(i + 1)], [a, b], bounds, sums, weights),
        [a, b, c] => {
            let rows = [row(i), row(i + 1), row(i + 2)];
            add_group::<T, 3>(rows, [a, b, c], bounds, sums, weights);
        }
        _ => {}
    }
}

/// Adds `N` rows at once, because loading and storing the sums costs as much as adding to them. No
/// branch depends on the data, so that the compiler makes vector instructions of the loop: the same
/// operations in the same order with each instruction set.
#[inline(always)]
fn add_group<T: Element, const N: usize>(
    rows: [&[T::Bytes]; N],
    by: [f64; N],
    Bounds { low, high, fill }: Bounds,
    sums: &mut [f64],
    weights: &mut [f64],
) {
    let width = rows.iter().fold(sums.len().min(weights.len()), |n, row| n.min(row.len()));
    let rows = rows.map(|row| &row[..width]);
    let (sums, weights) = (&mut sums[..width], &mut weights[..width]);
    for column in 0..width {
        let (mut sum, mut total) = (sums[column], weights[column]);
        for (row, by) in rows.iter().zip(by) {
            let stored = T::join(row[column]).to_f64();
            let valid = (stored >= low) & (stored <= high) & (stored != fill);
            sum += if valid { by * stored } else { 0.0 };
            total += if valid { by } else { 0.0 };
        }
        (sums[column], weights[column]) = (sum, total);
    }
}

/// The number farthest from 0 on the side of `sign` that is `finite`, which holds for all up to
/// there; `None` where not even 0 is.
fn extreme(sign: f64, finite: impl Fn(f64) -> bool) -> Option<f64> {
    // Positive doubles are ordered like their bits.
    let at = |bits: u64| sign * f64::from_bits(bits);
    let (mut inside, mut outside) = (0.0f64.to_bits(), f64::INFINITY.to_bits());
    if !finite(0.0) {
        return None;
    }
    while outside - inside > 1 {
        let middle = inside + (outside - inside) / 2;
        if finite(at(middle)) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    Some(at(inside))
}

/// Brings bytes into the processor's cache. Rows of a chunk that are far apart are not foreseen by
/// the processor, and waiting for them costs more than summing them.
#[cfg(target_arch = "x86_64")]
fn prefetch(bytes: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in bytes.chunks(64) {
        // SAFETY: every x86-64 processor has the instruction; it reads no memory by itself.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch(_: &[u8]) {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::granule::format::attribute::Number;

    const DTYPES: [Dtype; 8] = [
        Dtype::I8,
        Dtype::I16,
        Dtype::I32,
        Dtype::U8,
        Dtype::U16,
        Dtype::U32,
        Dtype::F32,
        Dtype::F64,
    ];

    /// The numbers at the ends of each type, NaN and infinities too.
    fn special(dtype: Dtype, i: u8) -> Vec<u8> {
        let floats = [f64::NAN, f64::INFINITY, -f64::INFINITY, -0.0, 1e39, 5e-324, 3.4e38, 7.0];
        let float = floats[usize::from(i) % floats.len()];
        let all_ones = if i.is_multiple_of(2) { u8::MAX } else { 0x80 };
        match dtype {
            Dtype::F32 => (float as f32).to_ne_bytes().to_vec(),
            Dtype::F64 => float.to_ne_bytes().to_vec(),
            _ => vec![all_ones; dtype.size()],
        }
    }

    fn number(dtype: Dtype, bytes: &[u8]) -> f64 {
        with_element!(dtype, T => T::load(bytes).to_f64())
    }

    proptest! {
        #[test]
        fn sums_are_those_of_one_number_after_another(
            kind in 0usize..DTYPES.len(),
            bytes in proptest::collection::vec(any::<u8>(), 8 * 8 * 21),
            specials in proptest::collection::vec((0usize..8 * 21, any::<u8>()), 0..20),
            weights in proptest::collection::vec(-1.0f64..2.0, 0..8),
            columns in 0usize..21,
            fill in any::<bool>(),
            limits in proptest::option::of((-100.0f64..0.0, 0.0f64..100.0)),
            southward in any::<bool>(),
        ) {
            let dtype = DTYPES[kind];
            let (size, mut bytes) = (dtype.size(), bytes);
            for (i, special_kind) in specials {
                bytes[i * size..(i + 1) * size].copy_from_slice(&special(dtype, special_kind));
            }
            let first = number(dtype, &bytes[..size]);
            let packing = Packing {
                scale: 0.5,
                offset: 3.0,
                invalid: if fill { vec![Number::Float(first)] } else { Vec::new() },
                low: limits.map(|(low, _)| Number::Float(low)),
                high: limits.map(|(_, high)| Number::Float(high)),
                ..Packing::none(dtype)
            };
            let summation = Summation::new(&packing).unwrap();
            let (mut sums, mut totals) = (vec![0.25; columns], vec![0.0; columns]);
            let last = weights.len().saturating_sub(1);
            let pitch = (21 * size) as isize;
            let rows = Rows {
                bytes: &bytes,
                first: if southward { last * 21 * size } else { 0 },
                pitch: if southward { -pitch } else { pitch },
                row_weights: &weights,
            };
            let (mut portable_sums, mut portable_totals) = (sums.clone(), totals.clone());
            summation.add(rows, &mut sums, &mut totals);
            summation.add_portable(rows, &mut portable_sums, &mut portable_totals);

            for column in 0..columns {
                let (mut sum, mut total) = (0.25f64, 0.0f64);
                for (i, weight) in weights.iter().enumerate() {
                    let row = if southward { last - i } else { i };
                    let x = number(dtype, &bytes[(row * 21 + column) * size..][..size]);
                    let inside = limits.is_none_or(|(low, high)| {
                        let whole = !matches!(dtype, Dtype::F32 | Dtype::F64);
                        let round = |limit: f64| f64::from(limit as f32);
                        match dtype {
                            _ if whole => (low..=high).contains(&x),
                            Dtype::F32 => (round(low)..=round(high)).contains(&x),
                            _ => (low..=high).contains(&x),
                        }
                    });
                    let value = (x * 0.5 + 3.0) as f32;
                    if value.is_finite() && inside && !(fill && x == first) {
                        sum += weight * x;
                        total += weight;
                    }
                }
                let bits = |x: &[f64]| x[column].to_bits();
                prop_assert_eq!(sums[column], sum);
                prop_assert_eq!(totals[column], total);
                prop_assert_eq!(bits(&sums), bits(&portable_sums));
                prop_assert_eq!(bits(&totals), bits(&portable_totals));
            }
        }
    }

    #[test]
    fn numbers_that_float32_cannot_hold_as_values_are_invalid() {
        let packing = Packing { unit_scale: 100.0, ..Packing::none(Dtype::F32) };
        let summation = Summation::new(&packing).unwrap();
        let valid = |x: f32| summation.is_valid(&x.to_ne_bytes());
        assert!(valid(f32::MAX / 101.0) && valid(-f32::MAX / 101.0) && valid(0.0));
        assert!(!valid(f32::MAX / 99.0) && !valid(f32::MIN / 99.0) && !valid(f32::NAN));
    }

    #[test]
    fn what_cannot_be_summed_as_it_is_stored() {
        assert!(Summation::new(&Packing::none(Dtype::I64)).is_none());
        let invalid = vec![Number::Int(1), Number::Int(2)];
        assert!(Summation::new(&Packing { invalid, ..Packing::none(Dtype::I16) }).is_none());
        let invalid = vec![Number::Int(1), Number::Float(1.0), Number::Float(0.5)];
        assert!(Summation::new(&Packing { invalid, ..Packing::none(Dtype::I16) }).is_some());
        let beyond = Packing { offset: 1e300, ..Packing::none(Dtype::F64) };
        assert!(Summation::new(&beyond).is_none());
    }
}
