//! The part of a dataset that a plan's queries need, to be copied.

mod transfer;

use std::path::Path;
use std::sync::Arc;

use crate::catalog::{Catalog, MetadataFiles, Region};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::{ByteSource, Extent, Location, Want, normalise};
use transfer::Copy;

pub use transfer::{Progress, Transfer};

/// An object of the subset.
#[derive(Clone, Debug, PartialEq)]
pub struct SubsetObject {
    /// `{date}/{region}/{file}`.
    pub path: String,
    /// Its `data_source`.
    pub source: Arc<str>,
    location: Location,
}

impl SubsetObject {
    /// Its size in bytes, where the metadata have it.
    pub fn known_size(&self) -> Option<u64> {
        self.location.slice.map(|(_, size)| size)
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
                let days = engine.candidates(query, request);
                for candidate in days.iter().flat_map(|day| &day.files) {
                    let granule = &catalog.granules()[candidate.granule as usize];
                    if !std::mem::replace(&mut needed[granule.object as usize], true) {
                        objects.push((granule.object, granule.product));
                    }
                }
            }
        }
        objects.sort_unstable();
        let objects = objects.into_iter().map(|(object, product)| {
            Ok(SubsetObject {
                path: catalog.relative_path(object),
                source: catalog.products()[product as usize].source.clone(),
                location: engine.locate(object)?,
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
        roots.iter().map(|root| self.engine.store().pinned(&normalise(root)?)).collect()
    }

    /// The dataset's metadata files.
    pub fn metadata_files(&self, roots: &[String]) -> Result<Vec<MetadataFiles>> {
        Catalog::metadata_files(&**self.engine.store(), roots)
    }

    /// Starts to copy objects, given as (row, size in bytes), to `{directory}/{path}` each.
    pub fn copy(
        &self,
        directory: &Path,
        rows: &[(usize, u64)],
        threads: usize,
    ) -> Result<Transfer> {
        let copies = rows
            .iter()
            .map(|&(row, size)| {
                let SubsetObject { path, location, .. } = self.object(row)?;
                let target = directory.join(path);
                Ok(Copy { location: location.clone(), target, size })
            })
            .collect::<Result<Vec<_>>>()?;
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
