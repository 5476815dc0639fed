//! A catalog of files that lie anywhere, out of what a listing says.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::granule::{FileObject, Object, Volume};
use super::listing::{ListedGranule, Listing, folder};
use super::{Catalog, Granule, Product, Region, Undated};
use crate::error::{Error, Result};
use crate::geo::BBox;
use crate::store::is_remote;

/// Footprints that overlap by less, in degrees, only touch.
const TOUCHING: f64 = 1e-6;

impl Catalog {
    /// The catalog of what the listing at `root` says. A product is a variable: its `data_source` is
    /// the variable's name.
    ///
    /// # Errors
    /// `InvalidDataset`: the listing holds what this version does not read.
    pub fn of_listing(listing: Listing, root: &str) -> Result<Self> {
        let mut names: Vec<&String> = listing.groups.iter().flat_map(|g| &g.variables).collect();
        names.sort_unstable();
        names.dedup();
        let number = |name: &String| names.partition_point(|other| *other < name) as u32;
        let held: Vec<Vec<u32>> = listing
            .groups
            .iter()
            .map(|group| group.variables.iter().map(number).collect())
            .collect();
        let products: Vec<Product> = names.iter().map(|name| Product::listed(name)).collect();
        let (regions, of_granule) = regions(&listing.granules);
        let mut rows = Vec::with_capacity(listing.granules.len());
        let mut undated = Vec::new();
        for (listed, &region) in listing.granules.iter().zip(&of_granule) {
            if listed.day.is_some() && listed.cycle.is_some() {
                return Err(Error::invalid_dataset(
                    "a granule of the catalogue is of a day and of a place in a cycle",
                )
                .asset(root));
            }
            let lost = || Error::internal("a granule is of a group that is not there");
            let group = listed.group as usize;
            let products = held.get(group).ok_or_else(lost)?;
            let priority = listing.groups.get(group).ok_or_else(lost)?.priority;
            let granules = products.iter().map(|&product| {
                let granule = Granule {
                    day: listed.day.unwrap_or_default(),
                    object: listed.file,
                    steps: Some(listed.steps),
                    region,
                    product,
                    res_deg_lat: listed.res_deg_lat as f32,
                };
                match listed.day {
                    Some(_) => (granule, priority),
                    None => (Undated { place: listed.cycle, granule }.placed(), priority),
                }
            });
            if listed.day.is_some() { &mut rows } else { &mut undated }.extend(granules);
        }
        // Catalogues may be large, and these are not needed any more.
        drop((listing.granules, of_granule));
        let granules = preferred(rows);
        let undated = preferred(undated).into_iter().map(Undated::of_placed).collect();
        let remote_root = is_remote(root);
        let remote = remote_root || listing.files.iter().any(|file| is_remote(&file.path));
        let volumes = vec![Volume { path: folder(root).into(), archive: None }];
        let object = |file: super::listing::ListedFile| {
            let relative = !file.path.contains("://") && !file.path.starts_with('/');
            let volume = relative.then_some(0);
            // It was listed where it lay on a disk, whose versions are not those of a server.
            let identity = match relative && remote_root {
                true => file.identity.without_version(),
                false => file.identity,
            };
            Object::File(FileObject { path: file.path, volume, identity })
        };
        let objects = listing.files.into_iter().map(object).collect();
        let warnings = listing.warnings;
        let mut catalog =
            Self { granules, undated, objects, regions, products, volumes, remote, warnings };
        let found = overlaps(&catalog);
        catalog.warnings.extend(found);
        Ok(catalog)
    }
}

impl Product {
    /// What the granules of a variable of a listing are of.
    pub fn listed(variable: &str) -> Self {
        Self { source: variable.into(), file: Arc::from("") }
    }
}

/// The distinct footprints, in the order of their names, and that of each granule.
fn regions(granules: &[ListedGranule]) -> (Vec<Region>, Vec<u32>) {
    let mut numbers: HashMap<[u64; 4], u32> = HashMap::new();
    let mut found: Vec<Region> = Vec::new();
    let of_granule: Vec<u32> = granules
        .iter()
        .map(|granule| {
            *numbers.entry(granule.edges.map(f64::to_bits)).or_insert_with(|| {
                let [west, east, south, north] = granule.edges;
                let name = format!("lon {west}..{east} lat {south}..{north}");
                let bbox = BBox { lon: west, width: east - west, lat_min: south, lat_max: north };
                found.push(Region { name, bbox });
                found.len() as u32 - 1
            })
        })
        .collect();
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|&a, &b| found[a].name.cmp(&found[b].name));
    let mut place = vec![0; found.len()];
    order.iter().enumerate().for_each(|(new, &old)| place[old] = new as u32);
    let regions = order.iter().map(|&old| found[old].clone()).collect();
    (regions, of_granule.into_iter().map(|old| place[old as usize]).collect())
}

/// The granules in catalog order, of each product and day those of the highest priority; what is
/// listed twice counts once.
fn preferred(mut rows: Vec<(Granule, i32)>) -> Vec<Granule> {
    let order = |g: &Granule| (g.day, g.region, g.product, g.object, g.steps);
    rows.sort_unstable_by_key(|(granule, priority)| (order(granule), *priority));
    let (least, most) = rows.iter().fold((i32::MAX, i32::MIN), |(least, most), (_, priority)| {
        (least.min(*priority), most.max(*priority))
    });
    if least < most {
        let mut highest: HashMap<(i32, u32), i32> = HashMap::new();
        for (granule, priority) in &rows {
            let known = highest.entry((granule.day, granule.product)).or_insert(*priority);
            *known = (*known).max(*priority);
        }
        rows.retain(|(granule, priority)| highest[&(granule.day, granule.product)] == *priority);
    }
    rows.dedup_by_key(|(granule, _)| order(granule));
    rows.into_iter().map(|(granule, _)| granule).collect()
}

/// A warning for each product of listings of which granules of one day overlap.
pub(super) fn overlaps(catalog: &Catalog) -> Vec<String> {
    let mut warned = HashSet::new();
    let mut warnings = Vec::new();
    let bbox = |granule: &Granule| {
        let b = catalog.regions[granule.region as usize].bbox;
        BBox {
            lon: b.lon + TOUCHING,
            width: b.width - 2.0 * TOUCHING,
            lat_min: b.lat_min + TOUCHING,
            lat_max: b.lat_max - TOUCHING,
        }
    };
    for day in catalog.granules.chunk_by(|a, b| a.day == b.day) {
        for (i, a) in day.iter().enumerate() {
            let same = |b: &&Granule| b.product == a.product && bbox(a).overlaps(&bbox(b));
            // Tiles of a container overlap by their cells, and are meant to.
            let listed = matches!(catalog.objects[a.object as usize], Object::File(_));
            if !listed || warned.contains(&a.product) {
                continue;
            }
            if let Some(b) = day[i + 1..].iter().find(same) {
                warned.insert(a.product);
                let name = &catalog.products[a.product as usize].source;
                let of = |granule: &Granule| {
                    let first = granule.steps.map_or(0, |steps| steps.first);
                    format!("{} (step {first})", catalog.relative_path(granule.object))
                };
                warnings.push(format!(
                    "granules of {name} overlap, the first on {}: {} and {}; where they do, cells with \
                     the same centre are averaged, and those of different grids lie among each \
                     other. Give the ones that you prefer a higher priority",
                    crate::calendar::iso_date(a.day),
                    of(a),
                    of(b)
                ));
            }
        }
    }
    warnings
}
