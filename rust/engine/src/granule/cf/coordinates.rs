//! Which dimension of a variable is latitude, longitude or time, and the values along it.

use crate::error::{Error, Result};
use crate::granule::cf::packing::Packing;
use crate::granule::chunks::decode::Chunks;
use crate::granule::format::file::{File, Variable};
use crate::granule::grids::convert::Converter;
use crate::granule::grids::view::{self, Stretch, View};
use crate::memory;

/// Longer 1-D variables are refused: 1 m around the Earth takes 40 million, and a file that claims
/// more must not make us allocate it.
pub(in crate::granule) const MAX_LENGTH: u64 = 1 << 26;

/// What a coordinate measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::granule) enum Role {
    Lat,
    Lon,
    Time,
}

impl Role {
    pub(in crate::granule) const fn name(self) -> &'static str {
        match self {
            Role::Lat => "latitude",
            Role::Lon => "longitude",
            Role::Time => "time",
        }
    }

    /// Judges by standard name, units and name, in this order (CF sections 4.1, 4.2 and 4.4).
    pub(in crate::granule) fn of(variable: &Variable<'_>) -> Result<Option<Self>> {
        if !variable.is_numeric() {
            return Ok(None);
        }
        let standard = variable.text("standard_name")?.unwrap_or_default();
        let units = variable.text("units")?.unwrap_or_default();
        if variable.is_bare_dimension()? {
            return Ok(None);
        }
        Ok(judge(base_name(&variable.name), &standard, &units))
    }
}

fn judge(name: &str, standard_name: &str, units: &str) -> Option<Role> {
    match standard_name.trim() {
        "latitude" => return Some(Role::Lat),
        "longitude" => return Some(Role::Lon),
        "time" => return Some(Role::Time),
        _ => {}
    }
    let (name, units) = (name.to_lowercase(), units.trim().to_lowercase());
    match units.as_str() {
        "degrees_north" | "degree_north" | "degrees_n" | "degree_n" | "degreesn" | "degreen" => {
            return Some(Role::Lat);
        }
        "degrees_east" | "degree_east" | "degrees_e" | "degree_e" | "degreese" | "degreee" => {
            return Some(Role::Lon);
        }
        _ if units.contains(" since ") => return Some(Role::Time),
        _ => {}
    }
    let angular = units.is_empty() || units.starts_with("deg");
    match name.as_str() {
        "lat" | "latitude" | "lats" | "nav_lat" => Some(Role::Lat),
        "lon" | "longitude" | "lons" | "nav_lon" => Some(Role::Lon),
        "y" if angular => Some(Role::Lat),
        "x" if angular => Some(Role::Lon),
        "time" => Some(Role::Time),
        _ => None,
    }
}

/// The part of a path after the last slash.
pub(in crate::granule) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The group a path lies in; empty for the root group.
pub(in crate::granule) fn parent(path: &str) -> &str {
    path.trim_start_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A coordinate and the dimension it runs along.
pub(in crate::granule) struct Coordinate<'f> {
    pub dim: usize,
    pub role: Role,
    pub variable: Variable<'f>,
}

/// Finds the coordinates of a variable's dimensions.
pub(in crate::granule) fn find<'f>(
    file: &'f File,
    variable: &Variable<'_>,
) -> Result<Vec<Coordinate<'f>>> {
    let scales = variable.scales()?;
    let mut found: Vec<Coordinate<'f>> = Vec::new();
    for (dim, scale) in scales.iter().enumerate() {
        let Some(scale) = scale else { continue };
        if let Some(coordinate) = file.at(*scale, parent(&variable.name))?
            && coordinate.shape().len() == 1
            && let Some(role) = Role::of(&coordinate)?
            && !found.iter().any(|known| known.role == role)
        {
            found.push(Coordinate { dim, role, variable: coordinate });
        }
    }
    if [Role::Lat, Role::Lon].iter().any(|role| found.iter().all(|known| known.role != *role))
        || found.len() < variable.shape().iter().filter(|&&n| n != 1).count()
    {
        find_auxiliary(file, variable, &scales, &mut found)?;
    }
    Ok(found)
}

/// Coordinates that are not dimension scales, or files without any scale.
fn find_auxiliary<'f>(
    file: &'f File,
    variable: &Variable<'_>,
    scales: &[Option<u64>],
    found: &mut Vec<Coordinate<'f>>,
) -> Result<()> {
    let mut planar: Option<(Role, String)> = None;
    let mut lines: Vec<Line> = Vec::new();
    for candidate in neighbours(file, variable)? {
        let Some(role) = Role::of(&candidate)? else { continue };
        if found.iter().any(|known| known.role == role) {
            continue;
        }
        let &[length] = candidate.shape() else {
            if candidate.shape().len() == 2 {
                planar.get_or_insert((role, candidate.name.clone()));
            }
            continue;
        };
        let taken = |dim: usize| found.iter().any(|known| known.dim == dim);
        let own = match candidate.scales()?.first() {
            Some(Some(scale)) => Some(*scale),
            _ => Some(candidate.address()).filter(|address| scales.contains(&Some(*address))),
        };
        lines.push(Line { role, along: (own, length), name: candidate.name.clone() });
        let fits = |&(dim, &n): &(usize, &u64)| {
            !taken(dim)
                && match (own, scales.get(dim).copied().flatten()) {
                    (Some(own), Some(scale)) => own == scale,
                    _ => n == length,
                }
        };
        let fitting: Vec<usize> =
            variable.shape().iter().enumerate().filter(fits).map(|(dim, _)| dim).collect();
        match *fitting.as_slice() {
            [dim] => found.push(Coordinate { dim, role, variable: candidate }),
            [] => {}
            _ if role == Role::Time && length == 1 => {}
            _ => {
                return Err(Error::unsupported(format!(
                    "the {} {:?} fits several dimensions of shape {:?}, and the file does not say \
                     which; attach it as a dimension scale",
                    role.name(),
                    candidate.name,
                    variable.shape()
                )));
            }
        }
    }
    let lost = |role| found.iter().all(|known| known.role != role);
    if lost(Role::Lat) || lost(Role::Lon) {
        refuse_scattered(&lines)?;
    }
    match planar {
        Some((role, name)) if lost(role) => Err(Error::unsupported(format!(
            "the {} {name:?} is two-dimensional; only grids with 1-D axes are read",
            role.name()
        ))),
        _ => Ok(()),
    }
}

/// A 1-D coordinate, and what it runs along: a dimension, if that is told, and its length.
struct Line {
    role: Role,
    along: (Option<u64>, u64),
    name: String,
}

/// Says what positions are that give no grid.
fn refuse_scattered(lines: &[Line]) -> Result<()> {
    let line = |role| lines.iter().find(|line| line.role == role);
    match (line(Role::Lat), line(Role::Lon)) {
        (Some(lat), Some(lon)) if lat.along == lon.along => Err(Error::unsupported(format!(
            "the latitudes {:?} and the longitudes {:?} lie along one dimension, as those of \
             profiles or a track do; only grids with an axis of each are read",
            lat.name, lon.name
        ))),
        _ => Ok(()),
    }
}

/// A time of one value beside a variable that has no dimension of time (CF section 5.7): the one
/// that is called so, or the only one.
pub(in crate::granule) fn lone_time<'f>(
    file: &'f File,
    variable: &Variable<'_>,
) -> Result<Option<Variable<'f>>> {
    let mut found = Vec::new();
    for candidate in neighbours(file, variable)? {
        let single = candidate.shape().iter().product::<u64>() == 1;
        if single && Role::of(&candidate)? == Some(Role::Time) {
            let standard = candidate.text("standard_name")?.is_some_and(|n| n.trim() == "time");
            if standard || base_name(&candidate.name).eq_ignore_ascii_case("time") {
                return Ok(Some(candidate));
            }
            found.push(candidate);
        }
    }
    Ok(found.pop().filter(|_| found.is_empty()))
}

/// The other datasets of the variable's group, as far as they can be opened.
fn neighbours<'f>(file: &'f File, variable: &Variable<'_>) -> Result<Vec<Variable<'f>>> {
    let parent = parent(&variable.name);
    let mut names = file.names(parent)?;
    if names.is_empty() {
        let usual = ["lat", "latitude", "nav_lat", "lon", "longitude", "nav_lon", "time", "y", "x"];
        names = usual.map(str::to_owned).to_vec();
    }
    let mut neighbours = Vec::new();
    for name in names {
        let path = if parent.is_empty() { name } else { format!("{parent}/{name}") };
        match file.variable(&path) {
            Ok(Some(found)) if found.address() != variable.address() => neighbours.push(found),
            // What cannot be opened is no coordinate; a failed read is an error all the same.
            _ => file.healthy()?,
        }
    }
    Ok(neighbours)
}

/// The values of a coordinate, unpacked. Its `valid_*` attributes are not heeded: axes that were
/// shifted from 0..360 to -180..180 often still state the old ones.
pub(in crate::granule) fn values(chunks: &Chunks, variable: &Variable<'_>) -> Result<Vec<f64>> {
    values_as(chunks, variable, |packing| Ok(packing.without_limits()))
}

/// The values of a 1-D variable, unpacked by an adjusted packing, NaN where invalid.
pub(in crate::granule) fn values_as(
    chunks: &Chunks,
    variable: &Variable<'_>,
    adjust: impl FnOnce(Packing) -> Result<Packing>,
) -> Result<Vec<f64>> {
    let &[length] = variable.shape() else {
        return Err(Error::unsupported(format!(
            "{:?} has shape {:?}; it should have one dimension",
            variable.name,
            variable.shape()
        )));
    };
    if length > MAX_LENGTH {
        return Err(Error::corrupt(format!("{:?} has {length} values", variable.name)));
    }
    let array = variable.array(variable.shape())?;
    let packing = adjust(Packing::of(variable, array.dtype)?)?;
    let mut out = memory::filled(0.0, length as usize, "the values of a coordinate")?;
    let cols = Stretch::new(0, 0..out.len(), out.len(), false);
    let view = View { array: &array, rows: None, cols, fixed: vec![0] };
    view::read(chunks, &view, &Converter::new(&packing), &mut out).map_err(|e| array.blame(e))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_by_standard_name_then_units_then_name() {
        assert_eq!(judge("foo", "latitude", ""), Some(Role::Lat));
        assert_eq!(judge("lat", "longitude", ""), Some(Role::Lon));
        assert_eq!(judge("y", "", "degrees_north"), Some(Role::Lat));
        assert_eq!(judge("y", "", "m"), None);
        assert_eq!(judge("x", "", ""), Some(Role::Lon));
        assert_eq!(judge("Latitude", "", "degrees"), Some(Role::Lat));
        assert_eq!(judge("t", "", "hours since 1950-01-01"), Some(Role::Time));
        assert_eq!(judge("depth", "depth", "m"), None);
    }

    #[test]
    fn paths_split_at_the_last_slash() {
        assert_eq!((parent("/data/sla"), base_name("/data/sla")), ("data", "sla"));
        assert_eq!((parent("sla"), base_name("sla")), ("", "sla"));
    }
}
