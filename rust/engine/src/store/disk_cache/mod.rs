//! Blocks of bytes on a disk, kept within a budget and shared by processes.
//!
//! A *block file* holds the blocks of one thing (the chunks of an array, say), one numbered slot a
//! block. Whoever asks names the file by everything its contents depend on, so that what has changed
//! has another name. Nothing here is needed: a block that is missing, torn or damaged is reported as
//! absent and may be written again, and a failure of the cache costs time, never a result.
//!
//! ```text
//!  DiskCache --- names, handles ---> BlockFile   (slots and their checksums)
//!      |
//!      +-- writes, behind --> Writer --> Directory   (ownership, budget, what goes)
//! ```

mod block_file;
mod directory;
mod upkeep;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::events::{self, Kind};
use block_file::SlotContent;
use directory::Directory;
use writer::Writer;

pub use block_file::{BlockFile, Shape};
pub use upkeep::DiskCacheUse;

/// Where a disk cache lies and how much it may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskCacheOptions {
    /// Its directory: empty, missing, or a disk cache of this format.
    pub path: String,
    /// The bytes of disk that the files of all processes may take together.
    pub budget: u64,
}

/// What a disk cache has done in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskCacheStats {
    /// Blocks that were found and sound.
    pub blocks_read: u64,
    /// Blocks that were found damaged; each counts as absent.
    pub blocks_damaged: u64,
    /// Bytes of blocks written.
    pub bytes_written: u64,
    /// Why it writes no more.
    pub failure: Option<String>,
}

/// What the threads that read and the one that writes share.
#[derive(Default)]
struct Counters {
    /// Where the cache lies, for what is told of it.
    path: String,
    read: AtomicU64,
    damaged: AtomicU64,
    written: AtomicU64,
    failure: OnceLock<String>,
}

impl Counters {
    /// Keeps the first reason.
    fn fail(&self, reason: &dyn std::fmt::Display) {
        if self.failure.set(reason.to_string()).is_ok() {
            let path = &self.path;
            events::note(Kind::Cache, || {
                format!("the disk cache {path} is written no more in this process: {reason}")
            });
        }
    }

    fn damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
        let path = &self.path;
        events::note(Kind::Cache, || {
            format!("a block of the disk cache {path} is damaged, and does not count")
        });
    }

    fn failed(&self) -> bool {
        self.failure.get().is_some()
    }
}

/// A disk cache, shared by the threads of a process.
pub struct DiskCache {
    directory: Arc<Directory>,
    counters: Arc<Counters>,
    writer: Writer,
    /// Comes before every name.
    space: Vec<u8>,
}

impl DiskCache {
    /// Opens the cache, and creates it where there is none.
    ///
    /// # Errors
    /// `InvalidInput`: the directory holds something else, or a cache of another format. `Io`: it
    /// can be neither read nor created.
    pub fn open(options: &DiskCacheOptions) -> Result<Self> {
        let directory = Arc::new(Directory::open(Path::new(&options.path))?);
        let counters = Arc::new(Counters { path: options.path.clone(), ..Counters::default() });
        let writer = Writer::new(directory.clone(), options.budget, counters.clone());
        Ok(Self { directory, counters, writer, space: Vec::new() })
    }

    /// The same cache for one dataset in one state: what was kept for others has other names.
    #[must_use]
    pub fn within(self, space: Vec<u8>) -> Self {
        Self { space, ..self }
    }

    /// The block file of this name, made if there is none; `None` if that is impossible, or there
    /// is no room for more.
    pub fn file(&self, name: &[u8], shape: Shape) -> Option<Arc<BlockFile>> {
        shape.file_bytes()?;
        let create = !self.counters.failed() && !self.writer.is_full();
        let opened = self.directory.file(&[&self.space, name].concat(), shape, create);
        opened.map(|file| file.map(Arc::new)).unwrap_or_else(|e| {
            self.counters.fail(&e);
            None
        })
    }

    /// A block, if it is there and sound, that does not count among those read.
    pub fn read_apart(&self, file: &BlockFile, slot: u64) -> Option<Vec<u8>> {
        if let Some(block) = self.writer.waiting(file, slot) {
            return Some(block.to_vec());
        }
        match file.read(slot) {
            SlotContent::Sound(block) => Some(block),
            SlotContent::Damaged | SlotContent::Empty => None,
        }
    }

    /// A block, if it is there and sound, or waits to be written.
    pub fn read(&self, file: &BlockFile, slot: u64) -> Option<Vec<u8>> {
        if let Some(block) = self.writer.waiting(file, slot) {
            self.counters.read.fetch_add(1, Ordering::Relaxed);
            return Some(block.to_vec());
        }
        match file.read(slot) {
            SlotContent::Sound(block) => {
                self.counters.read.fetch_add(1, Ordering::Relaxed);
                Some(block)
            }
            SlotContent::Damaged => {
                self.counters.damaged();
                None
            }
            SlotContent::Empty => None,
        }
    }

    /// Writes a block later. Left out is what the slot, the disk or the budget cannot take.
    pub fn write_behind(&self, file: &Arc<BlockFile>, slot: u64, block: &Arc<Vec<u8>>) {
        self.write_behind_with(file, slot, block.len(), || block.clone());
    }

    /// The same for a block of `size` bytes that `block` makes if it will be written.
    pub fn write_behind_with(
        &self,
        file: &Arc<BlockFile>,
        slot: u64,
        size: usize,
        block: impl FnOnce() -> Arc<Vec<u8>>,
    ) {
        if !self.counters.failed() && file.takes(slot, size) {
            self.writer.offer(file, slot, size, block);
        }
    }

    /// What it has done in this process.
    pub fn stats(&self) -> DiskCacheStats {
        DiskCacheStats {
            blocks_read: self.counters.read.load(Ordering::Relaxed),
            blocks_damaged: self.counters.damaged.load(Ordering::Relaxed),
            bytes_written: self.counters.written.load(Ordering::Relaxed),
            failure: self.counters.failure.get().cloned(),
        }
    }
}

#[cfg(test)]
mod tests;
