//! Decoded chunks: from the cache, from another thread, or read and decoded here.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::granule::chunks::cache::{ByteCache, Claim, Pending, Ticket};
use crate::granule::chunks::disk::{ArrayOnDisk, Content, DiskChunks};
use crate::granule::chunks::fetch::Fetcher;
use crate::granule::chunks::tally::Tally;
use crate::granule::format::array::{Array, Piece, Stored, most_stored, swap_bytes};
use crate::granule::format::filters;
use crate::store::{ByteSource, is_remote};

/// An array's key and the chunk's place in it.
type Key = (u128, u64);

/// A stored chunk that a window needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// Tells it from all other chunks.
    pub id: u64,
    /// Its decoded size, which is its share of the cache.
    pub bytes: usize,
    /// Its size in the file.
    pub stored_bytes: u64,
}

/// A chunk ready to be converted.
pub(in crate::granule) enum Chunk<'a> {
    Inline(&'a [u8]),
    Decoded(Arc<Vec<u8>>),
    /// Every element is the array's fill value.
    Unwritten,
}

/// Reads and decodes chunks, and keeps them.
pub(in crate::granule) struct Chunks {
    source: Arc<dyn ByteSource>,
    stored: Fetcher,
    cache: ByteCache<Key, Vec<u8>>,
    disk: Option<Arc<DiskChunks>>,
    pub decoded: AtomicU64,
    pub hits: AtomicU64,
    /// What was decoded at least once.
    seen: Tally,
}

/// A chunk that this thread has to make.
struct Duty<'c> {
    slot: usize,
    ticket: Ticket<'c, Key, Vec<u8>>,
    stored: Stored,
    size: usize,
}

impl Chunks {
    pub(in crate::granule) fn new(
        source: Arc<dyn ByteSource>,
        budget: usize,
        bytes_read: Arc<AtomicU64>,
    ) -> Self {
        let (decoded, hits) = (AtomicU64::new(0), AtomicU64::new(0));
        let seen = Tally::default();
        let (cache, disk) = (ByteCache::new(budget), None);
        let stored = Fetcher::new(source.clone(), bytes_read);
        Self { source, stored, cache, disk, decoded, hits, seen }
    }

    /// Looks for chunks on a disk before reading them, and leaves there what it has read.
    pub(in crate::granule) fn with_disk(self, disk: DiskChunks) -> Self {
        let disk = Arc::new(disk);
        Self { stored: self.stored.with_disk(disk.clone()), disk: Some(disk), ..self }
    }

    pub(in crate::granule) fn disk(&self) -> Option<&DiskChunks> {
        self.disk.as_deref()
    }

    /// Different chunks decoded so far; an estimate beyond 200,000.
    pub(in crate::granule) fn distinct(&self) -> u64 {
        self.seen.count()
    }

    #[cfg(test)]
    pub(in crate::granule) fn seen(&self) -> std::collections::HashSet<u64> {
        self.seen.ids()
    }

    #[cfg(test)]
    pub(in crate::granule) fn kept_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// The chunks at `indexes`, in that order.
    pub(in crate::granule) fn fetch<'a>(
        &self,
        array: &'a Array,
        indexes: &[Vec<u64>],
    ) -> Result<Vec<Chunk<'a>>> {
        let mut chunks: Vec<Chunk<'a>> = Vec::with_capacity(indexes.len());
        let mut duties: Vec<Duty<'_>> = Vec::new();
        let mut waits: Vec<(usize, Pending<Vec<u8>>, Stored, usize)> = Vec::new();
        for (slot, index) in indexes.iter().enumerate() {
            chunks.push(match array.piece(index)? {
                Piece::Inline(bytes) => Chunk::Inline(bytes),
                Piece::Unwritten => Chunk::Unwritten,
                Piece::Stored(stored) => {
                    let size = decoded_bytes(array, index, stored)?;
                    match self.cache.claim(&(array.key, stored.linear)) {
                        Claim::Ready(bytes) => {
                            self.hits.fetch_add(1, Ordering::Relaxed);
                            Chunk::Decoded(bytes)
                        }
                        Claim::Mine(ticket) => {
                            duties.push(Duty { slot, ticket, stored, size });
                            Chunk::Unwritten
                        }
                        Claim::Theirs(pending) => {
                            waits.push((slot, pending, stored, size));
                            Chunk::Unwritten
                        }
                    }
                }
            });
        }
        let mut put = |slot: usize, bytes| {
            if let Some(chunk) = chunks.get_mut(slot) {
                *chunk = Chunk::Decoded(bytes);
            }
        };
        let on_disk = self.restore(array, &mut duties, &mut put);
        self.fulfil(array, duties, on_disk.as_ref(), &mut put)?;
        // Only now, with no ticket held, may this thread wait for others.
        for (slot, pending, stored, size) in waits {
            let bytes = match pending.wait() {
                Some(bytes) => {
                    self.hits.fetch_add(1, Ordering::Relaxed);
                    bytes
                }
                None => self.cache.get_or_make(&(array.key, stored.linear), || {
                    let bytes = self.stored.get(array, &[stored])?.pop().unwrap_or_default();
                    self.decode(array, stored, &bytes, size)
                })?,
            };
            put(slot, bytes);
        }
        Ok(chunks)
    }

    /// Fetches what a remote store has of the chunks at `indexes`, to be decoded later.
    pub(in crate::granule) fn download(&self, array: &Array, indexes: &[Vec<u64>]) -> Result<()> {
        let mut wanted = Vec::with_capacity(indexes.len());
        for index in indexes {
            if let Piece::Stored(stored) = array.piece(index)?
                && !self.cache.has(&(array.key, stored.linear))
            {
                // A damaged index must not make us fetch what no chunk can take.
                decoded_bytes(array, index, stored)?;
                wanted.push(stored);
            }
        }
        self.stored.get(array, &wanted).map(drop)
    }

    /// Fulfils the duties whose chunks lie decoded on the disk, leaves the others, and returns where
    /// they are to go.
    fn restore(
        &self,
        array: &Array,
        duties: &mut Vec<Duty<'_>>,
        put: &mut impl FnMut(usize, Arc<Vec<u8>>),
    ) -> Option<ArrayOnDisk<'_>> {
        let local = !is_remote(&array.location.object);
        let disk = self.disk.as_ref().filter(|_| local && !duties.is_empty())?;
        let on_disk = disk.of(array, &*self.source, Content::Decoded)?;
        on_disk.expect(duties.iter().map(|duty| duty.stored.linear));
        for duty in std::mem::take(duties) {
            let kept = on_disk.read(duty.stored.linear);
            match kept.filter(|bytes| bytes.len() == duty.size) {
                Some(bytes) => put(duty.slot, duty.ticket.fulfil(bytes)),
                None => duties.push(duty),
            }
        }
        Some(on_disk)
    }

    fn fulfil(
        &self,
        array: &Array,
        duties: Vec<Duty<'_>>,
        on_disk: Option<&ArrayOnDisk<'_>>,
        put: &mut impl FnMut(usize, Arc<Vec<u8>>),
    ) -> Result<()> {
        let wanted: Vec<Stored> = duties.iter().map(|duty| duty.stored).collect();
        let found = self.stored.get(array, &wanted)?;
        for (duty, stored) in duties.into_iter().zip(found) {
            let decoded = self.decode(array, duty.stored, &stored, duty.size)?;
            let decoded = duty.ticket.fulfil(decoded);
            if let Some(on_disk) = on_disk {
                on_disk.write(duty.stored.linear, decoded.len(), || decoded.clone());
            }
            put(duty.slot, decoded);
        }
        Ok(())
    }

    fn decode(&self, array: &Array, chunk: Stored, stored: &[u8], size: usize) -> Result<Vec<u8>> {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        self.seen.add(id(array, chunk));
        let mut bytes = filters::decode(&array.filters, chunk.skipped, stored, size)?;
        if array.swapped {
            swap_bytes(&mut bytes, array.dtype.size());
        }
        Ok(bytes)
    }
}

/// What there is to fetch for the chunks at `indexes`; nothing for those inline or never written.
pub(in crate::granule) fn stored(array: &Array, indexes: &[Vec<u64>]) -> Result<Vec<StoredChunk>> {
    let mut chunks = Vec::with_capacity(indexes.len());
    for index in indexes {
        if let Piece::Stored(stored) = array.piece(index)? {
            chunks.push(StoredChunk {
                id: id(array, stored),
                bytes: decoded_bytes(array, index, stored)?,
                stored_bytes: stored.size,
            });
        }
    }
    Ok(chunks)
}

fn id(array: &Array, chunk: Stored) -> u64 {
    let mut hasher = DefaultHasher::new();
    (array.key, chunk.linear).hash(&mut hasher);
    hasher.finish()
}

/// The decoded size of a chunk, checked against what is stored.
fn decoded_bytes(array: &Array, index: &[u64], stored: Stored) -> Result<usize> {
    let size = array.bytes_of(&array.extents(index))?;
    check_size(array, stored, size)?;
    Ok(size)
}

fn check_size(array: &Array, stored: Stored, size: usize) -> Result<()> {
    let size = size as u64;
    let unfiltered = array.filters.is_empty();
    if stored.size > most_stored(size) || (unfiltered && stored.size != size) {
        return Err(Error::corrupt(format!(
            "the chunk index gives {} bytes to a chunk of {size}",
            stored.size
        )));
    }
    Ok(())
}
