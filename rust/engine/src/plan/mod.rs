//! Pure functions, no I/O: which files a query may need, and which queries make up which step.

mod candidates;
mod order;

pub use candidates::{Candidate, DayCandidates, Selector};
pub use order::{Order, Slot, Tail};
