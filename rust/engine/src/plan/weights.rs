//! Weighted queries: how often each occurs in an epoch, by systematic resampling.

use super::cluster::Clusters;
use super::permutation::key;
use crate::error::{Error, Result};

/// The largest weight as an integer; the others are rounded down to the same scale, but not to 0.
const LARGEST: f64 = (1u64 << 32) as f64;

/// Integer weights, cumulated along the rows of clusters. Sums of integers are exact, so that every
/// machine draws the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The sum of the weights before each row, and of all.
    before: Vec<u64>,
}

impl Weights {
    /// Weights in the order of the user's list: finite, at least 0, not all 0.
    pub fn new(weights: &[f64], clusters: &Clusters) -> Result<Self> {
        if weights.len() as u64 != clusters.queries() {
            return Err(Error::invalid_input(format!(
                "there are {} weights for {} queries",
                weights.len(),
                clusters.queries()
            )));
        }
        if let Some(i) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            return Err(Error::invalid_input(format!(
                "weights[{i}] is {}; a weight must be finite and at least 0",
                weights[i]
            )));
        }
        let largest = weights.iter().copied().fold(0.0, f64::max);
        if largest == 0.0 {
            return Err(Error::invalid_input("all weights are 0"));
        }
        let mut before = Vec::with_capacity(weights.len() + 1);
        let mut sum = 0u64;
        for row in 0..clusters.queries() {
            before.push(sum);
            let weight = weights[clusters.position(row)];
            sum += ((weight / largest * LARGEST) as u64).max(u64::from(weight > 0.0));
        }
        before.push(sum);
        Ok(Self { before })
    }

    /// The integer weights in the order of the user's list.
    pub(super) fn of_list(&self, clusters: &Clusters) -> Vec<u64> {
        let mut list = vec![0; self.before.len() - 1];
        for (row, sums) in (0..).zip(self.before.windows(2)) {
            list[clusters.position(row)] = sums[1] - sums[0];
        }
        list
    }

    /// The draws of an epoch.
    pub fn draws(&self, seed: u64, epoch: u64) -> Draws {
        let total = self.before.last().copied().unwrap_or(0);
        let chance = key("weights", &[seed, epoch]);
        let start = (u128::from(chance) * u128::from(total)) >> 64;
        Draws { n: self.before.len() as u128 - 1, total: total.into(), start }
    }

    /// The first draw that falls on `row` or a later one.
    pub fn first_draw(&self, draws: Draws, row: u64) -> u64 {
        let scaled = u128::from(self.before[row as usize]) * draws.n;
        scaled.saturating_sub(draws.start).div_ceil(draws.total) as u64
    }

    /// The row that a draw falls on.
    pub fn row(&self, draws: Draws, draw: u64) -> u64 {
        let point = ((u128::from(draw) * draws.total + draws.start) / draws.n) as u64;
        self.before.partition_point(|&b| b <= point) as u64 - 1
    }
}

/// The N draws of an epoch: equally spaced points on the line of cumulated weights, from a random
/// start. A query of weight w occurs `N w / sum` times, rounded up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    n: u128,
    total: u128,
    /// In units of 1/n of weight, less than `total`.
    start: u128,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn counts(weights: &[f64], epoch: u64) -> Vec<u64> {
        let clusters = Clusters::list(weights.len()).unwrap();
        let table = Weights::new(weights, &clusters).unwrap();
        let draws = table.draws(5, epoch);
        let mut counts = vec![0; weights.len()];
        (0..weights.len() as u64).for_each(|d| counts[table.row(draws, d) as usize] += 1);
        for row in 0..weights.len() as u64 {
            let between = table.first_draw(draws, row + 1) - table.first_draw(draws, row);
            assert_eq!(between, counts[row as usize]);
        }
        counts
    }

    #[test]
    fn counts_follow_the_weights() {
        assert_eq!(counts(&[1.0, 1.0, 1.0, 1.0], 0), [1, 1, 1, 1]);
        assert_eq!(counts(&[0.0, 2.0, 2.0, 0.0], 1), [0, 2, 2, 0]);
        let weights = [0.5, 1.0, 3.0, 0.0, 1.5, 2.0, 1e-12];
        let share = 7.0 / 8.0;
        let mut sums = vec![0; weights.len()];
        for epoch in 0..400 {
            for (i, count) in counts(&weights, epoch).into_iter().enumerate() {
                let expected = weights[i] * share;
                assert!((count as f64 - expected).abs() < 1.0, "{count} for {expected}");
                sums[i] += count;
            }
        }
        for (sum, weight) in sums.into_iter().zip(weights) {
            assert!((sum as f64 / 400.0 - weight * share).abs() < 0.1);
        }
    }

    #[test]
    fn bad_weights_are_refused() {
        let clusters = Clusters::list(2).unwrap();
        for bad in [&[1.0][..], &[1.0, f64::NAN], &[1.0, -1.0], &[0.0, 0.0], &[1.0, f64::INFINITY]]
        {
            assert!(Weights::new(bad, &clusters).is_err(), "{bad:?}");
        }
    }
}
