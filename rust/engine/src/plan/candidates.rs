//! The files that may carry weight for a query, found in the catalog without opening any.

use std::ops::Range;

use crate::calendar::{day_of_year, month, months_around};
use crate::catalog::{Catalog, Granule};
use crate::query::Query;
use crate::variable::{Supply, Variable};

/// Neighbouring tiles are candidates within this many degrees of the box, or within two of their
/// cells where those are larger: an edge cell beyond the border may carry weight.
const NEIGHBOUR_DEGREES: f64 = 2.0;

/// A file that a query may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number in the catalog.
    pub granule: u32,
    /// Whether its region shares an area with the query's box; the others are neighbours.
    pub overlaps: bool,
}

/// The candidates of one day, at least one of which overlaps the box in each part.
#[derive(Clone, Debug, PartialEq)]
pub struct DayCandidates {
    /// Days since 1970-01-01.
    pub day: i32,
    /// What the day's field is a sum of; none of a formula.
    pub parts: Vec<PartCandidates>,
}

/// The candidates of a part of a day's field: all of it, or a share of a cycle's place.
#[derive(Clone, Debug, PartialEq)]
pub struct PartCandidates {
    /// The share; those of a day sum to 1.
    pub share: f64,
    /// In catalog order.
    pub files: Vec<Candidate>,
}

impl DayCandidates {
    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &Candidate> {
        self.parts.iter().flat_map(|part| &part.files)
    }
}

/// Finds one variable's files.
#[derive(Clone, Copy, Debug)]
pub struct Selector {
    product: u32,
    supply: Supply,
}

impl Selector {
    /// The selector of a variable; `None` if the catalog holds no such product.
    pub fn new(catalog: &Catalog, variable: &Variable) -> Option<Self> {
        let product = match variable.supply {
            // It has no files.
            Supply::Computed(_) => u32::MAX,
            _ => catalog.product_of(variable)?,
        };
        Some(Self { product, supply: variable.supply })
    }

    /// Whether the granule holds the variable.
    pub fn matches(&self, granule: &Granule) -> bool {
        granule.product == self.product
    }

    /// Whether one field serves all days.
    pub fn is_constant(self) -> bool {
        self.supply.is_constant()
    }

    /// Whether its granules are of days.
    pub fn is_dated(&self) -> bool {
        self.supply == Supply::Daily
    }

    /// The candidates of a query, day by day; days without an overlapping file are left out.
    pub fn candidates(&self, catalog: &Catalog, query: &Query) -> Vec<DayCandidates> {
        let last = if self.supply.is_constant() { query.day_start } else { query.day_end };
        (query.day_start..=last).filter_map(|day| self.on_day(catalog, query, day)).collect()
    }

    /// The candidates of a day; `None` where a part has no overlapping file.
    fn on_day(&self, catalog: &Catalog, query: &Query, day: i32) -> Option<DayCandidates> {
        let parts = match self.supply {
            Supply::Daily => {
                let rows = catalog.on_day(day);
                vec![(rows.start as u32..rows.end as u32, 1.0)]
            }
            Supply::Static => vec![(catalog.at_place(None), 1.0)],
            Supply::Monthly { linear: false } => vec![(catalog.at_place(Some(month(day))), 1.0)],
            Supply::Monthly { linear: true } => {
                let months = months_around(day).into_iter();
                months.map(|(month, share)| (catalog.at_place(Some(month)), share)).collect()
            }
            Supply::DayOfYear => vec![(self.day_of_year(catalog, day), 1.0)],
            Supply::Computed(_) => Vec::new(),
        };
        let parts = parts.into_iter().map(|(rows, share)| {
            let files = self.near(catalog, query, rows);
            files.iter().any(|c| c.overlaps).then_some(PartCandidates { share, files })
        });
        Some(DayCandidates { day, parts: parts.collect::<Option<_>>()? })
    }

    /// The granules of a day of the year; of a 366th that there is not, those of the 365th.
    fn day_of_year(&self, catalog: &Catalog, day: i32) -> Range<u32> {
        let place = day_of_year(day).0 as u16 - 1;
        let at = catalog.at_place(Some(place));
        let there = at.clone().any(|row| self.matches(catalog.granule(row)));
        if there || place < 365 { at } else { catalog.at_place(Some(364)) }
    }

    /// The candidates among some granules, by their numbers.
    fn near(&self, catalog: &Catalog, query: &Query, rows: Range<u32>) -> Vec<Candidate> {
        let bbox = query.bbox();
        rows.map(|row| (catalog.granule(row), row))
            .filter(|(granule, _)| self.matches(granule))
            .filter_map(|(granule, row)| {
                let region = &catalog.regions()[granule.region as usize].bbox;
                let margin = NEIGHBOUR_DEGREES.max(2.0 * f64::from(granule.res_deg_lat));
                region
                    .near(&bbox, margin)
                    .then(|| Candidate { granule: row, overlaps: region.overlaps(&bbox) })
            })
            .collect()
    }
}
