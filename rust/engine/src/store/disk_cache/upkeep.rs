//! What a user may ask of a disk cache from outside: how large it is, and to make it smaller.
//!
//! Processes that use the cache meanwhile notice that a file is gone, and go on. The marker stays, so
//! that the directory remains theirs.

use std::io;
use std::path::Path;

use super::DiskCache;
use super::directory::{CachedFile, Directory, FORMAT};
use crate::error::{Error, Result};

/// What a disk cache takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCacheUse {
    /// Its files.
    pub files: u64,
    /// What they take on the disk.
    pub bytes: u64,
}

impl DiskCacheUse {
    fn count(&mut self, entry: &CachedFile) {
        self.files += 1;
        self.bytes += entry.bytes;
    }
}

impl DiskCache {
    /// The format that this engine reads and writes.
    pub fn format() -> &'static str {
        FORMAT.trim_end().trim_start_matches("format ")
    }

    /// What the cache at `path` takes; `None` if there is none: nothing there, or an empty directory.
    ///
    /// # Errors
    /// `InvalidInput`: the directory holds something else, or a cache of another format. `Io`: it
    /// cannot be read.
    pub fn measure(path: &Path) -> Result<Option<DiskCacheUse>> {
        let Some(directory) = Directory::existing(path)? else { return Ok(None) };
        let mut found = DiskCacheUse::default();
        directory.entries().map_err(|e| failed(path, &e))?.iter().for_each(|e| found.count(e));
        Ok(Some(found))
    }

    /// Removes files of the cache at `path`, least recently used first, until the rest take at most
    /// `limit` bytes (`None`: all files); tells what was removed. Errors are those of `measure`.
    pub fn prune(path: &Path, limit: Option<u64>) -> Result<DiskCacheUse> {
        let mut removed = DiskCacheUse::default();
        let Some(directory) = Directory::existing(path)? else { return Ok(removed) };
        let entries = directory.entries().map_err(|e| failed(path, &e))?;
        let mut left: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in &entries {
            if limit.is_some_and(|limit| left <= limit) {
                break;
            }
            if Directory::remove(entry).map_err(|e| failed(path, &e))? {
                left -= entry.bytes;
                removed.count(entry);
            }
        }
        Ok(removed)
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::io(format!("cannot look through this disk cache: {error}")).asset(path.display())
}
