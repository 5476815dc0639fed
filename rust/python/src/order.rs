//! `_engine.Order`: the pure functions behind the stream, for tests and adapters.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;

use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use oceanarrow_engine::error::Error;
use oceanarrow_engine::plan::{
    self, Clusters, Cursor, DEFAULT_LANES, DEFAULT_WINDOW, OrderSpec, PlanDigests, Sequence, Tail,
    Weights,
};
use oceanarrow_engine::render::RULES_VERSION;
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{raise, run};
use crate::query::queries;
use crate::request::choice;

/// The tails by name.
pub const TAILS: [(&str, Tail); 4] = [
    ("drop", Tail::Drop),
    ("pad", Tail::Pad),
    ("continue", Tail::Continue),
    ("partial", Tail::Partial),
];

/// The order of the queries in `boxes` (N, 4) float64 and `days` (N, 2) int32.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Order {
    sequence: Sequence,
    digests: PlanDigests,
}

impl Order {
    /// The order itself.
    pub fn order(&self) -> &plan::Order {
        self.sequence.order()
    }

    /// The digests of the plan, with fields of the caller's in their canonical bytes.
    pub fn digests(&self, fields: BTreeMap<String, Vec<u8>>) -> PlanDigests {
        fields.iter().fold(self.digests.clone(), |digests, (name, bytes)| digests.with(name, bytes))
    }
}

#[pymethods]
impl Order {
    #[new]
    #[pyo3(signature = (
        boxes, days, *, global_batch, seed, tail, lanes=DEFAULT_LANES, window=DEFAULT_WINDOW,
        weights=None, extra_days=0,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        boxes: PyReadonlyArray2<'_, f64>,
        days: PyReadonlyArray2<'_, i32>,
        global_batch: u64,
        seed: Option<u64>,
        tail: &str,
        lanes: u64,
        window: u64,
        weights: Option<PyReadonlyArray1<'_, f64>>,
        extra_days: u32,
    ) -> PyResult<Self> {
        let queries = queries(boxes.as_array(), days.as_array())?;
        let weights = weights.map(|weights| weights.as_array().to_vec());
        let n = queries.len() as u64;
        let spec =
            OrderSpec { n, global_batch, lanes, window, seed, tail: choice("tail", tail, &TAILS)? };
        run(py, || {
            spec.validate()?;
            let clusters = match seed {
                Some(_) => Clusters::new(&queries, extra_days)?,
                None => Clusters::list(queries.len())?,
            };
            let weights = weights.map(|w| Weights::new(&w, &clusters)).transpose()?.map(Arc::new);
            let order = plan::Order::new(spec, Arc::new(clusters), weights)?;
            let digests = PlanDigests::of_order(&order, &queries);
            Ok(Self { sequence: Sequence::new(order), digests })
        })
    }

    /// The lanes in use, at most those asked for.
    #[getter]
    fn lanes(&self) -> u64 {
        self.order().lanes()
    }

    /// Rows of a batch that come from one lane: what a step adds to the lane offset.
    #[getter]
    fn lane_rows(&self) -> u64 {
        self.order().lane_rows()
    }

    /// The positions of the queries, cluster by cluster.
    fn clusters(&self) -> Vec<Vec<usize>> {
        let clusters = self.order().clusters();
        let rows = |c| clusters.offset(c)..clusters.offset(c + 1);
        (0..clusters.len()).map(|c| rows(c).map(|row| clusters.position(row)).collect()).collect()
    }

    /// Steps left in an epoch from a lane offset on; `None` if it never ends.
    #[pyo3(signature = (lane_offset=0))]
    fn steps_left(&self, lane_offset: u64) -> Option<u64> {
        self.order().steps_left(lane_offset)
    }

    /// The epoch and lane offset after a step.
    fn advance(&self, epoch: u64, lane_offset: u64) -> (u64, u64) {
        self.order().advance(epoch, lane_offset)
    }

    /// A rank's rows of the batch at a lane offset: queries (B,) int64 and padded (B,) bool.
    #[pyo3(signature = (epoch, lane_offset, rank=0, world_size=1))]
    #[allow(clippy::type_complexity)]
    fn slots<'py>(
        &self,
        py: Python<'py>,
        epoch: u64,
        lane_offset: u64,
        rank: u64,
        world_size: u64,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<bool>>)> {
        let slots = run(py, || {
            let rows = self.order().spec().rank_rows(rank, world_size)?;
            Ok(self.sequence.slots(epoch, lane_offset, rows))
        })?;
        let queries = slots.iter().map(|slot| slot.query as i64);
        let padded = slots.iter().map(|slot| slot.padded);
        Ok((PyArray1::from_iter(py, queries), PyArray1::from_iter(py, padded)))
    }

    /// One name for the whole plan.
    fn plan_id(&self, fields: BTreeMap<String, Vec<u8>>) -> String {
        self.digests(fields).plan_id()
    }

    /// The state before the step at a lane offset, as JSON.
    fn state(
        &self,
        epoch: u64,
        lane_offset: u64,
        fields: BTreeMap<String, Vec<u8>>,
    ) -> PyResult<String> {
        Cursor::new(self.order(), &self.digests(fields), RULES_VERSION, epoch, lane_offset)
            .to_json()
            .map_err(raise)
    }

    /// The order to go on with, the epoch and the lane offset of a state; warns where values of
    /// the same plan may have changed since.
    fn resume(
        &self,
        py: Python<'_>,
        state: &str,
        fields: BTreeMap<String, Vec<u8>>,
    ) -> PyResult<(Self, u64, u64)> {
        let cursor = Cursor::from_json(state).map_err(raise)?;
        let order = cursor.resume(self.order(), &self.digests(fields)).map_err(raise)?;
        if cursor.rules != RULES_VERSION {
            warn_of_rules(py, cursor.rules)?;
        }
        let resumed = Self { sequence: Sequence::new(order), digests: self.digests.clone() };
        Ok((resumed, cursor.epoch, cursor.lane_offset))
    }

    /// The predicted cost of an epoch in clusters, each rank keeping its `cache` latest.
    #[pyo3(signature = (world_size, cache, most_steps=u64::MAX))]
    fn locality<'py>(
        &self,
        py: Python<'py>,
        world_size: u64,
        cache: u64,
        most_steps: u64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let cost = run(py, || self.order().locality(world_size, cache, most_steps))?;
        let dict = PyDict::new(py);
        dict.set_item("steps", cost.steps)?;
        dict.set_item("decodes", cost.decodes)?;
        dict.set_item("distinct", cost.distinct)?;
        dict.set_item("amplification", cost.amplification)?;
        dict.set_item("distinct_a_batch", cost.distinct_a_batch)?;
        dict.set_item("wanted_clusters", self.order().wanted_clusters(world_size))?;
        Ok(dict)
    }
}

/// Names the caller of `load_state_dict`.
fn warn_of_rules(py: Python<'_>, saved: u32) -> PyResult<()> {
    let message = CString::new(format!(
        "the state was saved under rules version {saved} and this release has {RULES_VERSION}: the \
         order goes on as it was, but some values may differ from those before the interruption"
    ))?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 2)
}

/// One name for what decides the values of rows, of the digests of its fields.
#[pyfunction]
pub fn content_id(fields: BTreeMap<String, String>) -> String {
    PlanDigests::of_fields(fields).content_id()
}

/// The 64-bit key of a tag and numbers.
#[pyfunction]
pub fn order_key(tag: &str, numbers: Vec<u64>) -> u64 {
    plan::key(tag, &numbers)
}

/// The keyed permutation of 0..n at `i`, which must be less than `n`.
#[pyfunction]
pub fn order_permute(i: u64, n: u64, key: u64) -> PyResult<u64> {
    if i >= n {
        return Err(raise(Error::invalid_input(format!("{i} is not less than {n}"))));
    }
    Ok(plan::permute(i, n, key))
}
