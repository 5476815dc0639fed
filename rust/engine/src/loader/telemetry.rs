//! What the engine has done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::granule::GranuleStats;
use crate::store::Traffic;

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
    /// What the granule stage has done.
    pub granule: GranuleStats,
    /// What has gone over the network.
    pub traffic: Traffic,
}

/// The live counters.
#[derive(Default)]
pub(super) struct Telemetry {
    samples: AtomicU64,
    masked: AtomicU64,
    unreadable: Mutex<BTreeMap<String, String>>,
}

impl Telemetry {
    pub(super) fn count_samples(&self, n: usize) {
        self.samples.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn note_unreadable(&self, asset: &str, reason: &str) {
        self.masked.fetch_add(1, Ordering::Relaxed);
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if unreadable.len() < MAX_NAMED {
            unreadable.entry(asset.to_owned()).or_insert_with(|| reason.to_owned());
        }
    }

    pub(super) fn snapshot(&self, granule: GranuleStats, traffic: Traffic) -> Stats {
        Stats {
            samples: self.samples.load(Ordering::Relaxed),
            masked: self.masked.load(Ordering::Relaxed),
            unreadable: self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            granule,
            traffic,
        }
    }
}
