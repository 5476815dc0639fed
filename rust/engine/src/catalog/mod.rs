//! What exists: a TACO container's level tables, joined into one sorted table of granules.
//!
//! ```text
//!  roots --container--> COLLECTION.json + level tables --join--> rows --finish--> Catalog
//!             |                                            |
//!      FOLDER, archive (zip), TacoCat          ids and paths checked (ids, wkb)
//! ```
//!
//! Only metadata are read: a FOLDER's `METADATA/`, the tables inside a `.tacozip`, or those of a
//! `.tacocat` directory. Everything comes through [`ByteSource`], and nothing is ever listed.
//! A dataset that breaks the specification is refused, with the file and row that do so.

mod assets;
mod collection;
mod container;
mod finish;
mod ids;
mod interner;
mod join;
mod level;
mod links;
mod wkb;
mod zip;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::geo::BBox;
use crate::query::iso_date;
use crate::store::{ByteSource, Location, is_remote};

/// A granule: one file of one region on one day. Numbers refer to the catalog's tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Granule {
    /// Days since 1970-01-01, UTC.
    pub day: i32,
    /// Index into [`Catalog::regions`].
    pub region: u16,
    /// Index into [`Catalog::sources`].
    pub source: u16,
    /// Index into [`Catalog::files`].
    pub file: u16,
    part: u16,
    /// Latitude step in degrees as the writer stated it; NaN where unknown (profiles).
    pub res_deg_lat: f32,
    offset: u64,
    size: u64,
}

/// A region: its name and its footprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The name, which is also the folder's.
    pub name: String,
    /// The footprint.
    pub bbox: BBox,
}

/// A folder or an archive that holds granules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    /// Root of the folder or path of the archive.
    object: Arc<str>,
    /// Size of the archive in bytes; `None` for a folder.
    size: Option<u64>,
}

/// The metadata files of one container, as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataFiles {
    /// `COLLECTION.json`.
    pub collection: Bytes,
    /// The level tables (Parquet), from level 0 on.
    pub levels: Vec<Bytes>,
}

/// All granules of a dataset, sorted by day, region name, source name and file name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    granules: Vec<Granule>,
    regions: Vec<Region>,
    sources: Vec<Arc<str>>,
    files: Vec<Arc<str>>,
    parts: Vec<Part>,
    warnings: Vec<String>,
}

impl Catalog {
    /// Reads the metadata of a dataset.
    ///
    /// `roots` is one path or address of a FOLDER, a `.tacozip`, a `.tacocat` directory or the directory around
    /// one; or the paths of all `.tacozip` parts of a split dataset.
    pub fn open(source: &dyn ByteSource, roots: &[String]) -> Result<Self> {
        let mut joined = join::Joined::default();
        for container in container::open(source, roots)? {
            joined.add(source, container)?;
        }
        let mut catalog = finish::finish(joined)?;
        for part in &mut catalog.parts {
            part.object = source.pinned(&part.object)?.into();
        }
        if let [Part { object, size: None }] = catalog.parts.as_slice()
            && !is_remote(object)
        {
            let found = links::warnings(&catalog, object);
            catalog.warnings.extend(found);
        }
        Ok(catalog)
    }

    /// The metadata files that [`Catalog::open`] reads of these roots: of one container, or of each
    /// archive of a split one, in the order of their names.
    pub fn metadata_files(source: &dyn ByteSource, roots: &[String]) -> Result<Vec<MetadataFiles>> {
        let files = |container: container::Container| {
            let levels = container.levels.into_iter().map(|level| level.bytes);
            Ok(MetadataFiles {
                collection: container.description.bytes?,
                levels: levels.collect::<Result<_>>()?,
            })
        };
        container::open(source, roots)?.into_iter().map(files).collect()
    }

    /// The granules, sorted by day, region name, source name and file name.
    pub fn granules(&self) -> &[Granule] {
        &self.granules
    }

    /// Where in [`Catalog::granules`] those of a day lie.
    pub fn on_day(&self, day: i32) -> Range<usize> {
        let start = self.granules.partition_point(|g| g.day < day);
        let rest = self.granules.get(start..).unwrap_or_default();
        start..start + rest.partition_point(|g| g.day == day)
    }

    /// The regions, in alphabetical order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The `data_source` names, in alphabetical order.
    pub fn sources(&self) -> &[Arc<str>] {
        &self.sources
    }

    /// The file names, in alphabetical order.
    pub fn files(&self) -> &[Arc<str>] {
        &self.files
    }

    /// The folder or the archives that hold the granules.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &*part.object)
    }

    /// Where the bytes of one of this catalog's granules lie.
    pub fn location(&self, granule: &Granule) -> Location {
        let part = &self.parts[usize::from(granule.part)];
        match part.size {
            None => {
                Location::whole(format!("{}/DATA/{}", part.object, self.relative_path(granule)))
            }
            Some(_) => Location {
                object: part.object.clone(),
                slice: Some((granule.offset, granule.size)),
            },
        }
    }

    /// Checks that an archive's entry is what the metadata say: its local header lies where it
    /// should, has its name and size, and is stored without compression. Reads that header alone;
    /// remote archives are spared the request.
    pub fn check_zip_entry(&self, source: &dyn ByteSource, granule: &Granule) -> Result<()> {
        let part = &self.parts[usize::from(granule.part)];
        if part.size.is_none() || is_remote(&part.object) {
            return Ok(());
        }
        let name = format!("DATA/{}", self.relative_path(granule));
        zip::check_entry(source, &part.object, &name, (granule.offset, granule.size))
    }

    /// Whether any granule lies on another machine.
    pub fn is_remote(&self) -> bool {
        self.parts.iter().any(|part| is_remote(&part.object))
    }

    /// First and last day that have a granule.
    pub fn days(&self) -> Option<(i32, i32)> {
        Some((self.granules.first()?.day, self.granules.last()?.day))
    }

    /// What is odd about the dataset, but no reason to refuse it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The same catalog with only the granules for which `keep` is true; numbers stay the same.
    #[must_use]
    pub fn retain(&self, mut keep: impl FnMut(&Granule) -> bool) -> Self {
        Self {
            granules: self.granules.iter().filter(|g| keep(g)).copied().collect(),
            regions: self.regions.clone(),
            sources: self.sources.clone(),
            files: self.files.clone(),
            parts: self.parts.clone(),
            warnings: self.warnings.clone(),
        }
    }
}

/// The id of a day, `YYYY_MM_DD`.
fn date_id(day: i32) -> String {
    iso_date(day).replace('-', "_")
}
