//! One sample at a time, in memory of its own.

use std::sync::{Arc, OnceLock};

use super::Engine;
use crate::collate::Outcome;
use crate::error::{Error, Result};
use crate::granule::{Ahead, Selection};
use crate::query::Query;
use crate::render::{NativePatch, PointRow, Recipe};
use crate::variable::Geometry;

/// One variable of one sample.
pub enum SampleColumn {
    /// A patch.
    Grid(NativePatch),
    /// Levels.
    Points(PointRow),
}

/// One sample: a column a variable, `None` where no file covers the query.
pub struct Sample {
    /// The columns, in the order of the requests.
    pub columns: Vec<Option<SampleColumn>>,
    /// The number of distinct files that carry weight.
    pub n_files: usize,
}

impl Engine {
    /// Renders one sample; `shapes` gives each gridded variable's pixels, `None` its native cells.
    pub fn sample(&self, index: usize, shapes: &[Option<(usize, usize)>]) -> Result<Sample> {
        let setup = self.setup();
        let query = setup.queries.get(index).ok_or_else(|| {
            let n = setup.queries.len();
            Error::invalid_input(format!("there is no query {index}; the list has {n}"))
        })?;
        self.check_sample(query, shapes)?;
        let made = self.download(query, shapes)?;
        let mut files = Vec::new();
        let mut columns = Vec::with_capacity(setup.requests.len());
        for (request, (wanted, made)) in setup.requests.iter().zip(made).enumerate() {
            let (outcome, column) = match wanted.variable.geometry {
                Geometry::Points => {
                    let mut row = PointRow::default();
                    let outcome = self.fill_points(&wanted.asked(query), request, &mut row)?;
                    (outcome, SampleColumn::Points(row))
                }
                Geometry::Grid => {
                    let shape = shapes.get(request).copied().flatten();
                    let (outcome, patch) = self.patch(query, request, shape, made)?;
                    (outcome, SampleColumn::Grid(patch))
                }
            };
            columns.push(outcome.present.then_some(column));
            files.extend(outcome.files);
        }
        files.sort_unstable();
        files.dedup();
        self.telemetry().count_samples(1);
        Ok(Sample { columns, n_files: files.len() })
    }

    /// One gridded variable of one query.
    fn patch(
        &self,
        query: &Query,
        request: usize,
        shape: Option<(usize, usize)>,
        made: Option<Arc<Recipe>>,
    ) -> Result<(Outcome, NativePatch)> {
        let (query, wanted) = self.asked(query, request);
        let query = &query;
        let rules = &wanted.rules;
        // A file that cannot be opened leaves this patch: masked, in the shape asked for.
        let levels = Selection::levels(&wanted.selections).unwrap_or(1);
        let layers = rules.temporal.layers(query) * levels;
        let masked = || NativePatch::sized(layers, shape.unwrap_or_default());
        let mut patch = masked()?;
        let painted = self.painted(query, request, shape, made, |recipe| {
            let (layers, height, width) = recipe.shape();
            patch = NativePatch::sized(layers, (height, width))?;
            recipe.paint(|reading| self.reader().window(reading), &mut patch.target())
        });
        let Some(painted) = painted.transpose() else {
            return Ok((Outcome::default(), NativePatch::default()));
        };
        let files = painted.map(|recipe| recipe.files());
        if files.is_err() {
            patch = masked()?;
        }
        let outcome = self.settle(files, query, request, || {
            patch.target().clear(query, rules.fill_value);
        })?;
        Ok((outcome, patch))
    }

    /// Downloads what a sample of a remote dataset needs, all variables at once, and returns the
    /// recipes that were made for that.
    ///
    /// # Errors
    /// `Cancelled`: the caller was interrupted.
    fn download(
        &self,
        query: &Query,
        shapes: &[Option<(usize, usize)>],
    ) -> Result<Vec<Option<Arc<Recipe>>>> {
        let requests = &self.setup().requests;
        let made: Vec<OnceLock<Arc<Recipe>>> = requests.iter().map(|_| OnceLock::new()).collect();
        if let Some(downloads) = self.downloads()? {
            downloads.wait_for(0..requests.len(), |request| {
                if requests[request].variable.geometry == Geometry::Points {
                    return self.bring_points(query, request);
                }
                let shape = shapes.get(request).copied().flatten();
                if let Ok(Some(recipe)) = self.recipe(query, request, shape) {
                    self.bring(&recipe, request, Ahead::Download);
                    made[request].get_or_init(|| recipe);
                }
            })?;
        }
        Ok(made.into_iter().map(OnceLock::into_inner).collect())
    }
}
