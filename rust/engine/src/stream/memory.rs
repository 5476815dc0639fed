//! What the batches of a stream need of the memory, asked before any work.

use super::StreamOptions;
use crate::collate::{ColumnKind, batch_bytes, check_memory, description_bytes, size};
use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// Checks that the batches of a stream fit the memory: those made ahead, and the consumer's.
    ///
    /// # Errors
    /// `OutOfMemory`: they do not. `InvalidInput`: a tensor is larger than Arrow counts.
    pub fn check_stream(&self, options: &StreamOptions) -> Result<()> {
        let kinds: Vec<ColumnKind> =
            self.setup().columns()?.into_iter().map(|column| column.kind).collect();
        let rows = options.rows.end.saturating_sub(options.rows.start);
        let a_batch = batch_bytes(&kinds, rows);
        let alive = options.depth(a_batch, self.setup().catalog.is_remote()) as u64 + 1;
        let whole = a_batch.saturating_add(description_bytes(&kinds, rows));
        let bytes = whole.saturating_mul(alive);
        let what = format!(
            "a batch of {rows} rows takes {}, and {alive} at once (those made ahead, and the one in \
             use) need {}",
            size(whole),
            size(bytes)
        );
        let advice = "use a smaller batch, a smaller patch, or fewer days";
        check_memory(bytes, self.setup().options.memory_limit, &what, advice)
    }
}
