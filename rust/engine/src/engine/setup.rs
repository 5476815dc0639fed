//! What an engine is made from, as plain data.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::holdout::Holdout;
use crate::catalog::{Catalog, index_beside, is_listing};
use crate::error::{Error, Result};
use crate::frozen::FrozenSet;
use crate::granule::{Index, Selection};
use crate::plan::{Augment, Selector};
use crate::query::{Query, RelativeDays};
use crate::render::{CellRule, Rules, TemporalAgg};
use crate::store::{DiskCache, DiskCacheOptions, Revalidated, StorageOptions, Store, normalise};
use crate::variable::{Role, Variable};

/// What to do about a granule that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnError {
    /// Raise.
    Raise,
    /// Keep the slot, masked, and say so in the batch and in the statistics.
    Mask,
}

/// One variable of every sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// What to read.
    pub variable: Variable,
    /// Input, target, or both.
    pub role: Role,
    /// The levels of further dimensions that are read.
    pub selections: Vec<Selection>,
    /// Variables of the same file and grid that decide which cells count, and by which rule.
    pub valid: Vec<(String, CellRule)>,
    /// Tracks that are hidden from it, or that it has alone.
    pub holdout: Option<Holdout>,
    /// The days that it is read on.
    pub days: RelativeDays,
    /// A pixel of a day counts only where these are valid on that day, too; they have no column.
    pub masks: Vec<Mask>,
    /// What each day's field is an anomaly from; it has no column.
    pub minus: Option<Box<Request>>,
    /// How to render it.
    pub rules: Rules,
    /// Its pixels `(H, W)`; `None` where each sample decides.
    pub shape: Option<(usize, usize)>,
    /// The column whose channels it is, with those requests beside it that name the same; by default
    /// it has a column of its own.
    pub tensor: Option<String>,
}

/// Another variable that decides where one is valid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mask {
    /// The variable.
    pub request: Request,
    /// Whether it must have the same cells: the two are components of one field.
    pub joint: bool,
}

impl Request {
    /// Where and when it is read for a query.
    pub fn asked(&self, query: &Query) -> Query {
        query.on(self.days)
    }

    /// What is read for it: itself, what masks it, and what it is an anomaly from.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        let masks = self.masks.iter().map(|mask| &mask.request);
        [self].into_iter().chain(masks).chain(self.minus.as_deref())
    }

    /// Whether each day of its window is a layer.
    pub fn is_stacked(&self) -> bool {
        self.rules.temporal == TemporalAgg::Stack && !self.variable.supply.is_constant()
    }
}

/// Options of an engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Options {
    /// What to do about a granule that cannot be read.
    pub on_error: OnError,
    /// Whether batches carry support columns.
    pub support: bool,
    /// Budget of the decoded-chunk cache.
    pub cache_bytes: usize,
    /// Where decoded chunks are kept on a disk, for later epochs and other processes.
    pub disk_cache: Option<DiskCacheOptions>,
    /// Memory that batches may take; `None` asks the system.
    pub memory_limit: Option<u64>,
    /// An index file of the dataset, which each process reads when it first needs a grid.
    pub index: Option<String>,
    /// What is done to the queries that batches are made of.
    pub augment: Option<Augment>,
    /// The outlines of land, where its share of pixels is asked for; see [`Land`](crate::render::Land).
    pub land: Option<Vec<u8>>,
}

/// Everything an engine needs, as plain data: it travels to worker processes, which then never
/// touch the catalog's files.
#[derive(Clone, Serialize, Deserialize)]
pub struct Setup {
    /// The granules that a query may need.
    pub catalog: Catalog,
    /// The days of the whole dataset that have a granule, since 1970-01-01, ascending.
    pub days: Vec<i32>,
    /// The user's queries, in order.
    pub queries: Vec<Query>,
    /// The variables.
    pub requests: Vec<Request>,
    /// Options.
    pub options: Options,
    /// A digest of the metadata of a remote dataset, where a disk cache needs to know its state.
    pub state: Vec<u8>,
    /// Where the indexes of the dataset's listings lie, if they are there.
    pub indexes: Vec<String>,
    /// How the dataset's store is reached; may hold secrets.
    pub storage: StorageOptions,
    /// The rows, where they were rendered before; there is no dataset then.
    pub frozen: Option<FrozenSet>,
}

impl Setup {
    /// Opens the catalog, and keeps what the queries may need of it. `store` was made with `storage`.
    pub fn open(
        store: &Store,
        storage: StorageOptions,
        roots: &[String],
        queries: Vec<Query>,
        requests: Vec<Request>,
        options: Options,
    ) -> Result<Self> {
        for (i, query) in queries.iter().enumerate() {
            query.validate().map_err(|e| Error {
                message: format!("queries[{i}]: {}", e.message).into(),
                ..e
            })?;
        }
        requests.iter().try_for_each(check_request)?;
        requests.iter().try_for_each(|request| check_days(request, &queries))?;
        options.index.as_ref().map(|path| Index::check(Path::new(path))).transpose()?;
        // Engines that are made from the plan go without a cache that they cannot open.
        let (catalog, state) = match options.disk_cache.as_ref().map(DiskCache::open).transpose()? {
            Some(cache) => {
                let kept = Revalidated::new(store, Arc::new(cache), storage.offline);
                let catalog = Catalog::open(&kept, roots)?;
                let state = if catalog.is_remote() { kept.digest() } else { Vec::new() };
                (catalog, state)
            }
            None => (Catalog::open(store, roots)?, Vec::new()),
        };
        let wanted = requests.iter().flat_map(Request::parts).map(|request| &request.variable);
        let selectors: Vec<Selector> =
            wanted.filter_map(|variable| Selector::new(&catalog, variable)).collect();
        let spans: HashSet<RelativeDays> = requests.iter().map(|request| request.days).collect();
        let asked = queries.iter().flat_map(|query| spans.iter().map(|days| query.on(*days)));
        let mut windows: Vec<(i32, i32)> = asked.map(|q| (q.day_start, q.day_end)).collect();
        windows.sort_unstable();
        windows.dedup_by(|next, merged| {
            let joins = next.0 <= merged.1.saturating_add(1);
            if joins {
                merged.1 = merged.1.max(next.1);
            }
            joins
        });
        let in_a_window = |day: i32| {
            let i = windows.partition_point(|w| w.0 <= day);
            i.checked_sub(1).is_some_and(|i| day <= windows[i].1)
        };
        let mut days: Vec<i32> = catalog.granules().iter().map(|granule| granule.day).collect();
        days.dedup();
        let catalog = catalog.retain(|g, dated| {
            (!dated || in_a_window(g.day)) && selectors.iter().any(|selector| selector.matches(g))
        });
        let listings = roots.iter().filter(|root| is_listing(root));
        let indexes = listings.map(|root| Ok(index_beside(&normalise(root)?)));
        let indexes = indexes.collect::<Result<_>>()?;
        Ok(Self {
            catalog,
            days,
            queries,
            requests,
            options,
            state,
            indexes,
            storage,
            frozen: None,
        })
    }

    /// Of rows that were rendered before: row k is that of query k.
    pub fn of_frozen(
        set: FrozenSet,
        queries: Vec<Query>,
        requests: Vec<Request>,
        options: Options,
    ) -> Self {
        Self {
            catalog: Catalog::default(),
            days: Vec::new(),
            queries,
            requests,
            options,
            state: Vec::new(),
            indexes: Vec::new(),
            storage: StorageOptions::default(),
            frozen: Some(set),
        }
    }
}

/// Every query leaves a day of a variable's window.
fn check_days(request: &Request, queries: &[Query]) -> Result<()> {
    match queries.iter().position(|query| request.asked(query).n_days() == 0) {
        None => Ok(()),
        Some(i) => Err(Error::invalid_input(format!(
            "the window from {:+} to {:+} days has no day of queries[{i}]; its first day must not \
             lie after its last",
            request.days.first, request.days.last
        ))
        .variable(&request.variable.name)
        .query(queries[i])),
    }
}

/// Checks what does not depend on the dataset.
fn check_request(request: &Request) -> Result<()> {
    let Request { variable, rules, shape, .. } = request;
    let problem = if !(0.0..=1.0).contains(&rules.min_support) {
        "min_support must lie in [0, 1]"
    } else if rules
        .normalize
        .is_some_and(|(mean, std)| !mean.is_finite() || !std.is_finite() || std <= 0.0)
    {
        "normalize needs a finite mean and a standard deviation greater than 0"
    } else if shape.is_some_and(|(h, w)| h == 0 || w == 0 || h.saturating_mul(w) > 1 << 28) {
        "a patch must have at least 1 pixel a side and at most 2^28 pixels"
    } else {
        return Ok(());
    };
    Err(Error::invalid_input(problem).variable(&variable.name))
}
