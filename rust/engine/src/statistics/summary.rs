//! What is known of many values: moments, and a sketch of their distribution.

use serde::{Deserialize, Serialize};
use tdigest::{Centroid, TDigest};

use super::moments::Moments;
use super::sketch::{self, SKETCH_SIZE};

/// Of the cells that were looked at, and of the values of those that are valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Cells, valid or not.
    pub cells: u64,
    /// Of the values.
    pub moments: Moments,
    #[serde(with = "sketch")]
    sketch: TDigest,
}

impl Default for Summary {
    fn default() -> Self {
        Self { cells: 0, moments: Moments::default(), sketch: TDigest::new_with_size(SKETCH_SIZE) }
    }
}

impl Summary {
    /// Adds cells and moments; the values themselves come later, many at once.
    pub fn count(&mut self, cells: u64, moments: &Moments) {
        self.cells += cells;
        self.moments.add(moments);
    }

    /// Adds values to the sketch, and forgets them.
    pub fn sketch(&mut self, values: &mut Values) {
        if !values.numbers.is_empty() {
            let new = values.sketch();
            self.merge_sketch(&new);
            values.clear();
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.count(other.cells, &other.moments);
        self.merge_sketch(&other.sketch);
    }

    fn merge_sketch(&mut self, other: &TDigest) {
        if self.sketch.is_empty() {
            self.sketch = other.clone();
        } else if !other.is_empty() {
            self.sketch = TDigest::merge_digests(vec![self.sketch.clone(), other.clone()]);
        }
    }

    /// The values below which these shares of the weight lie; `None` without values.
    pub fn quantiles(&self, shares: &[f64]) -> Vec<Option<f64>> {
        self.sketch.quantiles(shares)
    }

    /// How much of the values, in their number, lies between each pair of neighbouring edges.
    pub fn histogram(&self, edges: &[f64]) -> Vec<f64> {
        let below = |edge: &f64| self.sketch.estimate_rank(*edge).unwrap_or(0.0);
        let below: Vec<f64> = edges.iter().map(below).collect();
        let between = |pair: &[f64]| (pair[1] - pair[0]).max(0.0) * self.moments.count as f64;
        below.windows(2).map(between).collect()
    }
}

/// Numbers, each with its weight if they have some.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// The numbers.
    pub numbers: Vec<f32>,
    /// As many weights.
    pub weights: Option<Vec<f64>>,
}

impl Values {
    /// Adds others.
    pub fn extend(&mut self, other: &Self) {
        self.numbers.extend_from_slice(&other.numbers);
        if let Some(weights) = &other.weights {
            self.weights.get_or_insert_default().extend_from_slice(weights);
        }
    }

    fn clear(&mut self) {
        self.numbers.clear();
        self.weights.as_mut().map(Vec::clear);
    }

    fn sketch(&mut self) -> TDigest {
        let empty = TDigest::new_with_size(SKETCH_SIZE);
        let Some(weights) = &self.weights else {
            self.numbers.sort_unstable_by(f32::total_cmp);
            return empty.merge_sorted(self.numbers.iter().map(|&number| number.into()).collect());
        };
        let mut weighted: Vec<(f32, f64)> =
            self.numbers.iter().copied().zip(weights.iter().copied()).collect();
        weighted.retain(|&(_, weight)| weight > 0.0);
        weighted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let centroids = weighted.iter().map(|&(value, weight)| Centroid::new(value.into(), weight));
        let centroids: Vec<Centroid> = centroids.collect();
        let (Some(first), Some(last)) = (centroids.first(), centroids.last()) else { return empty };
        let (least, greatest) = (first.mean(), last.mean());
        let weight = centroids.iter().map(Centroid::weight).sum();
        let sum = centroids.iter().map(|c| c.mean() * c.weight()).sum();
        TDigest::new(centroids, sum, weight, Some(greatest), Some(least), SKETCH_SIZE)
    }
}
