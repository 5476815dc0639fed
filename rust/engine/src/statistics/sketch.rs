//! A sketch of a distribution as plain data.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use tdigest::{Centroid, TDigest};

/// Centroids of a sketch at most. A rank is then wrong by about 1e-4.
pub(super) const SKETCH_SIZE: usize = 200;

#[derive(Serialize, Deserialize)]
struct Plain {
    centroids: Vec<(f64, f64)>,
    sum: f64,
    count: f64,
    extremes: Option<(f64, f64)>,
}

pub(super) fn serialize<S: Serializer>(sketch: &TDigest, out: S) -> Result<S::Ok, S::Error> {
    let plain = Plain {
        centroids: sketch.centroids().iter().map(|c| (c.mean(), c.weight())).collect(),
        sum: sketch.sum(),
        count: sketch.count(),
        extremes: sketch.min().zip(sketch.max()),
    };
    plain.serialize(out)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TDigest, D::Error> {
    let Plain { centroids, sum, count, extremes } = Plain::deserialize(from)?;
    // The library takes these for granted.
    let sound = match extremes {
        None => centroids.is_empty() && count == 0.0,
        Some((least, greatest)) => {
            least.is_finite() && greatest.is_finite() && count.is_finite() && count > 0.0
        }
    };
    let weighed =
        |&(mean, weight): &(f64, f64)| mean.is_finite() && weight > 0.0 && weight.is_finite();
    if !sound || !centroids.iter().all(weighed) || centroids.len() > SKETCH_SIZE {
        return Err(D::Error::custom("no sketch of a distribution"));
    }
    let centroids = centroids.into_iter().map(|(mean, weight)| Centroid::new(mean, weight));
    let (least, greatest) = extremes.unzip();
    Ok(TDigest::new(centroids.collect(), sum, count, greatest, least, SKETCH_SIZE))
}
