//! A cache bounded by bytes, in which every value is made once however many threads ask for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::error::Result;

/// How much of the budget a value takes.
pub(in crate::granule) trait Weigh {
    /// The bytes the value holds.
    fn bytes(&self) -> usize;
}

impl Weigh for Vec<u8> {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// Least-recently-used values, at most `budget` bytes of them.
pub(in crate::granule) struct ByteCache<K, V> {
    budget: usize,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    kept: LruCache<K, Arc<V>>,
    bytes: usize,
    flights: HashMap<K, Arc<Flight<V>>>,
}

/// A value that one thread is making and others may wait for.
struct Flight<V> {
    outcome: Mutex<Outcome<V>>,
    landed: Condvar,
}

enum Outcome<V> {
    Pending,
    Done(Arc<V>),
    Abandoned,
}

/// What asking for a key yields.
pub(in crate::granule) enum Claim<'a, K: Hash + Eq + Clone, V: Weigh> {
    /// The value is here.
    Ready(Arc<V>),
    /// The caller has to make it.
    Mine(Ticket<'a, K, V>),
    /// Another thread is making it.
    Theirs(Pending<V>),
}

/// The duty to make a value; dropping it hands the duty to whoever asks next.
pub(in crate::granule) struct Ticket<'a, K: Hash + Eq + Clone, V: Weigh> {
    cache: &'a ByteCache<K, V>,
    key: K,
    flight: Arc<Flight<V>>,
    fulfilled: bool,
}

/// A value in the making.
pub(in crate::granule) struct Pending<V>(Arc<Flight<V>>);

impl<K: Hash + Eq + Clone, V: Weigh> ByteCache<K, V> {
    pub(in crate::granule) fn new(budget: usize) -> Self {
        let state = State { kept: LruCache::unbounded(), bytes: 0, flights: HashMap::new() };
        Self { budget, state: Mutex::new(state) }
    }

    /// The value of `key`, or the right or the chance to wait for it.
    ///
    /// A thread that holds tickets must fulfil or drop them before it waits for others, lest two
    /// threads wait for each other.
    pub(in crate::granule) fn claim(&self, key: &K) -> Claim<'_, K, V> {
        let mut state = lock(&self.state);
        if let Some(found) = state.kept.get(key) {
            return Claim::Ready(found.clone());
        }
        if let Some(flight) = state.flights.get(key) {
            return Claim::Theirs(Pending(flight.clone()));
        }
        let flight =
            Arc::new(Flight { outcome: Mutex::new(Outcome::Pending), landed: Condvar::new() });
        state.flights.insert(key.clone(), flight.clone());
        Claim::Mine(Ticket { cache: self, key: key.clone(), flight, fulfilled: false })
    }

    /// The value of `key`, made by `make` unless it is here or another thread makes it.
    pub(in crate::granule) fn get_or_make(
        &self,
        key: &K,
        mut make: impl FnMut() -> Result<V>,
    ) -> Result<Arc<V>> {
        loop {
            match self.claim(key) {
                Claim::Ready(value) => return Ok(value),
                Claim::Mine(ticket) => return Ok(ticket.fulfil(make()?)),
                Claim::Theirs(pending) => {
                    if let Some(value) = pending.wait() {
                        return Ok(value);
                    }
                }
            }
        }
    }

    /// Whether the value is here; asking is no use of it.
    pub(in crate::granule) fn has(&self, key: &K) -> bool {
        lock(&self.state).kept.contains(key)
    }

    /// Drops the values for which `doomed` is true.
    pub(in crate::granule) fn forget(&self, doomed: impl Fn(&K, &V) -> bool) {
        let mut state = lock(&self.state);
        let found = state.kept.iter().filter(|(key, value)| doomed(key, value));
        let keys: Vec<K> = found.map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(value) = state.kept.pop(&key) {
                state.bytes -= value.bytes();
            }
        }
    }

    #[cfg(test)]
    pub(in crate::granule) fn bytes(&self) -> usize {
        lock(&self.state).bytes
    }

    fn keep(&self, state: &mut State<K, V>, key: K, value: Arc<V>) {
        let bytes = value.bytes();
        if bytes > self.budget {
            return;
        }
        state.bytes += bytes;
        if let Some(replaced) = state.kept.put(key, value) {
            state.bytes -= replaced.bytes();
        }
        while state.bytes > self.budget {
            let Some((_, evicted)) = state.kept.pop_lru() else { break };
            state.bytes -= evicted.bytes();
        }
    }
}

impl<K: Hash + Eq + Clone, V: Weigh> Ticket<'_, K, V> {
    /// Publishes the value and keeps it if it fits the budget.
    pub(in crate::granule) fn fulfil(mut self, value: V) -> Arc<V> {
        let value = Arc::new(value);
        self.fulfilled = true;
        {
            let mut state = lock(&self.cache.state);
            state.flights.remove(&self.key);
            self.cache.keep(&mut state, self.key.clone(), value.clone());
        }
        self.flight.land(Outcome::Done(value.clone()));
        value
    }
}

impl<K: Hash + Eq + Clone, V: Weigh> Drop for Ticket<'_, K, V> {
    fn drop(&mut self) {
        if !self.fulfilled {
            lock(&self.cache.state).flights.remove(&self.key);
            self.flight.land(Outcome::Abandoned);
        }
    }
}

impl<V> Flight<V> {
    fn land(&self, outcome: Outcome<V>) {
        *lock(&self.outcome) = outcome;
        self.landed.notify_all();
    }
}

impl<V> Pending<V> {
    /// The value; `None` if its maker failed, so that the caller should claim it again.
    pub(in crate::granule) fn wait(self) -> Option<Arc<V>> {
        let mut outcome = lock(&self.0.outcome);
        loop {
            match &*outcome {
                Outcome::Done(value) => return Some(value.clone()),
                Outcome::Abandoned => return None,
                Outcome::Pending => {
                    outcome = self.0.landed.wait(outcome).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::error::Error;

    #[test]
    fn keeps_within_the_budget_and_drops_the_oldest() {
        let cache = ByteCache::new(10);
        let made = AtomicUsize::new(0);
        let get = |key: u32, size: usize| {
            cache
                .get_or_make(&key, || {
                    made.fetch_add(1, Ordering::Relaxed);
                    Ok(vec![0u8; size])
                })
                .unwrap()
        };
        get(1, 4);
        get(2, 4);
        get(1, 4);
        assert_eq!(made.load(Ordering::Relaxed), 2);
        get(3, 4);
        assert_eq!(lock(&cache.state).bytes, 8);
        get(1, 4);
        assert_eq!(made.load(Ordering::Relaxed), 3, "1 was used last and must have stayed");
        get(2, 4);
        assert_eq!(made.load(Ordering::Relaxed), 4, "2 was the oldest");
        get(9, 11);
        get(9, 11);
        assert_eq!(made.load(Ordering::Relaxed), 6, "an entry above the budget is not kept");
    }

    #[test]
    fn makes_a_value_once_for_many_threads() {
        let cache = ByteCache::new(100);
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let value = cache
                        .get_or_make(&7, || {
                            made.fetch_add(1, Ordering::Relaxed);
                            std::thread::sleep(Duration::from_millis(20));
                            Ok(vec![7u8])
                        })
                        .unwrap();
                    assert_eq!(*value, vec![7]);
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let cache: ByteCache<u8, Vec<u8>> = ByteCache::new(100);
        assert!(cache.get_or_make(&1, || Err(Error::io("down"))).is_err());
        assert!(cache.get_or_make(&1, || Ok(vec![1])).is_ok());
    }
}
