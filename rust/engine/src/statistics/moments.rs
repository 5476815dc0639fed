//! Count, mean, variance and extremes.

use serde::{Deserialize, Serialize};

/// Of weighted values; the weights of those that have none are 1.
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
    /// Of values, each with its weight: in two passes, the second about the mean of the first.
    pub fn of(values: &[(f32, f64)]) -> Self {
        let weight: f64 = values.iter().map(|&(_, weight)| weight).sum();
        let sum: f64 = values.iter().map(|&(value, weight)| f64::from(value) * weight).sum();
        let mean = if weight > 0.0 { sum / weight } else { 0.0 };
        let square = |&(value, weight): &(f32, f64)| weight * (f64::from(value) - mean).powi(2);
        let least = values.iter().map(|&(value, _)| value).reduce(f32::min);
        let greatest = values.iter().map(|&(value, _)| value).reduce(f32::max);
        Self {
            count: values.len() as u64,
            weight,
            mean,
            squares: values.iter().map(square).sum(),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::Moments;

    #[test]
    fn of_a_few_by_hand() {
        let m = Moments::of(&[(1.0, 1.0), (2.0, 1.0), (6.0, 2.0)]);
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
            let weighted: Vec<(f32, f64)> =
                values.iter().enumerate().map(|(i, &v)| (v, 0.1 + (i % 7) as f64)).collect();
            let at = at % values.len();
            let whole = Moments::of(&weighted);
            let mut sum = Moments::of(&weighted[..at]);
            sum.add(&Moments::of(&weighted[at..]));
            prop_assert_eq!(sum.count, whole.count);
            prop_assert_eq!(sum.extremes, whole.extremes);
            prop_assert!((sum.mean - whole.mean).abs() < 1e-9);
            prop_assert!((sum.std() - whole.std()).abs() < 1e-8);
        }
    }
}
