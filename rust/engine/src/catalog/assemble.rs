//! A catalog of files that lie anywhere, described granule by granule.

use std::collections::HashMap;
use std::sync::Arc;

use super::granule::Object;
use super::{Catalog, Granule, Product, Region};
use crate::error::{Error, Result};
use crate::store::is_remote;

/// A granule of a file that no TACO container lists.
#[derive(Clone, Debug, PartialEq)]
pub struct FileGranule {
    /// Days since 1970-01-01, UTC.
    pub day: i32,
    /// The file: a path or an address.
    pub path: Arc<str>,
    /// Its place on the file's time axis; `None` where the file's own times tell the day.
    pub step: Option<u32>,
    /// Index into the regions.
    pub region: u32,
    /// What it is a granule of.
    pub product: Product,
    /// The size of its cells in degrees of latitude; NaN where unknown.
    pub res_deg_lat: f32,
}

impl Catalog {
    /// The catalog of `granules`, each within one of `regions`. Granules of one path are of one
    /// object.
    ///
    /// # Errors
    /// `InvalidInput`: a region that is not there, or the same granule twice.
    pub fn assemble(
        regions: Vec<Region>,
        granules: impl IntoIterator<Item = FileGranule>,
    ) -> Result<Self> {
        let mut rows: Vec<FileGranule> = granules.into_iter().collect();
        if let Some(row) = rows.iter().find(|row| row.region as usize >= regions.len()) {
            return Err(Error::invalid_input(format!(
                "there is no region {} among {}",
                row.region,
                regions.len()
            ))
            .asset(&row.path));
        }
        rows.sort_by(|a, b| key(a).cmp(&key(b)));
        for pair in rows.windows(2) {
            if let [a, b] = pair
                && key(a) == key(b)
            {
                return Err(Error::invalid_input("a granule is given twice").asset(&a.path));
            }
        }
        let mut products: Vec<Product> = rows.iter().map(|row| row.product.clone()).collect();
        products.sort_unstable();
        products.dedup();
        let mut numbers: HashMap<Arc<str>, u32> = HashMap::new();
        let mut objects = Vec::new();
        let granules = rows.iter().map(|row| {
            let object = *numbers.entry(row.path.clone()).or_insert_with(|| {
                objects.push(Object::File(row.path.clone()));
                objects.len() as u32 - 1
            });
            let product = products.partition_point(|product| *product < row.product) as u32;
            let FileGranule { day, step, region, res_deg_lat, .. } = *row;
            Granule { day, object, step, region, product, res_deg_lat }
        });
        let granules = granules.collect();
        let remote = numbers.keys().any(|path| is_remote(path));
        let (volumes, warnings) = (Vec::new(), Vec::new());
        Ok(Self { granules, objects, regions, products, volumes, remote, warnings })
    }
}

/// The order of granules, and what tells them apart.
fn key(row: &FileGranule) -> (i32, u32, &Product, &str, Option<u32>) {
    (row.day, row.region, &row.product, &row.path, row.step)
}
