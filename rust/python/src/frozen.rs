//! Frozen sets: writing shards, engines of them, and the digests of rows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2};
use oceanarrow_engine::engine::{self, OnError, Options, Setup};
use oceanarrow_engine::frozen::{self, FrozenSet};
use oceanarrow_engine::materialize::{self, Format};
use oceanarrow_engine::plan::Augment;
use oceanarrow_engine::stream::StreamOptions;
use pyo3::prelude::*;

use crate::augment::Augmentation;
use crate::batch::Batch;
use crate::engine::Engine;
use crate::error::raise;
use crate::order::Order;
use crate::progress;
use crate::query::queries;
use crate::request::Request;

/// An engine of rows that were rendered before, in shards of `shard_rows` rows.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
#[pyo3(signature = (shards, shard_rows, content_id, boxes, days, requests, *, support, memory_limit,
                    augment))]
pub fn open_frozen(
    py: Python<'_>,
    shards: Vec<String>,
    shard_rows: u64,
    content_id: String,
    boxes: PyReadonlyArray2<'_, f64>,
    days: PyReadonlyArray2<'_, i32>,
    requests: Vec<PyRef<'_, Request>>,
    support: bool,
    memory_limit: Option<u64>,
    augment: Option<Augmentation>,
) -> PyResult<Engine> {
    let queries = queries(boxes.as_array(), days.as_array())?;
    let requests = requests.iter().map(|r| r.inner.clone()).collect();
    let options = Options {
        on_error: OnError::Raise,
        support,
        cache_bytes: 0,
        disk_cache: None,
        memory_limit,
        index: None,
        augment: augment.map(Augment::from),
        land: None,
    };
    let set = FrozenSet { shards, shard_rows, content_id };
    let setup = Setup::of_frozen(set, queries, requests, options);
    Ok(Engine::new(py.detach(|| engine::Engine::new(setup))))
}

/// The digests of a batch of an engine's: (rows, variables) uint64.
#[pyfunction]
pub fn cell_digests<'py>(
    py: Python<'py>,
    engine: PyRef<'py, Engine>,
    batch: PyRef<'py, Batch>,
) -> PyResult<Bound<'py, PyArray2<u64>>> {
    let columns = engine.engine().setup().columns().map_err(raise)?;
    let batch = batch.record_batch();
    let digests = py.detach(|| frozen::cell_digests(&columns, batch)).map_err(raise)?;
    PyArray1::from_vec(py, digests).reshape([batch.num_rows(), columns.members.len()])
}

/// Writes rows `rows` of an engine's list, in blocks of the order's batches, into a new file; returns
/// its bytes. `features`: None for Arrow, else what a Parquet file says its columns are.
#[pyfunction]
#[pyo3(signature = (engine, path, order, rows, *, content_id, features, compressed, threads,
                    prefetch_bytes, report))]
#[allow(clippy::too_many_arguments)]
pub fn write_shard(
    py: Python<'_>,
    engine: PyRef<'_, Engine>,
    path: PathBuf,
    order: PyRef<'_, Order>,
    rows: (u64, u64),
    content_id: &str,
    features: Option<String>,
    compressed: bool,
    threads: Option<usize>,
    prefetch_bytes: usize,
    report: Py<PyAny>,
) -> PyResult<u64> {
    let engine = engine.engine();
    let block = order.order().spec().global_batch;
    let options = StreamOptions {
        order: order.order().clone(),
        digests: order.digests(BTreeMap::new()),
        epoch: 0,
        lane_offset: rows.0,
        rows: 0..block,
        first_step: 0,
        end_step: Some(rows.1.saturating_sub(rows.0).div_ceil(block)),
        stride: 1,
        threads,
        local_ranks: 1,
        prefetch_bytes,
    };
    let format =
        features.map_or(Format::Arrow, |features| Format::Parquet { compressed, features });
    progress::reporting(py, &report, |report| {
        let written = |rows| report(rows, 0);
        materialize::write_shard(&engine, options, &path, &format, content_id, written)
    })
}
