//! Runs the stages: one sample at a time, or batches ahead of their consumer on a thread pool.

mod cost;
mod decode_ahead;
mod download;
mod engine;
mod indexing;
mod known;
mod plan;
mod prefetch;
mod stream;
mod subset;
mod telemetry;
mod transfer;

pub use cost::Cost;
pub use engine::{Engine, Sample, SampleColumn};
pub use indexing::{Indexed, write_index};
pub use plan::{OnError, Options, Plan, Request};
pub use stream::{Poll, Stream, StreamOptions};
pub use subset::{Subset, SubsetGranule};
pub use telemetry::Stats;
pub use transfer::{Progress, Transfer};
