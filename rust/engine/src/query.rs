//! What a user asks for: a box and a window of days.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::geo::BBox;

/// A box and a closed window of UTC days. The edges are kept as the user gave them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Western edge, degrees.
    pub lon_min: f64,
    /// Eastern edge, degrees; less than `lon_min` where the box crosses the antimeridian.
    pub lon_max: f64,
    /// Southern edge, degrees.
    pub lat_min: f64,
    /// Northern edge, degrees.
    pub lat_max: f64,
    /// First day, days since 1970-01-01.
    pub day_start: i32,
    /// Last day, included.
    pub day_end: i32,
}

impl Query {
    /// An error that says what is wrong with the query, if anything is.
    pub fn validate(&self) -> Result<()> {
        let edges = [self.lon_min, self.lon_max, self.lat_min, self.lat_max];
        let problem = if !edges.iter().all(|x| x.is_finite()) {
            "a bbox edge is not a finite number"
        } else if self.lon_min.abs() > 540.0 || self.lon_max.abs() > 540.0 {
            "a longitude lies outside [-540, 540]"
        } else if self.lat_min < -90.0 || self.lat_max > 90.0 {
            "a latitude lies outside [-90, 90]"
        } else if self.lat_min >= self.lat_max {
            "lat_min must be less than lat_max; the order is (lon_min, lon_max, lat_min, lat_max)"
        } else if self.bbox().width <= 0.0 || self.bbox().width > 360.0 {
            "the box must be more than 0 and at most 360 degrees wide; lon_min > lon_max crosses the antimeridian"
        } else if self.day_start > self.day_end {
            "time_start must not lie after time_end"
        } else {
            return Ok(());
        };
        Err(Error::invalid_input(problem).query(self))
    }

    /// The box.
    pub fn bbox(&self) -> BBox {
        BBox::from_edges(self.lon_min, self.lon_max, self.lat_min, self.lat_max)
    }

    /// The number of days in the window.
    pub fn n_days(&self) -> usize {
        (i64::from(self.day_end) - i64::from(self.day_start) + 1).max(0) as usize
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lon_min, lon_max, lat_min, lat_max, day_start, day_end } = self;
        write!(
            f,
            "lon {lon_min}..{lon_max}, lat {lat_min}..{lat_max}, {}..{}",
            iso_date(*day_start),
            iso_date(*day_end)
        )
    }
}

/// `YYYY-MM-DD` of a day since 1970-01-01 (proleptic Gregorian; Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
pub fn iso_date(day: i32) -> String {
    let z = i64::from(day) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The day since 1970-01-01 of a civil date; `None` if there is no such date.
pub fn civil_day(year: i32, month: u32, day: u32) -> Option<i32> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(-9_999..=9_999).contains(&year) {
        return None;
    }
    let y = i64::from(year) - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted_month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = i32::try_from(era * 146_097 + day_of_era - 719_468).ok()?;
    // A date like 2023-02-30 lands on another one.
    (iso_date(days) == format!("{year:04}-{month:02}-{day:02}")).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::{civil_day, iso_date};

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
    }
}
