//! Several catalogs as one.

use std::collections::HashMap;

use super::assemble::overlaps;
use super::granule::{FileObject, Object, TileObject};
use super::{Catalog, Granule, Product, Region, Undated};
use crate::error::{Error, Result};
use crate::store::Location;

/// The granules of all in one plan. Files that several list are one object.
///
/// # Errors
/// `InvalidDataset`: two of them hold the same day, region and product, in different files.
pub(super) fn merge(mut catalogs: Vec<Catalog>) -> Result<Catalog> {
    if catalogs.len() == 1
        && let Some(one) = catalogs.pop()
    {
        return Ok(one);
    }
    let mut regions: Vec<Region> = Vec::new();
    let mut products: Vec<Product> = Vec::new();
    for catalog in &catalogs {
        for region in &catalog.regions {
            if !regions.contains(region) {
                regions.push(region.clone());
            }
        }
        products.extend_from_slice(&catalog.products);
    }
    regions.sort_by(|a, b| a.name.cmp(&b.name));
    products.sort_unstable();
    products.dedup();
    let mut merged = Catalog {
        granules: Vec::new(),
        undated: Vec::new(),
        objects: Vec::new(),
        regions,
        products,
        volumes: Vec::new(),
        remote: false,
        warnings: Vec::new(),
    };
    let mut files = HashMap::new();
    let mut rows: [Vec<(Granule, usize)>; 2] = Default::default();
    for (part, catalog) in catalogs.into_iter().enumerate() {
        for (rows, found) in rows.iter_mut().zip(merged.add(catalog, &mut files)) {
            rows.extend(found.into_iter().map(|granule| (granule, part)));
        }
    }
    let [dated, undated] = rows;
    merged.granules = merged.in_order(dated)?;
    merged.undated = merged.in_order(undated)?.into_iter().map(Undated::of_placed).collect();
    let found = overlaps(&merged);
    let new = found.into_iter().filter(|warning| !merged.warnings.contains(warning));
    merged.warnings.extend(new.collect::<Vec<_>>());
    Ok(merged)
}

impl Catalog {
    /// The granules of several parts, each with its part, in catalog order.
    fn in_order(&self, mut rows: Vec<(Granule, usize)>) -> Result<Vec<Granule>> {
        let order = |g: &Granule| (g.day, g.region, g.product, g.object, g.steps);
        rows.sort_unstable_by_key(|(granule, part)| (order(granule), *part));
        rows.dedup_by_key(|(granule, _)| order(granule));
        for pair in rows.windows(2) {
            if let [(a, of_a), (b, of_b)] = pair
                && of_a != of_b
                && (a.day, a.region, a.product) == (b.day, b.region, b.product)
            {
                return Err(self.twice(a, b));
            }
        }
        Ok(rows.into_iter().map(|(granule, _)| granule).collect())
    }

    /// Takes over the tables of another one; returns its granules, those of days and then those of
    /// none as [`Undated::placed`], with the numbers that they have here.
    fn add(&mut self, other: Self, files: &mut HashMap<Location, u32>) -> [Vec<Granule>; 2] {
        let region = |known: &[Region], region: &Region| known.iter().position(|r| r == region);
        let places = |found: Option<usize>| found.unwrap_or_default() as u32;
        let regions: Vec<u32> =
            other.regions.iter().map(|r| places(region(&self.regions, r))).collect();
        let products: Vec<u32> = other
            .products
            .iter()
            .map(|product| places(self.products.iter().position(|p| p == product)))
            .collect();
        let first_volume = self.volumes.len() as u32;
        let mut objects = Vec::with_capacity(other.objects.len());
        for (number, object) in other.objects.iter().enumerate() {
            let new = self.objects.len() as u32;
            let (moved, place) = match object {
                Object::Tile(tile) => {
                    let moved = TileObject {
                        volume: tile.volume + first_volume,
                        region: regions[tile.region as usize],
                        product: products[tile.product as usize],
                        ..*tile
                    };
                    (Object::Tile(moved), new)
                }
                Object::File(file) => {
                    let volume = file.volume.map(|volume| volume + first_volume);
                    let place = *files.entry(other.location(number as u32)).or_insert(new);
                    (Object::File(FileObject { volume, ..file.clone() }), place)
                }
            };
            if place == new {
                self.objects.push(moved);
            }
            objects.push(place);
        }
        self.volumes.extend(other.volumes);
        self.remote |= other.remote;
        self.warnings.extend(other.warnings);
        let moved = |granule: &Granule| Granule {
            object: objects[granule.object as usize],
            region: regions[granule.region as usize],
            product: products[granule.product as usize],
            ..*granule
        };
        let undated: Vec<Granule> = other.undated.iter().map(Undated::placed).collect();
        [&other.granules, &undated].map(|granules| granules.iter().map(moved).collect())
    }

    fn twice(&self, a: &Granule, b: &Granule) -> Error {
        let Product { source, .. } = &self.products[a.product as usize];
        Error::invalid_dataset(format!(
            "two datasets of the list hold {source} of {} in {}: {} and {}; leave one of them out",
            crate::calendar::iso_date(a.day),
            self.regions[a.region as usize].name,
            self.location(a.object),
            self.location(b.object)
        ))
    }
}
