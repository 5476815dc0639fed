//! Where a run stands, in a few numbers that any other run of the same plan understands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::order::Order;
use super::permutation::Digest;
use crate::error::{Error, Result};
use crate::query::Query;

/// The version of the state, and of the order that it points into.
const VERSION: u32 = 1;

/// Beyond this, a lane offset is no position of any run (and JSON numbers are not exact).
const LARGEST_OFFSET: u64 = 1 << 53;

/// A digest of each field of a plan, so that a mismatch can name the field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanDigests(BTreeMap<String, String>);

impl PlanDigests {
    /// The digests of an order. The batch size and the number of lanes may change within a run, the
    /// ranks even more so: they are no fields.
    pub fn of_order(order: &Order) -> Self {
        let spec = order.spec();
        let seed = spec.seed.map_or(Vec::new(), |seed| seed.to_le_bytes().to_vec());
        Self::default()
            .with("seed", &seed)
            .with("window", &if spec.seed.is_some() { spec.window } else { 1 }.to_le_bytes())
            .with("tail", spec.tail.name().as_bytes())
            .with("weights", &order.weights_digest())
    }

    /// Adds the list of queries.
    #[must_use]
    pub fn with_queries(self, queries: &[Query]) -> Self {
        let digest = queries.iter().fold(Digest::new("queries"), |digest, q| {
            let edges = [q.lon_min, q.lon_max, q.lat_min, q.lat_max];
            let digest = edges.iter().fold(digest, |d, edge| d.field(&edge.to_le_bytes()));
            digest.field(&q.day_start.to_le_bytes()).field(&q.day_end.to_le_bytes())
        });
        self.insert("queries", &digest)
    }

    /// Adds a field.
    #[must_use]
    pub fn with(self, name: &str, bytes: &[u8]) -> Self {
        self.insert(name, &Digest::new(name).field(bytes))
    }

    fn insert(mut self, name: &str, digest: &Digest) -> Self {
        self.0.insert(name.to_owned(), hex(digest));
        self
    }

    /// One name for the whole plan, 16 hexadecimal digits.
    pub fn plan_id(&self) -> String {
        let digest = self.0.iter().fold(Digest::new("plan"), |digest, (name, value)| {
            digest.field(name.as_bytes()).field(value.as_bytes())
        });
        hex(&digest)
    }

    /// The fields in which two plans differ.
    fn differing(&self, other: &PlanDigests) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().chain(other.0.keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.0.get(name) != other.0.get(name));
        names
    }
}

fn hex(digest: &Digest) -> String {
    digest.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a run stands: identical on all ranks, free of their number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    v: u32,
    /// The epoch; with tail "continue", the one that the run began with.
    pub epoch: u64,
    /// Queries that every lane has handed out.
    pub lane_offset: u64,
    /// The lanes in use.
    pub lanes: u64,
    digests: PlanDigests,
}

impl Cursor {
    /// A cursor before the step at `lane_offset`.
    pub fn new(order: &Order, digests: &PlanDigests, epoch: u64, lane_offset: u64) -> Self {
        let lanes = order.lanes();
        Self { v: VERSION, epoch, lane_offset, lanes, digests: digests.clone() }
    }

    /// As JSON, less than 512 bytes.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::internal(format!("cannot write the state: {e}")))
    }

    /// Out of JSON.
    pub fn from_json(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let unreadable = |e| Error::invalid_input(format!("not a state of a loader: {e}"));
        let Version { v } = serde_json::from_str(json).map_err(unreadable)?;
        if v != VERSION {
            return Err(Error::invalid_input(format!(
                "the state has version {v}; this release reads version {VERSION}"
            )));
        }
        let cursor: Self = serde_json::from_str(json).map_err(unreadable)?;
        if cursor.epoch > LARGEST_OFFSET || cursor.lane_offset > LARGEST_OFFSET {
            return Err(Error::invalid_input("not a state of a loader: its position is too large"));
        }
        Ok(cursor)
    }

    /// The order to go on with: that of this run, with the lanes of the state.
    pub fn resume(&self, order: &Order, digests: &PlanDigests) -> Result<Order> {
        let differing = self.digests.differing(digests);
        if !differing.is_empty() {
            return Err(Error::plan_mismatch(format!(
                "the state belongs to another plan: {} differ{}; build the loader with the \
                 arguments of the run that saved it",
                differing.join(", "),
                if differing.len() == 1 { "s" } else { "" }
            )));
        }
        order.with_lanes(self.lanes)
    }
}
