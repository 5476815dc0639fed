//! What an order will cost an engine, in chunks; only the files' metadata are read for it.

use std::sync::OnceLock;

use rayon::ThreadPoolBuilder;

use super::Engine;
use super::waiting::wait_for;
use crate::collate::batch_bytes;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::plan::{CacheItemGroups, Locality, Order, Slot};
use crate::query::Query;
use crate::variable::Geometry;

/// Queries looked at between two looks at whether to stop.
const AT_ONCE: usize = 64;

/// What an epoch costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The cost in chunks; sizes are in bytes.
    pub locality: Locality,
    /// Memory of a batch of one rank, about.
    pub batch_bytes: u64,
}

impl Engine {
    /// Predicts the cost of an epoch, or of its first `most_steps` steps, in `world_size` processes
    /// that keep `cache_bytes` of decoded chunks each. Point data are read whole, once, and left out.
    ///
    /// # Errors
    /// `InvalidInput`: the world size does not divide the global batch. Otherwise as the stream,
    /// where a file cannot be opened.
    pub fn cost(
        &self,
        order: &Order,
        world_size: u64,
        cache_bytes: u64,
        most_steps: u64,
    ) -> Result<Cost> {
        // A pool of its own: a global one would hang in a forked child.
        let pool = ThreadPoolBuilder::new()
            .build()
            .map_err(|e| Error::io(format!("cannot start threads: {e}")))?;
        let locality = order.locality_of(world_size, cache_bytes, most_steps, |slots| {
            let mut found = Vec::with_capacity(slots.len());
            for some in slots.chunks(AT_ONCE) {
                // Short work ends before the wait for it looks.
                if interrupt::requested() {
                    return Err(Error::cancelled("explain was interrupted"));
                }
                let made: Vec<OnceLock<Result<CacheItemGroups>>> =
                    vec![OnceLock::new(); some.len()];
                wait_for(&pool, some.iter().zip(&made), |(slot, made)| {
                    made.get_or_init(|| self.pieces(&self.where_read(slot)));
                })?;
                for made in made {
                    let lost = || Err(Error::internal("a query could not be looked at"));
                    found.push(made.into_inner().unwrap_or_else(lost)?);
                }
            }
            Ok(found)
        })?;
        let kinds = self.setup().columns()?.kinds;
        let rows = order.spec().rank_rows(0, world_size)?.end;
        Ok(Cost { locality, batch_bytes: batch_bytes(&kinds, rows) })
    }

    /// Where the query of a slot is read.
    fn where_read(&self, slot: &Slot) -> Query {
        let query = self.setup().queries[slot.query];
        let augment = self.setup().options.augment.as_ref();
        augment.map_or(query, |augment| augment.moved(&query, slot.draw))
    }

    /// The chunks that rendering a query fetches.
    fn pieces(&self, query: &Query) -> Result<CacheItemGroups> {
        let mut groups = Vec::new();
        let mut requests: Vec<usize> = (0..self.ranks().len()).collect();
        requests.sort_by_key(|&request| self.ranks()[request]);
        for request in requests {
            let wanted = &self.setup().requests[request];
            if wanted.variable.geometry == Geometry::Points {
                continue;
            }
            let recipe = self.recipe(query, request, Some(wanted.shape.unwrap_or_default()));
            match recipe.and_then(|recipe| recipe.map(|r| self.chunks(&r)).transpose()) {
                Ok(found) => groups.extend(found.into_iter().flatten()),
                Err(error) if self.masks(&error) => {}
                Err(error) => {
                    return Err(error.variable(&wanted.variable.name).query(query));
                }
            }
        }
        Ok(groups)
    }
}
