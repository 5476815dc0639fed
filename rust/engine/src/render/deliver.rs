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

    /// Adds the values times `part`; `shares` become the least share of valid weight, or 0 where a
    /// pixel is not valid.
    pub fn compose(&self, row: &PixelRow, part: f64, values: &mut [f64], shares: &mut [f64]) {
        let pixels = row.sums.iter().zip(&row.weights).zip(&row.full);
        for (((&sum, &weight), &full), (value, share)) in pixels.zip(values.iter_mut().zip(shares))
        {
            if self.is_valid(weight, full) {
                *value += part * self.unpack.value(sum / weight);
                *share = share.min(weight / full);
            } else {
                *share = 0.0;
            }
        }
    }

    /// Marks the pixels that are not valid.
    pub fn hide_invalid(&self, row: &PixelRow, hidden: &mut [bool]) {
        for ((&weight, &full), hidden) in row.weights.iter().zip(&row.full).zip(hidden) {
            *hidden |= !self.is_valid(weight, full);
        }
    }

    #[inline(always)]
    fn is_valid(&self, weight: f64, full: f64) -> bool {
        (weight > 0.0) & (weight >= self.min_share * full)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{GridRule, Resampling, TemporalAgg};
    use super::*;

    fn rules(min_support: f64, normalize: Option<(f64, f64)>) -> Rules {
        Rules {
            resampling: Resampling::Auto,
            grid: GridRule::Exact,
            temporal: TemporalAgg::Mean,
            min_support,
            fill_value: -1.0,
            normalize,
        }
    }

    fn row() -> PixelRow {
        PixelRow {
            sums: vec![0.0, 6.0, 2.5, -1.0, 1e300],
            weights: vec![0.0, 2.0, 0.5, 1e-12, 1.0],
            full: vec![1.0, 4.0, 1.0, 1.0, 1.0],
        }
    }

    fn written(delivery: &Delivery) -> (Vec<f32>, Vec<u8>) {
        let (mut values, mut mask) = (vec![9.0; 5], vec![9; 5]);
        delivery.write(&row(), &mut values, &mut mask);
        let (mut portable, mut portable_mask) = (vec![9.0; 5], vec![9; 5]);
        delivery.write_portable(&row(), &mut portable, &mut portable_mask);
        assert_eq!((&values, &mask), (&portable, &portable_mask));
        (values, mask)
    }

    #[test]
    fn pixels_with_too_little_support_hold_the_fill_value() {
        let (values, mask) = written(&Delivery::new(Unpack::NONE, &rules(0.5, None)));
        assert_eq!(mask, [0, 1, 1, 0, 1]);
        assert_eq!(values[..4], [-1.0, 3.0, 5.0, -1.0]);
        let (values, mask) = written(&Delivery::new(Unpack::NONE, &rules(0.0, Some((1.0, 2.0)))));
        assert_eq!(mask, [0, 1, 1, 1, 1]);
        assert_eq!(values[..3], [-1.0, 1.0, 2.0]);
    }

    #[test]
    fn support_is_the_valid_share_and_days_are_added_where_valid() {
        let mut support = vec![1.0; 5];
        Delivery::add_support(&row(), 0.5, &mut support);
        assert_eq!(support, [1.0, 1.25, 1.25, 1.0, 1.5]);
        let (mut sums, mut counts) = (vec![0.0; 5], vec![2.0; 5]);
        Delivery::new(Unpack::NONE, &rules(0.5, None)).add(&row(), &mut sums, &mut counts);
        assert_eq!(counts, [2.0, 3.0, 3.0, 2.0, 3.0]);
        assert_eq!(sums, [0.0, 3.0, 5.0, 0.0, 1e300]);
    }
}
