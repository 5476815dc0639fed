//! Metadata bytes of one file, fetched in blocks and kept while the file is being opened.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{Storage, StorageBuffer};

use crate::error::{Error, Result};
use crate::store::{ByteSource, Location};

/// Object headers, and all the index of few-chunk files, lie within the first bytes.
const PREFIX: u64 = 16 << 10;

/// Nodes of a chunk index lie scattered among the chunks.
const BLOCK: u64 = 4 << 10;

/// A file's metadata bytes.
pub(in crate::granule) struct Blocks {
    source: Arc<dyn ByteSource>,
    location: Location,
    length: u64,
    bytes_read: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocks: HashMap<u64, Bytes>,
    /// hdf5-reader leaves out what it cannot read in some places; a failed read must not pass for
    /// a missing attribute.
    failure: Option<Error>,
}

impl Blocks {
    pub(in crate::granule) fn new(
        source: Arc<dyn ByteSource>,
        location: Location,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self> {
        let length = source.size(&location)?;
        Ok(Self { source, location, length, bytes_read, state: Mutex::default() })
    }

    pub(in crate::granule) fn location(&self) -> &Location {
        &self.location
    }

    /// The first failure to read, if any.
    pub(in crate::granule) fn healthy(&self) -> Result<()> {
        self.lock().failure.clone().map_or(Ok(()), Err)
    }

    /// The engine's error for one of hdf5-reader's.
    pub(in crate::granule) fn explain(&self, error: &Hdf5Error) -> Error {
        if let Err(failure) = self.healthy() {
            return failure;
        }
        let explained = match root_cause(error) {
            Hdf5Error::InvalidMagic => {
                Error::corrupt("this is not an HDF5 (NetCDF4) file, or its start is damaged")
            }
            Hdf5Error::UnsupportedLayoutClass(3) => {
                Error::unsupported("virtual datasets are not read")
            }
            Hdf5Error::UnsupportedSuperblockVersion(_)
            | Hdf5Error::UnsupportedDatatypeClass(_)
            | Hdf5Error::UnsupportedLayoutClass(_)
            | Hdf5Error::UnsupportedLayoutVersion(_)
            | Hdf5Error::UnsupportedChunkIndexType(_)
            | Hdf5Error::UnsupportedEncoding(_)
            | Hdf5Error::UnsupportedFilter(_) => Error::unsupported(error.to_string()),
            _ => Error::corrupt(format!("the file's structure is damaged: {error}")),
        };
        explained.asset(&self.location)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, start: u64, end: u64) -> std::result::Result<Bytes, Hdf5Error> {
        self.bytes_read.fetch_add(end - start, Ordering::Relaxed);
        self.source.read(&self.location, start..end).map_err(|error| {
            let cause = Hdf5Error::Io(io::Error::other(error.clone()));
            self.lock().failure.get_or_insert(error);
            cause
        })
    }

    /// The block that holds `offset`.
    fn block(&self, offset: u64) -> std::result::Result<(u64, Bytes), Hdf5Error> {
        let (start, size) =
            if offset < PREFIX { (0, PREFIX) } else { (offset - offset % BLOCK, BLOCK) };
        if let Some(found) = self.lock().blocks.get(&start) {
            return Ok((start, found.clone()));
        }
        let bytes = self.fetch(start, start.saturating_add(size).min(self.length))?;
        self.lock().blocks.insert(start, bytes.clone());
        Ok((start, bytes))
    }
}

impl Storage for Blocks {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_range(&self, offset: u64, len: usize) -> hdf5_reader::error::Result<StorageBuffer> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.length);
        let end = end.ok_or(Hdf5Error::UnexpectedEof {
            offset,
            needed: len as u64,
            available: self.length.saturating_sub(offset),
        })?;
        if len == 0 {
            return Ok(StorageBuffer::from_vec(Vec::new()));
        }
        let (start, bytes) = self.block(offset)?;
        if end <= start + bytes.len() as u64 {
            let within = usize::try_from(offset - start).unwrap_or(usize::MAX);
            return StorageBuffer::from_shared_owner(Arc::new(bytes), within, len);
        }
        let bytes = self.fetch(offset, end)?;
        StorageBuffer::from_shared_owner(Arc::new(bytes), 0, len)
    }
}

fn root_cause(error: &Hdf5Error) -> &Hdf5Error {
    match error {
        Hdf5Error::Context { source, .. } => root_cause(source),
        other => other,
    }
}
