//! Granules that an index describes: read before the first is needed, opened where it is wrong.

use std::collections::HashMap;
use std::path::Path;

use super::engine::Engine;
use crate::error::Result;
use crate::granule::Index;
use crate::plan::DayCandidates;
use crate::render::Day;

impl Engine {
    /// Reads the index, before the first grid is opened.
    pub(super) fn read_index(&self) {
        let Some(path) = &self.plan().options.index else { return };
        let catalog = &self.plan().catalog;
        self.reader().know(|| {
            let known =
                catalog.granules().iter().map(|g| (catalog.relative_path(g), catalog.location(g)));
            Index::read(Path::new(path), known.collect::<HashMap<_, _>>())
        });
    }

    /// Renders the candidates' grids; once more with those opened anew of which an index told
    /// something that proved wrong.
    pub(super) fn with_days<T>(
        &self,
        days: &[DayCandidates],
        request: usize,
        mut render: impl FnMut(&[Day]) -> Result<T>,
    ) -> Result<T> {
        let opened = self.open_days(days, request)?;
        render(&opened).or_else(|error| {
            let tiles = opened.iter().flat_map(|day| &day.tiles);
            let doubtful = tiles.filter(|tile| self.reader().distrust(&tile.grid, &error)).count();
            if doubtful == 0 {
                return Err(error);
            }
            render(&self.open_days(days, request)?)
        })
    }
}
