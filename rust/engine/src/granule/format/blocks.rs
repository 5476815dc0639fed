//! Metadata bytes of one file, fetched in blocks and kept while the file is being opened.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::store::{ByteSource, Location, is_remote};

/// How much is read at once.
#[derive(Clone, Copy)]
struct Sizes {
    /// At first: headers, and all the index of few-chunk files, lie within the first bytes.
    prefix: u64,
    /// Later: nodes of a chunk index lie scattered among the chunks.
    block: u64,
}

/// Copying what nobody wants costs more than another call.
const LOCAL: Sizes = Sizes { prefix: 16 << 10, block: 4 << 10 };

/// An exchange takes as long as a megabyte.
const REMOTE: Sizes = Sizes { prefix: 64 << 10, block: 16 << 10 };

/// A file's metadata bytes.
pub(in crate::granule) struct Blocks {
    source: Arc<dyn ByteSource>,
    location: Location,
    length: u64,
    sizes: Sizes,
    bytes_read: Arc<AtomicU64>,
    state: Mutex<State>,
}

struct State {
    blocks: HashMap<u64, Bytes>,
    failure: Option<Error>,
}

impl Blocks {
    pub(in crate::granule) fn new(
        source: Arc<dyn ByteSource>,
        location: Location,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self> {
        let sizes = if is_remote(&location.object) { REMOTE } else { LOCAL };
        let (start, length) = source.read_start(&location, sizes.prefix)?;
        bytes_read.fetch_add(start.len() as u64, Ordering::Relaxed);
        let state = Mutex::new(State { blocks: HashMap::from([(0, start)]), failure: None });
        Ok(Self { source, location, length, sizes, bytes_read, state })
    }

    pub(in crate::granule) fn location(&self) -> &Location {
        &self.location
    }

    /// The file's bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The first failure to read, if any. hdf5-reader leaves out what it cannot read in some places;
    /// a failed read must not pass for a missing attribute.
    pub(super) fn healthy(&self) -> Result<()> {
        self.lock().failure.clone().map_or(Ok(()), Err)
    }

    /// So many bytes from `offset` on; `None` beyond the end of the file.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Option<Bytes>> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.length);
        let Some(end) = end else { return Ok(None) };
        if len == 0 {
            return Ok(Some(Bytes::new()));
        }
        let (start, bytes) = self.block(offset)?;
        let within = usize::try_from(offset - start).unwrap_or(usize::MAX);
        if let Some(stop) = within.checked_add(len).filter(|&stop| stop <= bytes.len()) {
            return Ok(Some(bytes.slice(within..stop)));
        }
        match self.joined(offset, end) {
            Some(bytes) => Ok(Some(bytes)),
            None => self.fetch(offset, end).map(Some),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, start: u64, end: u64) -> Result<Bytes> {
        self.bytes_read.fetch_add(end - start, Ordering::Relaxed);
        let fetched = self.source.read(&self.location, start..end);
        fetched.inspect_err(|error| {
            self.lock().failure.get_or_insert_with(|| error.clone());
        })
    }

    /// The block that holds `offset`.
    fn block(&self, offset: u64) -> Result<(u64, Bytes)> {
        let start = self.start_of(offset);
        if let Some(found) = self.lock().blocks.get(&start) {
            return Ok((start, found.clone()));
        }
        let bytes = self.fetch(start, self.end_of(start))?;
        self.lock().blocks.insert(start, bytes.clone());
        Ok((start, bytes))
    }

    /// Where the block that holds `offset` starts.
    fn start_of(&self, offset: u64) -> u64 {
        if offset < self.sizes.prefix { 0 } else { offset - offset % self.sizes.block }
    }

    fn end_of(&self, start: u64) -> u64 {
        start.saturating_add(self.sizes.block).min(self.length)
    }

    /// Bytes that lie in several blocks, if all of these are here.
    fn joined(&self, offset: u64, end: u64) -> Option<Bytes> {
        let state = self.lock();
        let mut joined = Vec::new();
        let mut at = offset;
        while at < end {
            let start = self.start_of(at);
            let block = state.blocks.get(&start)?;
            let stop = end.min(start + block.len() as u64);
            let range = usize::try_from(at - start).ok()?..usize::try_from(stop - start).ok()?;
            joined.extend_from_slice(block.get(range).filter(|bytes| !bytes.is_empty())?);
            at = stop;
        }
        Some(joined.into())
    }

    /// Fetches the blocks of these stretches together, where that saves exchanges. Failures are left
    /// to the reads that follow.
    pub(super) fn expect(&self, stretches: impl Iterator<Item = Range<u64>>) {
        if !is_remote(&self.location.object) {
            return;
        }
        let mut starts = BTreeSet::new();
        for stretch in stretches {
            let mut at = self.start_of(stretch.start);
            while at < stretch.end.min(self.length) {
                starts.insert(at);
                at = if at == 0 { self.sizes.prefix } else { at + self.sizes.block };
            }
        }
        starts.retain(|start| !self.lock().blocks.contains_key(start));
        let ranges: Vec<Range<u64>> = starts.iter().map(|&at| at..self.end_of(at)).collect();
        if let Ok(fetched) = self.source.read_many(&self.location, &ranges) {
            let bytes: usize = fetched.iter().map(Bytes::len).sum();
            self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
            self.lock().blocks.extend(starts.into_iter().zip(fetched));
        }
    }
}
