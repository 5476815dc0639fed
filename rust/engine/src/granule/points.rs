//! Scattered 1-D data: the levels of profiles.

use crate::error::{Error, Result};
use crate::granule::cf::coordinates::{Role, parent, values, values_as};
use crate::granule::cf::packing::stated_unit;
use crate::granule::cf::time::TimeUnit;
use crate::granule::chunks::cache::Weigh;
use crate::granule::chunks::decode::Chunks;
use crate::granule::format::file::{File, Variable};

/// Where times are looked for, in this order.
const TIMES: [&str; 3] = ["TIME", "time", "JULD"];

/// Where pressures are looked for, in this order.
const PRESSURES: [&str; 3] = ["PRES", "pressure", "pres"];

/// The levels with a finite value, position and time, in file order; all vectors equally long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// Values in the wanted unit.
    pub values: Vec<f32>,
    /// Degrees north.
    pub lat: Vec<f64>,
    /// Degrees east, as the file has them.
    pub lon: Vec<f64>,
    /// Days since 1970-01-01 UTC.
    pub time: Vec<f64>,
    /// dbar; NaN where the file has none.
    pub pressure: Vec<f32>,
}

impl Weigh for Points {
    fn bytes(&self) -> usize {
        size_of::<Self>() + 32 * self.values.len()
    }
}

impl Points {
    pub(super) fn open(
        file: &File,
        chunks: &Chunks,
        variable: &Variable<'_>,
        unit: Option<&str>,
    ) -> Result<Self> {
        let &[length] = variable.shape() else {
            return Err(Error::unsupported(format!(
                "point data have one dimension; this variable has shape {:?}",
                variable.shape()
            )));
        };
        let stated = stated_unit(variable)?;
        let data = values_as(chunks, variable, |packing| packing.in_unit(stated.as_deref(), unit))?;
        let lat = position(file, chunks, variable, Role::Lat, length)?;
        let lon = position(file, chunks, variable, Role::Lon, length)?;
        let time = times(file, chunks, variable, length)?;
        let pressure = pressures(file, chunks, variable, length)?;
        let mut points = Self::default();
        for (i, value) in data.into_iter().enumerate() {
            let (Some(&lat), Some(&lon), Some(&time)) = (lat.get(i), lon.get(i), time.get(i))
            else {
                break;
            };
            let value = value as f32;
            if value.is_finite() && lat.is_finite() && lon.is_finite() && time.is_finite() {
                points.values.push(value);
                points.lat.push(lat);
                points.lon.push(lon);
                points.time.push(time);
                let pressure = pressure.as_ref().and_then(|p| p.get(i));
                points.pressure.push(pressure.map_or(f32::NAN, |&p| p as f32));
            }
        }
        Ok(points)
    }
}

/// A variable beside `variable`, if it is 1-D of the same length.
fn beside<'f>(
    file: &'f File,
    variable: &Variable<'_>,
    name: &str,
    length: u64,
) -> Result<Option<Variable<'f>>> {
    let group = parent(&variable.name);
    let path = if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") };
    let found = file.variable(&path)?;
    Ok(found.filter(|found| found.shape() == [length] && found.is_numeric()))
}

fn position(
    file: &File,
    chunks: &Chunks,
    variable: &Variable<'_>,
    role: Role,
    length: u64,
) -> Result<Vec<f64>> {
    let usual: &[&str] = match role {
        Role::Lat => &["lat", "latitude", "LATITUDE", "Latitude", "LAT"],
        _ => &["lon", "longitude", "LONGITUDE", "Longitude", "LON"],
    };
    for name in usual {
        if let Some(found) = beside(file, variable, name, length)? {
            return values(chunks, &found);
        }
    }
    for name in file.names(parent(&variable.name))? {
        // What cannot be opened is no position; a failed read is an error all the same.
        let found =
            beside(file, variable, &name, length).or_else(|_| file.healthy().map(|()| None))?;
        if let Some(found) = found
            && Role::of(&found)? == Some(role)
        {
            return values(chunks, &found);
        }
    }
    Err(missing(role.name(), length))
}

fn times(file: &File, chunks: &Chunks, variable: &Variable<'_>, length: u64) -> Result<Vec<f64>> {
    let mut unreadable = None;
    for name in TIMES {
        let Some(found) = beside(file, variable, name, length)? else { continue };
        let units = found.text("units")?.unwrap_or_default();
        match TimeUnit::parse(&units, found.text("calendar")?.as_deref()) {
            Ok(unit) => {
                let stored = values(chunks, &found)?;
                return Ok(stored.into_iter().map(|value| unit.days(value)).collect());
            }
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    Err(unreadable.unwrap_or_else(|| missing("time", length)))
}

fn pressures(
    file: &File,
    chunks: &Chunks,
    variable: &Variable<'_>,
    length: u64,
) -> Result<Option<Vec<f64>>> {
    for name in PRESSURES {
        if let Some(found) = beside(file, variable, name, length)? {
            let stated = stated_unit(&found)?;
            let stored = values_as(chunks, &found, |p| p.in_unit(stated.as_deref(), Some("dbar")));
            return stored.map(Some).map_err(|e| e.variable(&found.name));
        }
    }
    Ok(None)
}

fn missing(what: &str, length: u64) -> Error {
    Error::unsupported(format!("no {what} of length {length} belongs to the points"))
}
