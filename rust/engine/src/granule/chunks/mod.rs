//! Chunks on their way: fetched as they are stored, decoded, kept in memory and on a disk.

pub(in crate::granule) mod cache;
pub(in crate::granule) mod decode;
pub(in crate::granule) mod disk;
pub(in crate::granule) mod fetch;
mod tally;
