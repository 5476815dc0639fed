//! What the CF conventions say of a variable: packing, axes, coordinates, time, flags.

pub(in crate::granule) mod axes;
pub(in crate::granule) mod coordinates;
pub(in crate::granule) mod flags;
pub(in crate::granule) mod packing;
pub(in crate::granule) mod time;
