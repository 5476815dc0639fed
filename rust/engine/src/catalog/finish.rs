//! From joined rows to the catalog: numbered by name, sorted, and checked as a whole.

use super::granule::{Object, TileObject};
use super::join::Joined;
use super::wkb::Bounds;
use super::{Catalog, Granule, Product, Region};
use crate::error::{Error, Result};
use crate::geo::BBox;

/// The regions of OceanTACO: name, western and southern edge of its 90 x 90 degrees.
const REGIONS: [(&str, f64, f64); 8] = [
    ("NORTH_ATLANTIC", -90.0, 0.0),
    ("NORTH_INDIAN", 0.0, 0.0),
    ("NORTH_PACIFIC_EAST", 90.0, 0.0),
    ("NORTH_PACIFIC_WEST", -180.0, 0.0),
    ("SOUTH_ATLANTIC", -90.0, -90.0),
    ("SOUTH_INDIAN", 0.0, -90.0),
    ("SOUTH_PACIFIC_EAST", 90.0, -90.0),
    ("SOUTH_PACIFIC_WEST", -180.0, -90.0),
];

/// Duplicates and overlaps named in a message.
const SHOWN: usize = 5;

/// Sorts and checks the rows of all containers.
pub(super) fn finish(joined: Joined) -> Result<Catalog> {
    let Joined {
        regions,
        boxes,
        sources,
        files,
        products,
        volumes,
        reserved,
        mut tiles,
        warnings,
        ..
    } = joined;
    let (region_names, region_numbers) = regions.sorted();
    let (sources, source_numbers) = sources.sorted();
    let (files, file_numbers) = files.sorted();
    let numbered = |&(source, file): &(u32, u32)| {
        (source_numbers[source as usize], file_numbers[file as usize])
    };
    let products: Vec<(u32, u32)> = products.iter().map(numbered).collect();
    let mut sorted = products.clone();
    sorted.sort_unstable();
    for (tile, _) in &mut tiles {
        tile.region = region_numbers[tile.region as usize];
        let product = products[tile.product as usize];
        tile.product = sorted.partition_point(|other| *other < product) as u32;
    }
    tiles.sort_unstable_by_key(|(tile, _)| (tile.day, tile.region, tile.product));
    if u32::try_from(tiles.len()).is_err() {
        return Err(Error::invalid_dataset("the dataset has more than 4,294,967,295 files"));
    }
    let granule = |(object, &(tile, res_deg_lat)): (usize, &(TileObject, f32))| {
        let TileObject { day, region, product, .. } = tile;
        Granule { day, object: object as u32, steps: None, region, product, res_deg_lat }
    };
    let granules = tiles.iter().enumerate().map(granule).collect();
    let objects = tiles.into_iter().map(|(tile, _)| Object::Tile(tile)).collect();
    let named = |&(source, file): &(u32, u32)| Product {
        source: sources[source as usize].clone(),
        file: files[file as usize].clone(),
    };
    let file_of: Vec<u32> = sorted.iter().map(|&(_, file)| file).collect();
    let products = sorted.iter().map(named).collect();
    let mut bounds = vec![None; boxes.len()];
    for (old, found) in boxes.into_iter().enumerate() {
        bounds[region_numbers[old] as usize] = found;
    }
    let regions = region_names
        .into_iter()
        .zip(bounds)
        .map(|(name, bounds)| region(name.to_string(), bounds))
        .collect::<Result<Vec<_>>>()?;
    let catalog = Catalog {
        granules,
        undated: Vec::new(),
        objects,
        regions,
        products,
        volumes,
        remote: false,
        warnings,
    };
    check_duplicates(&catalog, &file_of)?;
    check_overlaps(&catalog, reserved)?;
    Ok(catalog)
}

fn region(name: String, bounds: Option<Bounds>) -> Result<Region> {
    let known = || {
        let (_, lon, lat) = REGIONS.iter().find(|region| region.0 == name)?;
        Some(BBox::from_edges(*lon, lon + 90.0, *lat, lat + 90.0))
    };
    match bounds {
        Some([x0, y0, x1, y1]) if x0 < x1 && y0 < y1 => {
            if x0 < -360.0 || x1 > 540.0 || x1 - x0 > 360.0 || y0 < -90.0 || y1 > 90.0 {
                return Err(Error::invalid_dataset(format!(
                    "the footprint of region {name} is no box on the globe: \
                     lon {x0}..{x1}, lat {y0}..{y1}"
                )));
            }
            Ok(Region { name, bbox: BBox::from_edges(x0, x1, y0, y1) })
        }
        // No footprint, or one without an area.
        _ => match known() {
            Some(bbox) => Ok(Region { name, bbox }),
            None => Err(Error::invalid_dataset(format!(
                "level 1 has no footprint (istac:geometry) of region {name}, and it is none of the \
                 8 regions of OceanTACO"
            ))),
        },
    }
}

/// `file_of` numbers the file names of the products.
fn check_duplicates(catalog: &Catalog, file_of: &[u32]) -> Result<()> {
    let mut duplicates = Vec::new();
    let mut files = Vec::new();
    for tile in catalog.granules.chunk_by(|a, b| (a.day, a.region) == (b.day, b.region)) {
        files.clear();
        files.extend(tile.iter().map(|g| (file_of[g.product as usize], g.object)));
        files.sort_unstable();
        for pair in files.windows(2) {
            if let &[(a, first), (b, second)] = pair
                && a == b
            {
                duplicates.push(twice(catalog, first, second));
            }
        }
    }
    if duplicates.is_empty() {
        return Ok(());
    }
    let count = duplicates.len();
    duplicates.truncate(SHOWN);
    Err(Error::invalid_dataset(format!(
        "{count} files are listed more than once, of them {}",
        duplicates.join(", ")
    )))
}

/// Names a file that is listed twice, with the datasets that list it if these are two.
fn twice(catalog: &Catalog, first: u32, second: u32) -> String {
    let path = catalog.relative_path(first);
    let root = |object: u32| match &catalog.objects[object as usize] {
        Object::Tile(tile) => catalog.volumes[tile.volume as usize].path.clone(),
        Object::File(file) => file.path.clone(),
    };
    let (a, b) = (root(first), root(second));
    if a == b { path } else { format!("{path} (in {a} and {b})") }
}

fn check_overlaps(catalog: &Catalog, reserved: Vec<(u32, u64, u64)>) -> Result<()> {
    let mut extents = reserved;
    extents.extend(tiles(catalog).filter_map(|(_, tile)| {
        let (offset, size) = tile.extent;
        (size > 0).then_some((tile.volume, offset, offset + size))
    }));
    extents.sort_unstable();
    for pair in extents.windows(2) {
        if let &[(volume, offset, end), (other, begin, _)] = pair
            && volume == other
            && begin < end
        {
            return Err(Error::invalid_dataset(format!(
                "in the archive, {} overlaps {}",
                describe(catalog, volume, begin, Some(offset)),
                describe(catalog, volume, offset, None)
            ))
            .asset(&catalog.volumes[volume as usize].path));
        }
    }
    Ok(())
}

/// The tiles and their numbers.
fn tiles(catalog: &Catalog) -> impl DoubleEndedIterator<Item = (u32, &TileObject)> {
    catalog.objects.iter().enumerate().filter_map(|(number, object)| match object {
        Object::Tile(tile) => Some((number as u32, tile)),
        Object::File(_) => None,
    })
}

/// Names what begins at `offset`; of two that do, not the first if `other` begins there as well.
fn describe(catalog: &Catalog, volume: u32, offset: u64, other: Option<u64>) -> String {
    let mut found = tiles(catalog)
        .filter(|(_, tile)| (tile.volume, tile.extent.0) == (volume, offset) && tile.extent.1 > 0);
    let tile = if other == Some(offset) { found.next_back() } else { found.next() };
    match tile {
        Some((object, _)) => format!("{} (at byte {offset})", catalog.relative_path(object)),
        None => format!("the archive's own metadata (at byte {offset})"),
    }
}
