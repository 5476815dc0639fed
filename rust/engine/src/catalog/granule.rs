//! Granules, and the objects that hold them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::geo::BBox;

/// A granule: one day's grid, or points, of one product in one object. Numbers refer to the catalog's
/// tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Granule {
    /// Days since 1970-01-01, UTC.
    pub day: i32,
    /// The object that holds it; see [`Catalog::location`](super::Catalog::location).
    pub object: u32,
    /// Its places on the object's time axis; `None` where the object's own times tell the day.
    pub steps: Option<Steps>,
    /// Index into [`Catalog::regions`](super::Catalog::regions).
    pub region: u32,
    /// Index into [`Catalog::products`](super::Catalog::products).
    pub product: u32,
    /// Latitude step in degrees as the writer stated it; NaN where unknown (profiles).
    pub res_deg_lat: f32,
}

/// A granule that is of no day: it holds on all, or at a place of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undated {
    /// Its place in a cycle of months or days of the year, from 0 on; `None`: it holds on all days.
    pub place: Option<u16>,
    /// The rest, on day 0.
    pub granule: Granule,
}

impl Undated {
    /// As a granule with its place for a day, -1 without one: so that it is put in order as others are.
    pub(super) fn placed(&self) -> Granule {
        Granule { day: self.place.map_or(-1, i32::from), ..self.granule }
    }

    /// The one that [`Undated::placed`] gave.
    pub(super) fn of_placed(granule: Granule) -> Self {
        Self { place: u16::try_from(granule.day).ok(), granule: Granule { day: 0, ..granule } }
    }
}

/// Time steps of an object, one after another, whose mean is a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Steps {
    /// The first, counted from 0.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// A region: its name and its footprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The name, which is also the folder's.
    pub name: String,
    /// The footprint.
    pub bbox: BBox,
}

/// What the files of one kind are: a variable is read of the granules of one product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Product {
    /// The `data_source`.
    pub source: Arc<str>,
    /// The file's name within its region.
    pub file: Arc<str>,
}

/// A folder or an archive that holds objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Volume {
    /// Root of the folder or path of the archive.
    pub(super) path: Arc<str>,
    /// Size of the archive in bytes; `None` for a folder.
    pub(super) archive: Option<u64>,
}

/// One file with bytes: what is opened, indexed and counted once, however many granules it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Object {
    /// A tile of a TACO container, whose path is made of its ids.
    Tile(TileObject),
    /// A file that a listing names, where it lies.
    File(FileObject),
}

/// A file of a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FileObject {
    /// As the listing has it: relative to its volume, absolute, or an address.
    pub(super) path: Arc<str>,
    /// `None`: the path says all.
    pub(super) volume: Option<u32>,
    pub(super) identity: Identity,
}

/// What tells one state of a file from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Bytes of the file.
    pub size: u64,
    /// The version, if there is one, and the evidence, in one piece: catalogues have many files.
    told: Arc<[u8]>,
    version: Option<u32>,
}

impl Identity {
    /// Of a file of so many bytes: what its store calls this state, if it does, and what opening
    /// read of it, as the granule reader has it.
    pub fn new(size: u64, version: Option<&str>, evidence: &[u8]) -> Self {
        let text = version.unwrap_or_default().as_bytes();
        Self {
            size,
            told: [text, evidence].concat().into(),
            version: version.map(|v| v.len() as u32),
        }
    }

    /// What the file's store calls this state; `None` where it doesn't.
    pub fn version(&self) -> Option<&str> {
        self.version.and_then(|length| std::str::from_utf8(self.told.get(..length as usize)?).ok())
    }

    /// What opening read of it.
    pub fn evidence(&self) -> &[u8] {
        self.told.get(self.version.unwrap_or_default() as usize..).unwrap_or_default()
    }

    /// The same without a version.
    pub(super) fn without_version(&self) -> Self {
        Self::new(self.size, None, self.evidence())
    }
}

/// A tile of a TACO container: `{date}/{region}/{file}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TileObject {
    pub(super) volume: u32,
    pub(super) day: i32,
    pub(super) region: u32,
    pub(super) product: u32,
    /// Offset and size in an archive; zeros in a folder.
    pub(super) extent: (u64, u64),
}
