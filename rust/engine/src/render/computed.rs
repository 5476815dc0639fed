//! Fields that are computed at the pixels' own coordinates, in float64.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use super::axis::{cut, pixels_over};
use super::patch::PlaneMut;
use super::resample::PixelRow;
use super::rules::Rules;
use crate::calendar::day_of_year;
use crate::geo::BBox;
use crate::variable::Channel;

/// Of the earth, rad s-1 (IERS Conventions 2010, table 1.1).
const ROTATION: f64 = 7.292_115e-5;

/// Mean radius of the earth, km (IUGG: (2a + b) / 3 of WGS 84).
const RADIUS: f64 = 6_371.008_8;

/// Total solar irradiance, W m-2 (Kopp and Lean 2011, <doi:10.1029/2010GL045777>).
const SOLAR: f64 = 1_361.0;

/// A formula's pixels.
#[derive(Clone, Debug)]
pub(super) enum Computed {
    /// The product of a factor a row and one a column.
    Product(Vec<f64>, Vec<f64>),
    /// Row by row.
    Given(Arc<[f32]>),
}

impl Computed {
    /// The pixels of a channel over a box, on a day.
    pub fn product(channel: Channel, bbox: &BBox, shape: (usize, usize), day: i32) -> Self {
        let (lats, lons) = pixels_over(bbox, shape);
        let rows = |of: &dyn Fn(f64) -> f64| {
            Self::Product(lats.iter().map(|lat| of(*lat)).collect(), vec![1.0; lons.len()])
        };
        let columns = |of: &dyn Fn(f64) -> f64| {
            Self::Product(vec![1.0; lats.len()], lons.iter().map(|lon| of(*lon)).collect())
        };
        match channel {
            Channel::Latitude => rows(&|lat| lat),
            Channel::SinLatitude => rows(&|lat| lat.to_radians().sin()),
            Channel::CosLatitude => rows(&|lat| lat.to_radians().cos()),
            Channel::Longitude => columns(&|lon| (lon + 180.0).rem_euclid(360.0) - 180.0),
            Channel::SinLongitude => columns(&|lon| lon.to_radians().sin()),
            Channel::CosLongitude => columns(&|lon| lon.to_radians().cos()),
            Channel::SinDayOfYear => rows(&|_| season(day).sin()),
            Channel::CosDayOfYear => rows(&|_| season(day).cos()),
            Channel::Coriolis => rows(&|lat| 2.0 * ROTATION * lat.to_radians().sin()),
            Channel::Insolation => {
                let sun = Sun::on(day);
                rows(&|lat| sun.daily_mean(lat.to_radians()))
            }
            Channel::CellArea => cell_area(bbox, shape),
            // It is given.
            Channel::LandFraction => rows(&|_| f64::NAN),
        }
    }

    /// The memory that it takes besides itself; what is given is the giver's.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Product(rows, columns) => 8 * (rows.len() + columns.len()),
            Self::Given(_) => 0,
        }
    }

    /// Writes the pixels, all of them valid: what the rows of pixels below would become.
    pub fn write(&self, width: usize, rules: &Rules, plane: &mut PlaneMut<'_>) {
        plane.mask.fill(1);
        if let Some(support) = plane.support.as_deref_mut() {
            support.fill(1.0);
        }
        match self {
            Self::Product(rows, columns) => {
                for (line, factor) in plane.values.chunks_mut(width.max(1)).zip(rows) {
                    let pixels = line.iter_mut().zip(columns);
                    pixels.for_each(|(out, c)| *out = rules.deliver(factor * c));
                }
            }
            Self::Given(values) => {
                let pixels = plane.values.iter_mut().zip(values.iter());
                pixels.for_each(|(out, value)| *out = rules.deliver((*value).into()));
            }
        }
    }

    /// Hands each row of pixels to `emit`: values of full weight.
    pub fn rows_of_pixels(
        &self,
        (height, width): (usize, usize),
        row: &mut PixelRow,
        emit: &mut dyn FnMut(usize, &mut PixelRow),
    ) {
        for i in 0..height {
            row.clear(width, 1.0);
            row.weights.fill(1.0);
            match self {
                Self::Product(rows, columns) => {
                    let factor = rows.get(i).copied().unwrap_or(f64::NAN);
                    row.sums.iter_mut().zip(columns).for_each(|(out, c)| *out = factor * c);
                }
                Self::Given(values) => {
                    let line = values.get(i * width..).unwrap_or_default();
                    row.sums.iter_mut().zip(line).for_each(|(out, value)| *out = (*value).into());
                }
            }
            emit(i, row);
        }
    }
}

/// How far the year has gone by the middle of a day, radians.
fn season(day: i32) -> f64 {
    let (number, days) = day_of_year(day);
    TAU * (f64::from(number) - 0.5) / f64::from(days)
}

/// The sun of a day: declination and distance as the Fourier series of Spencer (1971, Search 2, 172)
/// have them, at the angle 2 pi (d - 1) / days of the year.
struct Sun {
    declination: f64,
    /// (mean distance / distance) squared.
    nearness: f64,
}

impl Sun {
    fn on(day: i32) -> Self {
        let (number, days) = day_of_year(day);
        let angle = TAU * (f64::from(number) - 1.0) / f64::from(days);
        let (s1, c1) = angle.sin_cos();
        let (s2, c2) = (2.0 * angle).sin_cos();
        let (s3, c3) = (3.0 * angle).sin_cos();
        let declination = 0.006_918 - 0.399_912 * c1 + 0.070_257 * s1 - 0.006_758 * c2
            + 0.000_907 * s2
            - 0.002_697 * c3
            + 0.001_480 * s3;
        let nearness =
            1.000_110 + 0.034_221 * c1 + 0.001_280 * s1 + 0.000_719 * c2 + 0.000_077 * s2;
        Self { declination, nearness }
    }

    /// The daily mean at the top of the atmosphere at a latitude in radians (Hartmann 2016, Global
    /// Physical Climatology, equation 2.17).
    fn daily_mean(&self, lat: f64) -> f64 {
        // The hour angle of sunset; none in the polar day and night.
        let sunset = (-lat.tan() * self.declination.tan()).clamp(-1.0, 1.0).acos();
        let up = sunset * lat.sin() * self.declination.sin();
        let across = lat.cos() * self.declination.cos() * sunset.sin();
        SOLAR / PI * self.nearness * (up + across).max(0.0)
    }
}

/// The area of the pixels' cells on a sphere, km2.
fn cell_area(bbox: &BBox, shape: (usize, usize)) -> Computed {
    let (south_north, west_east) = cell_edges(bbox, shape);
    let height = |edges: &[f64]| edges[1].to_radians().sin() - edges[0].to_radians().sin();
    let width = |edges: &[f64]| (edges[1] - edges[0]).to_radians() * RADIUS * RADIUS;
    let rows = south_north.windows(2).map(height).collect();
    Computed::Product(rows, west_east.windows(2).map(width).collect())
}

/// The edges of the pixels' cells, in the box's own turn: half-way between pixels and as far beyond
/// the outer ones, though not beyond a pole; a lone pixel's cell is the box.
pub fn cell_edges(bbox: &BBox, shape: (usize, usize)) -> (Vec<f64>, Vec<f64>) {
    let (lats, lons) = pixels_over(bbox, shape);
    let mut rows = cut(&lats, (bbox.lat_min, bbox.lat_max));
    rows.iter_mut().for_each(|edge| *edge = edge.clamp(-90.0, 90.0));
    (rows, cut(&lons, (bbox.lon, bbox.lon + bbox.width)))
}
