//! What a file is made of: HDF5 metadata, stored arrays, the filters of their chunks.

pub(in crate::granule) mod array;
pub(in crate::granule) mod filters;
pub(in crate::granule) mod hdf5;
