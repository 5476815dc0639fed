//! Where a run stands, in a few numbers that any other run of the same plan understands.

use serde::{Deserialize, Serialize};

use super::identity::PlanDigests;
use super::order::Order;
use crate::error::{Error, Result};

/// The version of the state, of the order that it points into, and of the encoding of the plan. The
/// digests of version 1 were taken over the engine's own structs.
const VERSION: u32 = 2;

/// Beyond this, a lane offset is no position of any run (and JSON numbers are not exact).
const LARGEST_OFFSET: u64 = 1 << 53;

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
    /// The version of the rules that values were rendered by.
    pub rules: u32,
    digests: PlanDigests,
}

impl Cursor {
    /// A cursor before the step at `lane_offset`.
    pub fn new(
        order: &Order,
        digests: &PlanDigests,
        rules: u32,
        epoch: u64,
        lane_offset: u64,
    ) -> Self {
        let (lanes, digests) = (order.lanes(), digests.clone());
        Self { v: VERSION, epoch, lane_offset, lanes, rules, digests }
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
            let cure = if v < VERSION {
                "an older release saved it; finish the epoch with that release, or begin one here \
                 with set_epoch"
            } else {
                "a newer release saved it; install that one"
            };
            return Err(Error::invalid_input(format!(
                "the state has version {v}, and this release reads version {VERSION}: {cure}"
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
