//! Gridded variables: what opening one yields.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::granule::cf::axes::{self, StoredAxis};
use crate::granule::cf::coordinates::{self, Coordinate, Role};
use crate::granule::cf::flags::{self, Flag};
use crate::granule::cf::packing::{Packing, stated_unit};
use crate::granule::cf::time::TimeUnit;
use crate::granule::chunks::cache::Weigh;
use crate::granule::chunks::decode::Chunks;
use crate::granule::format::array::Array;
use crate::granule::format::file::{File, Variable};
use crate::granule::grids::levels::{self, FurtherDimension, Selection};
use crate::granule::grids::sums::Summation;

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
    /// Dimensions besides.
    pub(in crate::granule) further: Vec<FurtherDimension>,
    /// The indices along all dimensions of each level that is read.
    pub(in crate::granule) levels: Vec<Vec<u64>>,
    /// The states that its attributes name.
    pub flags: Vec<Flag>,
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

/// Which time steps of a file count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Those of a day (since 1970-01-01), as the mean of their valid values; the step of a file that
    /// has only one counts on every day.
    Day(i32),
    /// So many from this place of the file's time axis on, as the mean of their valid values.
    Steps(u32, u32),
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
        let mut known = vec![lat.dim, lon.dim];
        known.extend(time.map(|time| time.dim));
        let further = FurtherDimension::of(file, chunks, variable, &known)?;
        let steps = steps(chunks, &shape, time)?;
        let unit_stated = stated_unit(variable)?;
        let array = variable.array(&shape)?;
        let packing = Packing::of(variable, array.dtype)?.in_unit(unit_stated.as_deref(), unit)?;
        let place = |axis: &StoredAxis, dim| Direction { dim, reversed: axis.reversed };
        let lat_axis = axes::latitude(coordinates::values(chunks, &lat.variable)?)?;
        let lon_axis = axes::longitude(coordinates::values(chunks, &lon.variable)?)?;
        Ok(Self {
            lat_dim: place(&lat_axis, lat.dim),
            lon_dim: place(&lon_axis, lon.dim),
            lat: lat_axis.values,
            lon: lon_axis.values,
            unit: unit_stated,
            steps,
            further,
            levels: Vec::new(),
            flags: flags::flags(variable)?,
            array,
            summation: Summation::new(&packing),
            packing,
            restored: false,
        })
    }

    /// The same with these levels.
    pub(in crate::granule) fn selecting(mut self, selections: &[Selection]) -> Result<Self> {
        self.levels = levels::levels(&self.further, &self.array.shape, selections)?;
        Ok(self)
    }

    /// Checks that [`Grid::selecting`] these levels works.
    pub(in crate::granule) fn check_levels(&self, selections: &[Selection]) -> Result<()> {
        levels::levels(&self.further, &self.array.shape, selections).map(drop)
    }

    /// The error, named after the variable and its file.
    pub fn blame(&self, error: Error) -> Error {
        self.array.blame(error)
    }

    /// How many levels are read.
    pub fn n_levels(&self) -> usize {
        self.levels.len()
    }

    /// The time steps that count, one by one.
    ///
    /// # Errors
    /// `CorruptGranule`: there are fewer steps.
    pub fn steps_of(&self, when: When) -> Result<Vec<When>> {
        let within = |first: u32, count: u32, length: usize| {
            first.checked_add(count).is_some_and(|end| end as usize <= length)
        };
        match (&self.steps, when) {
            (Steps::One, When::Day(_) | When::Steps(0, 1)) => Ok(vec![When::Steps(0, 1)]),
            (Steps::Many { days, .. }, When::Steps(first, count))
                if within(first, count, days.len()) =>
            {
                Ok((first..first + count).map(|step| When::Steps(step, 1)).collect())
            }
            (Steps::Many { days, .. }, When::Day(day)) => Ok((0..)
                .zip(days)
                .filter(|(_, of_step)| **of_step == Some(day))
                .map(|(step, _)| When::Steps(step, 1))
                .collect()),
            (_, When::Steps(first, count)) => {
                let last = first.saturating_add(count).saturating_sub(1);
                let error = format!("the file has no time step {last} (counted from 0)");
                Err(self.array.blame(Error::corrupt(error)))
            }
        }
    }

    /// Whether it is the same on every day.
    pub fn is_timeless(&self) -> bool {
        matches!(self.steps, Steps::One)
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

/// The time steps.
fn steps(chunks: &Chunks, shape: &[u64], time: Option<&Coordinate<'_>>) -> Result<Steps> {
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
