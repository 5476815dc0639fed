//! What is known of granules without opening them: from an index file made ahead, or from what
//! earlier processes left in the disk cache.
//!
//! An entry that is missing, damaged or of another state of the file counts as absent, and the file
//! is opened. A local file of equal size and time of change is in the same state, as `make` and `rsync`
//! have it; of equal size and another time, it is if it holds the same bytes wherever opening read it
//! (its `Evidence`). A remote object is in the same state if its ETag is; where none is known, as a
//! local file. Points are not indexed: their data are small and lie together, so that opening the
//! file costs about what reading them does.

mod axis;
mod entry;
mod evidence;
mod file;
mod varint;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::Result;
use crate::granule::grids::grid::Grid;
use crate::store::{BlockFile, ByteSource, DiskCache, Location, Shape, is_remote};

use entry::Entry;
pub(super) use evidence::{Evidence, Witness};
use file::Record;
pub use file::{Granules, Index, IndexRow, IndexWriter};

/// A block file of one entry; it takes no more disk than the entry does. Entries of hundreds of
/// thousands of chunks do not fit, and are not kept.
const SHAPE: Shape = Shape { slots: 1, slot_bytes: 1 << 20 };

/// In the place of an entry that proved wrong.
const WITHDRAWN: &[u8] = &[0];

/// What a grid was found to be, and of which state of its file that is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The grid, encoded.
    pub entry: Vec<u8>,
    /// The size of the file in bytes.
    pub size: u64,
    /// What tells this state from others.
    pub version: Option<String>,
}

impl Described {
    /// Describes a grid that has just been opened; an entry that leaves the place it was made in
    /// needs `evidence`.
    pub(super) fn new(
        grid: &Grid,
        evidence: Option<&Evidence>,
        source: &dyn ByteSource,
    ) -> Result<Self> {
        let location = &grid.array.location;
        let (size, version) = (source.size(location)?, source.version(location)?);
        Ok(Self { entry: entry::encode(grid, evidence)?, size, version })
    }
}

/// Grids that need not be opened.
#[derive(Default)]
pub(super) struct KnownGrids {
    shipped: OnceLock<Index>,
    /// Variables whose entries proved wrong.
    distrusted: Mutex<HashSet<(Location, String)>>,
    /// Grids that were not opened.
    pub hits: AtomicU64,
}

impl KnownGrids {
    /// Takes an index, unless there is one.
    pub(super) fn ship(&self, read: impl FnOnce() -> Index) {
        self.shipped.get_or_init(read);
    }

    /// Why the index could not be read.
    pub(super) fn failure(&self) -> Option<String> {
        self.shipped.get()?.failure().map(str::to_owned)
    }

    /// The grid, if an entry that is true of the file as it is now tells it.
    pub(super) fn find(
        &self,
        source: &dyn ByteSource,
        cache: Option<&DiskCache>,
        location: &Location,
        variable: &str,
        unit: Option<&str>,
    ) -> Option<Grid> {
        if self.lock().contains(&(location.clone(), variable.to_owned())) {
            return None;
        }
        let shipped = self.shipped.get().and_then(|index| index.get(location, variable));
        let shipped = shipped.and_then(|record| restore(source, location, variable, unit, record));
        let found = shipped.or_else(|| {
            let cache = cache?;
            let file = place(cache, source, location, variable)?;
            let kept = cache.read_apart(&file, 0)?;
            let (size, version, entry): (u64, Option<String>, &[u8]) =
                postcard::from_bytes(&kept).ok()?;
            if is_remote(&location.object) {
                source.assume(location, size, version.as_deref());
            }
            entry::decode(entry, location, variable, unit).ok().map(|entry| entry.grid)
        })?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }

    /// Leaves a grid that has just been opened in the disk cache. A failure costs time later, no
    /// more.
    pub(super) fn keep(&self, source: &dyn ByteSource, cache: &DiskCache, grid: &Grid) {
        let (location, variable) = (&grid.array.location, grid.array.name.as_str());
        // It is found again by its version.
        let described = Described::new(grid, None, source);
        let Ok(Described { entry, size, version }) = described else { return };
        if version.is_none() {
            return;
        }
        if let Some(file) = place(cache, source, location, variable)
            && let Ok(block) = postcard::to_stdvec(&(size, version, entry.as_slice()))
        {
            cache.write_behind(&file, 0, &Arc::new(block));
        }
    }

    /// Forgets what the entry of a restored grid said.
    pub(super) fn distrust(&self, source: &dyn ByteSource, cache: Option<&DiskCache>, grid: &Grid) {
        let (location, variable) = (&grid.array.location, grid.array.name.as_str());
        let new = self.lock().insert((location.clone(), variable.to_owned()));
        if let Some(cache) = cache.filter(|_| new)
            && let Some(file) = place(cache, source, location, variable)
        {
            cache.write_behind(&file, 0, &Arc::new(WITHDRAWN.to_vec()));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(Location, String)>> {
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The grid of a record of an index file, if it is of the file's present state.
fn restore(
    source: &dyn ByteSource,
    location: &Location,
    variable: &str,
    unit: Option<&str>,
    record: &Record,
) -> Option<Grid> {
    let Entry { grid, evidence } = entry::decode(&record.entry, location, variable, unit).ok()?;
    if is_remote(&location.object) && record.version.is_some() {
        source.assume(location, record.size, record.version.as_deref());
        return Some(grid);
    }
    let same_bytes =
        || evidence.is_some_and(|evidence| evidence.holds(source, location).is_ok_and(|same| same));
    let same_size = || source.size(location).ok() == Some(record.size);
    let same = if is_remote(&location.object) {
        // What is read tells the size as well.
        same_bytes() && same_size()
    } else {
        let version = source.version(location).ok()?;
        let same_time = version.is_some() && version == record.version;
        same_size() && (same_time || same_bytes())
    };
    same.then_some(grid)
}

/// Where the entry of a variable lies in the disk cache: under a name of the file's version, or, as
/// that would have to be asked for, of a remote object's alone.
fn place(
    cache: &DiskCache,
    source: &dyn ByteSource,
    location: &Location,
    variable: &str,
) -> Option<Arc<BlockFile>> {
    let version = match is_remote(&location.object) {
        true => None,
        false => Some(source.version(location).ok()??),
    };
    let name = postcard::to_stdvec(&("grid", entry::FORMAT, location, variable, version)).ok()?;
    cache.file(&name, SHAPE)
}

#[cfg(test)]
mod tests;
