//! Weighted sums of stored numbers, column by column: the inner loop of rendering.

use super::array::Dtype;
use super::cf::Packing;
use super::convert::{Element, Limits, with_element};

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
pub(super) struct Summation {
    dtype: Dtype,
    bounds: Bounds,
    pub unpack: Unpack,
}

/// Rows of stored numbers in a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub bytes: &'a [u8],
    /// Where the first row starts.
    pub first: usize,
    /// Bytes from a row to the next.
    pub pitch: isize,
    pub count: usize,
}

impl Summation {
    /// `None` where the numbers must be unpacked one by one: 64-bit integers, which float64 rounds,
    /// and several fill values.
    pub(super) fn new(packing: &Packing) -> Option<Self> {
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
    pub(super) const fn of_values() -> Self {
        let bounds = Bounds { low: f32::MIN as f64, high: f32::MAX as f64, fill: f64::NAN };
        Self { dtype: Dtype::F32, bounds, unpack: Unpack::NONE }
    }

    /// Whether the one element in `bytes` stands for a value.
    pub(super) fn is_valid(&self, bytes: &[u8]) -> bool {
        let (mut sum, mut weight) = ([0.0], [0.0]);
        let row = Rows { bytes, first: 0, pitch: 0, count: 1 };
        self.add(row, 1.0, &mut sum, &mut weight);
        weight > [0.0]
    }

    pub(super) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Adds `weight` times each valid number of `rows` to its column's sum, and `weight` to its
    /// column's weight.
    pub(super) fn add(&self, rows: Rows<'_>, weight: f64, sums: &mut [f64], weights: &mut [f64]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2; the function needs nothing else.
            return unsafe { self.add_avx2(rows, weight, sums, weights) };
        }
        self.add_portable(rows, weight, sums, weights);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_avx2(&self, rows: Rows<'_>, weight: f64, sums: &mut [f64], weights: &mut [f64]) {
        self.add_portable(rows, weight, sums, weights);
    }

    #[inline(always)]
    fn add_portable(&self, rows: Rows<'_>, weight: f64, sums: &mut [f64], weights: &mut [f64]) {
        with_element!(self.dtype, T => add_rows::<T>(rows, self.bounds, weight, sums, weights));
    }
}

#[inline(always)]
fn add_rows<T: Element>(
    rows: Rows<'_>,
    bounds: Bounds,
    weight: f64,
    sums: &mut [f64],
    weights: &mut [f64],
) {
    let Rows { bytes, first, pitch, count } = rows;
    let length = sums.len() * T::SIZE;
    for row in 0..count as isize {
        let from = first.wrapping_add_signed(pitch * row);
        let row = bytes.get(from..from + length).unwrap_or_default();
        add_row::<T>(row, bounds, weight, sums, weights);
    }
}

/// No branch depends on the data, so that the compiler makes vector instructions of the loop; the
/// same operations in the same order with each instruction set.
#[inline(always)]
fn add_row<T: Element>(
    row: &[u8],
    Bounds { low, high, fill }: Bounds,
    weight: f64,
    sums: &mut [f64],
    weights: &mut [f64],
) {
    let columns = sums.iter_mut().zip(weights);
    for ((sum, total), element) in columns.zip(row.chunks_exact(T::SIZE)) {
        let stored = T::load(element).to_f64();
        let valid = (stored >= low) & (stored <= high) & (stored != fill);
        *sum += if valid { weight * stored } else { 0.0 };
        *total += if valid { weight } else { 0.0 };
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
