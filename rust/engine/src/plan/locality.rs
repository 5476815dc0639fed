//! What an order will cost, before anything is read: a simulation of each rank's cache.

use std::collections::HashSet;

use lru::LruCache;

use super::order::{Order, Sequence, Slot};
use super::reuse::{CacheItem, Distances, Reuse};
use crate::error::{Error, Result};

/// A cache is large enough when it decodes at most this share more than it must.
const SPARE_DECODES: f64 = 0.05;

/// Rows whose items are asked for at once.
const ROWS_AT_ONCE: u64 = 4096;

/// The items of a row: those of a group are fetched at once, the groups one after the other.
pub type CacheItemGroups = Vec<Vec<CacheItem>>;

/// The cost of an epoch, or of its first steps, with caches that are empty at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Locality {
    /// Steps simulated.
    pub steps: u64,
    /// CacheItems decoded, by all ranks together.
    pub decodes: u64,
    /// The sum of their sizes.
    pub decoded_size: u64,
    /// The sum of what is read for them.
    pub read_size: u64,
    /// CacheItems decoded with caches without a limit: each rank's distinct ones.
    pub least_decodes: u64,
    /// Distinct items: what had to be decoded anyway.
    pub distinct: u64,
    /// The sum of their sizes.
    pub distinct_size: u64,
    /// Decodes a distinct item.
    pub amplification: f64,
    /// Distinct items of a global batch, on average.
    pub distinct_a_batch: f64,
    /// Distinct clusters of a global batch, on average.
    pub clusters_a_batch: f64,
    /// The smallest cache of each rank that decodes at most 5 % more than one without a limit.
    pub needed_cache: u64,
}

impl Order {
    /// Predicts the cost in clusters: each rank keeps its `cache` latest clusters.
    pub fn locality(&self, world_size: u64, cache: u64, most_steps: u64) -> Result<Locality> {
        if cache == 0 {
            return Err(Error::invalid_input("the cache must hold at least one cluster"));
        }
        self.locality_of(world_size, cache, most_steps, |slots| {
            let item = |slot: &Slot| vec![vec![CacheItem { id: slot.cluster, size: 1, read: 1 }]];
            Ok(slots.iter().map(item).collect())
        })
    }

    /// Predicts the cost in items of the caller's: each rank keeps the latest of total size `cache`.
    /// With lanes that run on, an epoch is taken to be N queries. `items` has an entry a slot.
    pub fn locality_of(
        &self,
        world_size: u64,
        cache: u64,
        most_steps: u64,
        items: impl Fn(&[Slot]) -> Result<Vec<CacheItemGroups>>,
    ) -> Result<Locality> {
        let batch = self.spec().global_batch;
        let rank_rows = self.spec().rank_rows(0, world_size)?.end;
        let sequence = Sequence::new(self.clone());
        let steps = self.steps_left(0).unwrap_or(self.spec().n.div_ceil(batch)).min(most_steps);
        let mut tally = Tally::new(world_size, cache);
        let mut step = 0;
        while step < steps {
            let next = steps.min(step + (ROWS_AT_ONCE / batch).max(1));
            let batches: Vec<Vec<Slot>> = (step..next)
                .map(|step| sequence.slots(0, step * self.lane_rows(), 0..batch))
                .collect();
            let mut groups = items(&batches.concat())?.into_iter();
            for slots in &batches {
                for ((row, slot), groups) in (0..).zip(slots).zip(&mut groups) {
                    tally.row((row / rank_rows) as usize, slot, &groups);
                }
                tally.end_batch();
            }
            step = next;
        }
        Ok(tally.locality(steps))
    }

    /// The clusters that each rank must keep to decode nearly nothing twice: the windows of its
    /// lanes, and the clusters cut by their ends.
    pub fn wanted_clusters(&self, world_size: u64) -> u64 {
        let mean = (self.spec().n as f64 / self.clusters().len() as f64).max(1.0);
        let lanes = self.lanes().div_ceil(world_size.max(1));
        let window = self.spec().window.min(self.spec().n.div_ceil(self.lanes()));
        lanes * ((window as f64 / mean).ceil() as u64 + 2)
    }
}

/// What the ranks have wanted so far.
struct Tally {
    ranks: Vec<(Cache, Reuse)>,
    distances: Distances,
    seen: HashSet<u64>,
    distinct_size: u64,
    batch_items: HashSet<u64>,
    batch_clusters: HashSet<u64>,
    in_batches: u64,
    clusters_in_batches: u64,
}

impl Tally {
    fn new(world_size: u64, cache: u64) -> Self {
        Self {
            ranks: (0..world_size).map(|_| (Cache::new(cache), Reuse::default())).collect(),
            distances: Distances::default(),
            seen: HashSet::new(),
            distinct_size: 0,
            batch_items: HashSet::new(),
            batch_clusters: HashSet::new(),
            in_batches: 0,
            clusters_in_batches: 0,
        }
    }

    fn row(&mut self, rank: usize, slot: &Slot, groups: &CacheItemGroups) {
        self.batch_clusters.insert(slot.cluster);
        let (cache, reuse) = &mut self.ranks[rank];
        for group in groups {
            cache.want(group);
            reuse.want(group, &mut self.distances);
            for item in group {
                self.batch_items.insert(item.id);
                if self.seen.insert(item.id) {
                    self.distinct_size += item.size;
                }
            }
        }
    }

    fn end_batch(&mut self) {
        self.in_batches += self.batch_items.len() as u64;
        self.clusters_in_batches += self.batch_clusters.len() as u64;
        self.batch_items.clear();
        self.batch_clusters.clear();
    }

    fn locality(self, steps: u64) -> Locality {
        let sum = |of: fn(&Cache) -> u64| self.ranks.iter().map(|(cache, _)| of(cache)).sum();
        let (decodes, distinct): (u64, _) = (sum(|c| c.decodes), self.seen.len() as u64);
        Locality {
            steps,
            decodes,
            decoded_size: sum(|c| c.decoded_size),
            read_size: sum(|c| c.read_size),
            least_decodes: self.distances.firsts(),
            distinct,
            distinct_size: self.distinct_size,
            amplification: if distinct == 0 { 1.0 } else { decodes as f64 / distinct as f64 },
            distinct_a_batch: self.in_batches as f64 / steps.max(1) as f64,
            clusters_a_batch: self.clusters_in_batches as f64 / steps.max(1) as f64,
            needed_cache: self.distances.needed(SPARE_DECODES),
        }
    }
}

/// What a rank keeps of what it decoded.
struct Cache {
    kept: LruCache<u64, u64>,
    budget: u64,
    size: u64,
    decodes: u64,
    decoded_size: u64,
    read_size: u64,
}

impl Cache {
    fn new(budget: u64) -> Self {
        let kept = LruCache::unbounded();
        Self { kept, budget, size: 0, decodes: 0, decoded_size: 0, read_size: 0 }
    }

    /// All items are looked up before the first of the others is decoded.
    fn want(&mut self, items: &[CacheItem]) {
        let missing: Vec<&CacheItem> =
            items.iter().filter(|item| self.kept.get(&item.id).is_none()).collect();
        for item in missing {
            self.decodes += 1;
            self.decoded_size += item.size;
            self.read_size += item.read;
            self.keep(*item);
        }
    }

    /// Keeps an item; one above the budget is not kept, and drops no other.
    fn keep(&mut self, CacheItem { id, size, .. }: CacheItem) {
        if size > self.budget {
            return;
        }
        self.kept.put(id, size);
        self.size += size;
        while self.size > self.budget {
            let Some((_, dropped)) = self.kept.pop_lru() else { break };
            self.size -= dropped;
        }
    }
}
