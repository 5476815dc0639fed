//! Grids of plain numbers, without a NetCDF file around them.

use crate::granule::cf::packing::Packing;
use crate::granule::format::array::{Array, Dtype, Storage, Stored};
use crate::granule::format::attribute::Number;
use crate::granule::grids::grid::{Direction, Grid, Steps};
use crate::granule::grids::sums::Summation;
use crate::store::Location;

/// Numbers in uncompressed chunks, stored one after another in row-major order: for benchmarks and
/// tests, which need no file format.
#[derive(Clone, Debug)]
pub struct RawGrid {
    /// Where the first chunk starts.
    pub location: Location,
    /// The type of the numbers, in this machine's byte order.
    pub dtype: Dtype,
    /// Rows and columns of a chunk; the last chunks are as large as the others.
    pub chunk: (usize, usize),
    /// Latitudes, ascending.
    pub lat: Vec<f64>,
    /// Longitudes, ascending.
    pub lon: Vec<f64>,
    /// The first stored row is the northernmost.
    pub north_first: bool,
    /// The stored number that stands for no value.
    pub fill: Option<f64>,
    /// `value = stored * scale + offset`.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// Tells the grid from all others of a reader.
    pub key: u128,
}

impl From<RawGrid> for Grid {
    fn from(raw: RawGrid) -> Self {
        let RawGrid { dtype, scale, offset, .. } = raw;
        let packing = Packing {
            scale,
            offset,
            invalid: raw.fill.map(Number::Float).into_iter().collect(),
            ..Packing::none(dtype)
        };
        let shape = [raw.lat.len(), raw.lon.len()];
        let chunk = [raw.chunk.0.max(1), raw.chunk.1.max(1)];
        let chunks = shape[0].div_ceil(chunk[0]) * shape[1].div_ceil(chunk[1]);
        let size = (chunk[0] * chunk[1] * dtype.size()) as u64;
        let stored = |linear| Stored { linear, address: linear * size, size, skipped: 0 };
        let array = Array {
            location: raw.location,
            name: "raw".to_owned(),
            dtype,
            swapped: false,
            shape: shape.map(|n| n as u64).to_vec(),
            chunk: chunk.map(|n| n as u64).to_vec(),
            storage: Storage::Chunks((0..chunks as u64).map(stored).collect()),
            filters: Vec::new(),
            fill: vec![0; dtype.size()],
            key: raw.key,
        };
        Self {
            lat: raw.lat,
            lon: raw.lon,
            unit: None,
            lat_dim: Direction { dim: 0, reversed: raw.north_first },
            lon_dim: Direction { dim: 1, reversed: false },
            steps: Steps::One,
            further: Vec::new(),
            levels: vec![vec![0; 2]],
            flags: Vec::new(),
            array,
            summation: Summation::new(&packing),
            packing,
            restored: false,
        }
    }
}
