//! Chunks on a disk. Of local files decoded ones: what one process has inflated, others and later ones
//! merely read. Of remote files stored ones: the network is slower than any inflating, and they take
//! a fraction of the room.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use serde::Serialize;

use crate::granule::format::array::{Array, most_stored};
use crate::store::{BlockFile, ByteSource, DiskCache, DiskCacheStats, Shape};

/// Goes up when the same file comes to be decoded to other bytes.
const DECODING: u32 = 1;

/// Block files held open; with those of `LocalFiles`, far below the usual limit of 1,024.
const MAX_OPEN_FILES: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// What is kept of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub(in crate::granule) enum Content {
    /// Its elements.
    Decoded,
    /// Its bytes in the file.
    Stored,
}

/// Block files that are open, by array.
type OpenFiles = LruCache<(u128, Content), Arc<BlockFile>>;

/// A disk cache of chunks: a block file an array, a slot a chunk.
pub(in crate::granule) struct DiskChunks {
    cache: Arc<DiskCache>,
    open: Mutex<OpenFiles>,
}

/// The chunks of one array.
pub(in crate::granule) struct ArrayOnDisk<'a> {
    cache: &'a DiskCache,
    file: Arc<BlockFile>,
}

impl DiskChunks {
    pub(in crate::granule) fn new(cache: Arc<DiskCache>) -> Self {
        Self { cache, open: Mutex::new(LruCache::new(MAX_OPEN_FILES)) }
    }

    /// The cache itself, for what else is kept there.
    pub(in crate::granule) fn cache(&self) -> &DiskCache {
        &self.cache
    }

    pub(in crate::granule) fn stats(&self) -> DiskCacheStats {
        self.cache.stats()
    }

    /// The place of an array's chunks; `None` if they are not worth one, as decoding would change
    /// nothing, or cannot have one.
    pub(in crate::granule) fn of(
        &self,
        array: &Array,
        source: &dyn ByteSource,
        content: Content,
    ) -> Option<ArrayOnDisk<'_>> {
        if content == Content::Decoded && array.filters.is_empty() {
            return None;
        }
        let key = (array.key, content);
        let known = self.lock().get(&key).filter(|file| file.in_use()).cloned();
        let file = match known {
            Some(file) => file,
            None => {
                let file =
                    self.cache.file(&name(array, source, content)?, shape(array, content)?)?;
                self.lock().put(key, file.clone());
                file
            }
        };
        Some(ArrayOnDisk { cache: &self.cache, file })
    }

    fn lock(&self) -> MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArrayOnDisk<'_> {
    /// Announces what will be read.
    pub(in crate::granule) fn expect(&self, chunks: impl Iterator<Item = u64>) {
        self.file.expect(chunks);
    }

    /// A chunk, if it is there and sound.
    pub(in crate::granule) fn read(&self, chunk: u64) -> Option<Vec<u8>> {
        self.cache.read(&self.file, chunk)
    }

    /// Takes a chunk of `size` bytes, to be written later; `bytes` is asked for them only if they
    /// will be.
    pub(in crate::granule) fn write(
        &self,
        chunk: u64,
        size: usize,
        bytes: impl FnOnce() -> Arc<Vec<u8>>,
    ) {
        self.cache.write_behind_with(&self.file, chunk, size, bytes);
    }
}

/// All that an array's chunks depend on.
fn name(array: &Array, source: &dyn ByteSource, content: Content) -> Option<Vec<u8>> {
    let version = source.version(&array.location).ok()??;
    let endian = if cfg!(target_endian = "little") { "little" } else { "big" };
    let fields = (&array.location, version, &array.name, array.key, DECODING, endian);
    postcard::to_stdvec(&(fields, content, array.dtype.size(), &array.shape, &array.chunk)).ok()
}

fn shape(array: &Array, content: Content) -> Option<Shape> {
    let slots = array.grid().try_fold(1u64, u64::checked_mul)?;
    let decoded = array.bytes_of(&array.chunk).ok()? as u64;
    let slot_bytes = match content {
        Content::Decoded => decoded,
        Content::Stored => most_stored(decoded),
    };
    Some(Shape { slots, slot_bytes })
}
