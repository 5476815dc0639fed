//! How many different ids there were, in bounded memory and without one lock for all threads.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Parts of the count, each with a lock of its own.
const SHARDS: usize = 64;

/// Ids that a shard keeps at most; the table of so many is just full, and grows once more at most.
const MOST_KEPT: usize = 3_584;

/// Counts different ids: exactly up to 200,000, beyond that within 2 % (an estimate whose standard
/// error is 0.3 %), in 5 MB at most.
///
/// This is Wegman's adaptive sampling (Flajolet, Computing 43, 1990): a shard that is full drops the
/// ids with one more low bit set, and each that is left stands for twice as many. The ids must be
/// hashes.
pub(super) struct Tally {
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    /// Ids of which the lowest `level` bits are 0.
    kept: HashSet<u64>,
    level: u32,
}

impl Default for Tally {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Tally {
    /// Counts an id, unless it was counted before.
    pub(super) fn add(&self, id: u64) {
        // The highest bits choose the shard: sampling looks at the lowest.
        let shard = (id >> (u64::BITS - SHARDS.ilog2())) as usize;
        if let Some(shard) = self.shards.get(shard) {
            shard.lock().unwrap_or_else(PoisonError::into_inner).add(id);
        }
    }

    /// Different ids so far.
    pub(super) fn count(&self) -> u64 {
        let count = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            (shard.kept.len() as u64) << shard.level
        };
        self.shards.iter().map(count).sum()
    }

    #[cfg(test)]
    pub(super) fn ids(&self) -> HashSet<u64> {
        let kept = |shard: &Mutex<Shard>| {
            shard.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
        };
        self.shards.iter().flat_map(kept).collect()
    }
}

impl Shard {
    fn sampled(id: u64, level: u32) -> bool {
        id.trailing_zeros() >= level
    }

    fn add(&mut self, id: u64) {
        if !Self::sampled(id, self.level) || self.kept.contains(&id) {
            return;
        }
        while self.kept.len() >= MOST_KEPT && self.level < u64::BITS {
            self.level += 1;
            let level = self.level;
            self.kept.retain(|&id| Self::sampled(id, level));
        }
        if Self::sampled(id, self.level) {
            self.kept.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::hash::{DefaultHasher, Hash, Hasher};

    use proptest::prelude::*;

    use super::{MOST_KEPT, SHARDS, Tally};

    fn id(n: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        n.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn many_are_counted_in_bounded_memory() {
        let tally = Tally::default();
        for n in 0..200_000 {
            tally.add(id(n));
            tally.add(id(n / 2));
        }
        assert_eq!(tally.count(), 200_000);
        for n in 0..3_000_000 {
            tally.add(id(n));
        }
        for n in 2_900_000..3_000_000 {
            tally.add(id(n));
        }
        let error = (tally.count() as f64 / 3e6 - 1.0).abs();
        assert!(error < 0.02, "{}", tally.count());
        for shard in &tally.shards {
            let shard = shard.lock().unwrap();
            assert!(shard.kept.len() <= MOST_KEPT && shard.kept.capacity() <= 2 * MOST_KEPT);
        }
        assert!(tally.ids().len() <= SHARDS * MOST_KEPT);
    }

    #[test]
    fn ids_that_are_no_hashes_are_survived() {
        let tally = Tally::default();
        (0..10_000).for_each(|n| tally.add(n << 40));
        tally.add(0);
        assert!(tally.count() > 0);
    }

    #[test]
    fn threads_count_an_id_once() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5_000).for_each(|n| tally.add(id(n))));
            }
        });
        assert_eq!(tally.count(), 5_000);
    }

    proptest! {
        #[test]
        fn few_are_counted_exactly(numbers in prop::collection::vec(0u64..500, 0..2000)) {
            let tally = Tally::default();
            numbers.iter().for_each(|&n| tally.add(id(n)));
            let due: std::collections::HashSet<u64> = numbers.iter().map(|&n| id(n)).collect();
            prop_assert_eq!(tally.count(), due.len() as u64);
            prop_assert_eq!(tally.ids(), due);
        }
    }
}
