//! The part of a dataset that a plan's queries need, to be copied.

mod transfer;

use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::{Catalog, MetadataFiles, Region, folder};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::{ByteSource, Extent, Location, Want, normalise};
use transfer::Copy;

pub use transfer::{Progress, Transfer};

/// An object of the subset.
#[derive(Clone, Debug, PartialEq)]
pub struct SubsetObject {
    /// `{date}/{region}/{file}` of a tile; what a catalogue calls the file otherwise.
    pub path: String,
    /// Its `data_source`.
    pub source: Arc<str>,
    /// Its size in bytes, where the metadata have it.
    pub size: Option<u64>,
    /// Whether a catalogue lists it.
    pub is_listed: bool,
    location: Location,
}

impl SubsetObject {
    /// Its absolute path or address; the archive's, of a tile in one.
    pub fn address(&self) -> &str {
        &self.location.object
    }
}

/// The objects that the engine would open for any query: those under the boxes and their neighbours.
pub struct Subset {
    engine: Arc<Engine>,
    objects: Vec<SubsetObject>,
}

impl Subset {
    /// Finds the objects, in the catalog alone; the entries of a local archive are checked.
    pub fn of(engine: Arc<Engine>) -> Result<Self> {
        let setup = engine.setup();
        let catalog = &setup.catalog;
        let mut needed = vec![false; catalog.n_objects()];
        let mut objects = Vec::new();
        for query in &setup.queries {
            for request in 0..setup.requests.len() {
                let asked = setup.requests[request].asked(query);
                for granule in engine.granules(&asked, request) {
                    if !std::mem::replace(&mut needed[granule.object as usize], true) {
                        objects.push((granule.object, granule.product));
                    }
                }
            }
        }
        objects.sort_unstable();
        let objects = objects.into_iter().map(|(object, product)| {
            let location = engine.locate(object)?;
            let listed = catalog.identity(object);
            Ok(SubsetObject {
                path: catalog.relative_path(object),
                source: catalog.products()[product as usize].source.clone(),
                size: listed.map(|known| known.size).or(location.slice.map(|(_, size)| size)),
                is_listed: listed.is_some(),
                location,
            })
        });
        let objects = objects.collect::<Result<_>>()?;
        Ok(Self { engine, objects })
    }

    /// The objects, in catalog order.
    pub fn objects(&self) -> &[SubsetObject] {
        &self.objects
    }

    /// The regions of the whole dataset.
    pub fn regions(&self) -> &[Region] {
        self.engine.setup().catalog.regions()
    }

    /// The sizes of some objects in bytes; those that the metadata lack are asked for together.
    pub fn sizes(&self, rows: &[usize]) -> Result<Vec<u64>> {
        let wants = rows
            .iter()
            .map(|&row| {
                Ok(Want { location: self.object(row)?.location.clone(), extent: Extent::Size })
            })
            .collect::<Result<Vec<_>>>()?;
        let untold = || Error::internal("a store told no size");
        let sizes = self.engine.store().fetch(&wants);
        sizes.into_iter().map(|part| part?.size.ok_or_else(untold)).collect()
    }

    /// What tells this state of the dataset from others: its roots, a branch pinned to its commit.
    pub fn pinned(&self, roots: &[String]) -> Result<Vec<String>> {
        self.engine.pinned(roots)
    }

    /// The bytes of catalogues, each with the folder that its relative paths start from.
    pub fn listings(&self, roots: &[String]) -> Result<Vec<(Vec<u8>, String)>> {
        let store = self.engine.store();
        let read = |root: &String| {
            let root = normalise(root)?;
            let location = Location::whole(root.as_str());
            let want = Want { location, extent: Extent::Whole(u64::MAX) };
            Ok((store.fetch_one(&want)?.bytes.to_vec(), folder(&root).to_owned()))
        };
        roots.iter().map(read).collect()
    }

    /// The metadata files of containers.
    pub fn metadata_files(&self, roots: &[String]) -> Result<Vec<MetadataFiles>> {
        Catalog::metadata_files(&**self.engine.store(), roots)
    }

    /// Starts to copy objects, given as (row, size in bytes, file to be).
    pub fn copy(&self, rows: Vec<(usize, u64, PathBuf)>, threads: usize) -> Result<Transfer> {
        let copy = |(row, size, target)| {
            Ok(Copy { location: self.object(row)?.location.clone(), target, size })
        };
        let copies = rows.into_iter().map(copy).collect::<Result<Vec<_>>>()?;
        Transfer::start(self.engine.store().clone(), copies, threads)
    }

    fn object(&self, row: usize) -> Result<&SubsetObject> {
        self.objects.get(row).ok_or_else(|| {
            Error::invalid_input(format!(
                "there is no object {row}; the subset has {}",
                self.objects.len()
            ))
        })
    }
}
