//! Further dimensions of a variable, such as depth, and the places along them that are read.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::granule::cf::coordinates::{base_name, parent, values};
use crate::granule::chunks::decode::Chunks;
use crate::granule::format::file::{File, Variable};

/// More levels of one variable are a mistake.
const MAX_LEVELS: usize = 4096;

/// How far from the only level that there is one may ask, as a share of it: it has no neighbour to
/// tell what half a step is.
const LONE_LEVEL: f64 = 0.05;

/// What is read along a further dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The dimension's name.
    pub dimension: String,
    /// Where along it.
    pub places: Places,
    /// A list was asked for: its levels stay a dimension, even of one. Else there is one place.
    pub listed: bool,
}

/// Places along a dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Places {
    /// The nearest to each of these coordinates, in the file's own unit.
    Nearest(Vec<f64>),
    /// At these indices, counted from 0.
    Index(Vec<u64>),
}

impl Places {
    /// The places, as they were asked for: `0.5`, or `#0` of an index.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Nearest(values) => values.iter().map(f64::to_string).collect(),
            Self::Index(indices) => indices.iter().map(|i| format!("#{i}")).collect(),
        }
    }
}

impl Selection {
    fn len(&self) -> usize {
        match &self.places {
            Places::Nearest(values) => values.len(),
            Places::Index(indices) => indices.len(),
        }
    }

    /// How many levels the listed selections give; `None` where none is listed.
    pub fn levels(selections: &[Self]) -> Option<usize> {
        let mut listed = selections.iter().filter(|selection| selection.listed).peekable();
        listed.peek()?;
        Some(listed.fold(1, |levels, selection| levels.saturating_mul(selection.len())))
    }
}

/// A dimension that is neither latitude, longitude nor time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::granule) struct FurtherDimension {
    pub dim: usize,
    /// As the file has it; empty where it tells none.
    pub name: String,
    /// The coordinates along it; empty without any.
    pub values: Vec<f64>,
}

impl FurtherDimension {
    /// Those of a variable, but for the dimensions `known`.
    pub(in crate::granule) fn of(
        file: &File,
        chunks: &Chunks,
        variable: &Variable<'_>,
        known: &[usize],
    ) -> Result<Vec<Self>> {
        let scales = variable.scales()?;
        let further = (0..variable.shape().len()).filter(|dim| !known.contains(dim));
        let found = further.map(|dim| {
            let scale = match scales.get(dim).copied().flatten() {
                Some(address) => file.at(address, parent(&variable.name))?,
                None => None,
            };
            let name = scale.as_ref().map(|scale| base_name(&scale.name).to_owned());
            let length = variable.shape().get(dim);
            let coordinate = scale.filter(|scale| {
                scale.is_numeric() && scale.shape().len() == 1 && scale.shape().first() == length
            });
            let values = match coordinate {
                Some(coordinate) if !coordinate.is_bare_dimension()? => {
                    values(chunks, &coordinate)?
                }
                _ => Vec::new(),
            };
            Ok(Self { dim, name: name.unwrap_or_default(), values })
        });
        found.collect()
    }

    fn places(&self, length: u64, selection: &Selection) -> Result<Vec<u64>> {
        match &selection.places {
            Places::Index(indices) => {
                let outside = indices.iter().find(|&&index| index >= length);
                match outside {
                    None => Ok(indices.clone()),
                    Some(index) => Err(Error::invalid_input(format!(
                        "the dimension {:?} has no index {index}; it has {length} places",
                        self.name
                    ))),
                }
            }
            Places::Nearest(wanted) => wanted.iter().map(|&value| self.nearest(value)).collect(),
        }
    }

    /// The place nearest to `value`, no further than half a step away.
    fn nearest(&self, value: f64) -> Result<u64> {
        let Self { name, values, .. } = self;
        let distance = |v: f64| (v - value).abs();
        let finite = values.iter().enumerate().filter(|(_, v)| v.is_finite());
        let nearest = finite.min_by(|a, b| distance(*a.1).total_cmp(&distance(*b.1)));
        let Some((at, &found)) = nearest else {
            return Err(Error::invalid_input(format!(
                "the dimension {name:?} has no coordinates to look {value} up in; select by \
                 position, such as (\"index\", 0)"
            )));
        };
        let neighbours = [at.checked_sub(1), at.checked_add(1)].into_iter().flatten();
        let steps = neighbours.filter_map(|i| values.get(i)).map(|v| (v - found).abs());
        // A value between two places may be nearer to the closer one only.
        let half = steps
            .fold(None, |most: Option<f64>, step| Some(most.map_or(step, |most| most.max(step))));
        let limit = half.map_or(LONE_LEVEL * found.abs().max(value.abs()), |step| step / 2.0);
        if distance(found) <= limit * (1.0 + 1e-9) {
            return Ok(at as u64);
        }
        Err(Error::invalid_input(format!(
            "{name} {value} is further than half a step from the nearest place, {found}; the places \
             are {}",
            shown(values)
        )))
    }
}

/// At most this many coordinates are named.
const SHOWN: usize = 12;

fn shown(values: &[f64]) -> String {
    let names: Vec<String> = values.iter().take(SHOWN).map(f64::to_string).collect();
    let more = values.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &rest
}

/// The indices along all dimensions of each level that is read; those of latitude, longitude and
/// time are 0 here. Selections of dimensions that the variable lacks don't concern it.
///
/// # Errors
/// `Unsupported`: a dimension of some length of which nothing is selected. `InvalidInput`: a
/// selection outside the dimension, or too many levels.
pub(in crate::granule) fn levels(
    further: &[FurtherDimension],
    shape: &[u64],
    selections: &[Selection],
) -> Result<Vec<Vec<u64>>> {
    let mut levels = vec![vec![0; shape.len()]];
    for dimension in further {
        let length = shape.get(dimension.dim).copied().unwrap_or_default();
        let of_it = selections.iter().find(|s| s.dimension == dimension.name);
        let Some(selection) = of_it else {
            if length == 1 {
                continue;
            }
            return Err(Error::unsupported(format!(
                "dimension {} of length {length}{} is neither latitude, longitude nor time; list \
                 the file in a catalogue that selects one level of it: Files(..., \
                 select={{{:?}: ...}})",
                dimension.dim,
                named(&dimension.name),
                if dimension.name.is_empty() { "name" } else { &dimension.name },
            )));
        };
        let places = dimension.places(length, selection)?;
        if places.len().saturating_mul(levels.len()) > MAX_LEVELS {
            return Err(Error::invalid_input(format!(
                "more than {MAX_LEVELS} levels of one variable are selected"
            )));
        }
        let at = |level: &Vec<u64>, place: u64| {
            let mut level = level.clone();
            if let Some(index) = level.get_mut(dimension.dim) {
                *index = place;
            }
            level
        };
        levels = levels.iter().flat_map(|l| places.iter().map(move |&p| at(l, p))).collect();
    }
    Ok(levels)
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" ({name})") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn depth() -> FurtherDimension {
        FurtherDimension { dim: 1, name: "depth".into(), values: vec![0.5, 1.5, 5.0, 20.0] }
    }

    fn nearest(value: f64) -> Option<u64> {
        depth().nearest(value).ok()
    }

    #[test]
    fn the_nearest_level_is_within_half_a_step() {
        assert_eq!([0.0, 0.9, 1.1, 3.0, 3.5, 12.0, 13.0, 27.5].map(nearest), {
            [Some(0), Some(0), Some(1), Some(1), Some(2), Some(2), Some(3), Some(3)]
        });
        assert_eq!([-0.1, 28.0, f64::NAN].map(nearest), [None; 3]);
    }

    #[test]
    fn a_lone_level_has_to_be_named() {
        let lone = FurtherDimension { values: vec![10.0], ..depth() };
        assert_eq!(lone.nearest(10.05).ok(), Some(0));
        assert!(lone.nearest(11.0).is_err());
        assert!(FurtherDimension { values: vec![], ..depth() }.nearest(0.0).is_err());
    }

    #[test]
    fn levels_are_all_that_is_selected() {
        let member = FurtherDimension { dim: 0, name: "member".into(), values: vec![] };
        let by = |dimension: &str, places, listed| Selection {
            dimension: dimension.into(),
            places,
            listed,
        };
        let selections = [
            by("depth", Places::Nearest(vec![20.0, 0.5]), true),
            by("member", Places::Index(vec![2]), false),
            by("other", Places::Index(vec![9]), false),
        ];
        let found = levels(&[member.clone(), depth()], &[3, 4, 9, 9], &selections).unwrap();
        assert_eq!(found, [[2, 3, 0, 0], [2, 0, 0, 0]]);
        assert_eq!(Selection::levels(&selections), Some(2));
        assert_eq!(Selection::levels(&selections[1..]), None);
        assert!(levels(&[member], &[3, 9, 9], &[]).is_err());
        assert_eq!(levels(&[], &[9, 9], &[]).unwrap(), [[0, 0]]);
    }
}
