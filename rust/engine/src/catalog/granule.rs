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
    /// Its place on the object's time axis; `None` where the object's own times tell the day.
    pub step: Option<u32>,
    /// Index into [`Catalog::regions`](super::Catalog::regions).
    pub region: u32,
    /// Index into [`Catalog::products`](super::Catalog::products).
    pub product: u32,
    /// Latitude step in degrees as the writer stated it; NaN where unknown (profiles).
    pub res_deg_lat: f32,
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
    /// A file where it lies: a path or an address.
    File(Arc<str>),
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
