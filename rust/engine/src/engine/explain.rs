//! What an order will cost an engine, in chunks; only the files' metadata are read for it.

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::Engine;
use crate::collate::ColumnKind;
use crate::error::{Error, Result};
use crate::plan::{CacheItemGroups, Locality, Order};
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
            self.setup().columns()?.into_iter().map(|column| column.kind).collect();
        let rows = order.spec().rank_rows(0, world_size)?.end;
        Ok(Cost { locality, batch_bytes: batch_bytes(&kinds, rows as usize) })
    }

    /// The chunks that rendering a query fetches.
    fn pieces(&self, query: usize) -> Result<CacheItemGroups> {
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
                    let query = &self.setup().queries[query];
                    return Err(error.variable(&wanted.variable.name).query(query));
                }
            }
        }
        Ok(groups)
    }
}

/// Memory of a batch, about.
pub(crate) fn batch_bytes(kinds: &[ColumnKind], rows: usize) -> usize {
    rows.saturating_mul(kinds.iter().map(bytes_a_row).sum())
}

/// Bytes a row of a column, about.
fn bytes_a_row(kind: &ColumnKind) -> usize {
    match kind {
        ColumnKind::Grid(shape) => shape.size() * if shape.support { 9 } else { 5 },
        ColumnKind::Points => 4096,
    }
}
