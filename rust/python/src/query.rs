//! Queries out of NumPy arrays.

use numpy::ndarray::ArrayView2;
use oceanarrow_engine::error::Error;
use oceanarrow_engine::query::Query;
use pyo3::prelude::*;

use crate::error::raise;

/// Queries out of the columns of arrays.
pub fn queries(boxes: ArrayView2<'_, f64>, days: ArrayView2<'_, i32>) -> PyResult<Vec<Query>> {
    if boxes.ncols() != 4 || days.ncols() != 2 || boxes.nrows() != days.nrows() {
        return Err(raise(Error::invalid_input("boxes must be (N, 4) and days (N, 2)")));
    }
    let rows = boxes.rows().into_iter().zip(days.rows());
    Ok(rows
        .map(|(b, d)| Query {
            lon_min: b[0],
            lon_max: b[1],
            lat_min: b[2],
            lat_max: b[3],
            day_start: d[0],
            day_end: d[1],
        })
        .collect())
}
