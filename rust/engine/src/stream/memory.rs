//! What the batches of a stream need of the memory, asked before any work.

use super::StreamOptions;
use crate::collate::{batch_bytes, description_bytes};
use crate::engine::Engine;
use crate::error::Result;
use crate::memory::{self, size};

impl StreamOptions {
    /// Checks that the batches that `engine` would make fit the memory: those made ahead, and the
    /// consumer's.
    ///
    /// # Errors
    /// `OutOfMemory`: they do not. `InvalidInput`: a tensor is larger than Arrow counts.
    pub fn check_memory(&self, engine: &Engine) -> Result<()> {
        let setup = engine.setup();
        let columns = setup.columns()?;
        let rows = self.rows.end.saturating_sub(self.rows.start);
        let a_batch = batch_bytes(&columns.kinds, rows);
        let alive = self.depth(a_batch, setup.catalog.is_remote()) as u64 + 1;
        let whole = a_batch.saturating_add(description_bytes(columns.members.len(), rows));
        let bytes = whole.saturating_mul(alive);
        let what = format!(
            "a batch of {rows} rows takes {}, and {alive} at once (those made ahead, and the one in \
             use) need {}",
            size(whole),
            size(bytes)
        );
        let advice = "use a smaller batch, a smaller patch, or fewer days";
        memory::check(bytes, setup.options.memory_limit, &what, advice)
    }
}
