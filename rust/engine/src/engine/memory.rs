//! What a sample needs of the memory, asked before any work.

use super::Engine;
use crate::collate::{ColumnKind, GridShape, batch_bytes};
use crate::error::Result;
use crate::granule::Selection;
use crate::memory::{self, size};
use crate::query::Query;
use crate::render::TemporalAgg;
use crate::variable::Geometry;

impl Engine {
    /// Checks that a sample of a query, its gridded variables in these pixels, fits the memory;
    /// native cells are bounded by the files.
    ///
    /// # Errors
    /// `OutOfMemory`: it does not. `InvalidInput`: a tensor is larger than Arrow counts.
    pub(super) fn check_sample(
        &self,
        query: &Query,
        shapes: &[Option<(usize, usize)>],
    ) -> Result<()> {
        let setup = self.setup();
        let mut bytes = 0u64;
        for (request, shape) in setup.requests.iter().zip(shapes) {
            let &Some((height, width)) = shape else { continue };
            if request.variable.geometry == Geometry::Points {
                continue;
            }
            let stacked = request.rules.temporal == TemporalAgg::Stack;
            let layers = stacked.then(|| request.asked(query).n_days());
            let levels = Selection::levels(&request.selections);
            let channels = None;
            let shape =
                GridShape { channels, layers, levels, height, width, support: false, axes: true };
            shape.list_size().map_err(|e| e.variable(&request.variable.name).query(query))?;
            let one = batch_bytes(&[ColumnKind::Grid(shape)], 1);
            // A variable of both roles is copied for the second.
            let both = request.role.input && request.role.target;
            bytes = bytes.saturating_add(one.saturating_mul(if both { 2 } else { 1 }));
        }
        let what = format!("a sample needs {}", size(bytes));
        memory::check(
            bytes,
            setup.options.memory_limit,
            &what,
            "use a smaller patch, or fewer days",
        )
        .map_err(|e| e.query(query))
    }
}
