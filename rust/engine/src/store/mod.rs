//! Byte ranges in: everything the engine reads, it reads through [`ByteSource`].
//!
//! ```text
//!  root --normalise--> Location --Store--> LocalFiles             absolute paths
//!                                     \--> remote::RemoteFiles    http(s)://, hf://, s3://, gs://, az://
//! ```
//!
//! A remote object's name is its address as plain text, without percent-encoding, query string or
//! secrets, so that it may appear in messages and be a key of caches.

pub mod coalesce;
mod disk_cache;
mod local;
mod options;
mod remote;
mod revalidated;
mod root;
mod routes;
mod secret;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use disk_cache::{BlockFile, DiskCache, DiskCacheOptions, DiskCacheStats, DiskCacheUse, Shape};
pub use local::LocalFiles;
pub use options::{Policy, StorageOptions};
pub use remote::Traffic;
pub use revalidated::Revalidated;
pub use root::{is_remote, normalise};
pub use routes::Store;

/// Where an asset's bytes lie: a whole object, or a slice of one (a ZIP entry).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The object: an absolute path for local files, an address as plain text for remote ones.
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

/// Which bytes of an asset are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Exactly these; an error if any lies outside the asset.
    Range(Range<u64>),
    /// The first so many, or all if the asset is shorter; and its size.
    Start(u64),
    /// All, if they are no more than so many; and the size.
    Whole(u64),
    /// None, only the size.
    Size,
}

/// Bytes of one asset that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The asset.
    pub location: Location,
    /// Which of its bytes.
    pub extent: Extent,
}

/// What was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The bytes.
    pub bytes: Bytes,
    /// The size of the asset; always known but for [`Extent::Range`].
    pub size: Option<u64>,
}

/// Reads byte ranges of assets. Ranges are relative to the location's slice and never leave it.
pub trait ByteSource: Send + Sync {
    /// The bytes `range` of the asset; an error if any of them lies outside it.
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes>;

    /// The size of the asset in bytes.
    fn size(&self, location: &Location) -> Result<u64>;

    /// What tells this state of the object from any other it had or will have; `None` where nothing
    /// does, so that no copy of it may be revalidated.
    fn version(&self, _: &Location) -> Result<Option<String>> {
        Ok(None)
    }

    /// Tells what an earlier process knew of the asset; answers that disagree will be errors.
    fn assume(&self, _: &Location, _size: u64, _version: Option<&str>) {}

    /// Tells which state of the asset is wanted; answers that disagree will be errors, every time.
    fn insist(&self, _: &Location, _size: u64, _version: &str) {}

    /// Several parts of any assets, in the order asked for; those of remote ones come together.
    fn fetch(&self, wants: &[Want]) -> Vec<Result<Fetched>> {
        wants.iter().map(|want| self.fetch_one(want)).collect()
    }

    /// One part of an asset.
    fn fetch_one(&self, Want { location, extent }: &Want) -> Result<Fetched> {
        if let Extent::Range(range) = extent {
            return Ok(Fetched { bytes: self.read(location, range.clone())?, size: None });
        }
        let size = self.size(location)?;
        let end = match extent {
            Extent::Size => 0,
            Extent::Whole(limit) if size > *limit => return Err(too_large(size, *limit, location)),
            Extent::Start(most) => size.min(*most),
            Extent::Whole(_) | Extent::Range(_) => size,
        };
        Ok(Fetched { bytes: self.read(location, 0..end)?, size: Some(size) })
    }

    /// Several ranges of one asset, in the order asked for.
    fn read_many(&self, location: &Location, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let wants: Vec<Want> = ranges
            .iter()
            .map(|range| Want { location: location.clone(), extent: Extent::Range(range.clone()) })
            .collect();
        self.fetch(&wants).into_iter().map(|part| Ok(part?.bytes)).collect()
    }

    /// The first `most` bytes of the asset, or all if it is shorter, and its size: one exchange with
    /// a remote store.
    fn read_start(&self, location: &Location, most: u64) -> Result<(Bytes, u64)> {
        let want = Want { location: location.clone(), extent: Extent::Start(most) };
        let Fetched { bytes, size } = self.fetch_one(&want)?;
        let size = size.ok_or_else(|| Error::internal("a store told no size").asset(location))?;
        Ok((bytes, size))
    }

    /// The name of an object that stays the same when its branch moves on.
    fn pinned(&self, object: &str) -> Result<String> {
        Ok(object.to_owned())
    }
}

/// The error for an asset that is larger than what is ever read of its kind.
fn too_large(size: u64, limit: u64, location: &Location) -> Error {
    Error::invalid_dataset(format!("has {size} bytes; at most {limit} are read")).asset(location)
}
