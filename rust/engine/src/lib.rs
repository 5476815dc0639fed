//! The oceanarrow engine: from a list of (where, when) queries to batches of tensors with masks.
//!
//! Data flows one way, module by module, in the order of the `pub mod` lines below:
//!
//! ```text
//!  TACO dataset                   queries, variables
//!       |                                |
//!     store --bytes--> catalog --granules--> plan --which queries, in which order--+
//!       |                                |                                         |
//!       |                                +--candidates--+                          |
//!       |                                               v                          |
//!       +--bytes--> granule --grids--> render: Recipe (what is read, how painted)  |
//!                      ^                  |        |                               |
//!                      +----- readings ---+        |                               |
//!                      |                           v                               v
//!                      +------- windows ------> paint --> collate --> export --> stream --> Python
//! ```
//!
//! A [`render::Recipe`] is made once for each (query, variable): plan it, bring its bytes, paint it.
//! `engine` makes, brings and paints them; `stream` does so batch by batch, ahead of its consumer;
//! `statistics` counts what they hold, `materialize` writes rows as a `frozen` set, which an engine reads
//! in the place of a dataset; `subset` copies and `indexing` describes the files of a dataset, `listing` makes one of files.
//!
//! The words (`calendar`, `error`, `events`, `geo`, `interrupt`, `memory`, `new_file`, `orientation`, `parallel`, `query`, `unit`, `variable`) may be used by every
//! stage. A stage imports only words and the stages it consumes.

pub mod error;
pub mod events;
pub mod geo;
pub mod interrupt;
pub mod memory;
pub mod new_file;
pub mod orientation;
pub mod parallel;
pub mod query;
pub mod unit;
pub mod variable;

pub mod store;

pub mod calendar;
pub mod catalog;

pub mod plan;

pub mod granule;

pub mod render;

pub mod collate;

pub mod export;

pub mod frozen;

pub mod engine;

pub mod stream;

pub mod statistics;

pub mod materialize;

pub mod subset;

pub mod indexing;

pub mod listing;
