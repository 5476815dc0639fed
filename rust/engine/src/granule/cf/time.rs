//! Time units: "days since 1950-01-01", as CF section 4.4 has them.

use crate::calendar::{civil_day, standard_day};
use crate::error::{Error, Result};

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Days since 1970-01-01 UTC: `stored * scale + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::granule) struct TimeUnit {
    pub scale: f64,
    pub offset: f64,
}

impl TimeUnit {
    /// Reads the attributes `units` and `calendar`.
    pub(in crate::granule) fn parse(units: &str, calendar: Option<&str>) -> Result<Self> {
        let unreadable = || {
            Error::unsupported(format!(
                "the time unit {units:?} is not read; weeks, days, hours, minutes, seconds and \
                 fractions of seconds since a date like 2000-01-31 12:00:00 are: mend it in the \
                 file with `ncatted -a units,time,o,c,'days since 2000-01-31' file.nc`"
            ))
        };
        let calendar = calendar.unwrap_or("standard").trim().to_lowercase();
        let julian_past = match calendar.as_str() {
            "standard" | "gregorian" | "" => true,
            "proleptic_gregorian" => false,
            other => {
                return Err(Error::unsupported(format!(
                    "times in the calendar {other:?} are not read, because its days are no days of \
                     the world; write them in the standard one, such as with \
                     `cdo setcalendar,standard`"
                )));
            }
        };
        let lower = units.trim().to_lowercase();
        let (unit, stamp) = lower.split_once(" since ").ok_or_else(unreadable)?;
        let seconds = seconds_per(unit.trim()).ok_or_else(unreadable)?;
        let offset = parse_stamp(stamp.trim(), julian_past).ok_or_else(unreadable)?;
        Ok(Self { scale: seconds / SECONDS_PER_DAY, offset })
    }

    /// Days since 1970-01-01 UTC.
    pub(in crate::granule) fn days(self, stored: f64) -> f64 {
        stored * self.scale + self.offset
    }
}

fn seconds_per(unit: &str) -> Option<f64> {
    Some(match unit {
        "weeks" | "week" => 7.0 * SECONDS_PER_DAY,
        "days" | "day" | "d" => SECONDS_PER_DAY,
        "hours" | "hour" | "hrs" | "hr" | "h" => 3600.0,
        "minutes" | "minute" | "mins" | "min" => 60.0,
        "seconds" | "second" | "secs" | "sec" | "s" => 1.0,
        "milliseconds" | "millisecond" | "millisecs" | "millisec" | "msecs" | "msec" | "ms" => 1e-3,
        "microseconds" | "microsecond" | "microsecs" | "microsec" | "us" => 1e-6,
        "nanoseconds" | "nanosecond" | "ns" => 1e-9,
        _ => return None,
    })
}

/// `YYYY-MM-DD[(T| )hh[:mm[:ss[.f]]]][ ][Z|UTC|GMT|(+|-)hh[:]mm]` in days since 1970-01-01 UTC.
fn parse_stamp(stamp: &str, julian_past: bool) -> Option<f64> {
    let (date, rest) = match stamp.find(['t', ' ']) {
        Some(at) => (stamp.get(..at)?, stamp.get(at + 1..)?.trim()),
        None => (stamp, ""),
    };
    let mut fields = date.splitn(3, '-').map(|field| field.parse::<u32>().ok());
    let (year, month, day) = (fields.next()??, fields.next()??, fields.next()??);
    let to_day = if julian_past { standard_day } else { civil_day };
    let days = f64::from(to_day(i32::try_from(year).ok()?, month, day)?);
    let clock_end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'));
    let (clock, zone) = rest.split_at(clock_end.unwrap_or(rest.len()));
    let seconds = if clock.is_empty() { 0.0 } else { parse_clock(clock)? };
    Some(days + (seconds - parse_zone(zone.trim())?) / SECONDS_PER_DAY)
}

fn parse_clock(clock: &str) -> Option<f64> {
    let mut seconds = 0.0;
    let mut weight = 3600.0;
    let mut fields = 0;
    for field in clock.split(':') {
        let value: f64 = field.parse().ok()?;
        let limit = if fields == 0 { 24.0 } else { 60.0 };
        if !(0.0..=limit).contains(&value) {
            return None;
        }
        seconds += value * weight;
        weight /= 60.0;
        fields += 1;
    }
    (fields <= 3).then_some(seconds)
}

fn parse_zone(zone: &str) -> Option<f64> {
    if matches!(zone, "" | "z" | "utc" | "gmt") {
        return Some(0.0);
    }
    let sign = match zone.chars().next()? {
        '+' => 1.0,
        '-' => -1.0,
        _ => return None,
    };
    let digits: String = zone.chars().skip(1).filter(|&c| c != ':').collect();
    let number: u32 = digits.parse().ok()?;
    let (hours, minutes) =
        if digits.len() <= 2 { (number, 0) } else { (number / 100, number % 100) };
    (hours <= 18 && minutes < 60).then(|| sign * f64::from(hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn days(units: &str, stored: f64) -> f64 {
        TimeUnit::parse(units, None).unwrap().days(stored)
    }

    #[test]
    fn reads_what_files_say() {
        // Expected values from Python's datetime.
        assert_eq!(days("days since 1970-01-01", 3.5), 3.5);
        assert_eq!(days("days since 1950-01-01 00:00:00 UTC", 0.0), -7305.0);
        assert_eq!(days("hours since 2023-04-01T12:00:00Z", 12.0), 19449.0);
        assert_eq!(days("seconds since 2000-01-01 00:00:00.0", 86_400.0), 10_958.0);
        assert_eq!(days("Minutes since 1970-1-1", 1440.0), 1.0);
        assert_eq!(days("nanoseconds since 1970-01-01", 86_400e9), 1.0);
        assert_eq!(days("days since 1970-01-02 00:00:00 +02:00", 0.0), 1.0 - 2.0 / 24.0);
        assert_eq!(days("days since 1970-01-02 00:00 -0130", 0.0), 1.0 + 1.5 / 24.0);
    }

    #[test]
    fn the_standard_calendar_is_julian_before_1582() {
        // cftime: date2num(1970-01-01, "days since 0001-01-01") in each calendar.
        assert_eq!(days("days since 0001-01-01", 719_164.0), 0.0);
        let unit = TimeUnit::parse("days since 0001-01-01", Some("proleptic_gregorian")).unwrap();
        assert_eq!(unit.days(719_162.0), 0.0);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for units in [
            "K",
            "months since 2000-01-01",
            "days since noon",
            "days since 2000-13-01",
            "days since 2001-02-29",
        ] {
            assert!(TimeUnit::parse(units, None).is_err(), "{units}");
        }
        assert!(TimeUnit::parse("days since 2000-01-01", Some("360_day")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_unit_or_none(
            text in prop_oneof![
                ".{0,40}",
                "(days|hours|s|ns) since [0-9]{1,9}-[0-9]{1,3}-[0-9]{1,3}[T ][0-9:.+ -]{0,14}[a-z]{0,3}",
            ],
        ) {
            if let Ok(unit) = TimeUnit::parse(&text, None) {
                prop_assert!(unit.scale > 0.0 && unit.offset.is_finite());
            }
        }
    }
}
