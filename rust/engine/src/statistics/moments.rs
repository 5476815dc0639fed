//! Count, mean, variance and extremes.

use serde::{Deserialize, Serialize};

/// Of values, weighted or not: then each weighs 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many values.
    pub count: u64,
    /// The sum of their weights.
    pub weight: f64,
    /// Their mean.
    pub mean: f64,
    /// The sum of weighted squares of the distances to the mean.
    squares: f64,
    /// The least and the greatest; `None` of none.
    pub extremes: Option<(f32, f32)>,
}

impl Moments {
    /// Of values, each with its weight if they have some: in two passes, the second about the mean of
    /// the first.
    pub fn of(values: &[f32], weights: Option<&[f64]>) -> Self {
        let sum = |of: &dyn Fn(f64) -> f64| match weights {
            None => lanes(values, |value| of(value.into())),
            Some(weights) => values.iter().zip(weights).map(|(&v, w)| of(v.into()) * w).sum(),
        };
        let weight = weights.map_or(values.len() as f64, |weights| weights.iter().sum());
        let mean = if weight > 0.0 { sum(&|value| value) / weight } else { 0.0 };
        let least = values.iter().copied().reduce(f32::min);
        let greatest = values.iter().copied().reduce(f32::max);
        Self {
            count: values.len() as u64,
            weight,
            mean,
            squares: sum(&|value| (value - mean).powi(2)),
            extremes: least.zip(greatest),
        }
    }

    /// Adds those of other values, by the formula of Chan, Golub and LeVeque (1979).
    pub fn add(&mut self, other: &Self) {
        let weight = self.weight + other.weight;
        if weight > 0.0 {
            let apart = other.mean - self.mean;
            let share = other.weight / weight;
            self.squares += other.squares + apart * apart * self.weight * share;
            // Where there was nothing, the mean is the other's to the last digit.
            self.mean = if self.weight > 0.0 { self.mean + apart * share } else { other.mean };
        }
        self.weight = weight;
        self.count += other.count;
        self.extremes = match (self.extremes, other.extremes) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    /// The standard deviation, of the values themselves: divided by their weight, not by one less.
    pub fn std(&self) -> f64 {
        if self.weight > 0.0 { (self.squares / self.weight).sqrt() } else { 0.0 }
    }
}

/// A sum in eight lanes, which a processor adds side by side, always the same ones.
fn lanes(values: &[f32], of: impl Fn(f32) -> f64) -> f64 {
    let (whole, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in whole {
        for (sum, &value) in sums.iter_mut().zip(eight) {
            *sum += of(value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&value| of(value)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::Moments;

    #[test]
    fn of_a_few_by_hand() {
        let m = Moments::of(&[1.0, 2.0, 6.0], Some(&[1.0, 1.0, 2.0]));
        assert_eq!((m.count, m.weight, m.extremes), (3, 4.0, Some((1.0, 6.0))));
        assert_eq!(m.mean, 3.75);
        // (2.75^2 + 1.75^2 + 2 * 2.25^2) / 4
        assert!((m.std() - 5.1875_f64.sqrt()).abs() < 1e-15);
        let mut sum = Moments::default();
        sum.add(&m);
        sum.add(&Moments::default());
        assert_eq!(sum, m);
    }

    proptest! {
        #[test]
        fn parts_add_up(values in proptest::collection::vec(-1e3f32..1e3, 2..200), at in 0usize..200) {
            let weights: Vec<f64> = (0..values.len()).map(|i| 0.1 + (i % 7) as f64).collect();
            let at = at % values.len();
            for weights in [None, Some(weights.as_slice())] {
                let part = |range: std::ops::Range<usize>| {
                    Moments::of(&values[range.clone()], weights.map(|weights| &weights[range]))
                };
                let whole = part(0..values.len());
                let mut sum = part(0..at);
                sum.add(&part(at..values.len()));
                prop_assert_eq!(sum.count, whole.count);
                prop_assert_eq!(sum.extremes, whole.extremes);
                prop_assert!((sum.mean - whole.mean).abs() < 1e-9);
                prop_assert!((sum.std() - whole.std()).abs() < 1e-8);
            }
        }
    }
}
