//! From joined rows to the catalog: numbered by name, sorted, and checked as a whole.

use super::join::Joined;
use super::wkb::Bounds;
use super::{Catalog, Granule, Part, Region, date_id};
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
    let Joined { regions, boxes, sources, files, parts, reserved, mut granules, warnings } = joined;
    let (region_names, region_numbers) = regions.sorted();
    let (sources, source_numbers) = sources.sorted();
    let (files, file_numbers) = files.sorted();
    for granule in &mut granules {
        granule.region = region_numbers[usize::from(granule.region)];
        granule.source = source_numbers[usize::from(granule.source)];
        granule.file = file_numbers[usize::from(granule.file)];
    }
    granules.sort_unstable_by_key(|g| (g.day, g.region, g.source, g.file));
    granules.shrink_to_fit();
    let mut bounds = vec![None; boxes.len()];
    for (old, found) in boxes.into_iter().enumerate() {
        bounds[usize::from(region_numbers[old])] = found;
    }
    let regions = region_names
        .into_iter()
        .zip(bounds)
        .map(|(name, bounds)| region(name.to_string(), bounds))
        .collect::<Result<Vec<_>>>()?;
    let catalog = Catalog { granules, regions, sources, files, parts, warnings };
    check_duplicates(&catalog)?;
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

fn check_duplicates(catalog: &Catalog) -> Result<()> {
    let mut duplicates = Vec::new();
    let mut files = Vec::new();
    for tile in catalog.granules.chunk_by(|a, b| (a.day, a.region) == (b.day, b.region)) {
        files.clear();
        files.extend(tile.iter().map(|g| g.file));
        files.sort_unstable();
        for pair in files.windows(2) {
            if let (&[a, b], Some(granule)) = (pair, tile.first())
                && a == b
            {
                duplicates.push(catalog.relative_path(&Granule { file: a, ..*granule }));
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

fn check_overlaps(catalog: &Catalog, reserved: Vec<(u16, u64, u64)>) -> Result<()> {
    let mut extents = reserved;
    extents.extend(
        catalog
            .granules
            .iter()
            .filter(|g| g.size > 0)
            .map(|g| (g.part, g.offset, g.offset + g.size)),
    );
    extents.sort_unstable();
    for pair in extents.windows(2) {
        if let &[(part, offset, end), (other, begin, _)] = pair
            && part == other
            && begin < end
        {
            let Part { object, .. } = &catalog.parts[usize::from(part)];
            return Err(Error::invalid_dataset(format!(
                "in the archive, {} overlaps {}",
                describe(catalog, part, begin, Some(offset)),
                describe(catalog, part, offset, None)
            ))
            .asset(object));
        }
    }
    Ok(())
}

/// Names what begins at `offset`; of two that do, not the first if `other` begins there as well.
fn describe(catalog: &Catalog, part: u16, offset: u64, other: Option<u64>) -> String {
    let mut found =
        catalog.granules.iter().filter(|g| (g.part, g.offset) == (part, offset) && g.size > 0);
    let granule = if other == Some(offset) { found.next_back() } else { found.next() };
    match granule {
        Some(granule) => format!("{} (at byte {offset})", catalog.relative_path(granule)),
        None => format!("the archive's own metadata (at byte {offset})"),
    }
}

impl Catalog {
    /// Where one of this catalog's granules lies within the dataset: `{date}/{region}/{file}`.
    pub fn relative_path(&self, granule: &Granule) -> String {
        let region = &self.regions[usize::from(granule.region)].name;
        let file = &self.files[usize::from(granule.file)];
        format!("{}/{region}/{file}", date_id(granule.day))
    }
}
