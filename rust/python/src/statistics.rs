//! Statistics of what queries see: passes over parts of them, and what these tell together.

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use oceanarrow_engine::error::Error;
use oceanarrow_engine::statistics::{By, Part, Plan, Subject, Summary, measure, seen};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::engine::Engine;
use crate::error::{raise, run};
use crate::progress;
use crate::query::queries;
use crate::request::choice;

/// The words for what values are told apart by.
const GROUPINGS: [(&str, By); 3] = [("month", By::Month), ("region", By::Region), ("day", By::Day)];

/// Bins of a histogram, between the 0.1 % and the 99.9 % quantile.
const BINS: usize = 64;
const ENDS: [f64; 2] = [0.001, 0.999];

/// What the parts tell together: the request, whether of its differences, the group, and the numbers.
type Told<'py> = (u32, bool, Option<String>, Bound<'py, PyDict>);

/// Goes through a part of an engine's queries once; `summarize` tells what parts hold. `shapes` gives
/// the pixels of each request, `None` its native cells.
#[pyfunction]
#[pyo3(signature = (engine, shapes, *, by, area_weighted, part, threads, report))]
#[allow(clippy::too_many_arguments)]
pub fn measure_statistics<'py>(
    py: Python<'py>,
    engine: PyRef<'py, Engine>,
    shapes: Vec<Option<(usize, usize)>>,
    by: Option<&str>,
    area_weighted: bool,
    part: (u64, u64),
    threads: Option<usize>,
    report: Py<PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let engine = engine.engine();
    let by = by.map(|word| choice("by", word, &GROUPINGS)).transpose()?;
    let setup = engine.setup();
    let usual = || progress::threads(&setup.storage, setup.catalog.is_remote());
    let threads = threads.unwrap_or_else(usual);
    let plan = Plan { by, area_weighted, shapes, part, threads };
    let part = progress::reporting(py, &report, |report| measure(&engine, &plan, report))?;
    let bytes = postcard::to_stdvec(&part)
        .map_err(|e| raise(Error::internal(format!("cannot keep statistics: {e}"))))?;
    Ok(PyBytes::new(py, &bytes))
}

/// Joins the parts that `measure_statistics` made, all or (`partial`) some.
#[pyfunction]
pub fn summarize<'py>(
    py: Python<'py>,
    parts: Vec<Vec<u8>>,
    quantiles: Vec<f64>,
    partial: bool,
) -> PyResult<Vec<Told<'py>>> {
    let damaged = |e| Error::invalid_input(format!("a part of statistics is damaged: {e}"));
    let tally = run(py, || {
        let part = |bytes: &Vec<u8>| postcard::from_bytes::<Part>(bytes).map_err(damaged);
        let parts = parts.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        if partial { Ok(Part::told(parts)) } else { Part::whole(parts) }
    })?;
    let told = |(subject, summary): (Subject, Summary)| {
        let numbers = numbers(py, &summary, &quantiles)?;
        Ok((subject.request, subject.differences, subject.group, numbers))
    };
    tally.into_iter().map(told).collect()
}

/// The numbers of a summary; None where there was no value.
fn numbers<'py>(
    py: Python<'py>,
    summary: &Summary,
    quantiles: &[f64],
) -> PyResult<Bound<'py, PyDict>> {
    let moments = &summary.moments;
    let there = moments.count > 0 && moments.weight > 0.0;
    let dict = PyDict::new(py);
    dict.set_item("count", moments.count)?;
    dict.set_item("cells", summary.cells)?;
    dict.set_item("mean", there.then_some(moments.mean))?;
    dict.set_item("std", there.then(|| moments.std()))?;
    dict.set_item("min", moments.extremes.map(|(least, _)| f64::from(least)))?;
    dict.set_item("max", moments.extremes.map(|(_, greatest)| f64::from(greatest)))?;
    dict.set_item("quantiles", summary.quantiles(quantiles))?;
    if let [Some(low), Some(high)] = summary.quantiles(&ENDS)[..] {
        let edge = |i: usize| low + (high - low) * i as f64 / BINS as f64;
        let edges: Vec<f64> = (0..=BINS).map(edge).collect();
        dict.set_item("histogram", (edges.clone(), summary.histogram(&edges)))?;
    }
    Ok(dict)
}

type Seen<'py> = (Bound<'py, PyArray1<i32>>, Bound<'py, PyArray2<u8>>);

/// Days (D,) int32 and, for each, a bit a cell of a degree (D, 8100) uint8, that queries look at.
#[pyfunction]
pub fn seen_days<'py>(
    py: Python<'py>,
    boxes: PyReadonlyArray2<'_, f64>,
    days: PyReadonlyArray2<'_, i32>,
) -> PyResult<Seen<'py>> {
    let queries = queries(boxes.as_array(), days.as_array())?;
    let found = py.detach(|| seen(&queries));
    let days = PyArray1::from_iter(py, found.iter().map(|seen| seen.day));
    let shape = (found.len(), found.first().map_or(0, |seen| seen.bits.len()));
    let bits = found.into_iter().flat_map(|seen| seen.bits).collect();
    let bits = Array2::from_shape_vec(shape, bits)
        .map_err(|e| raise(Error::internal(format!("bitmaps of several lengths: {e}"))))?;
    Ok((days, bits.into_pyarray(py)))
}
