//! What a file is made of: metadata of either kind of NetCDF, stored arrays, the filters of their
//! chunks.

pub(in crate::granule) mod array;
pub(in crate::granule) mod attribute;
pub(in crate::granule) mod blocks;
mod classic;
pub(in crate::granule) mod file;
pub(in crate::granule) mod filters;
mod hdf5;
