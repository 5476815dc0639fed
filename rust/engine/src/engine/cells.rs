//! One (query, variable): its recipe, what it reads, and how it is painted.

use std::path::Path;
use std::sync::Arc;

use super::{Engine, Request, Setup};
use crate::catalog::Granule;
use crate::collate::{CellMut, Outcome};
use crate::error::Result;
use crate::geo::BBox;
use crate::granule::{Ahead, Granules, Index, StoredChunk, When};
use crate::plan::{CacheItem, CacheItemGroups, Candidate, DayCandidates, PartCandidates, Selector};
use crate::query::Query;
use crate::render::{
    CellRule, Day, GridRule, Part, PatchMut, PointRow, Recipe, Tile, select_points,
};
use crate::variable::{Geometry, Supply};

impl Engine {
    /// The recipe of a query's gridded variable, of `shape` pixels or its native cells; `None` where
    /// no file covers the query. Opens the files, or finds them in an index, and reads no data.
    pub(crate) fn recipe(
        &self,
        query: usize,
        request: usize,
        shape: Option<(usize, usize)>,
    ) -> Result<Option<Arc<Recipe>>> {
        self.recipe_of(&self.asked(query, request).0, request, shape)
    }

    /// The same of a query that has the request's days.
    fn recipe_of(
        &self,
        query: &Query,
        request: usize,
        shape: Option<(usize, usize)>,
    ) -> Result<Option<Arc<Recipe>>> {
        let wanted = &self.setup().requests[request];
        let [days, masking, minus] = self.candidates(query, request);
        if days.is_empty() {
            return Ok(None);
        }
        let made = self.telemetry().planned(|| {
            let recipe = |days: &[DayCandidates], wanted: &Request| {
                if let Supply::Computed(channel) = wanted.variable.supply {
                    let days = days.iter().map(|day| day.day);
                    let land = |bbox: &BBox, shape| Ok(self.land()?.fraction(bbox, shape));
                    return Recipe::computed(channel, days, query, shape, &wanted.rules, land);
                }
                let days = self.open_days(days, wanted, shape)?;
                let made = Recipe::new(&days, query, shape, &wanted.rules)?;
                Ok(if wanted.variable.supply.is_constant() { made.on_all_days() } else { made })
            };
            let other = |days: &[DayCandidates], wanted: &Request| match days {
                [] => Ok(None),
                days => recipe(days, wanted).map(Some),
            };
            let mut made = recipe(&days, wanted)?;
            if let Some(wanted) = &wanted.minus {
                made = made.minus(other(&minus, wanted)?.as_ref())?;
            }
            if let Some(wanted) = &wanted.only_where {
                made = made.only_where(other(&masking, wanted)?.as_ref())?;
            }
            Ok(made)
        });
        made.map(|recipe| Some(Arc::new(recipe)))
    }

    /// Where and when a request is read for a query.
    pub(super) fn asked(&self, query: usize, request: usize) -> (Query, &Request) {
        let wanted = &self.setup().requests[request];
        (wanted.asked(&self.setup().queries[query]), wanted)
    }

    /// The stored chunks that painting fetches, those fetched at once together.
    pub(crate) fn chunks(&self, recipe: &Recipe) -> Result<CacheItemGroups> {
        let mut groups = Vec::new();
        for reading in recipe.readings() {
            for chunks in self.reader().chunks(reading)? {
                let item = |c: &StoredChunk| CacheItem {
                    id: c.id,
                    size: c.bytes as u64,
                    read: c.stored_bytes,
                };
                groups.push(chunks.iter().map(item).collect());
            }
        }
        Ok(groups)
    }

    /// Gets what painting will read. Errors are left to the painting.
    pub(crate) fn bring(&self, recipe: &Recipe, request: usize, ahead: Ahead) {
        let bring = || recipe.readings().try_for_each(|r| self.reader().bring(r, ahead));
        let _: Result<()> = match ahead {
            // Waiting is not working.
            Ahead::Download => bring(),
            Ahead::Decode => self.telemetry().timed(request, bring),
        };
    }

    /// Gets a query's point data. Errors are left to the filling.
    pub(crate) fn bring_points(&self, query: usize, request: usize) {
        let (query, wanted) = self.asked(query, request);
        let unit = Some(&*wanted.variable.unit);
        let [days, ..] = self.candidates(&query, request);
        let _: Result<()> = days.iter().flat_map(DayCandidates::files).try_for_each(|file| {
            let location = self.locate(self.granule(file).object)?;
            self.reader().points(&location, &wanted.variable.netcdf, unit).map(drop)
        });
    }

    /// Fills one (query, variable) of a batch, by the recipe that was made for it, if one was.
    pub(crate) fn fill(
        &self,
        query: usize,
        request: usize,
        made: Option<Arc<Recipe>>,
        cell: CellMut<'_>,
    ) -> Result<Outcome> {
        self.telemetry().timed(request, || match cell {
            CellMut::Points(row) => self.fill_points(&self.asked(query, request).0, request, row),
            CellMut::Grid(mut patch) => self.fill_patch(query, request, made, &mut patch),
        })
    }

    fn fill_patch(
        &self,
        index: usize,
        request: usize,
        made: Option<Arc<Recipe>>,
        patch: &mut PatchMut<'_>,
    ) -> Result<Outcome> {
        let (query, wanted) = self.asked(index, request);
        let query = &query;
        let fill_value = wanted.rules.fill_value;
        let painted = self.painted(query, request, wanted.shape, made, |recipe| {
            recipe.paint(|reading| self.reader().window(reading), patch)
        });
        match painted.transpose() {
            None => {
                patch.clear(query, fill_value);
                Ok(Outcome::default())
            }
            Some(painted) => {
                let files = painted.map(|recipe| recipe.files());
                self.settle(files, query, request, || patch.clear(query, fill_value))
            }
        }
    }

    /// Paints by the recipe, which is made unless it was; once more by a new one, with those files
    /// opened of which an index told something that proved wrong. `query` has the request's days.
    /// Returns the recipe that counted.
    pub(super) fn painted(
        &self,
        query: &Query,
        request: usize,
        shape: Option<(usize, usize)>,
        made: Option<Arc<Recipe>>,
        mut paint: impl FnMut(&Recipe) -> Result<()>,
    ) -> Result<Option<Arc<Recipe>>> {
        let recipe = match made {
            Some(recipe) => recipe,
            None => match self.recipe_of(query, request, shape)? {
                Some(recipe) => recipe,
                None => return Ok(None),
            },
        };
        let Err(error) = paint(&recipe) else { return Ok(Some(recipe)) };
        let doubtful = recipe.readings().filter(|r| self.reader().distrust(&r.grid, &error));
        if doubtful.count() == 0 {
            return Err(error);
        }
        let anew = self.recipe_of(query, request, shape)?;
        anew.as_ref().map_or(Ok(()), |recipe| paint(recipe))?;
        Ok(anew)
    }

    /// Fills the levels of a query.
    pub(super) fn fill_points(
        &self,
        query: &Query,
        request: usize,
        row: &mut PointRow,
    ) -> Result<Outcome> {
        let Request { variable, rules, .. } = &self.setup().requests[request];
        let [days, ..] = self.candidates(query, request);
        if days.is_empty() {
            return Ok(Outcome::default());
        }
        let mut read = || {
            let mut files = Vec::new();
            for file in days.iter().flat_map(DayCandidates::files) {
                let object = self.granule(file).object;
                let location = self.locate(object)?;
                let points =
                    self.reader().points(&location, &variable.netcdf, Some(&variable.unit))?;
                if select_points(&points, query, row) {
                    files.push(object);
                }
            }
            for value in &mut row.values {
                *value = rules.deliver(f64::from(*value));
            }
            Ok(files)
        };
        let filled = read();
        self.settle(filled, query, request, || *row = PointRow::default())
    }

    /// The candidate files of the days that will be rendered: of the variable, of that which masks it,
    /// and of that which it is an anomaly from; `query` has the request's days.
    pub(crate) fn candidates(&self, query: &Query, request: usize) -> [Vec<DayCandidates>; 3] {
        let wanted = &self.setup().requests[request];
        let [mut days, mut masking, mut minus] = self.selectors(request).map(|selector| {
            selector.map(|s| s.candidates(&self.setup().catalog, query)).unwrap_or_default()
        });
        if wanted.variable.geometry == Geometry::Grid {
            days = wanted.rules.temporal.select(&days).to_vec();
            let selectors = self.selectors(request);
            for (others, selector) in [(&mut masking, selectors[1]), (&mut minus, selectors[2])] {
                let constant = selector.is_some_and(Selector::is_constant);
                others.retain(|other| constant || days.iter().any(|day| day.day == other.day));
            }
        }
        [days, masking, minus]
    }

    /// The granules that a query's patch would open; `query` has the request's days.
    pub(crate) fn granules(&self, query: &Query, request: usize) -> Vec<&Granule> {
        let days = self.candidates(query, request);
        let files = days.iter().flatten().flat_map(DayCandidates::files);
        files.map(|file| self.granule(file)).collect()
    }

    fn granule(&self, candidate: &Candidate) -> &Granule {
        self.setup().catalog.granule(candidate.granule)
    }

    /// Opens the candidates' grids. The cropping convention knows no neighbours.
    fn open_days(
        &self,
        days: &[DayCandidates],
        request: &Request,
        shape: Option<(usize, usize)>,
    ) -> Result<Vec<Day>> {
        let Request { variable, selections, valid, rules, .. } = request;
        let neighbours = rules.grid == GridRule::Exact && shape.is_some();
        self.read_index();
        let open = |(day, part): (i32, &PartCandidates)| {
            let files = part.files.iter().filter(|file| file.overlaps || neighbours);
            let tiles = files.map(|file| {
                let Granule { object, steps, res_deg_lat: resolution, .. } = *self.granule(file);
                let location = self.locate(object)?;
                let unit = Some(variable.unit.as_str()).filter(|unit| !unit.is_empty());
                let grid = |name: &str, unit| self.reader().grid(&location, name, unit, selections);
                let opened = grid(&variable.netcdf, unit)?;
                let condition =
                    |(name, rule): &(String, CellRule)| Ok((grid(name, None)?, rule.clone()));
                let when = steps.map_or(When::Day(day), |s| When::Steps(s.first, s.count));
                let conditions = valid.iter().map(condition).collect::<Result<_>>()?;
                Ok(Tile { object, grid: opened, when, resolution, conditions })
            });
            Ok(Part { share: part.share, tiles: tiles.collect::<Result<_>>()? })
        };
        let opened = |day: &DayCandidates| {
            let parts = day.parts.iter().map(|part| open((day.day, part)));
            Ok(Day { day: day.day, parts: parts.collect::<Result<_>>()? })
        };
        days.iter().map(opened).collect()
    }

    /// Reads the index, before the first grid is opened.
    fn read_index(&self) {
        let Setup { catalog, options, indexes, .. } = self.setup();
        if options.index.is_none() && indexes.is_empty() {
            return;
        }
        self.reader().know(|| {
            let objects = 0..catalog.n_objects() as u32;
            let mut known = Granules::new();
            for object in objects {
                known
                    .entry(catalog.relative_path(object))
                    .or_default()
                    .push(catalog.location(object));
            }
            // What the user names comes last, and counts.
            let mut index = Index::default();
            for place in indexes {
                index.add_beside(&**self.store(), place, &known);
            }
            match &options.index {
                Some(path) => index.then(Index::read(Path::new(path), &known)),
                None => index,
            }
        });
    }
}
