//! The oceanarrow engine: from a list of (where, when) queries to batches of tensors with masks.
//!
//! Data flows one way, module by module, in the order of the `pub mod` lines below:
//!
//! ```text
//!  TACO dataset                          queries + variables
//!       |                                       |
//!     store ---- bytes ----> catalog ---- granules ----> plan ---- reads, in order ----> granule
//!       |                                                                               ^    |
//!       +--------------------------------- bytes of chunks ----------------------------+     |
//!  Python <---- Arrow <---- export <---- collate <---- render <---- windows -----------------+
//! ```
//!
//! The words (`error`, `events`, `geo`, `query`, `unit`, `variable`) may be used by every stage. A stage imports
//! only words and the stages it consumes; only `loader` wires them together.

pub mod error;
pub mod events;
pub mod geo;
pub mod query;
pub mod unit;
pub mod variable;

pub mod store;

pub mod catalog;

pub mod plan;

pub mod granule;

pub mod render;

pub mod collate;

pub mod export;

pub mod loader;
