//! One (query, variable): its recipe, what it reads, and how it is painted.

use std::path::Path;
use std::sync::Arc;

use super::{Engine, Mask, Request, Selectors, Setup};
use crate::catalog::Granule;
use crate::collate::{CellMut, Outcome};
use crate::error::{Error, Result};
use crate::geo::BBox;
use crate::granule::{Ahead, Granules, Index, StoredChunk, When};
use crate::orientation::Orientation;
use crate::plan::{CacheItem, CacheItemGroups, Candidate, DayCandidates, PartCandidates, Selector};
use crate::query::Query;
use crate::render::{
    CellRule, Day, GridRule, Part, PatchMut, PointRow, Recipe, Tile, select_points,
};
use crate::variable::{Geometry, Supply};

/// How a patch lies in its batch.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pose {
    /// How its pixels move.
    pub orientation: Orientation,
    /// Whether its values change their sign.
    pub negated: bool,
}

/// The candidate files of a request on the days that will be rendered.
pub(super) struct Files {
    /// Its own.
    pub days: Vec<DayCandidates>,
    /// Those of each variable that masks it.
    masks: Vec<Vec<DayCandidates>>,
    /// Those of what it is an anomaly from.
    minus: Vec<DayCandidates>,
}

impl Engine {
    /// The recipe of a query's gridded variable, of `shape` pixels or its native cells; `None` where
    /// no file covers the query. Opens the files, or finds them in an index, and reads no data.
    pub(crate) fn recipe(
        &self,
        query: &Query,
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
        let Files { days, masks, minus } = self.candidates(query, request);
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
            for (Mask { request: wanted, joint }, days) in wanted.masks.iter().zip(&masks) {
                let mask = other(days, wanted)?;
                if *joint && let Some(mask) = &mask {
                    made.check_same_cells(mask).map_err(|e| Error {
                        message: format!("{}: {}", wanted.variable.name, e.message).into(),
                        ..e
                    })?;
                }
                made = made.only_where(mask.as_ref())?;
            }
            Ok(made)
        });
        made.map(|recipe| Some(Arc::new(recipe)))
    }

    /// Where and when a request is read for a query.
    pub(super) fn asked(&self, query: &Query, request: usize) -> (Query, &Request) {
        let wanted = &self.setup().requests[request];
        (wanted.asked(query), wanted)
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
    pub(crate) fn bring_points(&self, query: &Query, request: usize) {
        let (query, wanted) = self.asked(query, request);
        let unit = Some(&*wanted.variable.unit);
        let days = self.candidates(&query, request).days;
        let _: Result<()> = days.iter().flat_map(DayCandidates::files).try_for_each(|file| {
            let location = self.locate(self.granule(file).object)?;
            self.reader().points(&location, &wanted.variable.netcdf, unit).map(drop)
        });
    }

    /// Fills one (query, variable) of a batch, by the recipe that was made for it, if one was; or with
    /// row `row` of a frozen set.
    pub(crate) fn fill(
        &self,
        (row, query): (usize, &Query),
        request: usize,
        made: Option<Arc<Recipe>>,
        mut cell: CellMut<'_>,
        pose: Pose,
    ) -> Result<Outcome> {
        self.telemetry().timed(request, || {
            let outcome = match (self.frozen()?, &mut cell) {
                (Some(rows), cell) => rows.fill(row, request, cell).map_err(|e| {
                    e.variable(&self.setup().requests[request].variable.name).query(query)
                })?,
                (None, CellMut::Points(points)) => {
                    self.fill_points(&self.asked(query, request).0, request, points)?
                }
                (None, CellMut::Grid(patch)) => self.fill_patch(query, request, made, patch)?,
            };
            if let CellMut::Grid(patch) = &mut cell {
                let (_, width) = self.setup().requests[request].shape.unwrap_or_default();
                patch.lay(pose.orientation, pose.negated, width);
            }
            Ok(outcome)
        })
    }

    fn fill_patch(
        &self,
        query: &Query,
        request: usize,
        made: Option<Arc<Recipe>>,
        patch: &mut PatchMut<'_>,
    ) -> Result<Outcome> {
        let (query, wanted) = self.asked(query, request);
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
        let days = self.candidates(query, request).days;
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

    /// The candidate files of the days that will be rendered; `query` has the request's days.
    pub(super) fn candidates(&self, query: &Query, request: usize) -> Files {
        let wanted = &self.setup().requests[request];
        let Selectors { own, masks, minus } = &self.selectors[request];
        let find = |selector: &Option<Selector>| {
            selector.map(|s| s.candidates(&self.setup().catalog, query)).unwrap_or_default()
        };
        let mut days = find(own);
        if wanted.variable.geometry == Geometry::Grid {
            days = wanted.rules.temporal.select(&days).to_vec();
        }
        let beside = |selector: &Option<Selector>| {
            let constant = selector.is_some_and(|selector| selector.is_constant());
            let mut others = find(selector);
            others.retain(|other| constant || days.iter().any(|day| day.day == other.day));
            others
        };
        let (masks, minus) = (masks.iter().map(beside).collect(), beside(minus));
        Files { days, masks, minus }
    }

    /// The granules that a query's patch would open; `query` has the request's days.
    pub(crate) fn granules(&self, query: &Query, request: usize) -> Vec<&Granule> {
        let Files { days, masks, minus } = self.candidates(query, request);
        let days = days.iter().chain(masks.iter().flatten()).chain(&minus);
        days.flat_map(DayCandidates::files).map(|file| self.granule(file)).collect()
    }

    /// What the files are called that a variable of a query is read from.
    ///
    /// # Errors
    /// `InvalidInput`: there is no such query or variable.
    pub fn files_of(&self, index: usize, request: usize) -> Result<(String, Vec<String>)> {
        let setup = self.setup();
        let (Some(query), Some(wanted)) = (setup.queries.get(index), setup.requests.get(request))
        else {
            return Err(Error::invalid_input("there is no such query or variable"));
        };
        let granules = self.granules(&wanted.asked(query), request);
        let mut files: Vec<String> =
            granules.iter().map(|granule| setup.catalog.relative_path(granule.object)).collect();
        files.sort_unstable();
        files.dedup();
        Ok((wanted.variable.name.clone(), files))
    }

    fn granule(&self, candidate: &Candidate) -> &Granule {
        self.setup().catalog.granule(candidate.granule)
    }

    /// The latitudes and longitudes of each file of a request on the first day that has one.
    ///
    /// # Errors
    /// As opening them.
    pub fn axes(&self, request: usize) -> Result<Vec<(Vec<f64>, Vec<f64>)>> {
        let wanted = self.setup().requests.get(request);
        let wanted = wanted.ok_or_else(|| Error::internal("there is no such request"))?;
        let catalog = &self.setup().catalog;
        let own = self.selectors[request].own;
        let first = catalog.granules().iter().find(|g| own.is_some_and(|own| own.matches(g)));
        let day = first.map_or(0, |granule| granule.day);
        let globe = Query {
            lon_min: -180.0,
            lon_max: 180.0,
            lat_min: -90.0,
            lat_max: 90.0,
            day_start: day,
            day_end: day,
        };
        let Files { days, .. } = self.candidates(&globe, request);
        let opened = self.open_days(&days, wanted, Some((1, 1)));
        let opened = opened.map_err(|e| e.variable(&wanted.variable.name))?;
        let tiles = opened.iter().flat_map(|day| &day.parts).flat_map(|part| &part.tiles);
        Ok(tiles.map(|tile| (tile.grid.lat.clone(), tile.grid.lon.clone())).collect())
    }

    /// Opens the candidates' grids. The cropping convention knows no neighbours.
    fn open_days(
        &self,
        days: &[DayCandidates],
        request: &Request,
        shape: Option<(usize, usize)>,
    ) -> Result<Vec<Day>> {
        let Request { variable, selections, valid, holdout, rules, .. } = request;
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
                let mut conditions = valid.iter().map(condition).collect::<Result<Vec<_>>>()?;
                if let Some(holdout) = holdout {
                    let file = (object, &location);
                    conditions.extend(holdout.conditions(self.reader(), file, &self.drawn)?);
                }
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
