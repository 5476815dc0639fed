//! How many cells there are on a day, and how many of them are valid, by coarse cells of the globe.

use super::Engine;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::plan::DayCandidates;
use crate::query::Query;
use crate::render::{NativePatch, PointRow};
use crate::store::ByteSource;
use crate::variable::Geometry;

/// The side of the blocks that are counted one after the other, degrees: native cells of a whole
/// globe would take much memory.
const BLOCK: f64 = 45.0;

/// Coarse cells of equal sides: rows from the south pole, columns from 180 W. The last ones are cut
/// where the side does not divide 180.
#[derive(Clone, Copy, Debug)]
pub struct CoarseCells {
    side: f64,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

impl CoarseCells {
    /// Cells of a side in degrees.
    ///
    /// # Errors
    /// `InvalidInput`: it is not from 0.1 to 45.
    pub fn new(side: f64) -> Result<Self> {
        if !(0.1..=45.0).contains(&side) {
            return Err(Error::invalid_input(format!(
                "cell must be from 0.1 to 45 degrees, not {side}"
            )));
        }
        let across = |degrees: f64| (degrees / side).ceil() as usize;
        Ok(Self { side, rows: across(180.0), columns: across(360.0) })
    }

    fn row(&self, lat: f64) -> usize {
        (((lat + 90.0) / self.side) as usize).min(self.rows - 1)
    }

    fn column(&self, lon: f64) -> usize {
        (((lon + 180.0).rem_euclid(360.0) / self.side) as usize).min(self.columns - 1)
    }
}

/// Counts by coarse cell, row by row. Of profiles, a cell is a level that was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellCounts {
    /// Cells of the source.
    pub cells: Vec<u32>,
    /// Those that are valid.
    pub valid: Vec<u32>,
}

impl CellCounts {
    fn add(&mut self, at: usize, cells: u32, valid: u32) {
        if let (Some(all), Some(good)) = (self.cells.get_mut(at), self.valid.get_mut(at)) {
            *all = all.saturating_add(cells);
            *good = good.saturating_add(valid);
        }
    }
}

impl Engine {
    /// What tells the files of a request on a day from others, and from themselves in another state;
    /// `None` where there is no file.
    ///
    /// # Errors
    /// `NotFound`, `Io`: a file cannot be reached.
    pub fn state_on(&self, request: usize, day: i32) -> Result<Option<String>> {
        let catalog = &self.setup().catalog;
        let days = self.candidates(&block(day, -180.0, 180.0, -90.0, 90.0), request).days;
        let mut states = Vec::new();
        for file in days.iter().flat_map(DayCandidates::files) {
            let granule = *catalog.granule(file.granule);
            let (path, location) =
                (catalog.relative_path(granule.object), catalog.location(granule.object));
            let (size, version) = match catalog.identity(granule.object) {
                Some(identity) => (identity.size, identity.version().map(str::to_owned)),
                None => (self.store().size(&location)?, self.store().version(&location)?),
            };
            states.push(format!("{path} {:?} {size} {version:?}", granule.steps));
        }
        Ok((!states.is_empty()).then(|| states.join("\n")))
    }

    /// Counts the cells of a request on a day.
    ///
    /// # Errors
    /// As reading it.
    pub fn coverage_on(&self, request: usize, day: i32, coarse: CoarseCells) -> Result<CellCounts> {
        let zeros = vec![0; coarse.rows * coarse.columns];
        let mut counts = CellCounts { cells: zeros.clone(), valid: zeros };
        let wanted = self.setup().requests.get(request);
        let wanted = wanted.ok_or_else(|| Error::internal("there is no such request"))?;
        let counted = match wanted.variable.geometry {
            Geometry::Points => self.count_points(request, day, coarse, &mut counts),
            Geometry::Grid => self.count_cells(request, day, coarse, &mut counts),
        };
        counted.map_err(|e| e.variable(&wanted.variable.name))?;
        Ok(counts)
    }

    fn count_points(
        &self,
        request: usize,
        day: i32,
        coarse: CoarseCells,
        counts: &mut CellCounts,
    ) -> Result<()> {
        let mut row = PointRow::default();
        self.fill_points(&block(day, -180.0, 180.0, -90.0, 90.0), request, &mut row)?;
        for (&lat, &lon) in row.lat.iter().zip(&row.lon) {
            let at = coarse.row(lat.into()) * coarse.columns + coarse.column(lon.into());
            counts.add(at, 1, 1);
        }
        Ok(())
    }

    fn count_cells(
        &self,
        request: usize,
        day: i32,
        coarse: CoarseCells,
        counts: &mut CellCounts,
    ) -> Result<()> {
        for number in 0..(180.0 / BLOCK * 360.0 / BLOCK) as u32 {
            if interrupt::requested() {
                return Err(Error::cancelled("interrupted"));
            }
            let west = -180.0 + BLOCK * f64::from(number % 8);
            let south = -90.0 + BLOCK * f64::from(number / 8);
            let (east, north) = (west + BLOCK, south + BLOCK);
            let query = block(day, west, east, south, north);
            let mut mask = Vec::new();
            let painted = self.painted(&query, request, None, None, |recipe| {
                let (layers, height, width) = recipe.shape();
                let mut patch = NativePatch::sized(layers, (height, width))?;
                recipe.paint(|reading| self.reader().window(reading), &mut patch.target())?;
                mask = patch.mask;
                Ok(())
            })?;
            let Some(recipe) = painted else { continue };
            let (lats, lons) = recipe.pixel_axes();
            // A centre on the edge of two blocks belongs to the northern and eastern one.
            let columns: Vec<Option<usize>> = lons
                .iter()
                .map(|&lon| (west..east).contains(&lon).then(|| coarse.column(lon)))
                .collect();
            let pixels = lats.len() * lons.len();
            for (i, &lat) in lats.iter().enumerate() {
                if !(south..north).contains(&lat) && lat < 90.0 {
                    continue;
                }
                let row = coarse.row(lat) * coarse.columns;
                for (j, column) in columns.iter().enumerate() {
                    let Some(column) = column else { continue };
                    // Any level, if there are several.
                    let levels = mask.iter().skip(i * lons.len() + j).step_by(pixels);
                    let valid = levels.fold(0, |valid, &level| valid | level);
                    counts.add(row + column, 1, valid.into());
                }
            }
        }
        Ok(())
    }
}

fn block(day: i32, lon_min: f64, lon_max: f64, lat_min: f64, lat_max: f64) -> Query {
    Query { lon_min, lon_max, lat_min, lat_max, day_start: day, day_end: day }
}
