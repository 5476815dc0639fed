//! Gridded variables and windows of their cells.

pub(in crate::granule) mod convert;
pub(in crate::granule) mod grid;
pub(in crate::granule) mod levels;
pub(in crate::granule) mod raw;
pub(in crate::granule) mod reading;
pub(in crate::granule) mod sums;
pub(in crate::granule) mod view;
pub(in crate::granule) mod window;
