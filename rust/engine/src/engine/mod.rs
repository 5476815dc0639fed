//! The engine: what a loader was set up with, and the stages behind it, for one (query, variable) at
//! a time.
//!
//! ```text
//!  Setup, query, variable --candidates, grids--> Recipe --bring--> chunks in the caches
//!                                                   |
//!                                                   +----paint---> a place in a batch, or a Sample
//! ```

mod cells;
mod columns;
mod content;
mod coverage;
mod downloads;
mod explain;
mod holdout;
mod memory;
mod sample;
mod setup;
mod telemetry;
mod waiting;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arrow_schema::Schema;

use crate::catalog::Catalog;
use crate::collate::{Outcome, SlabPool};
use crate::error::{Error, Result};
use crate::export::batch_schema;
use crate::frozen::FrozenRows;
use crate::granule::GranuleReader;
use crate::plan::Selector;
use crate::query::Query;
use crate::render::Land;
use crate::store::{ByteSource, DiskCache, DiskCacheStats, Location, Store, normalise};
use telemetry::Telemetry;

pub use coverage::{CellCounts, CoarseCells};
pub use explain::Cost;
use holdout::DrawnTracks;
pub use holdout::{HeldOut, Holdout};
pub use sample::{Sample, SampleColumn};
pub use setup::{Mask, OnError, Options, Request, Setup};
pub use telemetry::Stats;

pub(crate) use cells::Pose;
pub(crate) use downloads::Downloads;

/// A setup with its caches. `Send + Sync`; made anew in every process.
pub struct Engine {
    setup: Setup,
    /// What finds the files of each request.
    selectors: Vec<Selectors>,
    reader: GranuleReader,
    store: Arc<Store>,
    /// Objects of which it has been checked that they are what the catalog says.
    checked: Vec<AtomicBool>,
    slabs: Arc<SlabPool>,
    telemetry: Telemetry,
    /// Why there is no disk cache although there should be one.
    no_disk_cache: Option<String>,
    /// When each request's turn is within a row.
    ranks: Vec<usize>,
    /// Of remote datasets: the threads that wait for them, started by the first read.
    downloads: OnceLock<Result<Downloads>>,
    /// Which tracks are held out of files.
    drawn: DrawnTracks,
    /// Land, from when it is first asked for.
    land: OnceLock<Result<Land>>,
    /// The rows of a frozen set, from when the first is read.
    frozen: OnceLock<Result<FrozenRows>>,
}

/// What finds the files of a request, of those that mask it, and of that which it is an anomaly from;
/// `None` where the dataset has none.
struct Selectors {
    own: Option<Selector>,
    masks: Vec<Option<Selector>>,
    minus: Option<Selector>,
}

impl Selectors {
    fn new(catalog: &Catalog, request: &Request) -> Self {
        let find = |request: &Request| Selector::new(catalog, &request.variable);
        Self {
            own: find(request),
            masks: request.masks.iter().map(|mask| find(&mask.request)).collect(),
            minus: request.minus.as_deref().and_then(find),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Selector> {
        [&self.own].into_iter().chain(&self.masks).chain([&self.minus]).flatten()
    }
}

/// Threads that wait for a remote store at most.
const MAX_DOWNLOADS: usize = 64;

/// Idle batch memory that an engine keeps at most.
const IDLE_SLAB_BYTES: usize = 256 << 20;

impl Engine {
    /// An engine with empty caches and a store of its own.
    pub fn new(setup: Setup) -> Self {
        let store = Arc::new(Store::new(&setup.storage));
        Self::with_store(setup, store)
    }

    /// An engine with empty caches that reads through the store its setup was made with.
    pub fn with_store(setup: Setup, store: Arc<Store>) -> Self {
        let of = |request| Selectors::new(&setup.catalog, request);
        let selectors: Vec<Selectors> = setup.requests.iter().map(of).collect();
        let reader = GranuleReader::new(store.clone(), setup.options.cache_bytes);
        let (reader, no_disk_cache) =
            match setup.options.disk_cache.as_ref().map(DiskCache::open).transpose() {
                Ok(Some(cache)) => {
                    let cache = cache.within(setup.state.clone());
                    (reader.with_disk_cache(cache, setup.storage.offline), None)
                }
                Ok(None) => (reader, None),
                Err(e) => (reader, Some(e.to_string())),
            };
        let checked = (0..setup.catalog.n_objects()).map(|_| AtomicBool::new(false)).collect();
        let telemetry = Telemetry::new(setup.requests.len());
        let slabs = SlabPool::new(IDLE_SLAB_BYTES);
        let ranks = ranks(&setup.catalog, &selectors);
        Self {
            setup,
            selectors,
            reader,
            store,
            checked,
            slabs,
            telemetry,
            no_disk_cache,
            ranks,
            downloads: OnceLock::new(),
            drawn: DrawnTracks::default(),
            land: OnceLock::new(),
            frozen: OnceLock::new(),
        }
    }

    /// When each request's turn is within a row: the finer its cells, the more work it is.
    pub(crate) fn ranks(&self) -> &[usize] {
        &self.ranks
    }

    /// What the engine was set up with.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The schema of the engine's batches, with `metadata`.
    pub fn schema(&self, metadata: impl IntoIterator<Item = (String, String)>) -> Result<Schema> {
        let version = ("oceanarrow.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let vectors = self.setup.vectors()?.map(|text| ("oceanarrow.vectors".to_owned(), text));
        let metadata = metadata.into_iter().chain([version]).chain(vectors).collect();
        let setup = self.setup();
        batch_schema(&setup.fields()?, setup.options.augment.is_some(), metadata)
    }

    /// What the engine has done.
    pub fn stats(&self) -> Stats {
        let failure = self.no_disk_cache.clone();
        let disk_cache = self.reader.disk_cache_stats();
        let disk_cache = disk_cache.unwrap_or(DiskCacheStats { failure, ..Default::default() });
        let index_failure = self.reader.index_failure();
        let traffic = self.store.traffic();
        self.telemetry.snapshot(self.reader.stats(), disk_cache, traffic, index_failure)
    }

    /// The threads that wait for a remote dataset; `None` for a local one, which needs none.
    pub(crate) fn downloads(&self) -> Result<Option<&Downloads>> {
        if !self.setup.catalog.is_remote() {
            return Ok(None);
        }
        let threads = self.setup.storage.policy.concurrency.min(MAX_DOWNLOADS);
        let made = self.downloads.get_or_init(|| Downloads::new(threads));
        made.as_ref().map(Some).map_err(Clone::clone)
    }

    /// Roots of a dataset as they are kept, with a branch pinned to its commit.
    ///
    /// # Errors
    /// `InvalidInput`: one is no root. As reading, if a hub must be asked.
    pub fn pinned(&self, roots: &[String]) -> Result<Vec<String>> {
        roots.iter().map(|root| self.store.pinned(&normalise(root)?)).collect()
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Memory for batches.
    pub(crate) fn slabs(&self) -> &Arc<SlabPool> {
        &self.slabs
    }

    fn reader(&self) -> &GranuleReader {
        &self.reader
    }

    /// The outlines of land that the engine was set up with.
    fn land(&self) -> Result<&Land> {
        let open = || Land::of(self.setup.options.land.as_deref().unwrap_or_default());
        self.land.get_or_init(open).as_ref().map_err(Clone::clone)
    }

    /// The rows, where they were rendered before.
    pub(crate) fn frozen(&self) -> Result<Option<&FrozenRows>> {
        let Some(set) = &self.setup.frozen else { return Ok(None) };
        let open = || {
            // How rows lie is drawn when they are read.
            let schema = batch_schema(&self.setup.fields()?, false, HashMap::new())?;
            Ok(FrozenRows::new(set.clone(), self.setup.columns()?, &schema))
        };
        self.frozen.get_or_init(open).as_ref().map(Some).map_err(Clone::clone)
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Where an object lies. An archive's entry is checked against its local header once, and a file of
    /// a listing against the state that was listed.
    pub(crate) fn locate(&self, object: u32) -> Result<Location> {
        let catalog = &self.setup.catalog;
        let checked = &self.checked[object as usize];
        if !checked.load(Ordering::Relaxed) {
            catalog.check_zip_entry(&*self.store, object)?;
            if let Some(identity) = catalog.identity(object) {
                let (location, size) = (catalog.location(object), identity.size);
                self.reader.confirm(&location, size, identity.version(), identity.evidence())?;
            }
            checked.store(true, Ordering::Relaxed);
        }
        Ok(catalog.location(object))
    }

    /// Whether a cell with this error is masked. A network or disk error never is.
    fn masks(&self, error: &Error) -> bool {
        self.setup.options.on_error == OnError::Mask && error.concerns_one_file()
    }

    /// Turns what came of a rendering into an outcome: names the query and the variable in an error, or
    /// masks the cell where bad granules are masked.
    fn settle(
        &self,
        rendered: Result<Vec<u32>>,
        query: &Query,
        request: usize,
        mask: impl FnOnce(),
    ) -> Result<Outcome> {
        let variable = &self.setup.requests[request].variable.name;
        match rendered {
            Ok(files) => Ok(Outcome { present: true, files, unreadable: None }),
            Err(error) => {
                let error = error.variable(variable).query(query);
                if !self.masks(&error) {
                    return Err(error);
                }
                mask();
                let asset = error.asset.as_deref().unwrap_or("unknown file");
                self.telemetry.note_unreadable(asset, &error.message);
                Ok(Outcome {
                    present: true,
                    files: Vec::new(),
                    unreadable: Some(error.to_string()),
                })
            }
        }
    }
}

/// The place of each selector by the size of its cells, the finest first; profiles have none.
fn ranks(catalog: &Catalog, selectors: &[Selectors]) -> Vec<usize> {
    let finest = |selectors: &Selectors| {
        let undated = catalog.undated().iter().map(|undated| &undated.granule);
        let matching = catalog
            .granules()
            .iter()
            .chain(undated)
            .filter(|granule| selectors.all().any(|s| s.matches(granule)));
        matching.map(|granule| granule.res_deg_lat).fold(f32::INFINITY, f32::min)
    };
    let cells: Vec<f32> = selectors.iter().map(finest).collect();
    let mut order: Vec<usize> = (0..cells.len()).collect();
    order.sort_by(|&a, &b| cells[a].total_cmp(&cells[b]));
    let mut ranks = vec![0; order.len()];
    order.into_iter().enumerate().for_each(|(rank, request)| ranks[request] = rank);
    ranks
}
