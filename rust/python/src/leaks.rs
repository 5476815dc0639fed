//! `find_leaks`: pairs of queries that come too close.

use numpy::{PyArray2, PyReadonlyArray2};
use oceanarrow_engine::plan::{Gaps, leaks};
use pyo3::prelude::*;

use crate::error::run;
use crate::query::queries;

/// Pairs of queries of two lists, each `boxes` (N, 4) float64 and `days` (N, 2) int32, that come
/// closer than the gaps: how many there are, and the first `most` of them, (K, 2) int64.
#[pyfunction]
#[pyo3(signature = (boxes, days, other_boxes, other_days, *, gap_days, gap_degrees, most))]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
pub fn find_leaks<'py>(
    py: Python<'py>,
    boxes: PyReadonlyArray2<'py, f64>,
    days: PyReadonlyArray2<'py, i32>,
    other_boxes: PyReadonlyArray2<'py, f64>,
    other_days: PyReadonlyArray2<'py, i32>,
    gap_days: u32,
    gap_degrees: f64,
    most: usize,
) -> PyResult<(u64, Bound<'py, PyArray2<i64>>)> {
    let (a, b) = (
        queries(boxes.as_array(), days.as_array())?,
        queries(other_boxes.as_array(), other_days.as_array())?,
    );
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let gaps = Gaps { days: gap_days, degrees: gap_degrees };
    let found = run(py, || leaks(&a, &b, gaps, most, threads))?;
    let pairs: Vec<Vec<i64>> =
        found.pairs.iter().map(|&(i, j)| vec![i64::from(i), i64::from(j)]).collect();
    let pairs = match pairs.is_empty() {
        true => PyArray2::zeros(py, [0, 2], false),
        false => PyArray2::from_vec2(py, &pairs)?,
    };
    Ok((found.count, pairs))
}
