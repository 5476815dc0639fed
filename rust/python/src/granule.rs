//! Single granules, for tests and diagnosis.

use std::ops::Range;
use std::sync::Arc;

use numpy::{PyArray1, PyArrayMethods};
use oceanarrow_engine::error::Result;
use oceanarrow_engine::granule::{GranuleReader, GranuleStats, Reading, When};
use oceanarrow_engine::store::{LocalFiles, Location};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::run;

fn reader(cache_bytes: usize) -> GranuleReader {
    GranuleReader::new(Arc::new(LocalFiles::default()), cache_bytes)
}

fn range(bounds: Option<(usize, usize)>, length: usize) -> Range<usize> {
    bounds.map_or(0..length, |(start, stop)| start..stop)
}

/// Reads a window of a gridded variable of a local file.
///
/// `rows` and `cols` are half-open `(start, stop)` index pairs on the ascending axes; None is all.
/// `day` counts from 1970-01-01. Returns `lat` (H,) and `lon` (W,) float64, of the window, `data`
/// (H, W) float32 with NaN where invalid, the file's `unit` or None, and `stats`: what was read.
#[pyfunction]
#[pyo3(signature = (path, variable, unit=None, day=0, rows=None, cols=None, cache_bytes=0))]
#[allow(clippy::too_many_arguments)]
pub fn read_window<'py>(
    py: Python<'py>,
    path: String,
    variable: String,
    unit: Option<String>,
    day: i32,
    rows: Option<(usize, usize)>,
    cols: Option<(usize, usize)>,
    cache_bytes: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let (lat, lon, data, stated, stats) = run(py, || -> Result<_> {
        let reader = reader(cache_bytes);
        let grid = reader.grid(&Location::whole(path), &variable, unit.as_deref(), &[])?;
        let (rows, cols) = (range(rows, grid.lat.len()), range(cols, grid.lon.len()));
        let lat = grid.lat.get(rows.clone()).unwrap_or_default().to_vec();
        let lon = grid.lon.get(cols.clone()).unwrap_or_default().to_vec();
        let mut data = vec![0.0; lat.len() * lon.len()];
        let unit = grid.unit.clone();
        reader.values(&Reading { grid, when: When::Day(day), level: 0, rows, cols }, &mut data)?;
        Ok((lat, lon, data, unit, reader.stats()))
    })?;
    let result = PyDict::new(py);
    let shape = [lat.len(), lon.len()];
    result.set_item("data", PyArray1::from_vec(py, data).reshape(shape)?)?;
    result.set_item("lat", PyArray1::from_vec(py, lat))?;
    result.set_item("lon", PyArray1::from_vec(py, lon))?;
    result.set_item("unit", stated)?;
    let GranuleStats { bytes_read, chunks_decoded, chunk_hits, files_opened, .. } = stats;
    let counts = PyDict::new(py);
    counts.set_item("bytes_read", bytes_read)?;
    counts.set_item("chunks_decoded", chunks_decoded)?;
    counts.set_item("chunk_hits", chunk_hits)?;
    counts.set_item("files_opened", files_opened)?;
    result.set_item("stats", counts)?;
    Ok(result)
}

/// Reads point data of a local file: `values` and `pressure` float32, `lat`, `lon` and `time`
/// (days since 1970-01-01 UTC) float64, all (N,).
#[pyfunction]
#[pyo3(signature = (path, variable, unit=None))]
pub fn read_points<'py>(
    py: Python<'py>,
    path: String,
    variable: String,
    unit: Option<String>,
) -> PyResult<Bound<'py, PyDict>> {
    let points = run(py, || reader(0).points(&Location::whole(path), &variable, unit.as_deref()))?;
    let result = PyDict::new(py);
    result.set_item("values", PyArray1::from_slice(py, &points.values))?;
    result.set_item("lat", PyArray1::from_slice(py, &points.lat))?;
    result.set_item("lon", PyArray1::from_slice(py, &points.lon))?;
    result.set_item("time", PyArray1::from_slice(py, &points.time))?;
    result.set_item("pressure", PyArray1::from_slice(py, &points.pressure))?;
    Ok(result)
}
