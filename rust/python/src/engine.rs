//! `_engine.Engine`: a plan and its caches, made anew in every process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray2};
use oceanarrow_engine::engine::{
    self, CellCounts, CoarseCells, OnError, Options, SampleColumn, Setup,
};
use oceanarrow_engine::error::Error;
use oceanarrow_engine::granule::Selection;
use oceanarrow_engine::parallel;
use oceanarrow_engine::plan::{Augment, PlanDigests, Record, Value};
use oceanarrow_engine::render::{NativePatch, PointRow};
use oceanarrow_engine::store::{DiskCacheOptions, Store};
use oceanarrow_engine::stream::{self, StreamOptions};
use oceanarrow_engine::subset;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::augment::{Augmentation, augment_fields};
use crate::error::{raise, run};
use crate::options;
use crate::order::Order;
use crate::query::queries;
use crate::request::{Request, choice, rendering_fields, variable_fields};
use crate::schema::{FieldRow, fields};
use crate::stream::Stream;
use crate::subset::Subset;

type Axes<'py> = (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>);

/// A setup and its caches. Pickles as the setup; a forked child gets caches of its own.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Engine {
    /// The engine and the process it belongs to. Locked only while the GIL is held and never across
    /// a call, so that no other thread can hold it when a process forks.
    state: Mutex<(u32, Arc<engine::Engine>)>,
}

impl Engine {
    /// Wraps an engine of this process.
    pub fn new(engine: engine::Engine) -> Self {
        Self { state: Mutex::new((std::process::id(), Arc::new(engine))) }
    }

    /// This process's engine.
    pub fn engine(&self) -> Arc<engine::Engine> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = std::process::id();
        if state.0 != pid {
            // Locks inside the inherited one may be held by threads that the child does not have.
            let fresh = Arc::new(engine::Engine::new(state.1.setup().clone()));
            std::mem::forget(std::mem::replace(&mut state.1, fresh));
            state.0 = pid;
        }
        state.1.clone()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let (pid, engine) = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if *pid != std::process::id() {
            // Its threads exist in the parent only; joining them here would wait for ever.
            std::mem::forget(engine.clone());
        }
    }
}

#[pymethods]
impl Engine {
    /// Opens the catalog and plans: `boxes` (N, 4) float64 lon_min, lon_max, lat_min, lat_max;
    /// `days` (N, 2) int32 first and last day since 1970-01-01.
    /// `disk_cache`: directory and budget of a disk cache; `index`: path of an index of the dataset.
    #[staticmethod]
    #[pyo3(signature = (roots, boxes, days, requests, *, on_error, support, cache_bytes,
                        disk_cache = None, memory_limit = None, index = None,
                        storage_options = None, land = None, augment = None))]
    #[allow(clippy::too_many_arguments)]
    fn open(
        py: Python<'_>,
        roots: Vec<String>,
        boxes: PyReadonlyArray2<'_, f64>,
        days: PyReadonlyArray2<'_, i32>,
        requests: Vec<PyRef<'_, Request>>,
        on_error: &str,
        support: bool,
        cache_bytes: usize,
        disk_cache: Option<(String, u64)>,
        memory_limit: Option<u64>,
        index: Option<String>,
        storage_options: Option<Bound<'_, PyAny>>,
        land: Option<Vec<u8>>,
        augment: Option<Augmentation>,
    ) -> PyResult<Self> {
        let on_error =
            choice("on_error", on_error, &[("raise", OnError::Raise), ("mask", OnError::Mask)])?;
        let queries = queries(boxes.as_array(), days.as_array())?;
        let requests = requests.iter().map(|r| r.inner.clone()).collect();
        let disk_cache = disk_cache.map(|(path, budget)| DiskCacheOptions { path, budget });
        let augment = augment.map(Augment::from);
        let options = Options {
            on_error,
            support,
            cache_bytes,
            disk_cache,
            memory_limit,
            index,
            augment,
            land,
        };
        let storage = options::storage_options(storage_options.as_ref())?;
        let opened = run(py, || {
            let storage = storage.resolve(&roots)?;
            let store = Arc::new(Store::new(&storage));
            let plan = Setup::open(&store, storage, &roots, queries, requests, options)?;
            Ok(engine::Engine::with_store(plan, store))
        })?;
        Ok(Self::new(opened))
    }

    /// Restores a pickled engine.
    #[staticmethod]
    fn _restore(plan: &[u8]) -> PyResult<Self> {
        postcard::from_bytes(plan)
            .map(|plan| Self::new(engine::Engine::new(plan)))
            .map_err(|e| raise(Error::invalid_input(format!("not a pickled engine: {e}"))))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let engine = slf.get().engine();
        let bytes = py
            .detach(|| postcard::to_stdvec(engine.setup()))
            .map_err(|e| raise(Error::internal(format!("cannot pickle the engine: {e}"))))?;
        let restore = slf.get_type().getattr("_restore")?;
        Ok((restore, PyTuple::new(py, [PyBytes::new(py, &bytes)])?))
    }

    /// Whether its rows were rendered before.
    #[getter]
    fn is_frozen(&self) -> bool {
        self.engine().setup().frozen.is_some()
    }

    /// The number of queries.
    fn __len__(&self) -> usize {
        self.engine().setup().queries.len()
    }

    /// Renders one sample: a column a request (`None` where no file covers the query) and the number
    /// of files read. `shapes` gives the pixels of each request, `None` its native cells.
    fn sample<'py>(
        &self,
        py: Python<'py>,
        index: usize,
        shapes: Vec<Option<(usize, usize)>>,
    ) -> PyResult<(Vec<Option<Bound<'py, PyTuple>>>, usize)> {
        let engine = self.engine();
        let sample = run(py, || engine.sample(index, &shapes))?;
        let columns = sample
            .columns
            .into_iter()
            .zip(&engine.setup().requests)
            .map(|(column, request)| {
                column
                    .map(|column| match column {
                        SampleColumn::Grid(patch) => grid_arrays(py, patch, request),
                        SampleColumn::Points(row) => point_arrays(py, row),
                    })
                    .transpose()
            })
            .collect::<PyResult<_>>()?;
        Ok((columns, sample.n_files))
    }

    /// What a plan consists of besides the queries and their order: canonical bytes by name
    /// (`docs/reference/identity.md`).
    fn plan_fields(&self) -> BTreeMap<&'static str, Vec<u8>> {
        let engine = self.engine();
        let requests = &engine.setup().requests;
        let list = |record: fn(&engine::Request) -> Record<'_>| {
            Value::List(requests.iter().map(|r| Value::Record(record(r))).collect()).bytes()
        };
        let mut fields = BTreeMap::from([
            ("variables", list(variable_fields)),
            ("rendering", list(rendering_fields)),
        ]);
        if let Some(augment) = &engine.setup().options.augment {
            fields.insert("augment", Value::Record(augment_fields(augment)).bytes());
        }
        fields
    }

    /// What decides the values of rows, field by field: digests, of which `content_id` is one.
    fn content(&self, py: Python<'_>) -> BTreeMap<String, String> {
        let engine = self.engine();
        let fields = self.plan_fields();
        py.detach(|| {
            let setup = engine.setup();
            let digests = fields
                .iter()
                .fold(PlanDigests::of_queries(&setup.queries), |d, (name, bytes)| {
                    d.with(name, bytes)
                })
                .with("dataset", &Value::Record(setup.dataset_fields()).bytes())
                .with("delivery", &Value::Record(setup.delivery_fields()).bytes());
            digests.by_field().clone()
        })
    }

    /// The axes of each file of a request on the first day that has one: latitudes and longitudes in
    /// degrees, strictly ascending. Only metadata are read.
    fn axes<'py>(&self, py: Python<'py>, request: usize) -> PyResult<Vec<Axes<'py>>> {
        let engine = self.engine();
        let axes = run(py, || engine.axes(request))?;
        let arrays = |(lat, lon)| (PyArray1::from_vec(py, lat), PyArray1::from_vec(py, lon));
        Ok(axes.into_iter().map(arrays).collect())
    }

    /// Starts a stream: steps `first_step`, `first_step + stride`, ... counted from `lane_offset`.
    #[pyo3(signature = (order, fields, *, epoch, lane_offset, rank, world_size, first_step, stride,
                        threads, local_ranks, prefetch_bytes, end_step = None))]
    #[allow(clippy::too_many_arguments)]
    fn stream(
        &self,
        py: Python<'_>,
        order: PyRef<'_, Order>,
        fields: BTreeMap<String, Vec<u8>>,
        epoch: u64,
        lane_offset: u64,
        rank: u64,
        world_size: u64,
        first_step: u64,
        stride: u64,
        threads: Option<usize>,
        local_ranks: u64,
        prefetch_bytes: usize,
        end_step: Option<u64>,
    ) -> PyResult<Stream> {
        let engine = self.engine();
        let rows = order.order().spec().rank_rows(rank, world_size).map_err(raise)?;
        let options = StreamOptions {
            order: order.order().clone(),
            digests: order.digests(fields),
            epoch,
            lane_offset,
            rows,
            first_step,
            end_step,
            stride,
            threads,
            local_ranks,
            prefetch_bytes,
        };
        run(py, || stream::Stream::new(engine, options)).map(Stream::new)
    }

    /// Checks that the batches of a stream fit the memory: those made ahead, and the one in use.
    #[pyo3(signature = (order, *, rank, world_size, threads, local_ranks, prefetch_bytes))]
    #[allow(clippy::too_many_arguments)]
    fn check_memory(
        &self,
        order: PyRef<'_, Order>,
        rank: u64,
        world_size: u64,
        threads: Option<usize>,
        local_ranks: u64,
        prefetch_bytes: usize,
    ) -> PyResult<()> {
        let rows = order.order().spec().rank_rows(rank, world_size).map_err(raise)?;
        let options = StreamOptions {
            order: order.order().clone(),
            digests: order.digests(BTreeMap::new()),
            epoch: 0,
            lane_offset: 0,
            rows,
            first_step: 0,
            end_step: None,
            stride: 1,
            threads,
            local_ranks,
            prefetch_bytes,
        };
        options.check_memory(&self.engine()).map_err(raise)
    }

    /// The days of the dataset that have a granule, since 1970-01-01, ascending: (D,) int32.
    fn days<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        PyArray1::from_slice(py, &self.engine().setup().days)
    }

    /// The predicted cost of an epoch; `cache_bytes` is by default this engine's.
    fn cost<'py>(
        &self,
        py: Python<'py>,
        order: PyRef<'_, Order>,
        world_size: u64,
        cache_bytes: Option<u64>,
        most_steps: u64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (engine, order) = (self.engine(), order.order().clone());
        let cache_bytes = cache_bytes.unwrap_or(engine.setup().options.cache_bytes as u64);
        let cost = run(py, || engine.cost(&order, world_size, cache_bytes, most_steps))?;
        let locality = cost.locality;
        let dict = PyDict::new(py);
        dict.set_item("cache_bytes", cache_bytes)?;
        dict.set_item("steps", locality.steps)?;
        dict.set_item("decodes", locality.decodes)?;
        dict.set_item("decoded_bytes", locality.decoded_size)?;
        dict.set_item("read_bytes", locality.read_size)?;
        dict.set_item("least_decodes", locality.least_decodes)?;
        dict.set_item("distinct", locality.distinct)?;
        dict.set_item("distinct_bytes", locality.distinct_size)?;
        dict.set_item("amplification", locality.amplification)?;
        dict.set_item("chunks_per_batch", locality.distinct_a_batch)?;
        dict.set_item("clusters_per_batch", locality.clusters_a_batch)?;
        dict.set_item("needed_cache_bytes", locality.needed_cache)?;
        dict.set_item("batch_bytes", cost.batch_bytes)?;
        Ok(dict)
    }

    /// For each request (by number) and each of `days` (since 1970-01-01), what tells its files and
    /// their state from others: a text, or None where there is no file. Returns [request][day].
    fn states(&self, py: Python<'_>, days: Vec<i32>) -> PyResult<Vec<Vec<Option<String>>>> {
        let engine = self.engine();
        run(py, || {
            let of = |request| days.iter().map(|&day| engine.state_on(request, day)).collect();
            (0..engine.setup().requests.len()).map(of).collect()
        })
    }

    /// Counts cells and valid cells by coarse cells of `side` degrees, of each (request, day) of
    /// `tasks`: two arrays (rows, columns) uint32, or the error.
    fn coverage<'py>(
        &self,
        py: Python<'py>,
        tasks: Vec<(usize, i32)>,
        side: f64,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let engine = self.engine();
        let coarse = CoarseCells::new(side).map_err(raise)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut counted = Vec::with_capacity(tasks.len());
        let mut take = |_, counts| {
            counted.push(counts);
            Ok(())
        };
        run(py, || {
            let count = |&(request, day): &(usize, i32)| engine.coverage_on(request, day, coarse);
            parallel::in_order(&tasks, threads, count, &mut take, |_| Ok(()))
        })?;
        let shape = [coarse.rows, coarse.columns];
        let array = |counts: Vec<u32>| PyArray1::from_vec(py, counts).reshape(shape);
        let arrays = |counts: Result<CellCounts, Error>| match counts {
            Ok(counts) => (array(counts.cells)?, array(counts.valid)?).into_bound_py_any(py),
            Err(error) => Ok(raise(error).into_value(py).into_bound(py).into_any()),
        };
        counted.into_iter().map(arrays).collect()
    }

    /// Roots of the dataset as they are kept, with a branch pinned to its commit.
    fn pinned(&self, py: Python<'_>, roots: Vec<String>) -> PyResult<Vec<String>> {
        let engine = self.engine();
        run(py, || engine.pinned(&roots))
    }

    /// The name of a variable, and the files that it is read from for a query.
    fn files_of(&self, query: usize, request: usize) -> PyResult<(String, Vec<String>)> {
        self.engine().files_of(query, request).map_err(raise)
    }

    /// The granules that the engine would open for any of its queries.
    fn subset(&self, py: Python<'_>) -> PyResult<Subset> {
        let engine = self.engine();
        run(py, || subset::Subset::of(engine)).map(Subset::new)
    }

    /// Names of the columns of the batches.
    #[getter]
    fn column_names(&self) -> PyResult<Vec<String>> {
        let schema = self.engine().schema([]).map_err(raise)?;
        Ok(schema.fields().iter().map(|f| f.name().clone()).collect())
    }

    /// The columns of the batches: see `Batch.fields`.
    fn fields(&self) -> PyResult<Vec<FieldRow>> {
        fields(&self.engine().schema([]).map_err(raise)?)
    }

    /// The schema's metadata.
    #[getter]
    fn metadata(&self) -> PyResult<HashMap<String, String>> {
        Ok(self.engine().schema([]).map_err(raise)?.metadata().clone())
    }

    /// The schema of the batches, as an Arrow C schema capsule.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let schema = self.engine().schema([]).map_err(raise)?;
        to_schema_pycapsule(py, &schema)
    }

    /// What the engine has done in this process.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let engine = self.engine();
        let stats = engine.stats();
        let dict = PyDict::new(py);
        dict.set_item("samples", stats.samples)?;
        dict.set_item("recipes", stats.recipes)?;
        dict.set_item("recipe_seconds", stats.recipe_seconds)?;
        dict.set_item("bytes_read", stats.granule.bytes_read)?;
        dict.set_item("chunks_decoded", stats.granule.chunks_decoded)?;
        dict.set_item("chunks_distinct", stats.granule.chunks_distinct)?;
        dict.set_item("chunk_hits", stats.granule.chunk_hits)?;
        dict.set_item("files_opened", stats.granule.files_opened)?;
        dict.set_item("index_hits", stats.granule.index_hits)?;
        dict.set_item("index_failure", stats.index_failure)?;
        let requests = &engine.setup().requests;
        // A variable may be a channel of several tensors.
        let mut seconds: BTreeMap<&str, f64> = BTreeMap::new();
        for (request, taken) in requests.iter().zip(stats.seconds) {
            *seconds.entry(&request.variable.name).or_default() += taken;
        }
        dict.set_item("seconds", seconds)?;
        dict.set_item("disk_blocks_read", stats.disk_cache.blocks_read)?;
        dict.set_item("disk_blocks_damaged", stats.disk_cache.blocks_damaged)?;
        dict.set_item("disk_bytes_written", stats.disk_cache.bytes_written)?;
        dict.set_item("disk_cache_failure", stats.disk_cache.failure)?;
        dict.set_item("requests", stats.traffic.requests)?;
        dict.set_item("retries", stats.traffic.retries)?;
        dict.set_item("network_bytes", stats.traffic.bytes)?;
        dict.set_item("masked", stats.masked)?;
        dict.set_item("unreadable", stats.unreadable)?;
        Ok(dict)
    }
}

/// (values (T, H, W), mask (T, H, W), lats (H,), lons (W,)).
fn grid_arrays<'py>(
    py: Python<'py>,
    patch: NativePatch,
    request: &engine::Request,
) -> PyResult<Bound<'py, PyTuple>> {
    let (planes, h, w) = patch.shape;
    let levels = Selection::levels(&request.selections);
    let days = request.is_stacked().then(|| planes / levels.unwrap_or(1).max(1));
    let shape: Vec<usize> = days.into_iter().chain(levels).chain([h, w]).collect();
    let values = PyArray1::from_vec(py, patch.values).reshape(shape.clone())?;
    let mask = PyArray1::from_vec(py, patch.mask).reshape(shape)?;
    let (lats, lons) = (PyArray1::from_vec(py, patch.lat), PyArray1::from_vec(py, patch.lon));
    (values, mask, lats, lons).into_pyobject(py)
}

/// (values, lats, lons, times, pressures), (N,) each.
fn point_arrays<'py>(py: Python<'py>, row: PointRow) -> PyResult<Bound<'py, PyTuple>> {
    let f32s = |values: Vec<f32>| PyArray1::from_vec(py, values);
    let times = PyArray1::from_vec(py, row.time);
    (f32s(row.values), f32s(row.lat), f32s(row.lon), times, f32s(row.pressure)).into_pyobject(py)
}
