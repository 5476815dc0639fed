//! Getting ahead of rendering: what a query will need is downloaded, or decoded.

use super::engine::Engine;
use crate::error::Result;
use crate::granule::Ahead;
use crate::render;
use crate::variable::Geometry;

impl Engine {
    /// Gets what rendering a query's variable to `shape` will need. Errors are left to the rendering.
    pub(super) fn prefetch(
        &self,
        query: usize,
        request: usize,
        shape: (usize, usize),
        ahead: Ahead,
    ) {
        let (query, wanted) = (&self.plan().queries[query], &self.plan().requests[request]);
        let days = self.candidates(query, request);
        if days.is_empty() {
            return;
        }
        let work = || match wanted.variable.geometry {
            Geometry::Grid => {
                let days = self.open_days(&days, request)?;
                render::prefetch(self.reader(), &days, query, shape, &wanted.rules, ahead)
            }
            Geometry::Points => {
                let unit = Some(&*wanted.variable.unit);
                for file in days.iter().flat_map(|day| &day.files) {
                    let location = self.locate(file.granule)?;
                    self.reader().points(&location, &wanted.variable.netcdf, unit)?;
                }
                Ok(())
            }
        };
        let _: Result<()> = match ahead {
            // Waiting is not working.
            Ahead::Download => work(),
            Ahead::Decode => self.telemetry().timed(request, work),
        };
    }

    /// Decodes what rendering a query of a batch will need.
    pub(super) fn decode_ahead(&self, query: usize) {
        for (request, wanted) in self.plan().requests.iter().enumerate() {
            if let (Geometry::Grid, Some(shape)) = (wanted.variable.geometry, wanted.shape) {
                self.prefetch(query, request, shape, Ahead::Decode);
            }
        }
    }

    /// Downloads what rendering a sample to `shapes` will need, all variables at once; native cells
    /// are left to the rendering.
    ///
    /// # Errors
    /// `Cancelled`: the caller was interrupted.
    pub(super) fn download(&self, query: usize, shapes: &[Option<(usize, usize)>]) -> Result<()> {
        let Some(downloads) = self.downloads()? else { return Ok(()) };
        let points = |request: usize| self.plan().requests[request].variable.geometry;
        let wanted = (0..self.plan().requests.len()).filter_map(|request| {
            let shape = shapes.get(request).copied().flatten();
            let shape = shape.or((points(request) == Geometry::Points).then_some((0, 0)))?;
            Some((request, shape))
        });
        downloads.wait_for(wanted, |(request, shape)| {
            self.prefetch(query, request, shape, Ahead::Download);
        })
    }
}
