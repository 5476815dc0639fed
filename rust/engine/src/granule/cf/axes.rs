//! Axes: strictly ascending, whichever way they are stored.

use crate::error::{Error, Result};

/// An axis to look values up on, and how it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::granule) struct StoredAxis {
    /// Strictly ascending.
    pub values: Vec<f64>,
    /// The stored order is descending.
    pub reversed: bool,
}

/// The farthest longitude that is read: a few turns of the circle.
const FARTHEST: f64 = 1080.0;

/// Shares of a degree that rounding may add.
const ROUNDING: f64 = 1e-3;

/// The ascending axis of stored latitudes.
pub(in crate::granule) fn latitude(values: Vec<f64>) -> Result<StoredAxis> {
    let axis = ascending("latitude", values, |_| {})?;
    check_latitudes(&axis.values)?;
    Ok(axis)
}

/// Latitudes lie within 90 degrees, or a cell beyond: some grids have their edges there.
pub(in crate::granule) fn check_latitudes(ascending: &[f64]) -> Result<()> {
    let (Some(first), Some(last)) = (ascending.first(), ascending.last()) else { return Ok(()) };
    let cells = ascending.len().saturating_sub(1).max(1) as f64;
    // Of an axis that is no latitude, the size of a cell says nothing.
    let cell = ((last - first) / cells).min(45.0);
    if *first >= -90.0 - cell - ROUNDING && *last <= 90.0 + cell + ROUNDING {
        return Ok(());
    }
    Err(Error::corrupt(format!("the latitude axis leaves the globe: {first} to {last} degrees")))
}

/// Longitudes lie within a few turns of the circle and span no more than one; 0 and 360 may both be
/// there.
pub(in crate::granule) fn check_longitudes(ascending: &[f64]) -> Result<()> {
    let (Some(first), Some(last)) = (ascending.first(), ascending.last()) else { return Ok(()) };
    let near = first.abs() <= FARTHEST && last.abs() <= FARTHEST;
    if near && last - first <= 360.0 + ROUNDING {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the longitude axis spans more than one turn of the circle, or lies turns away: {first} to \
         {last} degrees"
    )))
}

/// The ascending axis of stored longitudes; where they jump back by a turn (0..179, -180..-1),
/// those after the jump are raised by 360.
pub(in crate::granule) fn longitude(values: Vec<f64>) -> Result<StoredAxis> {
    let axis = ascending("longitude", values, unwrap_turn)?;
    check_longitudes(&axis.values)?;
    Ok(axis)
}

fn ascending(name: &str, stored: Vec<f64>, unwrap: impl Fn(&mut [f64])) -> Result<StoredAxis> {
    if stored.is_empty() {
        return Err(Error::corrupt(format!("the {name} axis is empty")));
    }
    if let Some(at) = stored.iter().position(|value| !value.is_finite()) {
        return Err(Error::corrupt(format!("the {name} axis has no valid value at index {at}")));
    }
    if rises(&stored) {
        return Ok(StoredAxis { values: stored, reversed: false });
    }
    let mut descending = stored.clone();
    descending.reverse();
    let mut culprit = None;
    for (mut values, reversed) in [(stored, false), (descending, true)] {
        unwrap(&mut values);
        match first_fall(&values) {
            None => return Ok(StoredAxis { values, reversed }),
            Some(at) => culprit = culprit.or(Some((at, values))),
        }
    }
    let (at, values) = culprit.unwrap_or_default();
    let pair: Vec<f64> = values.iter().skip(at).take(2).copied().collect();
    Err(Error::corrupt(format!(
        "the {name} axis is neither strictly ascending nor strictly descending: {pair:?} from \
         index {at}"
    )))
}

/// Whether these may be an [`StoredAxis`]'s values.
pub(in crate::granule) fn is_sound(values: &[f64]) -> bool {
    !values.is_empty() && values.iter().all(|value| value.is_finite()) && rises(values)
}

/// Whether every value is greater than the one before, without a branch a value: axes are long, and
/// most are sound.
fn rises(values: &[f64]) -> bool {
    let after = values.iter().skip(1);
    values.iter().zip(after).fold(true, |rising, (a, b)| rising & (a < b))
}

/// The first index whose successor is not greater.
fn first_fall(values: &[f64]) -> Option<usize> {
    values.windows(2).position(|pair| matches!(pair, [a, b] if b <= a))
}

/// Raises what follows the one fall by 360, if that leaves less than a turn between the ends and a
/// step like its neighbours.
fn unwrap_turn(values: &mut [f64]) {
    let Some(fall) = first_fall(values) else { return };
    let (before, after) = values.split_at(fall + 1);
    if first_fall(after).is_some() {
        return;
    }
    let (Some(first), Some(highest)) = (before.first(), before.last()) else { return };
    let (Some(lowest), Some(last)) = (after.first(), after.last()) else { return };
    let widest = values
        .windows(2)
        .enumerate()
        .filter(|(at, _)| *at != fall)
        .filter_map(|(_, pair)| if let [a, b] = pair { Some(b - a) } else { None })
        .fold(0.0, f64::max);
    let step = lowest + 360.0 - highest;
    if step > 0.0 && step <= 2.0 * widest && last + 360.0 - first < 360.0 {
        values.iter_mut().skip(fall + 1).for_each(|value| *value += 360.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn either_direction_ascends() {
        let axis = latitude(vec![2.0, 1.0, -1.0]).unwrap();
        assert_eq!(axis, StoredAxis { values: vec![-1.0, 1.0, 2.0], reversed: true });
        let axis = latitude(vec![5.0]).unwrap();
        assert_eq!(axis, StoredAxis { values: vec![5.0], reversed: false });
    }

    #[test]
    fn longitudes_unwrap() {
        let stored: Vec<f64> = (0..180).chain(-180..0).map(f64::from).collect();
        let expected: Vec<f64> = (0..360).map(f64::from).collect();
        let axis = longitude(stored.clone()).unwrap();
        assert_eq!(axis, StoredAxis { values: expected.clone(), reversed: false });
        let reversed: Vec<f64> = stored.into_iter().rev().collect();
        let axis = longitude(reversed).unwrap();
        assert_eq!(axis, StoredAxis { values: expected.clone(), reversed: true });
        assert_eq!(longitude(expected.clone()).unwrap().values, expected);
    }

    #[test]
    fn broken_axes_are_named() {
        for bad in [vec![], vec![0.0, f64::NAN], vec![0.0, 0.0, 1.0], vec![0.0, 2.0, 1.0]] {
            let error = longitude(bad).unwrap_err();
            assert!(error.message.contains("longitude"), "{error}");
        }
        assert!(longitude(vec![0.0, 1.0, 2.0, 0.5, 1.5]).is_err());
        assert!(longitude(vec![0.0, 1.0, -2.0]).is_err());
    }

    #[test]
    fn axes_lie_on_the_globe() {
        let range = |from: f64, step: f64, n: u32| -> Vec<f64> {
            (0..n).map(|i| from + f64::from(i) * step).collect()
        };
        for sound in [range(-90.0, 0.25, 721), range(-90.125, 0.25, 722), range(80.0, 1.0, 11)] {
            assert!(latitude(sound).is_ok());
        }
        for beyond in [range(-91.0, 0.25, 721), vec![0.0, 5e303], vec![91.0], vec![-90.0, 360.0]] {
            assert!(latitude(beyond).unwrap_err().message.contains("latitude"));
        }
        for sound in [range(0.0, 0.5, 721), range(-720.0, 1.0, 360), range(359.5, 1.0, 100)] {
            assert!(longitude(sound).is_ok());
        }
        for beyond in [range(0.0, 0.5, 723), vec![-70.0, 5e303], vec![2000.0], vec![-1e9, 0.0]] {
            assert!(longitude(beyond).unwrap_err().message.contains("longitude"));
        }
    }
}
