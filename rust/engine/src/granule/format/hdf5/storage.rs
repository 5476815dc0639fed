//! A file's blocks as hdf5-reader reads them, and its errors as the engine's.

use std::io;
use std::sync::Arc;

use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{Storage, StorageBuffer};

use crate::error::Error;
use crate::granule::format::blocks::Blocks;

impl Storage for Blocks {
    fn len(&self) -> u64 {
        self.length()
    }

    fn read_range(&self, offset: u64, len: usize) -> hdf5_reader::error::Result<StorageBuffer> {
        match self.read(offset, len) {
            Ok(Some(bytes)) => StorageBuffer::from_shared_owner(Arc::new(bytes), 0, len),
            Ok(None) => Err(Hdf5Error::UnexpectedEof {
                offset,
                needed: len as u64,
                available: self.length().saturating_sub(offset),
            }),
            Err(error) => Err(Hdf5Error::Io(io::Error::other(error))),
        }
    }
}

/// The engine's error for one of hdf5-reader's.
pub(super) fn explain(blocks: &Blocks, error: &Hdf5Error) -> Error {
    if let Err(failure) = blocks.healthy() {
        return failure;
    }
    let explained = match root_cause(error) {
        Hdf5Error::InvalidMagic => Error::corrupt(
            "this is not a NetCDF file (neither HDF5 nor a classic one), or its start is damaged",
        ),
        Hdf5Error::UnsupportedLayoutClass(3) => Error::unsupported("virtual datasets are not read"),
        Hdf5Error::UnsupportedSuperblockVersion(_)
        | Hdf5Error::UnsupportedDatatypeClass(_)
        | Hdf5Error::UnsupportedLayoutClass(_)
        | Hdf5Error::UnsupportedLayoutVersion(_)
        | Hdf5Error::UnsupportedChunkIndexType(_)
        | Hdf5Error::UnsupportedEncoding(_)
        | Hdf5Error::UnsupportedFilter(_) => Error::unsupported(error.to_string()),
        _ => Error::corrupt(format!("the file's structure is damaged: {error}")),
    };
    explained.asset(blocks.location())
}

fn root_cause(error: &Hdf5Error) -> &Hdf5Error {
    match error {
        Hdf5Error::Context { source, .. } => root_cause(source),
        other => other,
    }
}
