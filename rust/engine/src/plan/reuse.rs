//! How large a cache must be: the reuse distances of a sequence, for all sizes in one pass.

use std::collections::{BTreeMap, HashMap};

/// Something that a query decodes and a cache keeps: say a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheItem {
    /// A name.
    pub id: u64,
    /// Its share of the cache, in the unit of the budget.
    pub size: u64,
    /// What is read to decode it.
    pub read: u64,
}

/// What a cache of least recently used items must hold to have an item still when it is wanted
/// again: the items wanted since, and the item itself.
#[derive(Debug, Default)]
pub(super) struct Distances {
    /// Times by distance, which is rounded up by 2 % at most.
    repeats: BTreeMap<u64, u64>,
    firsts: u64,
    largest_item: u64,
}

impl Distances {
    /// What is decoded without a limit.
    pub(super) fn firsts(&self) -> u64 {
        self.firsts
    }

    /// The smallest cache that decodes at most `share` more than it must.
    pub(super) fn needed(&self, share: f64) -> u64 {
        let allowed = (self.firsts as f64 * share) as u64;
        let mut decoded_again = 0;
        for (&distance, &times) in self.repeats.iter().rev() {
            decoded_again += times;
            if decoded_again > allowed {
                return distance;
            }
        }
        self.largest_item
    }
}

/// The items that one rank has wanted, by the time when it last did.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    latest: HashMap<u64, (usize, u64)>,
    /// A Fenwick tree of sizes over the times.
    tree: Vec<u64>,
    now: usize,
    total: u64,
}

impl Reuse {
    /// Notes items that are wanted at once.
    pub(super) fn want(&mut self, items: &[CacheItem], distances: &mut Distances) {
        for item in items {
            distances.largest_item = distances.largest_item.max(item.size);
            match self.latest.get(&item.id) {
                None => distances.firsts += 1,
                Some(&(time, _)) => {
                    let distance = rounded_up(self.total - self.before(time));
                    *distances.repeats.entry(distance).or_default() += 1;
                }
            }
        }
        for item in items {
            if self.now == self.tree.len() {
                self.make_room();
            }
            if let Some((time, size)) = self.latest.insert(item.id, (self.now, item.size)) {
                self.change(time, size.wrapping_neg());
                self.total -= size;
            }
            self.change(self.now, item.size);
            self.total += item.size;
            self.now += 1;
        }
    }

    /// Closes the gaps between the times, and leaves as many free again.
    fn make_room(&mut self) {
        let mut latest: Vec<(usize, u64, u64)> =
            self.latest.iter().map(|(&id, &(time, size))| (time, id, size)).collect();
        latest.sort_unstable();
        self.now = latest.len();
        self.tree = vec![0; (2 * self.now).max(1024)];
        for (time, (_, id, size)) in latest.into_iter().enumerate() {
            self.latest.insert(id, (time, size));
            self.change(time, size);
        }
    }

    /// The size of what was last wanted before `time`.
    fn before(&self, time: usize) -> u64 {
        let (mut node, mut sum) = (time, 0u64);
        while node > 0 {
            sum = sum.wrapping_add(self.tree[node - 1]);
            node &= node - 1;
        }
        sum
    }

    fn change(&mut self, time: usize, by: u64) {
        let mut node = time + 1;
        while node <= self.tree.len() {
            self.tree[node - 1] = self.tree[node - 1].wrapping_add(by);
            node += node & node.wrapping_neg();
        }
    }
}

/// The next number of at most 7 significant bits.
fn rounded_up(number: u64) -> u64 {
    let spare = (u64::BITS - number.leading_zeros()).saturating_sub(7);
    number.div_ceil(1 << spare) << spare
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misses(sequence: &[u64], cache: usize) -> usize {
        let mut kept: Vec<u64> = Vec::new();
        let mut misses = 0;
        for id in sequence {
            let found = kept.iter().position(|other| other == id);
            misses += usize::from(found.is_none());
            if let Some(place) = found {
                kept.remove(place);
            }
            kept.push(*id);
            if kept.len() > cache {
                kept.remove(0);
            }
        }
        misses
    }

    #[test]
    fn distances_are_those_of_caches_of_every_size() {
        let sequence: Vec<u64> =
            (0..6000u64).map(|i| (i * i * 7 + i / 3) % 97 % (1 + i % 60)).collect();
        let (mut reuse, mut distances) = (Reuse::default(), Distances::default());
        for &id in &sequence {
            reuse.want(&[CacheItem { id, size: 1, read: 0 }], &mut distances);
        }
        for cache in 1..80 {
            let again: u64 = distances.repeats.range(cache as u64 + 1..).map(|(_, n)| n).sum();
            assert_eq!((distances.firsts + again) as usize, misses(&sequence, cache), "{cache}");
        }
        let needed = distances.needed(0.05) as usize;
        let least = distances.firsts as f64 * 1.05;
        assert!(misses(&sequence, needed) as f64 <= least);
        assert!(misses(&sequence, needed - 1) as f64 > least);
    }

    #[test]
    fn large_distances_are_rounded_up_a_little() {
        assert_eq!(rounded_up(127), 127);
        assert_eq!(rounded_up(129), 130);
        for number in [1000, 123_456_789, u64::from(u32::MAX)] {
            let rounded = rounded_up(number);
            assert!(number <= rounded && rounded as f64 <= number as f64 * 1.016);
        }
    }
}
