//! Recipes on their way: made when a (query, variable) is first looked at, by predicting, decoding
//! ahead or downloading, and taken by the step that paints it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::Result;
use crate::plan::Draw;
use crate::render::Recipe;

/// Recipes that wait hold at most about this many bytes; beyond, they are made again when needed.
const WAITING_BYTES: usize = 64 << 20;

/// A query, the draw of it that has a box of its own, and a requested variable.
pub(super) type Key = (usize, Draw, usize);

/// A recipe, once it is made; `None` where no file covers the query.
type Made = Result<Option<Arc<Recipe>>>;

/// The recipes that wait for their step.
pub(super) struct Recipes {
    state: Mutex<State>,
    budget: usize,
}

#[derive(Default)]
struct Waiting {
    recipe: Arc<OnceLock<Made>>,
    /// What it takes, once that is known.
    bytes: usize,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Key, Waiting>,
    bytes: usize,
    /// Steps before this one have begun; they take their recipes, or make their own.
    begun: u64,
}

impl Default for Recipes {
    fn default() -> Self {
        Self { state: Mutex::default(), budget: WAITING_BYTES }
    }
}

impl Recipes {
    /// A step begins, in turn: what it and those before it need is no longer made ahead. Steps that
    /// wait for their own downloads need not say so.
    pub(super) fn begin(&self, step: u64) {
        let mut state = self.lock();
        state.begun = state.begun.max(step + 1);
    }

    /// The recipe that `step` will need, made by `make` unless it waits here; `None` also where the
    /// step has begun.
    pub(super) fn ahead(&self, key: Key, step: u64, make: impl FnOnce() -> Made) -> Made {
        let cell = {
            let mut state = self.lock();
            if step < state.begun {
                return Ok(None);
            }
            let full = state.bytes >= self.budget;
            match state.waiting.entry(key) {
                Entry::Occupied(entry) => entry.get().recipe.clone(),
                Entry::Vacant(_) if full => {
                    drop(state);
                    return make();
                }
                Entry::Vacant(entry) => entry.insert(Waiting::default()).recipe.clone(),
            }
        };
        let mut fresh = false;
        let made = cell.get_or_init(|| {
            fresh = true;
            make()
        });
        if fresh {
            self.weigh(key, made);
        }
        made.clone()
    }

    /// The recipe, if one was made; it no longer waits.
    pub(super) fn take(&self, key: Key) -> Option<Arc<Recipe>> {
        let recipe = {
            let mut state = self.lock();
            let Waiting { recipe, bytes } = state.waiting.remove(&key)?;
            state.bytes -= bytes;
            recipe
        };
        // One that is being made is worth the wait; of one that isn't yet, the caller takes care.
        recipe.get_or_init(|| Ok(None)).clone().ok().flatten()
    }

    /// Counts what has just been made, if it still waits. A failure is left to the painting, which
    /// tries again.
    fn weigh(&self, key: Key, made: &Made) {
        let state = &mut *self.lock();
        if let Entry::Occupied(mut entry) = state.waiting.entry(key) {
            let Ok(made) = made else {
                entry.remove();
                return;
            };
            let bytes = size_of::<(Key, Waiting)>() + made.as_ref().map_or(0, |m| m.bytes());
            entry.get_mut().bytes = bytes;
            state.bytes += bytes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::error::Error;
    use crate::query::Query;
    use crate::render::{GridRule, Resampling, Rules, TemporalAgg};

    fn key(query: usize) -> Key {
        (query, Draw::default(), 0)
    }

    fn recipe() -> Arc<Recipe> {
        let query = Query {
            lon_min: 0.0,
            lon_max: 1.0,
            lat_min: 0.0,
            lat_max: 1.0,
            day_start: 0,
            day_end: 0,
        };
        let rules = Rules {
            resampling: Resampling::Auto,
            grid: GridRule::Exact,
            temporal: TemporalAgg::Mean,
            min_support: 0.0,
            fill_value: 0.0,
            normalize: None,
        };
        Arc::new(Recipe::new(&[], &query, Some((2, 2)), &rules).unwrap())
    }

    #[test]
    fn a_recipe_waits_once_and_is_taken_once() {
        let recipes = Recipes::default();
        let (first, never) = (recipe(), || panic!("it waits"));
        let made = recipes.ahead(key(3), 7, || Ok(Some(first.clone()))).unwrap().unwrap();
        assert!(Arc::ptr_eq(&made, &first));
        let again = recipes.ahead(key(3), 7, never).unwrap().unwrap();
        assert!(Arc::ptr_eq(&again, &first));
        assert!(recipes.lock().bytes > first.bytes());
        assert!(Arc::ptr_eq(&recipes.take(key(3)).unwrap(), &first));
        assert!(recipes.take(key(3)).is_none());
        assert_eq!(recipes.lock().bytes, 0);
    }

    #[test]
    fn nothing_is_made_ahead_for_a_step_that_has_begun() {
        let recipes = Recipes::default();
        recipes.begin(4);
        let made = recipes.ahead(key(0), 4, || panic!("too late")).unwrap();
        assert!(made.is_none());
        assert!(recipes.ahead(key(0), 5, || Ok(Some(recipe()))).unwrap().is_some());
    }

    #[test]
    fn a_failure_does_not_wait_and_a_full_room_keeps_nothing() {
        let recipes = Recipes { budget: 1, ..Recipes::default() };
        assert!(recipes.ahead(key(0), 0, || Err(Error::io("down"))).is_err());
        assert!(recipes.take(key(0)).is_none());
        assert!(recipes.ahead(key(0), 0, || Ok(Some(recipe()))).unwrap().is_some());
        assert!(recipes.ahead(key(1), 0, || Ok(Some(recipe()))).unwrap().is_some());
        assert!(recipes.take(key(1)).is_none(), "the room was full");
        assert!(recipes.take(key(0)).is_some());
        assert_eq!(recipes.lock().bytes, 0);
    }
}
