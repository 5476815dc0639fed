//! What an order will cost, before anything is read: a simulation of each rank's cache.

use std::collections::HashSet;

use lru::LruCache;

use super::order::{Order, Sequence, Slot};
use crate::error::{Error, Result};

/// Something that a query decodes, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// A name.
    pub id: u64,
    /// Its share of the cache, in the unit of the budget.
    pub size: u64,
}

/// The cost of an epoch, or of its first steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Locality {
    /// Steps simulated.
    pub steps: u64,
    /// Pieces decoded, by all ranks together.
    pub decodes: u64,
    /// The sum of their sizes.
    pub decoded_size: u64,
    /// Distinct pieces: what had to be decoded anyway.
    pub distinct: u64,
    /// Decodes a distinct piece.
    pub amplification: f64,
    /// Distinct pieces of a global batch, on average.
    pub distinct_a_batch: f64,
}

impl Order {
    /// Predicts the cost in clusters: each rank keeps its `cache` latest clusters.
    pub fn locality(&self, world_size: u64, cache: u64, most_steps: u64) -> Result<Locality> {
        let pieces = |slot: &Slot, out: &mut Vec<Piece>| {
            out.push(Piece { id: slot.cluster, size: 1 });
        };
        self.locality_of(world_size, cache, most_steps, pieces)
    }

    /// Predicts the cost in pieces of the caller's: each rank keeps the latest of total size `cache`.
    /// With lanes that run on, an epoch is taken to be N queries.
    pub fn locality_of(
        &self,
        world_size: u64,
        cache: u64,
        most_steps: u64,
        pieces: impl Fn(&Slot, &mut Vec<Piece>),
    ) -> Result<Locality> {
        if cache == 0 {
            return Err(Error::invalid_input("the cache must hold at least one piece"));
        }
        let ranks: Vec<_> = (0..world_size.max(1))
            .map(|rank| self.spec().rank_rows(rank, world_size))
            .collect::<Result<_>>()?;
        let sequence = Sequence::new(self.clone());
        let epoch_steps = self.steps_left(0);
        let steps = epoch_steps.unwrap_or(self.spec().n.div_ceil(self.spec().global_batch));
        let steps = steps.min(most_steps);
        let mut caches: Vec<Cache> = ranks.iter().map(|_| Cache::new(cache)).collect();
        let (mut seen, mut in_batches) = (HashSet::new(), 0);
        let (mut batch, mut wanted) = (HashSet::new(), Vec::new());
        for step in 0..steps {
            batch.clear();
            for (rows, cache) in ranks.iter().zip(&mut caches) {
                for slot in sequence.slots(0, step * self.lane_rows(), rows.clone()) {
                    wanted.clear();
                    pieces(&slot, &mut wanted);
                    for piece in &wanted {
                        cache.want(*piece);
                        batch.insert(piece.id);
                    }
                }
            }
            in_batches += batch.len();
            seen.extend(batch.iter().copied());
        }
        let (decodes, distinct) = (caches.iter().map(|c| c.decodes).sum(), seen.len() as u64);
        Ok(Locality {
            steps,
            decodes,
            decoded_size: caches.iter().map(|c| c.decoded_size).sum(),
            distinct,
            amplification: decodes as f64 / distinct.max(1) as f64,
            distinct_a_batch: in_batches as f64 / steps.max(1) as f64,
        })
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

/// What a rank keeps of what it decoded.
struct Cache {
    kept: LruCache<u64, u64>,
    budget: u64,
    size: u64,
    decodes: u64,
    decoded_size: u64,
}

impl Cache {
    fn new(budget: u64) -> Self {
        Self { kept: LruCache::unbounded(), budget, size: 0, decodes: 0, decoded_size: 0 }
    }

    fn want(&mut self, Piece { id, size }: Piece) {
        if self.kept.get(&id).is_some() {
            return;
        }
        self.decodes += 1;
        self.decoded_size += size;
        self.kept.put(id, size);
        self.size += size;
        while self.size > self.budget {
            let Some((_, dropped)) = self.kept.pop_lru() else { break };
            self.size -= dropped;
        }
    }
}
