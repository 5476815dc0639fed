//! What is done to the queries of batches, as Python says it.

use oceanarrow_engine::plan::{Augment, Record, Value};
use pyo3::prelude::*;

/// A dict of the same keys.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Augmentation {
    seed: u64,
    shift: (f64, f64),
    cell: Option<(f64, f64)>,
    flip_lon: bool,
    flip_lat: bool,
    rotate: bool,
    vectors: Vec<(usize, usize)>,
}

impl From<Augmentation> for Augment {
    fn from(given: Augmentation) -> Self {
        let Augmentation { seed, shift, cell, flip_lon, flip_lat, rotate, vectors } = given;
        Self { seed, shift, cell, flip_lon, flip_lat, rotate, vectors }
    }
}

/// It, as a plan names it.
pub fn augment_fields(augment: &Augment) -> Record<'_> {
    let Augment { seed, shift, cell, flip_lon, flip_lat, rotate, vectors } = augment;
    let pair = |(lon, lat): (f64, f64)| Value::List(vec![Value::Real(lon), Value::Real(lat)]);
    let yes = |flag: bool| flag.then_some(Value::Text("yes"));
    let vectors = vectors.iter().map(|&(east, north)| {
        Value::List(vec![Value::Count(east as u64), Value::Count(north as u64)])
    });
    Record::default()
        .with("seed", Value::Count(*seed))
        .with("shift", pair(*shift))
        .with_some("cell", cell.map(pair))
        .with_some("flip_lon", yes(*flip_lon))
        .with_some("flip_lat", yes(*flip_lat))
        .with_some("rotate", yes(*rotate))
        .with("vectors", Value::List(vectors.collect()))
}
