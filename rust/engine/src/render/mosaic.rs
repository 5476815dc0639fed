//! One grid out of the tiles of one source and day.

use std::ops::Range;
use std::sync::Arc;

use super::axis::{Axis, Places, cell_size, stretch};
use super::kernel::Footprint;
use super::rules::CellRule;
use crate::geo::BBox;
use crate::granule::{Grid, When};

/// A tile: one variable of one granule.
#[derive(Clone)]
pub struct Tile {
    /// The file's number in the catalog, to count distinct files.
    pub object: u32,
    /// Its axes and chunk index.
    pub grid: Arc<Grid>,
    /// The time steps of the file that make up the granule.
    pub when: When,
    /// The size of its cells in degrees as the catalog has it, NaN if it doesn't.
    pub resolution: f32,
    /// Variables of the same file and axes, and what they must be where a cell is to count.
    pub conditions: Vec<(Arc<Grid>, CellRule)>,
}

impl Tile {
    /// The size of the one cell of an axis, by the other axis, else by the catalog; `None` if it has
    /// more cells.
    fn lone(&self, axis: &[f64], other: &[f64]) -> Option<f64> {
        let stated = f64::from(self.resolution);
        let size = || cell_size(other).unwrap_or(if stated > 0.0 { stated } else { 0.0 });
        (axis.len() == 1).then(size)
    }
}

/// Rows and columns of a tile.
pub type Cells = (Range<usize>, Range<usize>);

/// Cells of a tile and their place on the mosaic.
pub struct PlacedCells {
    /// The tile, by its index.
    pub tile: usize,
    /// Its cells.
    pub cells: Cells,
    /// Mosaic rows of its rows.
    pub rows: Places,
    /// Mosaic columns of its columns.
    pub columns: Places,
}

/// Cells of a tile near the box and where they lie on the mosaic; a tile stands there once a turn of
/// the circle.
struct Standing {
    tile: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    /// Mosaic index of each of `rows`.
    row_map: Places,
    /// Mosaic index of each of `columns`.
    column_map: Places,
}

/// The tiles' cells in and around a box, on joined axes in the box's own turn of the circle.
pub struct Mosaic {
    /// Latitudes of the cell centres.
    pub lat: Axis,
    /// Longitudes of the cell centres.
    pub lon: Axis,
    standings: Vec<Standing>,
}

/// Cells that a mosaic keeps beyond the box on each side: interpolation needs one, telling a gap
/// from a coarse grid the spacings beside it.
pub const HALO: usize = 3;

impl Mosaic {
    /// The mosaic of `tiles` within `bbox` and `halo` cells of each tile around it.
    pub fn new(tiles: &[Tile], bbox: &BBox, halo: usize) -> Self {
        let mut placed = Vec::new();
        for (tile, Tile { grid, .. }) in tiles.iter().enumerate() {
            let rows = span(&grid.lat, bbox.lat_min, bbox.lat_max, halo);
            if !rows.is_empty() {
                let at = |(turn, columns)| (tile, rows.clone(), turn, columns);
                placed.extend(turns(&grid.lon, bbox, halo).into_iter().map(at));
            }
        }
        let near = || placed.iter().filter_map(|(tile, ..)| tiles.get(*tile));
        let lone_row = near().find_map(|tile| tile.lone(&tile.grid.lat, &tile.grid.lon));
        let lone_column = near().find_map(|tile| tile.lone(&tile.grid.lon, &tile.grid.lat));
        let (lone_row, lone_column) = (lone_row.unwrap_or(0.0), lone_column.unwrap_or(0.0));
        if let [(tile, rows, turn, columns)] = &placed[..] {
            let Tile { grid, .. } = &tiles[*tile];
            let lon = grid.lon[columns.clone()].iter().map(|x| x + turn).collect();
            return Self {
                lat: Axis::new(grid.lat[rows.clone()].to_vec()).with_lone_cell(lone_row),
                lon: Axis::new(lon).with_lone_cell(lone_column),
                standings: vec![Standing {
                    tile: *tile,
                    row_map: Places::Run(0..rows.len()),
                    column_map: Places::Run(0..columns.len()),
                    rows: rows.clone(),
                    columns: columns.clone(),
                }],
            };
        }
        let (lats, lons): (Vec<_>, Vec<_>) = placed
            .iter()
            .map(|(tile, rows, turn, columns)| {
                let Tile { grid, .. } = &tiles[*tile];
                let lat = stretch(&grid.lat, rows.clone(), 0.0);
                (lat, stretch(&grid.lon, columns.clone(), *turn))
            })
            .unzip();
        let (lat, row_maps) = Axis::join(&lats);
        let (lon, column_maps) = Axis::join(&lons);
        let standings = placed
            .into_iter()
            .zip(row_maps.into_iter().zip(column_maps))
            .map(|((tile, rows, _, columns), (row_map, column_map))| Standing {
                tile,
                rows,
                columns,
                row_map,
                column_map,
            })
            .collect();
        Self { lat: lat.with_lone_cell(lone_row), lon: lon.with_lone_cell(lone_column), standings }
    }

    /// Rows and columns of the mosaic.
    pub fn shape(&self) -> (usize, usize) {
        (self.lat.centres().len(), self.lon.centres().len())
    }

    /// The cells that carry weight in `footprint`, tile by tile.
    pub fn placed(&self, footprint: &Footprint) -> Vec<PlacedCells> {
        let placed = |standing: &Standing| {
            let (rows, columns) = footprint.window(&standing.row_map, &standing.column_map)?;
            Some(PlacedCells {
                tile: standing.tile,
                rows: standing.row_map.part(&rows),
                columns: standing.column_map.part(&columns),
                cells: (shift(rows, standing.rows.start), shift(columns, standing.columns.start)),
            })
        };
        self.standings.iter().filter_map(placed).collect()
    }
}

fn shift(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
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
