//! Boxes on the sphere in plain longitude and latitude.

use serde::{Deserialize, Serialize};

/// A latitude-longitude box: `[lon, lon + width] x [lat_min, lat_max]`, `0 < width <= 360`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BBox {
    /// Western edge, in whatever turn of the circle its maker chose.
    pub lon: f64,
    /// Extent to the east of `lon`, in degrees.
    pub width: f64,
    /// Southern edge.
    pub lat_min: f64,
    /// Northern edge.
    pub lat_max: f64,
}

impl BBox {
    /// The box from its four edges; `lon_min > lon_max` crosses the antimeridian.
    pub fn from_edges(lon_min: f64, lon_max: f64, lat_min: f64, lat_max: f64) -> Self {
        let width = if lon_min > lon_max { lon_max - lon_min + 360.0 } else { lon_max - lon_min };
        Self { lon: lon_min, width, lat_min, lat_max }
    }

    /// Whether the two boxes share an area, not just an edge.
    pub fn overlaps(&self, other: &BBox) -> bool {
        self.lat_min.max(other.lat_min) < self.lat_max.min(other.lat_max)
            && self.lon_gap(other) < 0.0
    }

    /// Whether the two boxes lie within `margin` degrees of each other on both axes.
    pub fn near(&self, other: &BBox, margin: f64) -> bool {
        self.lat_min - other.lat_max <= margin
            && other.lat_min - self.lat_max <= margin
            && self.lon_gap(other) <= margin
    }

    /// Degrees of longitude between the two boxes, on the nearer side; negative where they overlap.
    fn lon_gap(&self, other: &BBox) -> f64 {
        // Distance from a western edge, going east, to the other's western edge.
        let ahead = (other.lon - self.lon).rem_euclid(360.0);
        let behind = (self.lon - other.lon).rem_euclid(360.0);
        (ahead - self.width).min(behind - other.width)
    }
}

#[cfg(test)]
mod tests {
    use super::BBox;

    fn bbox(lon_min: f64, lon_max: f64) -> BBox {
        BBox::from_edges(lon_min, lon_max, 0.0, 10.0)
    }

    #[test]
    fn touching_edges_do_not_overlap() {
        assert!(!bbox(0.0, 10.0).overlaps(&bbox(10.0, 20.0)));
        assert!(bbox(0.0, 10.0).near(&bbox(10.0, 20.0), 0.0));
        assert!(!bbox(0.0, 10.0).near(&bbox(12.5, 20.0), 2.0));
        assert!(bbox(0.0, 10.0).near(&bbox(12.0, 20.0), 2.0));
    }

    #[test]
    fn longitude_is_periodic() {
        let crossing = bbox(175.0, -175.0);
        assert_eq!(crossing.width, 10.0);
        assert!(crossing.overlaps(&bbox(90.0, 180.0)));
        assert!(crossing.overlaps(&bbox(-180.0, -90.0)));
        assert!(!crossing.overlaps(&bbox(-90.0, 0.0)));
        assert!(bbox(190.0, 200.0).overlaps(&bbox(-180.0, -90.0)));
        for (lo, hi) in [(-180.0, 180.0), (0.0, 360.0)] {
            for tile in [-180.0, -90.0, 0.0, 90.0] {
                assert!(bbox(lo, hi).overlaps(&bbox(tile, tile + 90.0)));
            }
        }
    }

    #[test]
    fn latitude_edges_count_too() {
        let north = BBox::from_edges(0.0, 90.0, 0.0, 90.0);
        assert!(!BBox::from_edges(10.0, 20.0, -5.0, 0.0).overlaps(&north));
        assert!(BBox::from_edges(10.0, 20.0, -5.0, 0.1).overlaps(&north));
    }
}
