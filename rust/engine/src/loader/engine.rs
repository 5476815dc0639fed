//! The engine: a plan, and what it takes to render any of its queries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::download::Downloads;
use super::plan::{OnError, Plan, Request};
use super::telemetry::{Stats, Telemetry};
use crate::catalog::Catalog;
use crate::collate::{CellMut, Outcome, SlabPool};
use crate::error::{Error, Kind, Result};
use crate::granule::GranuleReader;
use crate::plan::{DayCandidates, Selector};
use crate::query::Query;
use crate::render::{
    Day, GridRule, NativePatch, PointRow, Tile, render, render_native, select_points,
};
use crate::store::{DiskCache, DiskCacheStats, Location, Store};
use crate::variable::Geometry;

/// One variable of one sample.
pub enum SampleColumn {
    /// A patch.
    Grid(NativePatch),
    /// Levels.
    Points(PointRow),
}

/// One sample: a column a variable, `None` where no file covers the query.
pub struct Sample {
    /// The columns, in the order of the requests.
    pub columns: Vec<Option<SampleColumn>>,
    /// The number of distinct files that carry weight.
    pub n_files: usize,
}

/// A plan with its caches. `Send + Sync`; made anew in every process.
pub struct Engine {
    plan: Plan,
    selectors: Vec<Option<Selector>>,
    reader: GranuleReader,
    store: Arc<Store>,
    /// Granules whose place in their archive has been checked.
    checked: Vec<AtomicBool>,
    slabs: Arc<SlabPool>,
    telemetry: Telemetry,
    /// Why there is no disk cache although there should be one.
    no_disk_cache: Option<String>,
    /// When each request's turn is within a row.
    ranks: Vec<usize>,
    /// Of remote datasets: the threads that wait for them, started by the first read.
    downloads: OnceLock<Result<Downloads>>,
}

/// Threads that wait for a remote store at most.
const MAX_DOWNLOADS: usize = 64;

/// Idle batch memory that an engine keeps at most.
const IDLE_SLAB_BYTES: usize = 256 << 20;

impl Engine {
    /// An engine with empty caches and a store of its own.
    pub fn new(plan: Plan) -> Self {
        let store = Arc::new(Store::new(&plan.storage));
        Self::with_store(plan, store)
    }

    /// An engine with empty caches that reads through the store its plan was made with.
    pub fn with_store(plan: Plan, store: Arc<Store>) -> Self {
        let selectors: Vec<Option<Selector>> =
            plan.requests.iter().map(|r| Selector::new(&plan.catalog, &r.variable)).collect();
        let reader = GranuleReader::new(store.clone(), plan.options.cache_bytes);
        let (reader, no_disk_cache) =
            match plan.options.disk_cache.as_ref().map(DiskCache::open).transpose() {
                Ok(Some(cache)) => {
                    let cache = cache.within(plan.state.clone());
                    (reader.with_disk_cache(cache, plan.storage.offline), None)
                }
                Ok(None) => (reader, None),
                Err(e) => (reader, Some(e.to_string())),
            };
        let checked = plan.catalog.granules().iter().map(|_| AtomicBool::new(false)).collect();
        let telemetry = Telemetry::new(plan.requests.len());
        let slabs = SlabPool::new(IDLE_SLAB_BYTES);
        let ranks = ranks(&plan.catalog, &selectors);
        Self {
            plan,
            selectors,
            reader,
            store,
            checked,
            slabs,
            telemetry,
            no_disk_cache,
            ranks,
            downloads: OnceLock::new(),
        }
    }

    /// When each request's turn is within a row: the finer its cells, the more work it is.
    pub(super) fn ranks(&self) -> &[usize] {
        &self.ranks
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
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
    pub(super) fn downloads(&self) -> Result<Option<&Downloads>> {
        if !self.plan.catalog.is_remote() {
            return Ok(None);
        }
        let threads = self.plan.storage.policy.concurrency.min(MAX_DOWNLOADS);
        let made = self.downloads.get_or_init(|| Downloads::new(threads));
        made.as_ref().map(Some).map_err(Clone::clone)
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Memory for batches.
    pub(super) fn slabs(&self) -> &Arc<SlabPool> {
        &self.slabs
    }

    pub(super) fn reader(&self) -> &GranuleReader {
        &self.reader
    }

    pub(super) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Renders one (query, variable) into its place in a batch.
    pub(super) fn fill(&self, query: usize, request: usize, cell: CellMut<'_>) -> Result<Outcome> {
        self.telemetry.timed(request, || self.fill_cell(query, request, cell))
    }

    fn fill_cell(&self, query: usize, request: usize, cell: CellMut<'_>) -> Result<Outcome> {
        let (query, wanted) = (&self.plan.queries[query], &self.plan.requests[request]);
        match cell {
            CellMut::Points(row) => self.fill_points(query, request, row),
            CellMut::Grid(mut patch) => {
                let days = self.candidates(query, request);
                if days.is_empty() {
                    patch.clear(query, wanted.rules.fill_value);
                    return Ok(Outcome::default());
                }
                let shape = wanted.shape.unwrap_or_default();
                let rendered = self.with_days(&days, request, |days| {
                    render(&self.reader, days, query, shape, &wanted.rules, &mut patch)
                });
                self.settle(rendered, query, request, || {
                    patch.clear(query, wanted.rules.fill_value);
                })
            }
        }
    }

    /// Renders one sample; `shapes` gives each gridded variable's pixels, `None` its native cells.
    pub fn sample(&self, index: usize, shapes: &[Option<(usize, usize)>]) -> Result<Sample> {
        let query = self.plan.queries.get(index).ok_or_else(|| {
            Error::invalid_input(format!(
                "there is no query {index}; the list has {}",
                self.plan.queries.len()
            ))
        })?;
        self.download(index, shapes)?;
        let mut files = Vec::new();
        let mut columns = Vec::with_capacity(self.plan.requests.len());
        for (request, wanted) in self.plan.requests.iter().enumerate() {
            let (outcome, column) = match wanted.variable.geometry {
                Geometry::Points => {
                    let mut row = PointRow::default();
                    let outcome = self.fill_points(query, request, &mut row)?;
                    (outcome, SampleColumn::Points(row))
                }
                Geometry::Grid => {
                    let shape = shapes.get(request).copied().flatten();
                    let (outcome, patch) = self.patch(query, request, shape)?;
                    (outcome, SampleColumn::Grid(patch))
                }
            };
            columns.push(outcome.present.then_some(column));
            files.extend(outcome.files);
        }
        files.sort_unstable();
        files.dedup();
        self.telemetry.count_samples(1);
        Ok(Sample { columns, n_files: files.len() })
    }

    /// One gridded variable of one query, in memory of its own.
    fn patch(
        &self,
        query: &Query,
        request: usize,
        shape: Option<(usize, usize)>,
    ) -> Result<(Outcome, NativePatch)> {
        let rules = &self.plan.requests[request].rules;
        let days = self.candidates(query, request);
        if days.is_empty() {
            return Ok((Outcome::default(), NativePatch::default()));
        }
        // A file that cannot be opened leaves this patch: masked, in the shape asked for.
        let layers = rules.temporal.layers(query);
        let mut patch = NativePatch::sized(layers, shape.unwrap_or_default());
        let rendered = self.with_days(&days, request, |days| match shape {
            None => {
                patch = render_native(&self.reader, days, query, rules)?;
                Ok(std::mem::take(&mut patch.files))
            }
            Some(shape) => render(&self.reader, days, query, shape, rules, &mut patch.target()),
        });
        let outcome = self.settle(rendered, query, request, || {
            patch.target().clear(query, rules.fill_value);
        })?;
        Ok((outcome, patch))
    }

    fn fill_points(&self, query: &Query, request: usize, row: &mut PointRow) -> Result<Outcome> {
        let Request { variable, rules, .. } = &self.plan.requests[request];
        let days = self.candidates(query, request);
        if days.is_empty() {
            return Ok(Outcome::default());
        }
        let mut read = || {
            let mut files = Vec::new();
            for file in days.iter().flat_map(|day| &day.files) {
                let location = self.locate(file.granule)?;
                let points =
                    self.reader.points(&location, &variable.netcdf, Some(&variable.unit))?;
                if select_points(&points, query, row) {
                    files.push(file.granule);
                }
            }
            for value in &mut row.values {
                *value = rules.deliver(f64::from(*value));
            }
            Ok(files)
        };
        let rendered = read();
        self.settle(rendered, query, request, || *row = PointRow::default())
    }

    /// The candidate files of the days that will be rendered.
    pub(super) fn candidates(&self, query: &Query, request: usize) -> Vec<DayCandidates> {
        let wanted = &self.plan.requests[request];
        let Some(selector) = &self.selectors[request] else { return Vec::new() };
        let mut days = selector.candidates(&self.plan.catalog, query);
        if wanted.variable.geometry == Geometry::Grid {
            days = wanted.rules.temporal.select(&days).to_vec();
        }
        days
    }

    /// Opens the candidates' grids. The cropping convention knows no neighbours.
    pub(super) fn open_days(&self, days: &[DayCandidates], request: usize) -> Result<Vec<Day>> {
        let Request { variable, rules, shape, .. } = &self.plan.requests[request];
        let neighbours = rules.grid == GridRule::Exact && shape.is_some();
        self.read_index();
        days.iter()
            .map(|day| {
                let tiles = day
                    .files
                    .iter()
                    .filter(|file| file.overlaps || neighbours)
                    .map(|file| {
                        let location = self.locate(file.granule)?;
                        let grid =
                            self.reader.grid(&location, &variable.netcdf, Some(&variable.unit))?;
                        Ok(Tile { id: file.granule, grid })
                    })
                    .collect::<Result<_>>()?;
                Ok(Day { day: day.day, tiles })
            })
            .collect()
    }

    /// Where a granule lies. An archive's entry is checked against its local header once.
    pub(super) fn locate(&self, granule: u32) -> Result<Location> {
        let catalog = &self.plan.catalog;
        let entry = &catalog.granules()[granule as usize];
        let checked = &self.checked[granule as usize];
        if !checked.load(Ordering::Relaxed) {
            catalog.check_zip_entry(&*self.store, entry)?;
            checked.store(true, Ordering::Relaxed);
        }
        Ok(catalog.location(entry))
    }

    /// Whether a cell with this error is masked. A network or disk error never is.
    pub(super) fn masks(&self, error: &Error) -> bool {
        let bad_granule =
            matches!(error.kind, Kind::CorruptGranule | Kind::NotFound | Kind::Unsupported);
        self.plan.options.on_error == OnError::Mask && bad_granule
    }

    /// Turns a rendering's result into an outcome: names the query and the variable in an error, or
    /// masks the cell where bad granules are masked.
    fn settle(
        &self,
        rendered: Result<Vec<u32>>,
        query: &Query,
        request: usize,
        mask: impl FnOnce(),
    ) -> Result<Outcome> {
        let variable = &self.plan.requests[request].variable.name;
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
fn ranks(catalog: &Catalog, selectors: &[Option<Selector>]) -> Vec<usize> {
    let finest = |selector: &Option<Selector>| {
        let matching = catalog.granules().iter().filter(|g| selector.is_some_and(|s| s.matches(g)));
        matching.map(|granule| granule.res_deg_lat).fold(f32::INFINITY, f32::min)
    };
    let cells: Vec<f32> = selectors.iter().map(finest).collect();
    let mut order: Vec<usize> = (0..cells.len()).collect();
    order.sort_by(|&a, &b| cells[a].total_cmp(&cells[b]));
    let mut ranks = vec![0; order.len()];
    order.into_iter().enumerate().for_each(|(rank, request)| ranks[request] = rank);
    ranks
}
