//! Pure functions, no I/O: which files a query may need, and which queries make up which step.

mod augment;
mod candidates;
mod cluster;
mod cursor;
mod identity;
mod leaks;
mod locality;
mod order;
mod permutation;
mod reuse;
mod spec;
mod weights;

pub use augment::Augment;
pub use candidates::{Candidate, DayCandidates, PartCandidates, Selector};
pub use cluster::Clusters;
pub use cursor::Cursor;
pub use identity::{PlanDigests, Record, Value};
pub use leaks::{Gaps, Leaks, leaks};
pub use locality::{CacheItemGroups, Locality};
pub use order::{Draw, EpochOrder, Order, Sequence, Slot};
pub use permutation::{Digest, key, permute};
pub use reuse::CacheItem;
pub use spec::{DEFAULT_LANES, DEFAULT_WINDOW, OrderSpec, Tail};
pub use weights::Weights;
