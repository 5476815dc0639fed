//! The files that may carry weight for a query, found in the catalog without opening any.

use crate::catalog::{Catalog, Granule};
use crate::query::Query;
use crate::variable::Variable;

/// Neighbouring tiles are candidates within this many degrees of the box, or within two of their
/// cells where those are larger: an edge cell beyond the border may carry weight.
const NEIGHBOUR_DEGREES: f64 = 2.0;

/// A file that a query may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its row in the catalog's granule table.
    pub granule: u32,
    /// Whether its region shares an area with the query's box; the others are neighbours.
    pub overlaps: bool,
}

/// The candidates of one day, at least one of which overlaps the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCandidates {
    /// Days since 1970-01-01.
    pub day: i32,
    /// In catalog order.
    pub files: Vec<Candidate>,
}

/// Finds one variable's files.
#[derive(Clone, Copy, Debug)]
pub struct Selector {
    product: u32,
}

impl Selector {
    /// The selector of a variable; `None` if the catalog holds no such product.
    pub fn new(catalog: &Catalog, variable: &Variable) -> Option<Self> {
        Some(Self { product: catalog.product_of(variable)? })
    }

    /// Whether the granule holds the variable.
    pub fn matches(&self, granule: &Granule) -> bool {
        granule.product == self.product
    }

    /// The candidates of a query, day by day; days without an overlapping file are left out.
    pub fn candidates(&self, catalog: &Catalog, query: &Query) -> Vec<DayCandidates> {
        (query.day_start..=query.day_end)
            .filter_map(|day| {
                let files = self.on_day(catalog, query, day);
                files.iter().any(|c| c.overlaps).then_some(DayCandidates { day, files })
            })
            .collect()
    }

    fn on_day(&self, catalog: &Catalog, query: &Query, day: i32) -> Vec<Candidate> {
        let bbox = query.bbox();
        let range = catalog.on_day(day);
        catalog.granules()[range.clone()]
            .iter()
            .zip(range)
            .filter(|(granule, _)| self.matches(granule))
            .filter_map(|(granule, row)| {
                let region = &catalog.regions()[granule.region as usize].bbox;
                let margin = NEIGHBOUR_DEGREES.max(2.0 * f64::from(granule.res_deg_lat));
                region
                    .near(&bbox, margin)
                    .then(|| Candidate { granule: row as u32, overlaps: region.overlaps(&bbox) })
            })
            .collect()
    }
}
