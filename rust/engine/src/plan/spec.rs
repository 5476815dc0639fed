//! What fixes an order, besides the queries; and what a rank takes of a batch.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Lanes by default: 8 ranks have two each, and 16 windows mix well over days and regions.
pub const DEFAULT_LANES: u64 = 16;

/// Queries a window by default. On three years of daily regions it decodes 1.03 times what one pass
/// must, with about 200 clusters in a batch of 256.
pub const DEFAULT_WINDOW: u64 = 1024;

/// What becomes of a last batch that is not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tail {
    /// It is left out.
    Drop,
    /// It is filled up with repeated queries of weight 0.
    Pad,
    /// There is none: each lane runs on into the next epoch.
    Continue,
    /// It is delivered short, to one rank.
    Partial,
}

impl Tail {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Tail::Drop => "drop",
            Tail::Pad => "pad",
            Tail::Continue => "continue",
            Tail::Partial => "partial",
        }
    }
}

/// What fixes an order, besides the queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSpec {
    /// N, the number of queries.
    pub n: u64,
    /// G, rows of a batch over all ranks.
    pub global_batch: u64,
    /// The most lanes; see [`OrderSpec::shrunk_lanes`].
    pub lanes: u64,
    /// Queries a window: within one, the order is random.
    pub window: u64,
    /// A seed to shuffle by; `None` is the list's own order, of one lane.
    pub seed: Option<u64>,
    /// What becomes of a last batch that is not full.
    pub tail: Tail,
}

impl OrderSpec {
    /// Checks that there is something to order.
    pub fn validate(&self) -> Result<()> {
        if self.n == 0 {
            return Err(Error::invalid_input("the list of queries is empty"));
        }
        if self.n > u64::from(u32::MAX) {
            return Err(Error::invalid_input(format!(
                "{} queries are more than {}",
                self.n,
                u32::MAX
            )));
        }
        let at_least_1 =
            [("batch_size", self.global_batch), ("lanes", self.lanes), ("window", self.window)];
        for (name, value) in at_least_1 {
            // The limit keeps products of two such numbers exact.
            if value == 0 || value > u64::from(u32::MAX) {
                return Err(Error::invalid_input(format!(
                    "{name} must be at least 1 and at most {}, not {value}",
                    u32::MAX
                )));
            }
        }
        if self.tail == Tail::Drop && self.n < self.global_batch {
            return Err(Error::invalid_input(format!(
                "{} queries do not fill a batch of {} and tail=\"drop\" leaves the rest out; \
                 take a smaller batch_size, or tail=\"pad\"",
                self.n, self.global_batch
            )));
        }
        Ok(())
    }

    /// The lanes in use: the largest divisor of the global batch that is at most `lanes` and N, so
    /// that every lane has as many rows of a batch and none is empty.
    pub fn shrunk_lanes(&self) -> u64 {
        if self.seed.is_none() {
            return 1;
        }
        let most = self.lanes.min(self.n).min(self.global_batch);
        (1..=most).rev().find(|lanes| self.global_batch.is_multiple_of(*lanes)).unwrap_or(1)
    }

    /// Steps of a whole epoch, the same on every rank; `None` if it never ends.
    pub fn steps(&self) -> Option<u64> {
        match self.tail {
            Tail::Drop => Some(self.n / self.global_batch),
            Tail::Pad | Tail::Partial => Some(self.n.div_ceil(self.global_batch)),
            Tail::Continue => None,
        }
    }

    /// The rows of each batch that a rank takes. They are contiguous, so that the ranks' rows one
    /// after the other are the same batch for every world size.
    pub fn rank_rows(&self, rank: u64, world_size: u64) -> Result<Range<u64>> {
        let batch = self.global_batch;
        if world_size == 0 || !batch.is_multiple_of(world_size) {
            let valid: Vec<String> =
                (1..=batch).filter(|w| batch.is_multiple_of(*w)).map(|w| w.to_string()).collect();
            return Err(Error::invalid_input(format!(
                "world_size {world_size} does not divide the global batch of {batch}; it must be \
                 one of {}",
                valid.join(", ")
            )));
        }
        if rank >= world_size {
            return Err(Error::invalid_input(format!(
                "rank {rank} does not exist: world_size {world_size} has ranks 0 to {}",
                world_size - 1
            )));
        }
        if self.tail == Tail::Partial && world_size > 1 {
            return Err(Error::invalid_input(format!(
                "tail=\"partial\" would give the {world_size} ranks last batches of different \
                 sizes; take \"drop\" or \"pad\""
            )));
        }
        let rows = batch / world_size;
        Ok(rank * rows..(rank + 1) * rows)
    }
}
