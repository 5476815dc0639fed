//! Which days, or places of a cycle, the time steps of a file stand for.

use crate::calendar::{day_of_year, iso_date, month, month_of};
use crate::catalog::Steps;
use crate::error::{Error, Result};
use crate::granule::TimeStep;
use crate::variable::Supply;

/// A step that stands for more days is a mistake.
const MAX_DAYS: i32 = 3_660;

/// What a step stands for where the file does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many days, of which the stamp's is the first.
    Days(u32),
    /// The month of the stamp.
    Month,
}

/// How the days of a file's steps are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayRule {
    /// The day of a file of one step, or without time.
    pub day: Option<i32>,
    /// What a step stands for; `None`: its day.
    pub span: Option<Span>,
    /// Days added to those that the file says.
    pub offset: i32,
    /// Whether the file is of days, of a cycle or of none.
    pub supply: Supply,
}

/// What a granule is of: a day, a place of a cycle from 0 on, or neither: it holds on all days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// Days since 1970-01-01.
    pub day: Option<i32>,
    /// The place.
    pub cycle: Option<u16>,
}

/// What steps stand for.
///
/// # Errors
/// Those of the days of steps. `InvalidInput`: a static file has several steps, and no day says which; a cycle has
/// another number of steps than months or days of a year.
pub fn occasions(steps: &[TimeStep], rule: &DayRule) -> Result<Vec<(Occasion, Steps)>> {
    let one = |first: usize| Steps { first: first as u32, count: 1 };
    let at = |place: u16| Occasion { day: None, cycle: Some(place) };
    let whole = match rule.supply {
        Supply::Daily | Supply::Computed(_) => {
            let days = days(steps, rule)?.into_iter();
            return Ok(days
                .map(|(day, steps)| (Occasion { day: Some(day), cycle: None }, steps))
                .collect());
        }
        Supply::Static => {
            let first = match (steps, rule.day) {
                ([] | [_], _) => 0,
                (many, Some(wanted)) => static_step(many, wanted)?,
                (many, None) => {
                    return Err(Error::invalid_input(format!(
                        "a static file has one field, and this one {} time steps; say which: \
                         Files(..., static=True, day=\"2020-01-01\")",
                        many.len()
                    )));
                }
            };
            return Ok(vec![(Occasion { day: None, cycle: None }, one(first))]);
        }
        Supply::Monthly { .. } => &[12][..],
        Supply::DayOfYear => &[365, 366][..],
    };
    if whole.contains(&steps.len()) {
        return Ok((0..steps.len()).map(|step| (at(step as u16), one(step))).collect());
    }
    // A place a file.
    let day = match (steps, rule.day) {
        ([] | [_], Some(day)) => Some(day),
        ([step], None) => Some(step.time.floor() as i32),
        _ => None,
    };
    let Some(day) = day else {
        let (what, due) = match rule.supply {
            Supply::DayOfYear => ("days of the year", "365 or 366"),
            _ => ("months", "12"),
        };
        return Err(Error::invalid_input(format!(
            "a cycle of {what} has {due} time steps, or one a file, which its time or day= tells; \
             this file has {}",
            steps.len()
        )));
    };
    let place = match rule.supply {
        Supply::DayOfYear => day_of_year(day).0 as u16 - 1,
        _ => month(day),
    };
    Ok(vec![(at(place), one(0))])
}

/// The step of a day.
fn static_step(steps: &[TimeStep], wanted: i32) -> Result<usize> {
    let of_day = |step: &TimeStep| step.time.floor() as i32 == wanted;
    steps.iter().position(of_day).ok_or_else(|| {
        Error::invalid_input(format!(
            "the file has no time step of {}; its {} steps are from {} to {}",
            iso_date(wanted),
            steps.len(),
            iso_date(steps.first().map_or(0, |step| step.time.floor() as i32)),
            iso_date(steps.last().map_or(0, |step| step.time.floor() as i32)),
        ))
    })
}

/// The days that steps stand for, ascending, each with its steps.
///
/// # Errors
/// `InvalidInput`: a file without time needs a day, one of several steps must not be given one.
/// `Unsupported`: the times do not ascend, a step stands for too many days, or the steps of a day do
/// not follow one another.
fn days(steps: &[TimeStep], rule: &DayRule) -> Result<Vec<(i32, Steps)>> {
    match (steps, rule.day) {
        ([] | [_], Some(day)) => {
            let first = day.saturating_add(rule.offset);
            let last = last_day(first, rule.span)?;
            return Ok((first..=last).map(|day| (day, Steps { first: 0, count: 1 })).collect());
        }
        ([], None) => {
            return Err(Error::invalid_input(
                "the file has no time; give its day, such as \
                 Files(..., day=r\"(?P<year>\\d{4})(?P<month>\\d{2})(?P<day>\\d{2})\"), which is \
                 looked for in the file's name",
            ));
        }
        (many, Some(_)) => {
            return Err(Error::invalid_input(format!(
                "the file has {} time steps, which tell their days; day= is for files of one step \
                 or without time",
                many.len()
            )));
        }
        _ => {}
    }
    check_order(steps)?;
    let mut found: Vec<(i32, Steps)> = Vec::with_capacity(steps.len());
    for (i, step) in steps.iter().enumerate() {
        let (first, last) = days_of(step, rule)?;
        let step = u32::try_from(i).map_err(|_| Error::unsupported("too many time steps"))?;
        found.extend((first..=last).map(|day| (day, Steps { first: step, count: 1 })));
    }
    found.sort_by_key(|(day, steps)| (*day, steps.first));
    let mut merged: Vec<(i32, Steps)> = Vec::with_capacity(found.len());
    for (day, step) in found {
        match merged.last_mut() {
            Some((known, steps)) if *known == day => {
                if steps.first + steps.count != step.first {
                    return Err(Error::unsupported(format!(
                        "the time steps of {} do not follow one another",
                        iso_date(day)
                    )));
                }
                steps.count += 1;
            }
            _ => merged.push((day, step)),
        }
    }
    Ok(merged)
}

/// Times ascend, and none is there twice.
fn check_order(steps: &[TimeStep]) -> Result<()> {
    let falls = |pair: &&[TimeStep]| matches!(pair, [a, b] if b.time <= a.time);
    match steps.windows(2).enumerate().find(|(_, pair)| falls(pair)) {
        None => Ok(()),
        Some((at, pair)) => {
            let dates: Vec<String> = pair.iter().map(|s| iso_date(s.time.floor() as i32)).collect();
            let what = match pair {
                [a, b] if a.time == b.time => "repeats a time",
                _ => "is not sorted",
            };
            Err(Error::unsupported(format!(
                "the time axis {what}: {} and {} from index {at}; sort the file by time, such as \
                 with xarray's ds.sortby(\"time\").drop_duplicates(\"time\")",
                dates.first().map_or("", String::as_str),
                dates.last().map_or("", String::as_str)
            )))
        }
    }
}

/// First and last day that a step stands for.
fn days_of(step: &TimeStep, rule: &DayRule) -> Result<(i32, i32)> {
    let day = |time: f64| time.floor().clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32;
    let shift = |day: i32| day.saturating_add(rule.offset);
    match step.bounds {
        // Days of which the noon lies within.
        Some((start, end)) if end - start > 1.0 => {
            let (first, last) = (day((start - 0.5).ceil()), day((end - 0.5).ceil()) - 1);
            check_length(first, last)?;
            Ok((shift(first), shift(last)))
        }
        Some((start, end)) => {
            let day = shift(day(f64::midpoint(start, end)));
            Ok((day, day))
        }
        None => {
            let first = shift(day(step.time));
            match rule.span {
                Some(Span::Month) => Ok(month_of(first)),
                span => Ok((first, last_day(first, span)?)),
            }
        }
    }
}

fn last_day(first: i32, span: Option<Span>) -> Result<i32> {
    let last = match span {
        None => first,
        Some(Span::Days(days)) => {
            let days = i32::try_from(days).unwrap_or(i32::MAX);
            first.saturating_add(days.saturating_sub(1))
        }
        Some(Span::Month) => month_of(first).1,
    };
    check_length(first, last)?;
    Ok(last)
}

fn check_length(first: i32, last: i32) -> Result<()> {
    if last.saturating_sub(first) < MAX_DAYS {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "a time step stands for {} to {}, more than {MAX_DAYS} days",
        iso_date(first),
        iso_date(last)
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(times: &[f64]) -> Vec<TimeStep> {
        times.iter().map(|&time| TimeStep { time, bounds: None }).collect()
    }

    fn found(steps: &[TimeStep], rule: DayRule) -> Vec<(i32, u32, u32)> {
        let flat = |(day, steps): (i32, Steps)| (day, steps.first, steps.count);
        days(steps, &rule).unwrap().into_iter().map(flat).collect()
    }

    #[test]
    fn steps_of_a_day_are_one_granule() {
        let six_hourly = at(&[10.0, 10.25, 10.5, 10.75, 11.0, 13.5]);
        let rule = DayRule::default();
        assert_eq!(found(&six_hourly, rule), [(10, 0, 4), (11, 4, 1), (13, 5, 1)]);
        let end_of_period = DayRule { offset: -1, ..rule };
        assert_eq!(found(&at(&[11.0]), end_of_period), [(10, 0, 1)]);
        assert_eq!(found(&at(&[-0.5]), rule), [(-1, 0, 1)]);
    }

    #[test]
    fn composites_serve_each_of_their_days() {
        let eight = DayRule { span: Some(Span::Days(8)), ..DayRule::default() };
        let due: Vec<_> = (0..16).map(|day| (day, (day / 8) as u32, 1)).collect();
        assert_eq!(found(&at(&[0.0, 8.0]), eight), due);
        // Overlapping ones: days have all of those that cover them.
        assert_eq!(found(&at(&[0.0, 7.0]), eight)[6..9], [(6, 0, 1), (7, 0, 2), (8, 1, 1)]);
        let month = DayRule { span: Some(Span::Month), ..DayRule::default() };
        let february = found(&at(&[45.0]), month);
        assert_eq!((february[0].0, february.last().unwrap().0), (31, 58));
    }

    #[test]
    fn bounds_say_what_a_step_stands_for() {
        let bounded = |time, start, end| TimeStep { time, bounds: Some((start, end)) };
        let rule = DayRule { span: Some(Span::Days(30)), ..DayRule::default() };
        // A month stamped at its end.
        assert_eq!(found(&[bounded(31.0, 0.0, 31.0)], rule).len(), 31);
        // A day stamped at its end, and one that is centred on midnight.
        assert_eq!(found(&[bounded(1.0, 0.0, 1.0)], rule), [(0, 0, 1)]);
        assert_eq!(found(&[bounded(1.0, 0.5, 1.5)], rule), [(1, 0, 1)]);
        // Eight days from noon to noon.
        assert_eq!(found(&[bounded(4.0, 0.5, 8.5)], rule).len(), 8);
    }

    #[test]
    fn a_day_is_for_files_that_tell_none() {
        let given = DayRule { day: Some(7), ..DayRule::default() };
        assert_eq!(found(&[], given), [(7, 0, 1)]);
        assert_eq!(found(&at(&[99.0]), given), [(7, 0, 1)]);
        assert!(days(&at(&[1.0, 2.0]), &given).is_err());
        assert!(days(&[], &DayRule::default()).unwrap_err().message.contains("day="));
    }

    #[test]
    fn times_ascend() {
        for (times, problem) in [([2.0, 1.0], "not sorted"), ([1.0, 1.0], "repeats")] {
            let error = days(&at(&times), &DayRule::default()).unwrap_err();
            assert!(error.message.contains(problem), "{error}");
        }
        let century = TimeStep { time: 0.0, bounds: Some((0.0, 36_525.0)) };
        assert!(days(&[century, century], &DayRule::default()).is_err());
    }
}
