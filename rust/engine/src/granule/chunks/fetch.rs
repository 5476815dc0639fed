//! The stored bytes of chunks, as they lie in the file: read from it, or from the disk cache.
//!
//! Local chunks are read when they are decoded. Remote ones may be fetched long before, by threads
//! that only wait; what has arrived is kept until it is decoded.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::granule::chunks::cache::{ByteCache, Claim, Pending, Ticket, Weigh};
use crate::granule::chunks::disk::{Content, DiskChunks};
use crate::granule::format::array::{Array, Stored};
use crate::store::coalesce::{Limits, runs};
use crate::store::{ByteSource, is_remote};

/// Bytes that have arrived and wait to be decoded, at most.
const ARRIVED_BYTES: usize = 64 << 20;

/// An array's key and the chunk's place in it.
type Key = (u128, u64);

impl Weigh for Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// Gets stored chunks.
pub(in crate::granule) struct Fetcher {
    source: Arc<dyn ByteSource>,
    arrived: ByteCache<Key, Bytes>,
    disk: Option<Arc<DiskChunks>>,
    bytes_read: Arc<AtomicU64>,
}

/// A chunk that this thread has to fetch.
struct Duty<'c> {
    slot: usize,
    chunk: Stored,
    ticket: Ticket<'c, Key, Bytes>,
}

impl Fetcher {
    pub(in crate::granule) fn new(source: Arc<dyn ByteSource>, bytes_read: Arc<AtomicU64>) -> Self {
        Self { source, arrived: ByteCache::new(ARRIVED_BYTES), disk: None, bytes_read }
    }

    /// Looks for remote chunks on a disk before asking for them, and leaves there what arrives.
    pub(in crate::granule) fn with_disk(self, disk: Arc<DiskChunks>) -> Self {
        Self { disk: Some(disk), ..self }
    }

    /// The bytes of `chunks`, in that order.
    pub(in crate::granule) fn get(&self, array: &Array, chunks: &[Stored]) -> Result<Vec<Bytes>> {
        if is_remote(&array.location.object) {
            self.get_remote(array, chunks)
        } else {
            self.get_local(array, chunks)
        }
    }

    fn get_local(&self, array: &Array, chunks: &[Stored]) -> Result<Vec<Bytes>> {
        let ranges: Vec<Range<u64>> =
            chunks.iter().map(|chunk| chunk.address..end(chunk)).collect();
        let mut found = vec![Bytes::new(); chunks.len()];
        for run in runs(&ranges, Limits::LOCAL) {
            let bytes = self.read(array, std::slice::from_ref(&run.range))?.pop();
            let bytes = bytes.unwrap_or_default();
            for i in run.members {
                found[i] = part(&bytes, chunks[i].address - run.range.start, chunks[i].size)?;
            }
        }
        Ok(found)
    }

    fn get_remote(&self, array: &Array, chunks: &[Stored]) -> Result<Vec<Bytes>> {
        let mut found = vec![Bytes::new(); chunks.len()];
        let mut duties: Vec<Duty<'_>> = Vec::new();
        let mut waits: Vec<(usize, Stored, Pending<Bytes>)> = Vec::new();
        for (slot, &chunk) in chunks.iter().enumerate() {
            match self.arrived.claim(&(array.key, chunk.linear)) {
                Claim::Ready(bytes) => found[slot] = (*bytes).clone(),
                Claim::Mine(ticket) => duties.push(Duty { slot, chunk, ticket }),
                Claim::Theirs(pending) => waits.push((slot, chunk, pending)),
            }
        }
        self.fulfil(array, duties, &mut found)?;
        // Only now, with no ticket held, may this thread wait for others.
        for (slot, chunk, pending) in waits {
            found[slot] = match pending.wait() {
                Some(bytes) => (*bytes).clone(),
                None => self.get_remote(array, &[chunk])?.pop().unwrap_or_default(),
            };
        }
        Ok(found)
    }

    fn fulfil(&self, array: &Array, duties: Vec<Duty<'_>>, found: &mut [Bytes]) -> Result<()> {
        let disk = self.disk.as_ref().filter(|_| !duties.is_empty());
        let on_disk = disk.and_then(|s| s.of(array, &*self.source, Content::Stored));
        let mut missing = Vec::new();
        for duty in duties {
            let kept = on_disk.as_ref().and_then(|s| s.read(duty.chunk.linear));
            match kept.filter(|bytes| bytes.len() as u64 == duty.chunk.size) {
                Some(bytes) => found[duty.slot] = (*duty.ticket.fulfil(bytes.into())).clone(),
                None => missing.push(duty),
            }
        }
        let ranges: Vec<Range<u64>> =
            missing.iter().map(|duty| duty.chunk.address..end(&duty.chunk)).collect();
        let fetched = if ranges.is_empty() { Vec::new() } else { self.read(array, &ranges)? };
        for (duty, bytes) in missing.into_iter().zip(fetched) {
            if let Some(on_disk) = &on_disk {
                // A copy, or the writer would hold all that was read together with it.
                on_disk.write(duty.chunk.linear, bytes.len(), || Arc::new(bytes.to_vec()));
            }
            found[duty.slot] = (*duty.ticket.fulfil(bytes)).clone();
        }
        Ok(())
    }

    fn read(&self, array: &Array, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        self.source.read_many(&array.location, ranges)
    }
}

fn end(chunk: &Stored) -> u64 {
    chunk.address.saturating_add(chunk.size)
}

fn part(bytes: &Bytes, offset: u64, size: u64) -> Result<Bytes> {
    let range = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
    range
        .and_then(|(offset, size)| Some(offset..offset.checked_add(size)?))
        .filter(|range| range.end <= bytes.len())
        .map(|range| bytes.slice(range))
        .ok_or_else(|| Error::internal("a read returned too few bytes"))
}
