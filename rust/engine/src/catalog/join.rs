//! The level tables joined on their ids: dates, then regions of a date, then files of a region.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow_array::{Array, StringArray};

use super::container::{Container, FileLayout};
use super::date_id;
use super::granule::{TileObject, Volume};
use super::ids::{day_of_id, id_problem, is_padding, path_problem, segment_problem};
use super::interner::Interner;
use super::table::{Rows, Table, int_at, text_at};
use super::wkb::{self, Bounds};
use super::zip::HEADER_END;
use crate::error::{Error, Kind, Result};
use crate::store::{ByteSource, Extent, Location, Want};
use crate::variable::source_of_file;

const ID: &str = "id";
const TYPE: &str = "type";
const CURRENT: &str = "internal:current_id";
const PARENT: &str = "internal:parent_id";
const PATH: &str = "internal:relative_path";
const OFFSET: &str = "internal:offset";
const SIZE: &str = "internal:size";
const PART: &str = "internal:source_file";
const SOURCE: &str = "data_source";
const RESOLUTION: &str = "res_deg_lat";
const GEOMETRY: &str = "istac:geometry";
const TIMES: [&str; 2] = ["istac:time_start", "stac:time_start"];

/// A row's key: ids restart in every part.
type Key = (u32, i64);

/// What the tables of all containers say together.
#[derive(Default)]
pub(super) struct Joined {
    pub(super) regions: Interner,
    /// Of each region, in order of first appearance.
    pub(super) boxes: Vec<Option<Bounds>>,
    pub(super) sources: Interner,
    pub(super) files: Interner,
    pub(super) volumes: Vec<Volume>,
    /// `(volume, offset, end)` of what holds no data in an archive.
    pub(super) reserved: Vec<(u32, u64, u64)>,
    /// Distinct pairs of source and file, in order of first appearance.
    pub(super) products: Vec<(u32, u32)>,
    product_numbers: HashMap<(u32, u32), u32>,
    /// The tiles, each with the latitude step that its writer stated.
    pub(super) tiles: Vec<(TileObject, f32)>,
    pub(super) warnings: Vec<String>,
}

/// A date's region.
#[derive(Clone, Copy)]
struct Tile {
    day: i32,
    region: u32,
}

/// Which volume a row belongs to.
enum VolumeOf {
    One(u32),
    /// The one that its `internal:source_file` names.
    Named(HashMap<String, u32>),
}

impl VolumeOf {
    fn columns(&self) -> &'static [&'static str] {
        match self {
            VolumeOf::One(_) => &[],
            VolumeOf::Named(_) => &[PART],
        }
    }

    fn find(&self, rows: &Rows<'_>, names: Option<&StringArray>, row: usize) -> Result<u32> {
        match self {
            VolumeOf::One(volume) => Ok(*volume),
            VolumeOf::Named(known) => {
                let name = text_at(names, row).unwrap_or_default();
                known.get(name).copied().ok_or_else(|| {
                    rows.error(row, format_args!("{PART} {name:?} is in no row of level 0"))
                })
            }
        }
    }
}

impl Joined {
    /// Adds the rows of one container.
    pub(super) fn add(&mut self, source: &dyn ByteSource, container: Container) -> Result<()> {
        let Container { mut collection, levels, layout, .. } = container;
        self.warnings.append(&mut collection.warnings);
        let mut volumes = self.volumes_of(&layout)?;
        let mut opened = Vec::with_capacity(levels.len());
        for contents in levels {
            let depth = collection.rows.len().saturating_sub(1);
            let missing = format!("is missing; COLLECTION.json says depth {depth}");
            opened.push(Table::open(contents, &missing)?);
        }
        let [level0, level1, level2, ..] = opened.as_slice() else {
            return Err(Error::internal("a container has fewer than three levels"));
        };
        let summed = !matches!(layout, FileLayout::Cat { .. });
        for (level, &expected) in opened.iter().zip(&collection.rows) {
            self.check_rows(level, expected, summed)?;
        }
        let dates = self.dates(level0, &layout, &mut volumes)?;
        if matches!(layout, FileLayout::Cat { .. }) {
            self.measure_volumes(source, &volumes)?;
        }
        let tiles = self.tiles(level1, &dates, &volumes)?;
        self.files(level2, &tiles, &volumes)
    }

    fn volumes_of(&mut self, layout: &FileLayout) -> Result<VolumeOf> {
        match layout {
            FileLayout::Folder { root } => {
                let volume = Volume { path: root.as_str().into(), archive: None };
                Ok(VolumeOf::One(self.add_volume(volume)))
            }
            FileLayout::Archive { path, size, reserved } => {
                let volume = Volume { path: path.as_str().into(), archive: Some(*size) };
                let volume = self.add_volume(volume);
                self.reserved.extend(reserved.iter().map(|&(offset, end)| (volume, offset, end)));
                Ok(VolumeOf::One(volume))
            }
            FileLayout::Cat { .. } => Ok(VolumeOf::Named(HashMap::new())),
        }
    }

    fn add_volume(&mut self, volume: Volume) -> u32 {
        self.volumes.push(volume);
        self.volumes.len() as u32 - 1
    }

    /// Compares a level's rows with what `COLLECTION.json` says; some writers do not sum parts.
    fn check_rows(&mut self, level: &Table, expected: u64, summed: bool) -> Result<()> {
        let rows = level.rows();
        if rows < expected {
            return Err(level.error(format_args!(
                "has {rows} rows, but COLLECTION.json says {expected}: truncated metadata"
            )));
        }
        if rows > expected && summed {
            self.warnings.push(format!(
                "{} has {rows} rows, but COLLECTION.json says {expected}",
                level.name()
            ));
        }
        Ok(())
    }

    /// Level 0: the day of each row. Names the parts of a TacoCat.
    fn dates(
        &mut self,
        level: &Table,
        layout: &FileLayout,
        volumes: &mut VolumeOf,
    ) -> Result<HashMap<Key, i32>> {
        let mut dates = HashMap::new();
        let required = [&[ID, TYPE, CURRENT], volumes.columns()].concat();
        level.visit(&required, &TIMES, |rows| {
            let (ids, types, current) = (rows.text(ID)?, rows.text(TYPE)?, rows.int(CURRENT)?);
            let names = rows.optional_text(PART)?;
            for row in 0..rows.len() {
                if let (VolumeOf::Named(known), FileLayout::Cat { directory }) =
                    (&mut *volumes, layout)
                {
                    self.name_volume(known, directory, rows, names, row)?;
                }
                let id = row_id(rows, ids, row)?;
                if !is_kind(rows, types, row, "FOLDER")? {
                    continue;
                }
                let day = day_of_id(id).ok_or_else(|| {
                    rows.error(row, format_args!("id {id:?} is not a date YYYY_MM_DD"))
                })?;
                check_time(rows, row, id, day)?;
                let key = (volumes.find(rows, names, row)?, integer(rows, current, CURRENT, row)?);
                insert(&mut dates, key, day, rows, row)?;
            }
            Ok(())
        })?;
        Ok(dates)
    }

    fn name_volume(
        &mut self,
        known: &mut HashMap<String, u32>,
        directory: &str,
        rows: &Rows<'_>,
        names: Option<&StringArray>,
        row: usize,
    ) -> Result<()> {
        let name = text_at(names, row).ok_or_else(|| rows.error(row, format!("{PART} is null")))?;
        if known.contains_key(name) {
            return Ok(());
        }
        if let Some(problem) = segment_problem(name) {
            return Err(rows.error(row, format_args!("{PART} {name:?} {problem}")));
        }
        let path = format!("{directory}/{name}").into();
        known.insert(name.to_owned(), self.add_volume(Volume { path, archive: None }));
        Ok(())
    }

    /// Finds the size of each part of a TacoCat; lists those that are missing.
    fn measure_volumes(&mut self, source: &dyn ByteSource, volumes: &VolumeOf) -> Result<()> {
        let VolumeOf::Named(known) = volumes else { return Ok(()) };
        let mut missing = Vec::new();
        let numbers: Vec<u32> = known.values().copied().collect();
        let wants: Vec<Want> = numbers
            .iter()
            .map(|&number| Want {
                location: Location::whole(self.volumes[number as usize].path.clone()),
                extent: Extent::Size,
            })
            .collect();
        for (number, measured) in numbers.into_iter().zip(source.fetch(&wants)) {
            let volume = &mut self.volumes[number as usize];
            match measured {
                Ok(measured) => volume.archive = measured.size,
                Err(e) if e.kind == Kind::NotFound => missing.push(volume.path.to_string()),
                Err(e) => return Err(e),
            }
            self.reserved.push((number, 0, HEADER_END as u64));
        }
        missing.sort_unstable();
        match missing.first() {
            None => Ok(()),
            Some(first) => Err(Error::not_found(format!(
                "{} of {} parts of the TacoCat are missing: {}",
                missing.len(),
                known.len(),
                missing.join(", ")
            ))
            .asset(first)),
        }
    }

    /// Level 1: the day and region of each row.
    fn tiles(
        &mut self,
        level: &Table,
        dates: &HashMap<Key, i32>,
        volumes: &VolumeOf,
    ) -> Result<HashMap<Key, Tile>> {
        let mut tiles = HashMap::new();
        let required = [&[ID, TYPE, CURRENT, PARENT], volumes.columns()].concat();
        level.visit(&required, &[GEOMETRY], |rows| {
            let (ids, types) = (rows.text(ID)?, rows.text(TYPE)?);
            let (current, parents) = (rows.int(CURRENT)?, rows.int(PARENT)?);
            let (geometry, names) = (rows.optional_binary(GEOMETRY)?, rows.optional_text(PART)?);
            for row in 0..rows.len() {
                let id = row_id(rows, ids, row)?;
                if is_padding(id) || !is_kind(rows, types, row, "FOLDER")? {
                    continue;
                }
                let volume = volumes.find(rows, names, row)?;
                let day = *parent(dates, volume, parents, rows, row, 0)?;
                let bounds = match geometry.filter(|a| a.is_valid(row)) {
                    None => None,
                    Some(a) => wkb::bounds(a.value(row)).map_err(|problem| {
                        rows.error(row, format_args!("{GEOMETRY} cannot be read: {problem}"))
                    })?,
                };
                let region = self.add_region(id, bounds, rows, row)?;
                let key = (volume, integer(rows, current, CURRENT, row)?);
                insert(&mut tiles, key, Tile { day, region }, rows, row)?;
            }
            Ok(())
        })?;
        Ok(tiles)
    }

    fn add_region(
        &mut self,
        id: &str,
        bounds: Option<Bounds>,
        rows: &Rows<'_>,
        row: usize,
    ) -> Result<u32> {
        let region = intern(&mut self.regions, id, rows, row)?;
        if self.boxes.len() <= region as usize {
            self.boxes.push(bounds);
        } else if let (Some(known), Some(new)) = (&mut self.boxes[region as usize], bounds) {
            let [x0, y0, x1, y1] = new;
            *known = [known[0].min(x0), known[1].min(y0), known[2].max(x1), known[3].max(y1)];
        } else if bounds.is_some() {
            self.boxes[region as usize] = bounds;
        }
        Ok(region)
    }

    /// Level 2: the granules.
    fn files(
        &mut self,
        level: &Table,
        tiles: &HashMap<Key, Tile>,
        volumes: &VolumeOf,
    ) -> Result<()> {
        let archived = self.volumes.last().is_some_and(|volume| volume.archive.is_some());
        let extent: &[&str] = if archived { &[OFFSET, SIZE] } else { &[] };
        let required = [&[ID, TYPE, PARENT], volumes.columns(), extent].concat();
        if !level.has(SOURCE) {
            self.warnings.push(format!(
                "{} has no column {SOURCE}; sources are told from file names",
                level.name()
            ));
        }
        level.visit(&required, &[PATH, SOURCE, RESOLUTION], |rows| {
            let (ids, types, parents) = (rows.text(ID)?, rows.text(TYPE)?, rows.int(PARENT)?);
            let (paths, names) = (rows.optional_text(PATH)?, rows.optional_text(PART)?);
            let (sources, resolution) =
                (rows.optional_text(SOURCE)?, rows.optional_float(RESOLUTION)?);
            let mut last = None;
            for row in 0..rows.len() {
                let id = row_id(rows, ids, row)?;
                if is_padding(id) || !is_kind(rows, types, row, "FILE")? {
                    continue;
                }
                let volume = volumes.find(rows, names, row)?;
                let tile = *parent(tiles, volume, parents, rows, row, 1)?;
                let file = intern(&mut self.files, id, rows, row)?;
                if let Some(paths) = paths {
                    let prefix = self.prefix(tile, &mut last);
                    check_path(rows, row, text_at(Some(paths), row), prefix, id)?;
                }
                let source = self.source(rows, row, text_at(sources, row), id)?;
                let product = self.product(source, file);
                let extent = if archived { self.extent(rows, row, volume)? } else { (0, 0) };
                let res_deg_lat = resolution
                    .filter(|a| a.is_valid(row))
                    .map_or(f32::NAN, |a| a.value(row) as f32);
                let Tile { day, region } = tile;
                let tile = TileObject { volume, day, region, product, extent };
                self.tiles.push((tile, res_deg_lat));
            }
            Ok(())
        })
    }

    fn source(&mut self, rows: &Rows<'_>, row: usize, name: Option<&str>, id: &str) -> Result<u32> {
        let name = name.or_else(|| source_of_file(id)).ok_or_else(|| {
            rows.error(row, format_args!("{SOURCE} is missing, and {id:?} does not tell it"))
        })?;
        match self.sources.get(name) {
            Some(source) => Ok(source),
            None if name.is_empty() => Err(rows.error(row, format_args!("{SOURCE} is empty"))),
            None => Ok(self.sources.add(name)),
        }
    }

    fn product(&mut self, source: u32, file: u32) -> u32 {
        *self.product_numbers.entry((source, file)).or_insert_with(|| {
            self.products.push((source, file));
            self.products.len() as u32 - 1
        })
    }

    /// `{date}/{region}/`, built anew only where the tile changes: rows come tile by tile.
    fn prefix<'a>(&self, tile: Tile, last: &'a mut Option<(Tile, String)>) -> &'a str {
        let same = matches!(last, Some((t, _)) if t.day == tile.day && t.region == tile.region);
        if !same {
            *last = None;
        }
        let build = || {
            let region = self.regions.name(tile.region);
            (tile, format!("{}/{region}/", date_id(tile.day)))
        };
        &last.get_or_insert_with(build).1
    }

    fn extent(&self, rows: &Rows<'_>, row: usize, volume: u32) -> Result<(u64, u64)> {
        let value = |name| -> Result<u64> {
            let value = integer(rows, rows.int(name)?, name, row)?;
            u64::try_from(value).map_err(|_| rows.error(row, format_args!("{name} is {value}")))
        };
        let (offset, size) = (value(OFFSET)?, value(SIZE)?);
        if size == 0 {
            return Err(rows.error(row, "the file is empty (internal:size 0)"));
        }
        let volume = &self.volumes[volume as usize];
        let length = volume.archive.unwrap_or(u64::MAX);
        match offset.checked_add(size) {
            Some(end) if end <= length => Ok((offset, size)),
            _ => Err(rows.error(
                row,
                format_args!(
                    "the file's bytes ({offset}+{size}) lie past the end of {} ({length} bytes); is it truncated?",
                    volume.path
                ),
            )),
        }
    }
}

fn row_id<'a>(rows: &Rows<'_>, ids: &'a StringArray, row: usize) -> Result<&'a str> {
    text_at(Some(ids), row).ok_or_else(|| rows.error(row, "id is null"))
}

fn is_kind(rows: &Rows<'_>, types: &StringArray, row: usize, expected: &str) -> Result<bool> {
    let kind = text_at(Some(types), row).ok_or_else(|| rows.error(row, "type is null"))?;
    Ok(kind == expected)
}

fn integer(
    rows: &Rows<'_>,
    column: &arrow_array::Int64Array,
    name: &str,
    row: usize,
) -> Result<i64> {
    int_at(Some(column), row).ok_or_else(|| rows.error(row, format_args!("{name} is null")))
}

/// The parent row's value.
fn parent<'a, T>(
    values: &'a HashMap<Key, T>,
    volume: u32,
    parents: &arrow_array::Int64Array,
    rows: &Rows<'_>,
    row: usize,
    level: usize,
) -> Result<&'a T> {
    let id = integer(rows, parents, PARENT, row)?;
    values.get(&(volume, id)).ok_or_else(|| {
        rows.error(row, format_args!("{PARENT} {id} is no {CURRENT} of a folder in level {level}"))
    })
}

fn insert<T>(
    values: &mut HashMap<Key, T>,
    key: Key,
    value: T,
    rows: &Rows<'_>,
    row: usize,
) -> Result<()> {
    match values.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
        Entry::Occupied(_) => {
            Err(rows.error(row, format_args!("{CURRENT} {} is given to two rows", key.1)))
        }
    }
}

fn intern(names: &mut Interner, id: &str, rows: &Rows<'_>, row: usize) -> Result<u32> {
    if let Some(number) = names.get(id) {
        return Ok(number);
    }
    if let Some(problem) = id_problem(id) {
        return Err(rows.error(row, format_args!("id {id:?} {problem}")));
    }
    Ok(names.add(id))
}

fn check_time(rows: &Rows<'_>, row: usize, id: &str, day: i32) -> Result<()> {
    for name in TIMES {
        let Some(found) = rows.optional_times(name)?.and_then(|times| times.day(row)) else {
            continue;
        };
        match found {
            None => return Err(rows.error(row, format_args!("{name} of {id} is not a time"))),
            Some(found) if found != day => {
                return Err(rows.error(
                    row,
                    format_args!("{name} falls on {}, but the id is {id}", date_id(found)),
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_path(
    rows: &Rows<'_>,
    row: usize,
    path: Option<&str>,
    prefix: &str,
    id: &str,
) -> Result<()> {
    let path = path.ok_or_else(|| rows.error(row, format_args!("{PATH} is null")))?;
    if path.strip_prefix(prefix) == Some(id) {
        return Ok(());
    }
    let problem = path_problem(path);
    Err(rows.error(row, format_args!("{PATH} {path:?} {problem} ({prefix}{id})")))
}
