//! One source for all locations: each goes to the kind of store its object names.

use std::ops::Range;

use bytes::Bytes;

use super::remote::{RemoteFiles, Traffic};
use super::root::is_remote;
use super::{ByteSource, Fetched, LocalFiles, Location, StorageOptions, Want};
use crate::error::Result;

/// Local files and remote objects.
pub struct Store {
    local: LocalFiles,
    remote: RemoteFiles,
}

impl Store {
    /// A store with these options; it contacts nobody before the first read.
    pub fn new(options: &StorageOptions) -> Self {
        Self { local: LocalFiles::default(), remote: RemoteFiles::new(options) }
    }

    /// What has gone over the network so far.
    pub fn traffic(&self) -> Traffic {
        self.remote.traffic()
    }

    fn of(&self, location: &Location) -> &dyn ByteSource {
        if is_remote(&location.object) { &self.remote } else { &self.local }
    }
}

impl ByteSource for Store {
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        self.of(location).read(location, range)
    }

    fn size(&self, location: &Location) -> Result<u64> {
        self.of(location).size(location)
    }

    fn fetch(&self, wants: &[Want]) -> Vec<Result<Fetched>> {
        if wants.iter().all(|want| is_remote(&want.location.object)) {
            return self.remote.fetch(wants);
        }
        wants.iter().map(|want| self.of(&want.location).fetch_one(want)).collect()
    }

    fn fetch_one(&self, want: &Want) -> Result<Fetched> {
        self.of(&want.location).fetch_one(want)
    }

    fn version(&self, location: &Location) -> Result<Option<String>> {
        self.of(location).version(location)
    }

    fn assume(&self, location: &Location, size: u64, version: Option<&str>) {
        self.of(location).assume(location, size, version);
    }

    fn insist(&self, location: &Location, size: u64, version: &str) {
        self.of(location).insist(location, size, version);
    }

    fn pinned(&self, object: &str) -> Result<String> {
        if is_remote(object) { self.remote.pinned(object) } else { self.local.pinned(object) }
    }
}
