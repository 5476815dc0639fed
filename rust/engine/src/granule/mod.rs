//! Granules: windows and points of NetCDF files.
//!
//! ```text
//!  bytes --> format (file, filters) --> cf (coordinates, axes, packing, time) --> Grid, Points
//!    |                                                                             ^   |
//!    |                                              index (what opening would tell) +   v
//!    +-----> chunks (fetch, decode, cache, disk) --> grids (view, sums, convert) <-- Reading
//!                                                              |
//!                                                              +--> Window, &mut [f32]
//! ```
//!
//! Opening a file reads its metadata once (NetCDF4's through hdf5-reader), and remembers for one variable the
//! axes, the packing and where each chunk lies. A reading then takes only the chunks it touches,
//! by byte range, and hands out its own rectangle of them as it is stored. Decoded chunks are kept in
//! their stored type, and threads that want the same chunk share one decode.

mod cf;
mod chunks;
mod format;
mod grids;
mod index;
mod points;
mod survey;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Kind, Result};
use crate::store::{ByteSource, DiskCache, DiskCacheStats, Location, Revalidated, is_remote};

use chunks::cache::{ByteCache, Weigh};
use chunks::decode::Chunks;
use chunks::disk::DiskChunks;
use format::blocks::Blocks;
use format::file::{File, Variable};
use index::{Evidence, KnownGrids, Witness};

pub use cf::flags::Flag;
pub use chunks::decode::StoredChunk;
pub use format::array::Dtype;
pub use grids::grid::{Grid, When};
pub use grids::levels::{Places, Selection};
pub use grids::raw::RawGrid;
pub use grids::reading::Reading;
pub use grids::sums::Unpack;
pub use grids::window::Window;
pub use index::{Described, Granules, Index, IndexRow, IndexWriter};
pub use points::Points;
pub use survey::{Chunking, Survey, SurveyedVariable, TimeStep, Wanted};

/// Descriptions of open variables kept; one takes from a few KiB to a few hundred.
const GRID_BYTES: usize = 64 << 20;

/// Decoded axes kept while variables of the same file are opened.
const AXIS_BYTES: usize = 8 << 20;

/// Strings kept.
const TEXT_BYTES: usize = 4 << 20;

/// Decoded point data kept.
const POINT_BYTES: usize = 64 << 20;

/// File, variable, wanted unit, and levels as text.
type Key = (Location, String, Option<String>, String);

/// The strings of a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(Vec<String>);

impl std::ops::Deref for Texts {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl Weigh for Texts {
    fn bytes(&self) -> usize {
        self.0.iter().map(|text| size_of::<String>() + text.len()).sum()
    }
}

/// What is done with chunks before they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Remote ones are fetched, which takes waiting.
    Download,
    /// They are decoded, which takes a processor.
    Decode,
}

/// What a reader has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GranuleStats {
    /// Bytes asked of the byte source, metadata included.
    pub bytes_read: u64,
    /// Chunks (or blocks of contiguous data) that windows had decoded.
    pub chunks_decoded: u64,
    /// How many different ones these were; within 2 % where they are more than 200,000.
    pub chunks_distinct: u64,
    /// Chunks that windows found decoded.
    pub chunk_hits: u64,
    /// Times a file was opened for one of its variables.
    pub files_opened: u64,
    /// Times that was not needed, because an index or the disk cache told what it would yield.
    pub index_hits: u64,
}

/// Where opened files are read from.
struct Opening {
    source: Arc<dyn ByteSource>,
    chunks: Chunks,
}

impl Opening {
    fn new(source: Arc<dyn ByteSource>, bytes_read: Arc<AtomicU64>) -> Self {
        Self { chunks: Chunks::new(source.clone(), AXIS_BYTES, bytes_read), source }
    }
}

/// Reads windows and points of granules; one is shared by all threads.
pub struct GranuleReader {
    source: Arc<dyn ByteSource>,
    chunks: Chunks,
    /// What opening files decodes: axes and points, kept in their final form elsewhere. It has no
    /// share in the cache of windows, so that the windows alone decide what that one keeps.
    opening: Opening,
    /// The same for points, whose bytes are kept on the disk where there is a disk cache.
    opening_points: Opening,
    grids: ByteCache<Key, Grid>,
    points: ByteCache<Key, Points>,
    texts: ByteCache<Key, Texts>,
    known: KnownGrids,
    bytes_read: Arc<AtomicU64>,
    files_opened: AtomicU64,
}

impl GranuleReader {
    /// A reader that keeps at most `cache_bytes` of decoded chunks.
    pub fn new(source: Arc<dyn ByteSource>, cache_bytes: usize) -> Self {
        let bytes_read = Arc::new(AtomicU64::new(0));
        Self {
            chunks: Chunks::new(source.clone(), cache_bytes, bytes_read.clone()),
            opening: Opening::new(source.clone(), bytes_read.clone()),
            opening_points: Opening::new(source.clone(), bytes_read.clone()),
            source,
            grids: ByteCache::new(GRID_BYTES),
            points: ByteCache::new(POINT_BYTES),
            texts: ByteCache::new(TEXT_BYTES),
            known: KnownGrids::default(),
            bytes_read,
            files_opened: AtomicU64::new(0),
        }
    }

    /// Keeps chunks on a disk as well, and what was read of remote points; `offline`, nothing is asked
    /// of the network for the latter.
    #[must_use]
    pub fn with_disk_cache(self, cache: DiskCache, offline: bool) -> Self {
        let cache = Arc::new(cache);
        let kept = Arc::new(Revalidated::new(self.source.clone(), cache.clone(), offline));
        let opening_points = Opening::new(kept, self.bytes_read.clone());
        Self { chunks: self.chunks.with_disk(DiskChunks::new(cache)), opening_points, ..self }
    }

    /// Looks for grids in an index before opening files. The first one given counts, and `read` is
    /// called only for that.
    pub fn know(&self, read: impl FnOnce() -> Index) {
        self.known.ship(read);
    }

    /// Why the index could not be read; `None` without one, and if it could.
    pub fn index_failure(&self) -> Option<String> {
        self.known.failure()
    }

    /// What the disk cache has done so far; `None` without one.
    pub fn disk_cache_stats(&self) -> Option<DiskCacheStats> {
        self.chunks.disk().map(DiskChunks::stats)
    }

    /// The axes, packing and chunks of a gridded variable (a path, if it lies in a group), at the
    /// levels selected of its further dimensions. Windows of the grid are in `unit`; `None` is the
    /// file's own.
    ///
    /// # Errors
    /// `NotFound`: no such file or variable. `CorruptGranule`: damage, or broken axes.
    /// `Unsupported`: no 1-D axes, a dimension of which nothing is selected, another filter, type or
    /// unit than is read. `InvalidInput`: a selection outside its dimension.
    pub fn grid(
        &self,
        location: &Location,
        variable: &str,
        unit: Option<&str>,
        selections: &[Selection],
    ) -> Result<Arc<Grid>> {
        self.grids.get_or_make(&key(location, variable, unit, selections), || {
            let cache = self.chunks.disk().map(DiskChunks::cache);
            let known = self.known.find(&*self.source, cache, location, variable, unit);
            let grid = match known {
                Some(grid) => grid,
                None => {
                    let grid = self.open_grid(&self.opening, location, variable, unit)?;
                    if let Some(cache) = cache {
                        self.known.keep(&*self.source, cache, &grid);
                    }
                    grid
                }
            };
            grid.selecting(selections).map_err(|e| e.asset(location).variable(variable))
        })
    }

    /// Whether `error`, which came of reading `grid`, may be the fault of the index that the grid
    /// is from. That is not asked again for it, so that another try opens the file.
    pub fn distrust(&self, grid: &Grid, error: &Error) -> bool {
        let array = &grid.array;
        let concerned = error.asset.as_ref() == Some(&array.location.to_string());
        if !grid.restored || !concerned || error.kind != Kind::CorruptGranule {
            return false;
        }
        let cache = self.chunks.disk().map(DiskChunks::cache);
        self.known.distrust(&*self.source, cache, grid);
        self.grids.forget(|(location, name, ..), kept| {
            kept.restored && *location == array.location && *name == array.name
        });
        true
    }

    /// Checks that a file is still the one of which a [`Survey`] told this; a remote one that has a
    /// version is checked as it is read.
    ///
    /// # Errors
    /// `CorruptGranule`: it has changed. `NotFound`, `Io`: it cannot be read.
    pub fn confirm(
        &self,
        location: &Location,
        size: u64,
        version: Option<&str>,
        evidence: &[u8],
    ) -> Result<()> {
        let source = &*self.source;
        let evidence = || Evidence::from_bytes(evidence);
        let same_bytes =
            || evidence().map_or(Ok(false), |evidence| evidence.holds(source, location));
        if is_remote(&location.object) {
            if let Some(version) = version {
                source.insist(location, size, version);
                return Ok(());
            }
            // What is read tells the size as well.
            if same_bytes()? && source.size(location)? == size {
                return Ok(());
            }
        } else if source.size(location)? == size {
            let same_time = version.is_some() && source.version(location)?.as_deref() == version;
            if same_time || same_bytes()? {
                return Ok(());
            }
        }
        Err(Error::corrupt(
            "the file has changed since it was listed; list it anew with `oceanarrow catalog \
             --update`, or write_catalog(..., update=True)",
        )
        .asset(location))
    }

    /// Opens a file for an index of a gridded variable.
    ///
    /// # Errors
    /// As [`GranuleReader::grid`].
    pub fn describe(&self, location: &Location, variable: &str) -> Result<Described> {
        // Everything is read anew, so that all of it is noted.
        let witness = Arc::new(Witness::new(self.source.clone()));
        let opening = Opening::new(witness.clone(), self.bytes_read.clone());
        let grid = self.open_grid(&opening, location, variable, None)?;
        Described::new(&grid, Some(&witness.evidence()), &*self.source)
    }

    fn open_grid(
        &self,
        opening: &Opening,
        location: &Location,
        variable: &str,
        unit: Option<&str>,
    ) -> Result<Grid> {
        self.open(opening, location, variable, |file, chunks, found| {
            Grid::open(file, chunks, found, unit)
        })
    }

    /// The stored chunks that [`GranuleReader::window`] fetches, those fetched at once together; it
    /// reads none.
    ///
    /// # Errors
    /// `InvalidInput`: the rectangle leaves the grid. `CorruptGranule`: the file has no such step, or
    /// its chunks cannot be.
    pub fn chunks(&self, reading: &Reading) -> Result<Vec<Vec<StoredChunk>>> {
        reading.chunks()
    }

    /// Gets what [`GranuleReader::window`] would use, for the caches to keep.
    ///
    /// # Errors
    /// As [`GranuleReader::window`].
    pub fn bring(&self, reading: &Reading, ahead: Ahead) -> Result<()> {
        reading.bring(&self.chunks, ahead)
    }

    /// The cells of a reading as they are stored, ready to be summed.
    ///
    /// # Errors
    /// As [`GranuleReader::chunks`]; also `CorruptGranule`: a chunk is damaged, `Io`: reading failed.
    pub fn window<'g>(&self, reading: &'g Reading) -> Result<Window<'g>> {
        reading.window(&self.chunks)
    }

    /// Decodes the cells of a reading into `out`: row-major, f32 in the wanted unit, NaN where
    /// invalid.
    ///
    /// # Errors
    /// As [`GranuleReader::window`]; `InvalidInput` also if `out` has another size.
    pub fn values(&self, reading: &Reading, out: &mut [f32]) -> Result<()> {
        reading.values(&self.chunks, out)
    }

    /// Point data: the levels of `variable` that have a finite value in `unit` (`None` is the
    /// file's own), position and time.
    ///
    /// # Errors
    /// As [`GranuleReader::grid`]; `Unsupported` also if a position or the time is missing.
    pub fn points(
        &self,
        location: &Location,
        variable: &str,
        unit: Option<&str>,
    ) -> Result<Arc<Points>> {
        self.points.get_or_make(&key(location, variable, unit, &[]), || {
            self.open(&self.opening_points, location, variable, |file, chunks, found| {
                Points::open(file, chunks, found, unit)
            })
        })
    }

    /// The strings of a variable of one dimension.
    ///
    /// # Errors
    /// `NotFound`: no such file or variable. `CorruptGranule`: damage. `Unsupported`: other elements.
    pub fn texts(&self, location: &Location, variable: &str) -> Result<Arc<Texts>> {
        self.texts.get_or_make(&key(location, variable, None, &[]), || {
            let opening = &self.opening;
            self.open(opening, location, variable, |_, _, found| found.texts().map(Texts))
        })
    }

    /// What this reader has done so far.
    pub fn stats(&self) -> GranuleStats {
        GranuleStats {
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            chunks_decoded: self.chunks.decoded.load(Ordering::Relaxed),
            chunks_distinct: self.chunks.distinct(),
            chunk_hits: self.chunks.hits.load(Ordering::Relaxed),
            files_opened: self.files_opened.load(Ordering::Relaxed),
            index_hits: self.known.hits.load(Ordering::Relaxed),
        }
    }

    fn open<T>(
        &self,
        opening: &Opening,
        location: &Location,
        variable: &str,
        read: impl FnOnce(&File, &Chunks, &Variable<'_>) -> Result<T>,
    ) -> Result<T> {
        let opened = self.open_file(opening, location, |file, chunks| {
            let found = file.variable(variable)?;
            let found = found.ok_or_else(|| Error::not_found("the file has no such variable"))?;
            read(file, chunks, &found)
        });
        opened.map_err(|e| e.variable(variable))
    }

    fn open_file<T>(
        &self,
        opening: &Opening,
        location: &Location,
        read: impl FnOnce(&File, &Chunks) -> Result<T>,
    ) -> Result<T> {
        self.files_opened.fetch_add(1, Ordering::Relaxed);
        let attempt = || {
            let source = opening.source.clone();
            let file = File::open(Blocks::new(source, location.clone(), self.bytes_read.clone())?)?;
            let opened = read(&file, &opening.chunks)?;
            file.healthy()?;
            Ok(opened)
        };
        attempt().map_err(|e: Error| e.asset(location))
    }
}

fn key(location: &Location, variable: &str, unit: Option<&str>, selections: &[Selection]) -> Key {
    let levels = match selections {
        [] => String::new(),
        some => format!("{some:?}"),
    };
    (location.clone(), variable.to_owned(), unit.map(str::to_owned), levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<GranuleReader>();
        shared::<Grid>();
        shared::<Points>();
    }
}
