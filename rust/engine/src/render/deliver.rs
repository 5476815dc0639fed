//! From rows of sums to delivered values, masks and support.

use super::resample::PixelRow;
use super::rules::Rules;
use crate::granule::Unpack;

/// Weights that sum to 1 but for rounding are full support.
const SUPPORT_NOISE: f64 = 1e-9;

/// How sums become values.
#[derive(Clone, Copy)]
pub struct Delivery {
    unpack: Unpack,
    /// Least share of valid weight.
    min_share: f64,
    fill_value: f32,
    normalize: Option<(f64, f64)>,
}

impl Delivery {
    /// Delivers values of stored numbers by `rules`.
    pub fn new(unpack: Unpack, rules: &Rules) -> Self {
        let &Rules { fill_value, normalize, min_support, .. } = rules;
        Self { unpack, min_share: min_support - SUPPORT_NOISE, fill_value, normalize }
    }

    /// Writes one row of pixels; each element is written.
    pub fn write(&self, row: &PixelRow, values: &mut [f32], mask: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2; the function needs nothing else.
            return unsafe { self.write_avx2(row, values, mask) };
        }
        self.write_portable(row, values, mask);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn write_avx2(&self, row: &PixelRow, values: &mut [f32], mask: &mut [u8]) {
        self.write_portable(row, values, mask);
    }

    #[inline(always)]
    fn write_portable(&self, row: &PixelRow, values: &mut [f32], mask: &mut [u8]) {
        let unpack = self.unpack;
        match self.normalize {
            None => self.write_by(row, values, mask, |mean| unpack.value(mean)),
            Some((mean, std)) => {
                self.write_by(row, values, mask, |stored| (unpack.value(stored) - mean) / std);
            }
        }
    }

    #[inline(always)]
    fn write_by(
        &self,
        row: &PixelRow,
        values: &mut [f32],
        mask: &mut [u8],
        value_of: impl Fn(f64) -> f64,
    ) {
        let pixels = row.sums.iter().zip(&row.weights).zip(&row.full);
        for (((&sum, &weight), &full), out) in pixels.zip(values.iter_mut()) {
            let value = value_of(sum / weight) as f32;
            *out = if self.is_valid(weight, full) { value } else { self.fill_value };
        }
        for ((&weight, &full), out) in row.weights.iter().zip(&row.full).zip(mask) {
            *out = u8::from(self.is_valid(weight, full));
        }
    }

    /// Adds the share of valid weight of each pixel, times `share`.
    pub fn add_support(row: &PixelRow, share: f64, support: &mut [f32]) {
        for ((out, &weight), &full) in support.iter_mut().zip(&row.weights).zip(&row.full) {
            *out += (weight / full * share) as f32;
        }
    }

    /// Adds the values of valid pixels to `sums`, and counts them.
    pub fn add(&self, row: &PixelRow, sums: &mut [f64], counts: &mut [f64]) {
        let pixels = row.sums.iter().zip(&row.weights).zip(&row.full);
        for (((&sum, &weight), &full), (out, count)) in pixels.zip(sums.iter_mut().zip(counts)) {
            if self.is_valid(weight, full) {
                *out += self.unpack.value(sum / weight);
                *count += 1.0;
            }
        }
    }

    #[inline(always)]
    fn is_valid(&self, weight: f64, full: f64) -> bool {
        (weight > 0.0) & (weight >= self.min_share * full)
    }
}
