//! Decoded chunks on a disk: what one process has inflated, others and later ones merely read.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::array::Array;
use crate::store::{BlockFile, ByteSource, DiskCache, DiskCacheStats, Shape};

/// Goes up when the same file comes to be decoded to other bytes.
const DECODING: u32 = 1;

/// Block files held open; with those of `LocalFiles`, far below the usual limit of 1,024.
const MAX_OPEN_FILES: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// A disk cache of decoded chunks: a block file an array, a slot a chunk.
pub(super) struct Spill {
    cache: DiskCache,
    open: Mutex<LruCache<u128, Arc<BlockFile>>>,
}

/// The decoded chunks of one array.
pub(super) struct Spilled<'a> {
    cache: &'a DiskCache,
    file: Arc<BlockFile>,
}

impl Spill {
    pub(super) fn new(cache: DiskCache) -> Self {
        Self { cache, open: Mutex::new(LruCache::new(MAX_OPEN_FILES)) }
    }

    /// The cache itself, for what else is kept there.
    pub(super) fn cache(&self) -> &DiskCache {
        &self.cache
    }

    pub(super) fn stats(&self) -> DiskCacheStats {
        self.cache.stats()
    }

    /// The place of an array's chunks; `None` if they are not worth one, as they are stored as they
    /// are, or cannot have one.
    pub(super) fn of(&self, array: &Array, source: &dyn ByteSource) -> Option<Spilled<'_>> {
        if array.filters.is_empty() {
            return None;
        }
        let known = self.lock().get(&array.key).filter(|file| file.in_use()).cloned();
        let file = match known {
            Some(file) => file,
            None => {
                let file = self.cache.file(&name(array, source)?, shape(array)?)?;
                self.lock().put(array.key, file.clone());
                file
            }
        };
        Some(Spilled { cache: &self.cache, file })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<u128, Arc<BlockFile>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spilled<'_> {
    /// Announces what will be read.
    pub(super) fn expect(&self, chunks: impl Iterator<Item = u64>) {
        self.file.expect(chunks);
    }

    /// A decoded chunk of `size` bytes, if it is there and sound.
    pub(super) fn read(&self, chunk: u64, size: usize) -> Option<Vec<u8>> {
        self.cache.read(&self.file, chunk).filter(|bytes| bytes.len() == size)
    }

    /// Takes a decoded chunk, to be written later.
    pub(super) fn write(&self, chunk: u64, bytes: &Arc<Vec<u8>>) {
        self.cache.write_behind(&self.file, chunk, bytes);
    }
}

/// All that an array's decoded chunks depend on.
fn name(array: &Array, source: &dyn ByteSource) -> Option<Vec<u8>> {
    let version = source.version(&array.location).ok()??;
    let endian = if cfg!(target_endian = "little") { "little" } else { "big" };
    let fields = (&array.location, version, &array.name, array.key, DECODING, endian);
    postcard::to_stdvec(&(fields, array.dtype.size(), &array.shape, &array.chunk)).ok()
}

fn shape(array: &Array) -> Option<Shape> {
    let slots = array.grid().try_fold(1u64, u64::checked_mul)?;
    let slot_bytes = array.bytes_of(&array.chunk).ok()? as u64;
    Some(Shape { slots, slot_bytes })
}
