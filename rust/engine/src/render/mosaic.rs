//! One grid out of the tiles of one source and day.

use std::ops::Range;
use std::sync::Arc;

use super::axis::{Axis, stretch};
use super::kernel::Footprint;
use crate::error::{Error, Result};
use crate::geo::BBox;
use crate::granule::{GranuleReader, Grid};

/// A tile: a file's number in the catalog and its grid.
#[derive(Clone)]
pub struct Tile {
    /// The file's number, to count distinct files.
    pub id: u32,
    /// Its axes and chunk index.
    pub grid: Arc<Grid>,
}

/// Part of a tile, placed on the mosaic; a tile stands there once a turn of the circle.
struct Part {
    tile: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    /// Mosaic index of each of `rows`.
    row_map: Vec<usize>,
    /// Mosaic index of each of `columns`.
    column_map: Vec<usize>,
}

/// A part that carries weight, and the positions in its maps that do.
type Wanted<'a> = (&'a Part, Range<usize>, Range<usize>);

/// The tiles' cells in and around a box, on joined axes in the box's own turn of the circle.
pub struct Mosaic {
    /// Latitudes of the cell centres.
    pub lat: Axis,
    /// Longitudes of the cell centres.
    pub lon: Axis,
    parts: Vec<Part>,
}

/// Decoded cells: a range of mosaic rows and columns, NaN where invalid.
pub struct Cells<'a> {
    /// The mosaic row of the first row.
    pub row0: usize,
    /// The mosaic column of the first column.
    pub column0: usize,
    /// The number of columns.
    pub width: usize,
    /// Values, row by row.
    pub values: &'a [f32],
}

/// Cells that a mosaic keeps beyond the box on each side: interpolation needs one, telling a gap
/// from a coarse grid the spacings beside it.
pub const HALO: usize = 3;

impl Mosaic {
    /// The mosaic of `tiles` within `bbox` and `halo` cells of each tile around it.
    pub fn new(tiles: &[Tile], bbox: &BBox, halo: usize) -> Self {
        let (mut placed, mut lats, mut lons) = (Vec::new(), Vec::new(), Vec::new());
        for (tile, Tile { grid, .. }) in tiles.iter().enumerate() {
            let rows = span(&grid.lat, bbox.lat_min, bbox.lat_max, halo);
            if rows.is_empty() {
                continue;
            }
            for (turn, columns) in turns(&grid.lon, bbox, halo) {
                lats.push(stretch(&grid.lat, rows.clone(), 0.0));
                lons.push(stretch(&grid.lon, columns.clone(), turn));
                placed.push((tile, rows.clone(), columns));
            }
        }
        let (lat, row_maps) = Axis::join(&lats);
        let (lon, column_maps) = Axis::join(&lons);
        let parts = placed
            .into_iter()
            .zip(row_maps.into_iter().zip(column_maps))
            .map(|((tile, rows, columns), (row_map, column_map))| Part {
                tile,
                rows,
                columns,
                row_map,
                column_map,
            })
            .collect();
        Self { lat, lon, parts }
    }

    /// Rows and columns of the mosaic.
    pub fn shape(&self) -> (usize, usize) {
        (self.lat.centres().len(), self.lon.centres().len())
    }

    /// The windows that reading `footprint` reads: a tile (by index), its rows and its columns.
    pub fn windows(&self, footprint: &Footprint) -> Vec<(usize, Range<usize>, Range<usize>)> {
        let local = |(part, rows, columns): Wanted<'_>| {
            let (rows, columns) = part.local(&rows, &columns);
            (part.tile, rows, columns)
        };
        self.wanted(footprint).into_iter().map(local).collect()
    }

    fn wanted<'a>(&'a self, footprint: &Footprint) -> Vec<Wanted<'a>> {
        let wanted = |part: &'a Part| {
            let (rows, columns) = footprint.window(&part.row_map, &part.column_map)?;
            Some((part, rows, columns))
        };
        self.parts.iter().filter_map(wanted).collect()
    }

    /// Decodes the cells of `footprint` into `buffer`; also tells which tiles (by index) they are
    /// from. `None` if there is no such cell.
    pub fn read<'a>(
        &self,
        reader: &GranuleReader,
        tiles: &[Tile],
        day: i32,
        footprint: &Footprint,
        buffer: &'a mut Vec<f32>,
    ) -> Result<Option<(Cells<'a>, Vec<usize>)>> {
        let wanted = self.wanted(footprint);
        let Some((rows, columns)) = extent(&wanted) else { return Ok(None) };
        let (height, width) = (rows.len(), columns.len());
        let size = height
            .checked_mul(width)
            .ok_or_else(|| Error::internal("a mosaic exceeds the address space"))?;
        buffer.clear();
        buffer.resize(size, f32::NAN);
        if let [(part, r, c)] = &wanted[..] {
            let (r, c) = part.local(r, c);
            reader.window(&tiles[part.tile].grid, day, r, c, buffer)?;
        } else {
            let mut counts = vec![0u8; size];
            let mut window = Vec::new();
            for (part, r, c) in &wanted {
                let (local_r, local_c) = part.local(r, c);
                window.clear();
                window.resize(r.len() * c.len(), f32::NAN);
                reader.window(&tiles[part.tile].grid, day, local_r, local_c, &mut window)?;
                for (line, &row) in window.chunks(c.len()).zip(&part.row_map[r.clone()]) {
                    let start = (row - rows.start) * width;
                    for (&value, &column) in line.iter().zip(&part.column_map[c.clone()]) {
                        let at = start + column - columns.start;
                        merge(&mut buffer[at], &mut counts[at], value);
                    }
                }
            }
        }
        let mut used: Vec<usize> = wanted.iter().map(|(part, ..)| part.tile).collect();
        used.dedup();
        Ok(Some((Cells { row0: rows.start, column0: columns.start, width, values: buffer }, used)))
    }
}

impl Part {
    /// The tile's own indices of positions in the maps.
    fn local(&self, rows: &Range<usize>, columns: &Range<usize>) -> (Range<usize>, Range<usize>) {
        (
            self.rows.start + rows.start..self.rows.start + rows.end,
            self.columns.start + columns.start..self.columns.start + columns.end,
        )
    }
}

/// A cell present in several tiles: the mean of the valid values.
fn merge(cell: &mut f32, count: &mut u8, value: f32) {
    if value.is_nan() {
        return;
    }
    let n = f64::from(*count);
    *cell = if *count == 0 {
        value
    } else {
        ((f64::from(*cell) * n + f64::from(value)) / (n + 1.0)) as f32
    };
    *count = count.saturating_add(1);
}

/// The mosaic rows and columns that the wanted windows span.
fn extent(wanted: &[Wanted<'_>]) -> Option<(Range<usize>, Range<usize>)> {
    let bounds = |map: &[usize], range: &Range<usize>| map[range.start]..map[range.end - 1] + 1;
    wanted
        .iter()
        .map(|(part, r, c)| (bounds(&part.row_map, r), bounds(&part.column_map, c)))
        .reduce(|(r1, c1), (r2, c2)| {
            (r1.start.min(r2.start)..r1.end.max(r2.end), c1.start.min(c2.start)..c1.end.max(c2.end))
        })
}

/// Indices of the centres in `[lo, hi]` and up to `halo` more on each side.
fn span(centres: &[f64], lo: f64, hi: f64, halo: usize) -> Range<usize> {
    let start = centres.partition_point(|&x| x < lo).saturating_sub(halo);
    let end = (centres.partition_point(|&x| x <= hi) + halo).min(centres.len());
    start..end.max(start)
}

/// The turns of the circle (multiples of 360 degrees) at which a tile comes near the box, each with
/// its columns.
fn turns(lon: &[f64], bbox: &BBox, halo: usize) -> Vec<(f64, Range<usize>)> {
    let (Some(&first), Some(&last)) = (lon.first(), lon.last()) else { return Vec::new() };
    let (lo, hi) = (bbox.lon, bbox.lon + bbox.width);
    let cell = if lon.len() > 1 { (last - first) / (lon.len() - 1) as f64 } else { 0.0 };
    let margin = halo as f64 * (2.0 + 2.0 * cell);
    let from = ((lo - margin - last) / 360.0).ceil() as i64;
    let to = ((hi + margin - first) / 360.0).floor() as i64;
    // A whole turn without a halo holds each centre once.
    let half_open = halo == 0 && bbox.width >= 360.0;
    (from..=to)
        .map(|k| 360.0 * k as f64)
        .map(|turn| {
            let mut columns = span(lon, lo - turn, hi - turn, halo);
            while half_open && !columns.is_empty() && lon[columns.end - 1] >= hi - turn {
                columns.end -= 1;
            }
            (turn, columns)
        })
        .filter(|(_, columns)| !columns.is_empty())
        .collect()
}
