//! Dates: days since 1970-01-01 in the proleptic Gregorian calendar, as `datetime64[D]` has them.

use chrono::{Datelike, NaiveDate};

/// First day of the Gregorian calendar; the `standard` calendar of CF is Julian before.
const GREGORIAN_START: (i32, u32, u32) = (1582, 10, 15);

/// The Julian calendar's 0001-01-01: two days before the Gregorian one.
const JULIAN_START: i32 = -719_164;

/// `YYYY-MM-DD` of a day since 1970-01-01; beyond all calendars, so many days.
pub fn iso_date(day: i32) -> String {
    match NaiveDate::from_epoch_days(day) {
        Some(date) => format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
        None => format!("{day} days since 1970-01-01"),
    }
}

/// The day since 1970-01-01 of a date; `None` if there is no such date, or its year has more than four
/// digits.
pub fn civil_day(year: i32, month: u32, day: u32) -> Option<i32> {
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    (0..=9_999).contains(&year).then(|| date.to_epoch_days())
}

/// First and last day of the month of a day; the day itself beyond all calendars.
pub fn month_of(day: i32) -> (i32, i32) {
    let within = || {
        let date = NaiveDate::from_epoch_days(day)?;
        let first = date.with_day(1)?;
        let next = first.checked_add_months(chrono::Months::new(1))?;
        Some((first.to_epoch_days(), next.to_epoch_days() - 1))
    };
    within().unwrap_or((day, day))
}

/// The day of the year, from 1 on, and the days of that year; the first of 365 beyond all calendars.
pub fn day_of_year(day: i32) -> (u32, u32) {
    NaiveDate::from_epoch_days(day)
        .map_or((1, 365), |date| (date.ordinal(), if date.leap_year() { 366 } else { 365 }))
}

/// The months between whose middles the middle of a day lies, from 0 on, and the share of each; one
/// where it is all.
pub fn months_around(day: i32) -> Vec<(u16, f64)> {
    let middle = |(first, last): (i32, i32)| f64::midpoint(f64::from(first), f64::from(last) + 1.0);
    let (own, at) = (month_of(day), f64::from(day) + 0.5);
    let (before, after) = match at < middle(own) {
        true => (month_of(own.0.saturating_sub(1)), own),
        false => (own, month_of(own.1.saturating_add(1))),
    };
    let share = (at - middle(before)) / (middle(after) - middle(before));
    if !share.is_finite() {
        // Beyond all calendars.
        return vec![(month(day), 1.0)];
    }
    let found = [(month(before.0), 1.0 - share), (month(after.0), share)];
    found.into_iter().filter(|(_, share)| *share > 0.0).collect()
}

/// The month of a day, from 0 on; 0 beyond all calendars.
pub fn month(day: i32) -> u16 {
    NaiveDate::from_epoch_days(day).map_or(0, |date| date.month0() as u16)
}

/// The same in CF's `standard` calendar, which is Julian before 1582-10-15.
pub fn standard_day(year: i32, month: u32, day: u32) -> Option<i32> {
    if (year, month, day) < GREGORIAN_START {
        julian_day(year, month, day)
    } else {
        civil_day(year, month, day)
    }
}

/// Every fourth year has 366 days. A leap year before lends the lengths of months.
fn julian_day(year: i32, month: u32, day: u32) -> Option<i32> {
    let pattern = if year.rem_euclid(4) == 0 { 2000 } else { 2001 };
    let of_year = NaiveDate::from_ymd_opt(pattern, month, day)?.ordinal0() as i32;
    let before = year - 1;
    (0..=9_999)
        .contains(&year)
        .then_some(JULIAN_START + 365 * before + before.div_euclid(4) + of_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip() {
        for (text, day) in
            [("1970-01-01", 0), ("2000-02-29", 11_016), ("2023-04-01", 19_448), ("1969-12-31", -1)]
        {
            assert_eq!(iso_date(day), text);
        }
        for day in (-200_000..200_000).step_by(37) {
            let text = iso_date(day);
            let mut parts = text.split('-').map(|x| x.parse().unwrap_or(0));
            let (y, m, d) = (parts.next(), parts.next(), parts.next());
            assert_eq!(civil_day(y.unwrap_or(0) as i32, m.unwrap_or(0), d.unwrap_or(0)), Some(day));
        }
        assert_eq!(civil_day(2023, 2, 29), None);
        assert_eq!(iso_date(i32::MAX), "2147483647 days since 1970-01-01");
    }

    #[test]
    fn days_lie_between_the_middles_of_months() {
        let day = |year, month, day| civil_day(year, month, day).unwrap_or_default();
        assert_eq!(months_around(day(2023, 1, 16)), [(0, 1.0)]);
        let [(january, a), (february, b)] = months_around(day(2023, 1, 17))[..] else { return };
        assert_eq!((january, february), (0, 1));
        // Middles: 15.5 and 31 + 14 days after the year's start.
        assert!((b - 1.0 / 29.5).abs() < 1e-12 && (a + b - 1.0).abs() < 1e-12);
        let around = months_around(day(2024, 12, 31));
        assert_eq!((around[0].0, around[1].0), (11, 0));
        assert_eq!(around[1].1, 0.5 - 0.5 / 31.0);
        assert_eq!(day_of_year(day(2024, 12, 31)), (366, 366));
        assert_eq!(day_of_year(day(2023, 3, 1)), (60, 365));
        for day in [i32::MIN, i32::MAX] {
            assert!(
                (months_around(day).iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9
            );
        }
    }

    #[test]
    fn the_past_of_the_standard_calendar_is_julian() {
        // cftime 1.6: date2num(date, "days since 1970-01-01", "standard").
        for (date, day) in [
            ((1, 1, 1), -719_164),
            ((4, 2, 29), -718_010),
            ((1500, 2, 29), -171_596),
            ((1582, 10, 4), -141_428),
            ((1582, 10, 15), -141_427),
            ((1970, 1, 1), 0),
        ] {
            assert_eq!(standard_day(date.0, date.1, date.2), Some(day), "{date:?}");
        }
        assert_eq!(standard_day(1501, 2, 29), None);
        assert_eq!(standard_day(1600, 2, 30), None);
    }
}
