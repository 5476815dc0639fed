//! What an order will cost an engine, in chunks; only the files' metadata are read for it.

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::engine::Engine;
use super::stream::batch_bytes;
use crate::collate::ColumnKind;
use crate::error::{Error, Result};
use crate::granule::StoredChunk;
use crate::plan::{CacheItem, CacheItemGroups, Locality, Order};
use crate::render::touched;
use crate::variable::Geometry;

/// What an epoch costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The cost in chunks; sizes are in bytes.
    pub locality: Locality,
    /// Memory of a batch of one rank, about.
    pub batch_bytes: usize,
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
            pool.install(|| slots.par_iter().map(|slot| self.pieces(slot.query)).collect())
        })?;
        let kinds: Vec<ColumnKind> =
            self.plan().columns()?.into_iter().map(|column| column.kind).collect();
        let rows = order.spec().rank_rows(0, world_size)?.end;
        Ok(Cost { locality, batch_bytes: batch_bytes(&kinds, rows as usize) })
    }

    /// The chunks that rendering a query fetches.
    pub(super) fn pieces(&self, query: usize) -> Result<CacheItemGroups> {
        let query = &self.plan().queries[query];
        let mut groups = Vec::new();
        let mut requests: Vec<usize> = (0..self.ranks().len()).collect();
        requests.sort_by_key(|&request| self.ranks()[request]);
        for request in requests {
            let wanted = &self.plan().requests[request];
            let days = self.candidates(query, request);
            if wanted.variable.geometry == Geometry::Points || days.is_empty() {
                continue;
            }
            let shape = wanted.shape.unwrap_or_default();
            let found = self
                .open_days(&days, request)
                .and_then(|days| touched(&days, query, shape, &wanted.rules));
            match found {
                Ok(found) => groups.extend(found.into_iter().map(|group| pieces_of(&group))),
                Err(error) if self.masks(&error) => {}
                Err(error) => return Err(error.variable(&wanted.variable.name).query(query)),
            }
        }
        Ok(groups)
    }
}

fn pieces_of(chunks: &[StoredChunk]) -> Vec<CacheItem> {
    let piece = |chunk: &StoredChunk| CacheItem {
        id: chunk.id,
        size: chunk.bytes as u64,
        read: chunk.stored_bytes,
    };
    chunks.iter().map(piece).collect()
}
