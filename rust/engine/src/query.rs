//! What a user asks for: a box and a window of days.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::calendar::iso_date;
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

/// Days relative to a query's own window: from its first day plus `first` to its last day plus `last`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RelativeDays {
    /// Added to the first day.
    pub first: i32,
    /// Added to the last day.
    pub last: i32,
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

    /// The same box, on days relative to its window.
    #[must_use]
    pub fn on(&self, days: RelativeDays) -> Self {
        Self {
            day_start: self.day_start.saturating_add(days.first),
            day_end: self.day_end.saturating_add(days.last),
            ..*self
        }
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
