//! What a file holds, for a catalogue of such files: everything that a listing needs, from one opening.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::granule::cf::coordinates::{self, Coordinate, Role, base_name};
use crate::granule::cf::packing::Packing;
use crate::granule::cf::time::TimeUnit;
use crate::granule::chunks::decode::Chunks;
use crate::granule::format::file::{File, Variable};
use crate::granule::grids::convert::Converter;
use crate::granule::grids::grid::Grid;
use crate::granule::grids::levels::Selection;
use crate::granule::grids::view::{self, Stretch, View};
use crate::granule::index::{Described, Witness};
use crate::granule::{GranuleReader, Opening};
use crate::memory;
use crate::store::Location;

/// Cells a side of chunks that patches are read from without much waste.
const SIDE: u64 = 256;

/// Half of the size of a cell that has no neighbour at all, in degrees.
const LONE: f64 = 0.05;

/// A variable that a listing asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name in the file.
    pub variable: String,
    /// The levels of it.
    pub selections: Vec<Selection>,
    /// The variables of the same file that say which of its cells count, and the flags that are
    /// meant by name.
    pub conditions: Vec<(String, Vec<String>)>,
}

/// A file as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Its size in bytes.
    pub size: u64,
    /// What tells this state of it.
    pub version: Option<String>,
    /// What opening it read, by which the state is told where the version doesn't; see
    /// [`GranuleReader::confirm`].
    pub evidence: Vec<u8>,
    /// The gridded variables.
    pub variables: Vec<SurveyedVariable>,
    /// Entries of an index: of those variables, and of their conditions.
    pub entries: Vec<(String, Described)>,
}

/// A gridded variable of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedVariable {
    /// Its name in the file.
    pub name: String,
    /// The unit it states.
    pub unit: Option<String>,
    /// South and north edge of its cells, in degrees.
    pub lat: (f64, f64),
    /// West and east edge, in degrees, in the file's own turn; at most 360 apart.
    pub lon: (f64, f64),
    /// Degrees of latitude between rows; NaN of a single row.
    pub resolution: f64,
    /// Its time steps; none in a file without time.
    pub steps: Vec<TimeStep>,
    /// Its chunks; `None` of data that lie in one run.
    pub chunks: Option<Chunking>,
}

/// How a variable is cut into chunks.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunking {
    /// The name of each dimension, as stored, and how long chunks along it would be best.
    pub better: Vec<(String, u64)>,
    /// Time steps that a chunk holds.
    pub steps: u64,
    /// Bytes of a chunk, decoded.
    pub bytes: u64,
}

/// A time step, in days since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeStep {
    /// The stamp.
    pub time: f64,
    /// Start and end of what it stands for, where the file says so.
    pub bounds: Option<(f64, f64)>,
}

impl GranuleReader {
    /// Opens a file once and describes its gridded variables: those wanted, or all in the root group
    /// that have latitudes and longitudes.
    ///
    /// # Errors
    /// As [`GranuleReader::grid`]; also `Unsupported`: there is no gridded variable at all, or a
    /// condition lies on another grid. `CorruptGranule`: times that are missing.
    pub fn survey(&self, location: &Location, wanted: Option<&[Wanted]>) -> Result<Survey> {
        let witness = Arc::new(Witness::new(self.source.clone()));
        let opening = Opening::new(witness.clone(), self.bytes_read.clone());
        let (variables, grids) = self.open_file(&opening, location, |file, chunks| {
            let surveyor = Surveyor { file, chunks };
            match wanted {
                Some(wanted) => surveyor.wanted(wanted),
                None => surveyor.all(),
            }
        })?;
        let evidence = witness.evidence();
        let described = |grid: &Grid| {
            let described = Described::new(grid, Some(&evidence), &*self.source)?;
            Ok((grid.array.name.clone(), described))
        };
        Ok(Survey {
            size: self.source.size(location)?,
            version: self.source.version(location)?,
            evidence: evidence.to_bytes(),
            entries: grids.iter().map(described).collect::<Result<_>>()?,
            variables,
        })
    }
}

struct Surveyor<'f> {
    file: &'f File,
    chunks: &'f Chunks,
}

/// What was found, and all grids that were opened for it.
type Found = (Vec<SurveyedVariable>, Vec<Grid>);

impl Surveyor<'_> {
    fn wanted(&self, wanted: &[Wanted]) -> Result<Found> {
        let (mut surveyed, mut grids) = (Vec::new(), Vec::new());
        let mut conditions = BTreeSet::new();
        for Wanted { variable, selections, conditions: own } in wanted {
            let named = |e: Error| e.variable(variable);
            let (found, grid) = self.named(variable)?;
            check_selections(&grid, selections).map_err(named)?;
            for (condition, flags) in own {
                let (_, other) = self.named(condition)?;
                other.check_levels(selections).map_err(|e| e.variable(condition))?;
                if other.lat != grid.lat || other.lon != grid.lon {
                    return Err(Error::unsupported(format!(
                        "the quality variable {condition:?} has other axes than the one it is about"
                    ))
                    .variable(variable));
                }
                let names: Vec<&str> = other.flags.iter().map(|flag| flag.name.as_str()).collect();
                if let Some(lost) = flags.iter().find(|flag| !names.contains(&flag.as_str())) {
                    let known = if names.is_empty() { "none".into() } else { names.join(", ") };
                    return Err(Error::unsupported(format!(
                        "it has no flag {lost:?}; its flag_meanings are: {known}"
                    ))
                    .variable(condition));
                }
                if conditions.insert(condition) {
                    grids.push(other);
                }
            }
            surveyed.push(found);
            grids.push(grid);
        }
        grids.sort_by(|a, b| a.array.name.cmp(&b.array.name));
        grids.dedup_by(|a, b| a.array.name == b.array.name);
        Ok((surveyed, grids))
    }

    fn all(&self) -> Result<Found> {
        let (mut found, mut refused) = (Vec::new(), None);
        for name in self.file.names("")? {
            let Ok(Some(variable)) = self.file.variable(&name) else {
                self.file.healthy()?;
                continue;
            };
            if !variable.is_numeric() || variable.shape().len() < 2 {
                continue;
            }
            match self.of(&variable) {
                Ok(one) => found.push(one),
                Err(e) if matches!(e.kind, Kind::Unsupported | Kind::CorruptGranule) => {
                    refused.get_or_insert((name, e));
                }
                Err(e) => return Err(e),
            }
        }
        if found.is_empty() {
            let of = refused.map(|(name, e)| format!("; of {name:?}: {e}")).unwrap_or_default();
            return Err(Error::unsupported(format!(
                "the file has no variable on 1-D latitude and longitude axes{of}"
            )));
        }
        Ok(found.into_iter().unzip())
    }

    fn named(&self, name: &str) -> Result<(SurveyedVariable, Grid)> {
        let named = |e: Error| e.variable(name);
        let found = self.file.variable(name).map_err(named)?;
        let found = found.ok_or_else(|| {
            let names = self.file.names("").unwrap_or_default();
            let message = format!("the file has no variable {name:?}; it has {}", names.join(", "));
            Error::not_found(message).variable(name)
        })?;
        self.of(&found).map_err(named)
    }

    fn of(&self, variable: &Variable<'_>) -> Result<(SurveyedVariable, Grid)> {
        let grid = Grid::open(self.file, self.chunks, variable, None)?;
        let coordinates = coordinates::find(self.file, variable)?;
        let time = coordinates.iter().find(|coordinate| coordinate.role == Role::Time);
        let (lat_step, lon_step) = (step(&grid.lat), step(&grid.lon));
        let lat = edges(&grid.lat, lon_step);
        let lon = edges(&grid.lon, lat_step);
        let surveyed = SurveyedVariable {
            name: variable.name.clone(),
            unit: grid.unit.clone(),
            lat: (lat.0.max(-90.0), lat.1.min(90.0)),
            lon: (lon.0, lon.1.min(lon.0 + 360.0)),
            resolution: lat_step.unwrap_or(f64::NAN),
            steps: self.steps(variable, time)?,
            chunks: self.chunking(variable, &grid, time)?,
        };
        Ok((surveyed, grid))
    }

    fn chunking(
        &self,
        variable: &Variable<'_>,
        grid: &Grid,
        time: Option<&Coordinate<'_>>,
    ) -> Result<Option<Chunking>> {
        let array = &grid.array;
        if !array.is_chunked() {
            return Ok(None);
        }
        let parent = coordinates::parent(&variable.name);
        let sides = [grid.lat_dim.dim, grid.lon_dim.dim];
        let named = |(dim, (scale, &length)): (usize, (Option<u64>, &u64))| {
            let found = scale.map(|address| self.file.at(address, parent)).transpose()?.flatten();
            let name = found.map(|found| base_name(&found.name).to_owned());
            let better = if sides.contains(&dim) { length.min(SIDE) } else { 1 };
            Ok((name.unwrap_or_default(), better))
        };
        let better = variable.scales()?.into_iter().zip(&array.shape).enumerate().map(named);
        let steps = time.and_then(|time| array.chunk.get(time.dim)).copied().unwrap_or(1);
        let cells = array.chunk.iter().fold(1u64, |cells, &n| cells.saturating_mul(n));
        let bytes = cells.saturating_mul(array.dtype.size() as u64);
        Ok(Some(Chunking { better: better.collect::<Result<_>>()?, steps, bytes }))
    }

    /// The time steps. A time of one value need not be among the variable's dimensions.
    fn steps(
        &self,
        variable: &Variable<'_>,
        time: Option<&Coordinate<'_>>,
    ) -> Result<Vec<TimeStep>> {
        if let Some(Coordinate { variable: time, .. }) = time {
            return self.times(time);
        }
        let lone = coordinates::lone_time(self.file, variable)?;
        let steps = lone.map(|time| self.times(&time)).transpose()?;
        Ok(steps.unwrap_or_default())
    }

    fn times(&self, time: &Variable<'_>) -> Result<Vec<TimeStep>> {
        let named = |e: Error| e.variable(&time.name);
        let units = time.text("units")?.unwrap_or_default();
        let unit = TimeUnit::parse(&units, time.text("calendar")?.as_deref()).map_err(named)?;
        let stamps = self.plane(time, 1)?;
        if let Some(at) = stamps.iter().position(|stamp| !stamp.is_finite()) {
            return Err(Error::corrupt(format!("the time axis has no valid value at index {at}"))
                .variable(&time.name));
        }
        let bounds = self.bounds(time, stamps.len())?;
        let step = |(i, stamp): (usize, f64)| TimeStep {
            time: unit.days(stamp),
            bounds: bounds.as_ref().and_then(|b| {
                let (start, end) = (unit.days(*b.get(2 * i)?), unit.days(*b.get(2 * i + 1)?));
                (start.is_finite() && end >= start).then_some((start, end))
            }),
        };
        Ok(stamps.into_iter().enumerate().map(step).collect())
    }

    /// The bounds of the steps (CF section 7.1), two each.
    fn bounds(&self, time: &Variable<'_>, length: usize) -> Result<Option<Vec<f64>>> {
        let Some(name) = time.text("bounds")? else { return Ok(None) };
        let parent = coordinates::parent(&time.name);
        let path = if parent.is_empty() { name } else { format!("{parent}/{name}") };
        match self.file.variable(&path)? {
            Some(bounds) if bounds.shape().iter().product::<u64>() == 2 * length as u64 => {
                self.plane(&bounds, 2).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// All values of a variable of at most two dimensions, of which the last has `width`.
    fn plane(&self, variable: &Variable<'_>, width: usize) -> Result<Vec<f64>> {
        let shape = variable.shape();
        let plain = matches!(shape, [] | [_]) || width > 1 && shape.len() == 2;
        let size: u64 = shape.iter().product();
        if !plain || size > coordinates::MAX_LENGTH {
            let message = format!("{:?} has shape {shape:?}; it should be a list", variable.name);
            return Err(Error::unsupported(message));
        }
        let array = variable.array(shape)?;
        let packing = Packing::of(variable, array.dtype)?.without_limits();
        let mut out = memory::filled(0.0, size as usize, "the values of a coordinate")?;
        let stretch = |dim: usize| {
            let length = shape.get(dim).map_or(1, |&n| n as usize);
            Stretch::new(dim, 0..length, length, false)
        };
        let (rows, cols) = match shape.len() {
            2 => (Some(stretch(0)), stretch(1)),
            _ => (None, stretch(0)),
        };
        let view = View { array: &array, rows, cols, fixed: vec![0; shape.len().max(1)] };
        view::read(self.chunks, &view, &Converter::new(&packing), &mut out)
            .map_err(|e| array.blame(e))?;
        Ok(out)
    }
}

/// Selections name dimensions of the variable, and places on them.
fn check_selections(grid: &Grid, selections: &[Selection]) -> Result<()> {
    let has = |selection: &&Selection| {
        grid.further.iter().any(|further| further.name == selection.dimension)
    };
    if let Some(missing) = selections.iter().find(|selection| !has(selection)) {
        let names: Vec<&str> = grid.further.iter().map(|f| f.name.as_str()).collect();
        return Err(Error::invalid_input(format!(
            "select names {:?}, but the variable's dimensions besides latitude, longitude and \
             time are: {}",
            missing.dimension,
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        )));
    }
    grid.check_levels(selections)
}

/// The mean step of an axis; `None` of one cell.
fn step(centres: &[f64]) -> Option<f64> {
    let (first, last) = (centres.first()?, centres.last()?);
    (centres.len() > 1).then(|| (last - first) / (centres.len() as f64 - 1.0))
}

/// The outer edges of the cells around ascending centres; one cell is as large as the `other` axis
/// has them.
fn edges(centres: &[f64], other: Option<f64>) -> (f64, f64) {
    let (Some(&first), Some(&last)) = (centres.first(), centres.last()) else {
        return (f64::NAN, f64::NAN);
    };
    let half = |pair: Option<&[f64]>| match pair {
        Some(&[a, b]) => (b - a) / 2.0,
        _ => other.map_or(LONE, |step| step / 2.0),
    };
    let end = centres.len().checked_sub(2).and_then(|from| centres.get(from..));
    (first - half(centres.get(..2)), last + half(end))
}
