//! A catalogue of one's own files: one Parquet file that lists NetCDF files where they lie.
//!
//! ```text
//!  path          string   relative to the folder of the catalogue, absolute, or an address
//!  size          int64    bytes of the file when it was listed
//!  version       string   which state of it that was; null where nothing told
//!  evidence      binary   what opening read of it: a digest (16 bytes), then ranges (varints)
//!  group         int64    its place in the key oceanarrow.catalog.groups
//!  day           int64    since 1970-01-01, UTC; null where the granule holds on all days
//!  cycle         int64    place in a cycle, such as the month; null without one
//!  first_step    int64    place on the file's time axis
//!  n_steps       int64    so many steps from there on, whose mean is the granule
//!  lon_min, lon_max, lat_min, lat_max   double   edges of the cells, degrees
//!  res_deg_lat   double   degrees between rows; NaN where unknown
//! ```
//!
//! Keys of its metadata: `oceanarrow.catalog` (the format's number), `oceanarrow.catalog.groups` (JSON:
//! `{"variables": [name, ...], "priority": number}` each), `oceanarrow.catalog.variables` (JSON: what
//! the names stand for), `oceanarrow.catalog.request` (JSON: what it was asked to list) and
//! `oceanarrow.catalog.warnings` (JSON: texts). The places of the files' chunks lie beside it, in an
//! index ([`index_beside`]).
//!
//! A catalogue is data from elsewhere: nothing in it leads out of its folder by `..`, and one that
//! lies on a server names no local file and no other server.

mod read;
mod write;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Identity, Steps};
use crate::error::Result;
use crate::store::{ByteSource, Location};

pub use read::{ListedVariables, listed_variables};

/// Says that a Parquet file is a catalogue, and in which format.
const FORMAT_KEY: &str = "oceanarrow.catalog";
const FORMAT: u32 = 1;
const GROUPS_KEY: &str = "oceanarrow.catalog.groups";
const VARIABLES_KEY: &str = "oceanarrow.catalog.variables";
const REQUEST_KEY: &str = "oceanarrow.catalog.request";
const WARNINGS_KEY: &str = "oceanarrow.catalog.warnings";

/// What a catalogue says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The files, each once.
    pub files: Vec<ListedFile>,
    /// Their granules.
    pub granules: Vec<ListedGranule>,
    /// What the granules are of.
    pub groups: Vec<Group>,
    /// What the variables' names stand for, as JSON.
    pub variables: String,
    /// What it was asked to list, as JSON.
    pub request: String,
    /// What is odd about the files.
    pub warnings: Vec<String>,
}

/// A file of a catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedFile {
    /// As the catalogue has it: relative to its folder, absolute, or an address.
    pub path: Arc<str>,
    /// Which state of it is listed.
    pub identity: Identity,
}

/// A granule of a catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedGranule {
    /// Index into the files.
    pub file: u32,
    /// Index into the groups.
    pub group: u32,
    /// Days since 1970-01-01; `None`: it holds on all days.
    pub day: Option<i32>,
    /// Its place in a cycle.
    pub cycle: Option<u16>,
    /// Its time steps.
    pub steps: Steps,
    /// West, east, south and north edge of its cells, degrees.
    pub edges: [f64; 4],
    /// Degrees between rows; NaN where unknown.
    pub res_deg_lat: f64,
}

/// Variables that the same granules hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Group {
    /// Their names.
    pub variables: Vec<String>,
    /// Of one variable and day, granules of the highest priority count.
    pub priority: i32,
}

impl Listing {
    /// Reads the catalogue at `root`, a path or address as the store keeps it.
    ///
    /// # Errors
    /// `NotFound`, `Io`: it cannot be read. `InvalidDataset`: it is no catalogue, of a newer format,
    /// or a row breaks the format.
    pub fn open(source: &dyn ByteSource, root: &str) -> Result<Self> {
        read::open(source, root)
    }
}

/// Whether a root is, by its name, a catalogue.
pub fn is_listing(root: &str) -> bool {
    root.to_ascii_lowercase().ends_with(EXTENSION)
}

const EXTENSION: &str = ".parquet";

/// Where the index of a catalogue lies: `ocean.index.parquet` beside `ocean.parquet`.
pub fn index_beside(root: &str) -> String {
    let stem = root.get(..root.len().saturating_sub(EXTENSION.len())).unwrap_or(root);
    format!("{stem}.index{EXTENSION}")
}

/// Where a file lies, by the path that a catalogue in `folder` keeps of it.
pub fn locate(folder: &str, path: &str) -> Location {
    if path.contains("://") || path.starts_with('/') {
        return Location::whole(path);
    }
    Location::whole(format!("{}/{path}", folder.trim_end_matches('/')))
}

/// The folder of a catalogue.
pub fn folder(root: &str) -> &str {
    root.rsplit_once('/').map_or("", |(folder, _)| folder)
}
