//! Byte ranges in: everything the engine reads, it reads through [`ByteSource`].

mod disk_cache;
mod local;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Result;

pub use disk_cache::{BlockFile, DiskCache, DiskCacheOptions, DiskCacheStats, Shape};
pub use local::LocalFiles;

/// Where an asset's bytes lie: a whole object, or a slice of one (a ZIP entry).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The object: an absolute path for local files.
    pub object: Arc<str>,
    /// `(offset, size)` of the slice within the object; `None` is the whole object.
    pub slice: Option<(u64, u64)>,
}

impl Location {
    /// A whole object.
    pub fn whole(object: impl Into<Arc<str>>) -> Self {
        Self { object: object.into(), slice: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slice {
            None => f.write_str(&self.object),
            Some((offset, size)) => write!(f, "{}[{offset}+{size}]", self.object),
        }
    }
}

/// Reads byte ranges of assets. Ranges are relative to the location's slice and never leave it.
pub trait ByteSource: Send + Sync {
    /// The bytes `range` of the asset; an error if any of them lies outside it.
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes>;

    /// The size of the asset in bytes.
    fn size(&self, location: &Location) -> Result<u64>;

    /// What tells this state of the object from any other it had or will have; `None` where nothing
    /// does, so that no copy of it may be kept.
    fn version(&self, _: &Location) -> Result<Option<String>> {
        Ok(None)
    }

    /// The whole asset.
    fn read_all(&self, location: &Location) -> Result<Bytes> {
        self.read(location, 0..self.size(location)?)
    }
}
