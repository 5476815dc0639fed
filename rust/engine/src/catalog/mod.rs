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

mod assemble;
mod assets;
mod collection;
mod container;
mod finish;
mod granule;
mod ids;
mod interner;
mod join;
mod links;
mod listing;
mod merge;
mod table;
mod wkb;
mod zip;

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::calendar::iso_date;
use crate::error::Result;
use crate::store::{ByteSource, Location, is_remote, normalise};
use crate::variable::Variable;
use granule::{Object, TileObject, Volume};

pub use granule::{Granule, Identity, Product, Region, Steps, Undated};
pub use listing::{
    Group, ListedFile, ListedGranule, ListedVariables, Listing, folder, index_beside, is_listing,
    listed_variables, locate,
};

/// The metadata files of one container, as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataFiles {
    /// `COLLECTION.json`.
    pub collection: Bytes,
    /// The level tables (Parquet), from level 0 on.
    pub levels: Vec<Bytes>,
}

/// All granules of a dataset, sorted by day, region name, source name and file name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    granules: Vec<Granule>,
    undated: Vec<Undated>,
    objects: Vec<Object>,
    regions: Vec<Region>,
    products: Vec<Product>,
    volumes: Vec<Volume>,
    /// Whether any object lies on another machine; asked with every read.
    remote: bool,
    warnings: Vec<String>,
}

impl Catalog {
    /// Reads the metadata of a dataset.
    ///
    /// `roots` are paths or addresses of a FOLDER, a `.tacozip`, a `.tacocat` directory or the
    /// directory around one, or a listing of files: one dataset, several, or all parts of a split one.
    pub fn open(source: &dyn ByteSource, roots: &[String]) -> Result<Self> {
        let (listings, containers): (Vec<String>, Vec<String>) =
            roots.iter().cloned().partition(|root| is_listing(root));
        let mut catalogs = Vec::new();
        if listings.is_empty() || !containers.is_empty() {
            catalogs.push(Self::open_containers(source, &containers)?);
        }
        for root in listings {
            catalogs.push(Self::open_listing(source, &root)?);
        }
        merge::merge(catalogs)
    }

    fn open_containers(source: &dyn ByteSource, roots: &[String]) -> Result<Self> {
        let mut joined = join::Joined::default();
        for container in container::open(source, roots)? {
            joined.add(source, container)?;
        }
        let mut catalog = finish::finish(joined)?;
        for volume in &mut catalog.volumes {
            volume.path = source.pinned(&volume.path)?.into();
        }
        let remote = catalog.remote_roots().next().is_some();
        catalog.remote = remote;
        if let [Volume { path, archive: None }] = catalog.volumes.as_slice()
            && !is_remote(path)
        {
            let found = links::warnings(&catalog, path);
            catalog.warnings.extend(found);
        }
        Ok(catalog)
    }

    fn open_listing(source: &dyn ByteSource, root: &str) -> Result<Self> {
        let root = source.pinned(&normalise(root)?)?;
        Self::of_listing(Listing::open(source, &root)?, &root)
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

    /// The granules that are of no day, sorted by their places.
    pub fn undated(&self) -> &[Undated] {
        &self.undated
    }

    /// A granule by its number: those of days come first.
    pub fn granule(&self, number: u32) -> &Granule {
        let number = number as usize;
        match number.checked_sub(self.granules.len()) {
            None => &self.granules[number],
            Some(undated) => &self.undated[undated].granule,
        }
    }

    /// The numbers of those of no day that are at this place.
    pub fn at_place(&self, place: Option<u16>) -> Range<u32> {
        let start = self.undated.partition_point(|other| other.place < place);
        let end = self.undated.partition_point(|other| other.place <= place);
        let first = self.granules.len();
        (first + start) as u32..(first + end) as u32
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

    /// The products, in alphabetical order of source and file.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// The `data_source` names, in alphabetical order.
    pub fn sources(&self) -> Vec<&str> {
        let mut sources: Vec<&str> = self.products.iter().map(|product| &*product.source).collect();
        sources.dedup();
        sources
    }

    /// The number of the product that holds a variable, if there is one.
    pub fn product_of(&self, variable: &Variable) -> Option<u32> {
        let held = |p: &Product| *p.source == *variable.source && *p.file == *variable.file;
        self.products.iter().position(held).map(|product| product as u32)
    }

    /// The remote roots of the dataset: folders, archives, and files that lie by themselves.
    pub fn remote_roots(&self) -> impl Iterator<Item = &str> {
        let files = self.objects.iter().filter_map(|object| match object {
            Object::File(file) if file.volume.is_none() => Some(&*file.path),
            _ => None,
        });
        let volumes = self.volumes.iter().map(|volume| &*volume.path);
        volumes.chain(files).filter(|path| is_remote(path))
    }

    /// How many objects there are: their numbers end before it.
    pub fn n_objects(&self) -> usize {
        self.objects.len()
    }

    /// Where the bytes of one of this catalog's objects lie.
    pub fn location(&self, object: u32) -> Location {
        match &self.objects[object as usize] {
            Object::File(file) => match file.volume {
                None => Location::whole(file.path.clone()),
                Some(volume) => locate(&self.volumes[volume as usize].path, &file.path),
            },
            Object::Tile(tile) => {
                let volume = &self.volumes[tile.volume as usize];
                match volume.archive {
                    None => {
                        Location::whole(format!("{}/DATA/{}", volume.path, self.tile_path(tile)))
                    }
                    Some(_) => Location { object: volume.path.clone(), slice: Some(tile.extent) },
                }
            }
        }
    }

    /// What an object is called within the dataset: `{date}/{region}/{file}` of a tile, the path or
    /// address of a file that lies by itself.
    pub fn relative_path(&self, object: u32) -> String {
        match &self.objects[object as usize] {
            Object::File(file) => file.path.to_string(),
            Object::Tile(tile) => self.tile_path(tile),
        }
    }

    /// Which state of an object a listing is of; `None` of tiles.
    pub fn identity(&self, object: u32) -> Option<&Identity> {
        match &self.objects[object as usize] {
            Object::File(file) => Some(&file.identity),
            Object::Tile(_) => None,
        }
    }

    /// Checks that an archive's entry is what the metadata say: its local header lies where it
    /// should, has its name and size, and is stored without compression. Reads that header alone;
    /// remote archives are spared the request.
    pub fn check_zip_entry(&self, source: &dyn ByteSource, object: u32) -> Result<()> {
        let Object::Tile(tile) = &self.objects[object as usize] else { return Ok(()) };
        let volume = &self.volumes[tile.volume as usize];
        if volume.archive.is_none() || is_remote(&volume.path) {
            return Ok(());
        }
        let name = format!("DATA/{}", self.tile_path(tile));
        zip::check_entry(source, &volume.path, &name, tile.extent)
    }

    /// Whether any object lies on another machine.
    pub fn is_remote(&self) -> bool {
        self.remote
    }

    /// First and last day that have a granule.
    pub fn days(&self) -> Option<(i32, i32)> {
        Some((self.granules.first()?.day, self.granules.last()?.day))
    }

    /// What is odd about the dataset, but no reason to refuse it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The same catalog with only the granules for which `keep` is true (told whether it is of a day),
    /// and their objects, which are numbered anew.
    #[must_use]
    pub fn retain(&self, mut keep: impl FnMut(&Granule, bool) -> bool) -> Self {
        let mut numbers = HashMap::new();
        let mut objects = Vec::new();
        let mut take = |granule: &Granule| {
            let object = *numbers.entry(granule.object).or_insert_with(|| {
                objects.push(self.objects[granule.object as usize].clone());
                objects.len() as u32 - 1
            });
            Granule { object, ..*granule }
        };
        let granules =
            self.granules.iter().filter(|granule| keep(granule, true)).map(&mut take).collect();
        let undated = self.undated.iter().filter(|undated| keep(&undated.granule, false));
        let undated = undated.map(|u| Undated { granule: take(&u.granule), ..*u }).collect();
        Self {
            granules,
            undated,
            objects,
            regions: self.regions.clone(),
            products: self.products.clone(),
            volumes: self.volumes.clone(),
            remote: self.remote,
            warnings: self.warnings.clone(),
        }
    }

    fn tile_path(&self, tile: &TileObject) -> String {
        let region = &self.regions[tile.region as usize].name;
        let file = &self.products[tile.product as usize].file;
        format!("{}/{region}/{file}", date_id(tile.day))
    }
}

/// The id of a day, `YYYY_MM_DD`.
fn date_id(day: i32) -> String {
    iso_date(day).replace('-', "_")
}
