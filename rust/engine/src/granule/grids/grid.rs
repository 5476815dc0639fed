//! Gridded variables: what opening one yields.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::granule::Ahead;
use crate::granule::cf::axes::{self, Axis};
use crate::granule::cf::coordinates::{self, Coordinate, Role};
use crate::granule::cf::packing::{Packing, stated_unit};
use crate::granule::cf::time::TimeUnit;
use crate::granule::chunks::cache::Weigh;
use crate::granule::chunks::decode::{Chunks, StoredChunk};
use crate::granule::format::array::Array;
use crate::granule::format::hdf5::{File, Variable};
use crate::granule::grids::convert::{Converter, Real};
use crate::granule::grids::sums::Summation;
use crate::granule::grids::view::{self, Stretch, View};
use crate::granule::grids::window::Window;

/// One gridded variable of one file: its axes, and what is needed to read windows of it.
#[derive(Debug)]
pub struct Grid {
    /// Latitudes in degrees north, strictly ascending.
    pub lat: Vec<f64>,
    /// Longitudes in degrees east, strictly ascending, in the file's own turn.
    pub lon: Vec<f64>,
    /// The unit the file states; `None` if it states none.
    pub unit: Option<String>,
    pub(in crate::granule) lat_dim: Direction,
    pub(in crate::granule) lon_dim: Direction,
    pub(in crate::granule) steps: Steps,
    pub(in crate::granule) array: Array,
    pub(in crate::granule) packing: Packing,
    /// `None`: stored numbers must be unpacked one by one.
    pub(in crate::granule) summation: Option<Summation>,
    /// It comes from an index, not from the file itself.
    pub(in crate::granule) restored: bool,
}

/// A stored dimension and the way it runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::granule) struct Direction {
    pub dim: usize,
    pub reversed: bool,
}

/// The time steps of a variable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::granule) enum Steps {
    /// None, or one: it stands for whatever day is asked for.
    One,
    /// The day of each step along this dimension; `None` where the time is invalid.
    Many { dim: usize, days: Vec<Option<i32>> },
}

impl Weigh for Grid {
    fn bytes(&self) -> usize {
        size_of::<Self>() + 8 * (self.lat.len() + self.lon.len()) + self.array.bytes()
    }
}

impl Grid {
    /// Finds the axes, the time steps, the packing and the chunks of `variable`.
    pub(in crate::granule) fn open(
        file: &File,
        chunks: &Chunks,
        variable: &Variable<'_>,
        unit: Option<&str>,
    ) -> Result<Self> {
        let found = coordinates::find(file, variable)?;
        let get = |role| find_axis(&found, role, variable);
        let (lat, lon) = (get(Role::Lat)?, get(Role::Lon)?);
        let time = found.iter().find(|c| c.role == Role::Time);
        let mut shape = variable.shape().to_vec();
        for coordinate in &found {
            extend(&mut shape, variable, coordinate)?;
        }
        let steps = steps(chunks, &shape, &[lat.dim, lon.dim], time)?;
        let unit_stated = stated_unit(variable)?;
        let array = variable.array(&shape)?;
        let packing = Packing::of(variable, array.dtype)?.in_unit(unit_stated.as_deref(), unit)?;
        let place = |axis: &Axis, dim| Direction { dim, reversed: axis.reversed };
        let lat_axis = axes::latitude(coordinates::values(chunks, &lat.variable)?)?;
        let lon_axis = axes::longitude(coordinates::values(chunks, &lon.variable)?)?;
        Ok(Self {
            lat_dim: place(&lat_axis, lat.dim),
            lon_dim: place(&lon_axis, lon.dim),
            lat: lat_axis.values,
            lon: lon_axis.values,
            unit: unit_stated,
            steps,
            array,
            summation: Summation::new(&packing),
            packing,
            restored: false,
        })
    }

    /// The stored chunks that reading `rows` x `cols` of `day` fetches, those fetched at once together.
    ///
    /// # Errors
    /// As [`crate::granule::GranuleReader::window`], but nothing is read.
    pub fn touched(
        &self,
        day: i32,
        rows: Range<usize>,
        cols: Range<usize>,
    ) -> Result<Vec<Vec<StoredChunk>>> {
        self.check_window(&rows, &cols)?;
        let mut groups = Vec::new();
        for step in self.steps_of(day) {
            let view = self.view(step, rows.clone(), cols.clone());
            groups.extend(view::touched(&view).map_err(|e| self.array.blame(e))?);
        }
        Ok(groups)
    }

    /// See `GranuleReader::prefetch`.
    pub(in crate::granule) fn prefetch(
        &self,
        chunks: &Chunks,
        day: i32,
        rows: Range<usize>,
        cols: Range<usize>,
        ahead: Ahead,
    ) -> Result<()> {
        self.check_window(&rows, &cols)?;
        self.steps_of(day).into_iter().try_for_each(|step| {
            view::prefetch(chunks, &self.view(step, rows.clone(), cols.clone()), ahead)
                .map_err(|e| self.array.blame(e))
        })
    }

    /// See `GranuleReader::window`.
    pub(in crate::granule) fn window(
        &self,
        chunks: &Chunks,
        day: i32,
        rows: Range<usize>,
        cols: Range<usize>,
    ) -> Result<Window<'_>> {
        self.check_window(&rows, &cols)?;
        if let (Some(summation), [step]) = (self.summation, self.steps_of(day).as_slice()) {
            let view = self.view(*step, rows.clone(), cols.clone());
            let blocks = view::blocks(chunks, &view, summation.is_valid(&self.array.fill));
            if let Some(blocks) = blocks.map_err(|e| self.array.blame(e))? {
                return Window::new(blocks, summation).map_err(|e| self.array.blame(e));
            }
        }
        let width = cols.len();
        let size = rows.len().checked_mul(width);
        let size = size.ok_or_else(|| Error::internal("a window exceeds the address space"))?;
        let mut values = vec![0.0; size];
        self.values(chunks, day, rows, cols, &mut values)?;
        Window::of_values(values, width)
    }

    /// See `GranuleReader::values`.
    pub(in crate::granule) fn values(
        &self,
        chunks: &Chunks,
        day: i32,
        rows: Range<usize>,
        cols: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        self.check_window(&rows, &cols)?;
        if rows.len().checked_mul(cols.len()) != Some(out.len()) {
            return Err(Error::invalid_input(format!(
                "{} values cannot hold a window of {} x {}",
                out.len(),
                rows.len(),
                cols.len()
            )));
        }
        let read = match self.steps_of(day).as_slice() {
            [] => {
                out.fill(f32::NAN);
                Ok(())
            }
            [step] => self.step(chunks, *step, rows, cols, out),
            many => self.mean(chunks, many, rows, cols, out),
        };
        read.map_err(|e| self.array.blame(e))
    }

    fn check_window(&self, rows: &Range<usize>, cols: &Range<usize>) -> Result<()> {
        let within = |range: &Range<usize>, axis: &[f64]| {
            range.start <= range.end && range.end <= axis.len()
        };
        if within(rows, &self.lat) && within(cols, &self.lon) {
            return Ok(());
        }
        Err(Error::invalid_input(format!(
            "the window {rows:?} x {cols:?} leaves the grid of {} x {}",
            self.lat.len(),
            self.lon.len()
        )))
    }

    /// The time steps of a day, each as its dimension and index; `None` where there is no choice.
    fn steps_of(&self, day: i32) -> Vec<Option<(usize, usize)>> {
        match &self.steps {
            Steps::One => vec![None],
            Steps::Many { dim, days } => (0..)
                .zip(days)
                .filter(|(_, step_day)| **step_day == Some(day))
                .map(|(step, _)| Some((*dim, step)))
                .collect(),
        }
    }

    fn view(
        &self,
        step: Option<(usize, usize)>,
        rows: Range<usize>,
        cols: Range<usize>,
    ) -> View<'_> {
        let mut fixed = vec![0; self.array.shape.len()];
        if let Some((dim, index)) = step
            && let Some(at) = fixed.get_mut(dim)
        {
            *at = index as u64;
        }
        let stretch = |direction: Direction, range, axis: &[f64]| {
            Stretch::new(direction.dim, range, axis.len(), direction.reversed)
        };
        View {
            array: &self.array,
            rows: Some(stretch(self.lat_dim, rows, &self.lat)),
            cols: stretch(self.lon_dim, cols, &self.lon),
            fixed,
        }
    }

    fn step<O: Real>(
        &self,
        chunks: &Chunks,
        step: Option<(usize, usize)>,
        rows: Range<usize>,
        cols: Range<usize>,
        out: &mut [O],
    ) -> Result<()> {
        let view = self.view(step, rows, cols);
        view::read(chunks, &view, &Converter::new(&self.packing), out)
    }

    /// Mean of the valid values over several steps, summed in double precision.
    fn mean(
        &self,
        chunks: &Chunks,
        steps: &[Option<(usize, usize)>],
        rows: Range<usize>,
        cols: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let mut sums = vec![(0.0f64, 0u32); out.len()];
        let mut values = vec![0.0f64; out.len()];
        for &step in steps {
            self.step(chunks, step, rows.clone(), cols.clone(), &mut values)?;
            for ((sum, count), value) in sums.iter_mut().zip(&values) {
                if !value.is_nan() {
                    *sum += value;
                    *count += 1;
                }
            }
        }
        for (value, (sum, count)) in out.iter_mut().zip(sums) {
            *value = if count == 0 { f32::NAN } else { (sum / f64::from(count)) as f32 };
        }
        Ok(())
    }
}

fn find_axis<'a, 'f>(
    found: &'a [Coordinate<'f>],
    role: Role,
    variable: &Variable<'_>,
) -> Result<&'a Coordinate<'f>> {
    found.iter().find(|coordinate| coordinate.role == role).ok_or_else(|| {
        Error::unsupported(format!(
            "no 1-D {} axis belongs to the variable's dimensions, of shape {:?}; name it {:?} or \
             give it that standard_name",
            role.name(),
            variable.shape(),
            role.name()
        ))
    })
}

/// A NetCDF dimension is as long as its longest variable; data not yet written are fill values.
fn extend(shape: &mut [u64], variable: &Variable<'_>, coordinate: &Coordinate<'_>) -> Result<()> {
    let (Some(n), Some(&length)) =
        (shape.get_mut(coordinate.dim), coordinate.variable.shape().first())
    else {
        return Ok(());
    };
    if *n < length && variable.is_unlimited(coordinate.dim) {
        *n = length;
    }
    if *n != length {
        return Err(Error::corrupt(format!(
            "the {} axis has {length} values for a dimension of length {n}",
            coordinate.role.name()
        )));
    }
    Ok(())
}

/// The time steps; refuses any other dimension that has a length other than 1.
fn steps(
    chunks: &Chunks,
    shape: &[u64],
    axes: &[usize],
    time: Option<&Coordinate<'_>>,
) -> Result<Steps> {
    for (dim, &n) in shape.iter().enumerate() {
        if n != 1 && !axes.contains(&dim) && time.is_none_or(|time| time.dim != dim) {
            return Err(Error::unsupported(format!(
                "dimension {dim} of length {n} is neither latitude, longitude nor time; select one \
                 level of it before use"
            )));
        }
    }
    let Some(time) = time.filter(|time| shape.get(time.dim) != Some(&1)) else {
        return Ok(Steps::One);
    };
    let units = time.variable.text("units")?.unwrap_or_default();
    let calendar = time.variable.text("calendar")?;
    let unit = TimeUnit::parse(&units, calendar.as_deref())?;
    let day = |stored: f64| {
        let day = unit.days(stored).floor();
        (day >= f64::from(i32::MIN) && day <= f64::from(i32::MAX)).then_some(day as i32)
    };
    let days = coordinates::values(chunks, &time.variable)?.into_iter().map(day).collect();
    Ok(Steps::Many { dim: time.dim, days })
}
