//! Points inside a box and a window of days; never resized.

use crate::granule::Points;
use crate::query::Query;

/// The levels of one query, in file order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointRow {
    /// Values in the variable's unit.
    pub values: Vec<f32>,
    /// Latitudes, degrees north.
    pub lat: Vec<f32>,
    /// Longitudes, degrees east, running on from the query's western edge.
    pub lon: Vec<f32>,
    /// Times, days since 1970-01-01 UTC.
    pub time: Vec<f64>,
    /// Pressures, dbar.
    pub pressure: Vec<f32>,
}

/// Adds the levels of `points` inside the query's closed box and days; tells whether there was one.
pub fn select(points: &Points, query: &Query, row: &mut PointRow) -> bool {
    let bbox = query.bbox();
    let days = f64::from(query.day_start)..f64::from(query.day_end) + 1.0;
    let before = row.values.len();
    for i in 0..points.values.len() {
        let (lat, time) = (points.lat[i], points.time[i]);
        let east = (points.lon[i] - bbox.lon).rem_euclid(360.0);
        let inside_lon = east <= bbox.width || 360.0 - east < 1e-9;
        if inside_lon && (bbox.lat_min..=bbox.lat_max).contains(&lat) && days.contains(&time) {
            let east = if east <= bbox.width { east } else { 0.0 };
            row.values.push(points.values[i]);
            row.lat.push(lat as f32);
            row.lon.push((bbox.lon + east) as f32);
            row.time.push(time);
            row.pressure.push(points.pressure[i]);
        }
    }
    row.values.len() > before
}
