//! Granules: windows and points of NetCDF4 (HDF5) files.
//!
//! ```text
//!  bytes --> hdf5 (metadata, chunk index)    --> coordinates, axes, time, cf --> Grid, Points
//!    |                                                                                |
//!    +-----> chunks (cache, filters) ------> window (convert) --------------> &mut [f32]
//! ```
//!
//! Opening a file reads its metadata once, through hdf5-reader, and remembers for one variable the
//! axes, the packing and where each chunk lies. A window then reads only the chunks it touches,
//! by byte range, and converts only its own rectangle of them. Decoded chunks are kept in their
//! stored type, and threads that want the same chunk share one decode.

mod array;
mod axes;
mod cache;
mod cf;
mod chunks;
mod convert;
mod coordinates;
mod filters;
mod grid;
mod hdf5;
mod inflate;
mod points;
mod time;
mod window;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::store::{ByteSource, Location};

use cache::ByteCache;
use chunks::Chunks;
use hdf5::{Blocks, File, Variable};

pub use chunks::StoredChunk;
pub use grid::Grid;
pub use points::Points;

/// Descriptions of open variables kept; one takes from a few KiB to a few hundred.
const GRID_BYTES: usize = 64 << 20;

/// Decoded axes kept while variables of the same file are opened.
const AXIS_BYTES: usize = 8 << 20;

/// Decoded point data kept.
const POINT_BYTES: usize = 64 << 20;

/// File, variable, wanted unit.
type Key = (Location, String, Option<String>);

/// What a reader has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GranuleStats {
    /// Bytes asked of the byte source, metadata included.
    pub bytes_read: u64,
    /// Chunks (or blocks of contiguous data) that windows had decoded.
    pub chunks_decoded: u64,
    /// How many different ones these were.
    pub chunks_distinct: u64,
    /// Chunks that windows found decoded.
    pub chunk_hits: u64,
    /// Times a file was opened for one of its variables.
    pub files_opened: u64,
}

/// Reads windows and points of granules; one is shared by all threads.
pub struct GranuleReader {
    source: Arc<dyn ByteSource>,
    chunks: Chunks,
    /// What opening files decodes: axes and points, kept in their final form elsewhere. It has no
    /// share in the cache of windows, so that the windows alone decide what that one keeps.
    opening: Chunks,
    grids: ByteCache<Key, Grid>,
    points: ByteCache<Key, Points>,
    bytes_read: Arc<AtomicU64>,
    files_opened: AtomicU64,
}

impl GranuleReader {
    /// A reader that keeps at most `cache_bytes` of decoded chunks.
    pub fn new(source: Arc<dyn ByteSource>, cache_bytes: usize) -> Self {
        let bytes_read = Arc::new(AtomicU64::new(0));
        Self {
            chunks: Chunks::new(source.clone(), cache_bytes, bytes_read.clone()),
            opening: Chunks::new(source.clone(), AXIS_BYTES, bytes_read.clone()),
            source,
            grids: ByteCache::new(GRID_BYTES),
            points: ByteCache::new(POINT_BYTES),
            bytes_read,
            files_opened: AtomicU64::new(0),
        }
    }

    /// The axes, packing and chunks of a gridded variable (a path, if it lies in a group). Windows
    /// of the grid are in `unit`; `None` is the file's own.
    ///
    /// # Errors
    /// `NotFound`: no such file or variable. `CorruptGranule`: damage, or broken axes.
    /// `Unsupported`: no 1-D axes, another dimension, filter, type or unit than is read.
    pub fn grid(
        &self,
        location: &Location,
        variable: &str,
        unit: Option<&str>,
    ) -> Result<Arc<Grid>> {
        self.grids.get_or_make(&key(location, variable, unit), || {
            self.open(location, variable, |file, found| {
                Grid::open(file, &self.opening, found, unit)
            })
        })
    }

    /// Decodes `rows` x `cols`, indices on `grid.lat` and `grid.lon`, into `out` (row-major, f32 in
    /// the wanted unit, NaN where invalid). Of several time steps those of `day` (days since
    /// 1970-01-01) count, as the mean of their valid values; a single one counts on every day.
    ///
    /// # Errors
    /// `InvalidInput`: the window leaves the grid, or `out` has another size. `CorruptGranule`: a
    /// chunk is damaged. `Io`: reading failed.
    pub fn window(
        &self,
        grid: &Grid,
        day: i32,
        rows: Range<usize>,
        cols: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        grid.window(&self.chunks, day, rows, cols, out)
    }

    /// Decodes the chunks that [`GranuleReader::window`] would use, for the cache to keep.
    ///
    /// # Errors
    /// As [`GranuleReader::window`].
    pub fn prefetch(
        &self,
        grid: &Grid,
        day: i32,
        rows: Range<usize>,
        cols: Range<usize>,
    ) -> Result<()> {
        grid.prefetch(&self.chunks, day, rows, cols)
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
        self.points.get_or_make(&key(location, variable, unit), || {
            self.open(location, variable, |file, found| {
                Points::open(file, &self.opening, found, unit)
            })
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
        }
    }

    fn open<T>(
        &self,
        location: &Location,
        variable: &str,
        read: impl FnOnce(&File, &Variable<'_>) -> Result<T>,
    ) -> Result<T> {
        self.files_opened.fetch_add(1, Ordering::Relaxed);
        let attempt = || {
            let source = self.source.clone();
            let file = File::open(Blocks::new(source, location.clone(), self.bytes_read.clone())?)?;
            let found = file.variable(variable)?;
            let found = found.ok_or_else(|| Error::not_found("the file has no such variable"))?;
            let opened = read(&file, &found)?;
            file.healthy()?;
            Ok(opened)
        };
        attempt().map_err(|e: Error| e.asset(location).variable(variable))
    }
}

fn key(location: &Location, variable: &str, unit: Option<&str>) -> Key {
    (location.clone(), variable.to_owned(), unit.map(str::to_owned))
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
