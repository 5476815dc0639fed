//! What the engine has done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::events::{self, Kind};
use crate::granule::GranuleStats;
use crate::store::{DiskCacheStats, Traffic};

/// Unreadable granules that are remembered by name; beyond, they are only counted.
const MAX_NAMED: usize = 1000;

/// Counters since the engine was made.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Samples rendered, padding included.
    pub samples: u64,
    /// (row, variable) cells that an unreadable granule masked.
    pub masked: u64,
    /// Unreadable granules, each with its reason.
    pub unreadable: BTreeMap<String, String>,
    /// Seconds that threads worked on each requested variable: opening, decoding, rendering.
    pub seconds: Vec<f64>,
    /// Recipes made: one a (query, variable) of a batch, and those of predictions.
    pub recipes: u64,
    /// Seconds that threads made them, opening of files included.
    pub recipe_seconds: f64,
    /// What the granule stage has done.
    pub granule: GranuleStats,
    /// What the disk cache has done.
    pub disk_cache: DiskCacheStats,
    /// What has gone over the network.
    pub traffic: Traffic,
    /// Why the index could not be read although there should be one.
    pub index_failure: Option<String>,
}

/// The live counters.
pub(crate) struct Telemetry {
    samples: AtomicU64,
    masked: AtomicU64,
    recipes: AtomicU64,
    /// Nanoseconds.
    planned: AtomicU64,
    unreadable: Mutex<BTreeMap<String, String>>,
    /// Nanoseconds a requested variable.
    worked: Vec<AtomicU64>,
}

impl Telemetry {
    /// Counters at 0, for so many requested variables.
    pub(super) fn new(requests: usize) -> Self {
        Self {
            samples: AtomicU64::new(0),
            masked: AtomicU64::new(0),
            recipes: AtomicU64::new(0),
            planned: AtomicU64::new(0),
            unreadable: Mutex::default(),
            worked: (0..requests).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Does `work` on the account of a requested variable.
    pub(super) fn timed<T>(&self, request: usize, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        if let Some(worked) = self.worked.get(request) {
            worked.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
        done
    }

    pub(crate) fn count_samples(&self, n: usize) {
        self.samples.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// Makes a recipe.
    pub(super) fn planned<T>(&self, make: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let made = make();
        self.recipes.fetch_add(1, Ordering::Relaxed);
        self.planned.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        made
    }

    pub(super) fn note_unreadable(&self, asset: &str, reason: &str) {
        self.masked.fetch_add(1, Ordering::Relaxed);
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if unreadable.len() < MAX_NAMED {
            unreadable.entry(asset.to_owned()).or_insert_with(|| {
                events::note(Kind::Masked, || format!("masked {asset}: {reason}"));
                reason.to_owned()
            });
        }
    }

    pub(super) fn snapshot(
        &self,
        granule: GranuleStats,
        disk_cache: DiskCacheStats,
        traffic: Traffic,
        index_failure: Option<String>,
    ) -> Stats {
        let seconds = self.worked.iter().map(|ns| ns.load(Ordering::Relaxed) as f64 / 1e9);
        Stats {
            samples: self.samples.load(Ordering::Relaxed),
            masked: self.masked.load(Ordering::Relaxed),
            recipes: self.recipes.load(Ordering::Relaxed),
            recipe_seconds: self.planned.load(Ordering::Relaxed) as f64 / 1e9,
            unreadable: self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            seconds: seconds.collect(),
            granule,
            disk_cache,
            traffic,
            index_failure,
        }
    }
}
