//! From windows to patches: mosaic the tiles of a day, resample to the output grid, aggregate days.
//!
//! Conventions (`docs/semantics.md`): output row `i` lies at `linspace(lat_min, lat_max, H)[i]`,
//! column `j` likewise, and values are sampled exactly there, by mask-normalised weights;
//! [`GridRule::Crop`] instead stretches the cells whose centres lie in the box.

pub mod axis;
mod deliver;
mod field;
mod kernel;
mod layout;
mod mosaic;
mod patch;
mod points;
mod resample;
mod rules;

use std::cell::RefCell;

use crate::error::{Error, Result};
use crate::granule::{Ahead, GranuleReader, StoredChunk, Unpack};
use crate::query::Query;
use deliver::Delivery;
use layout::Layout;
use resample::{PixelRow, Scratch, resample};

pub use mosaic::Tile;
pub use patch::{NativePatch, PatchMut};
pub use points::{PointRow, select as select_points};
pub use rules::{GridRule, Resampling, Rules, TemporalAgg};

/// The tiles of one source on one day, in catalog order.
pub struct Day {
    /// Days since 1970-01-01.
    pub day: i32,
    /// The tiles.
    pub tiles: Vec<Tile>,
}

thread_local! {
    /// Rows in the making; kept, because fresh pages cost more than the work.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    /// Sums and counts of the days of a window.
    static DAYS: RefCell<PixelRow> = RefCell::default();
}

/// Renders one variable of one query to `H x W`. `days` are those that have a file, already
/// selected by [`TemporalAgg::select`]. Returns the files of which a cell carries weight.
pub fn render(
    reader: &GranuleReader,
    days: &[Day],
    query: &Query,
    shape: (usize, usize),
    rules: &Rules,
    out: &mut PatchMut<'_>,
) -> Result<Vec<u32>> {
    let layouts = layouts(days, query, shape, rules);
    match (rules.grid, layouts.first()) {
        (GridRule::Crop, Some((_, Layout { mosaic, rows, columns }))) => {
            out.set_axes(&|_| rows.centres(mosaic.lat.centres()), &|_| {
                columns.centres(mosaic.lon.centres())
            });
        }
        _ => out.set_exact_axes(query),
    }
    aggregate(reader, &layouts, query, rules, out)
}

/// The stored chunks that [`render`] fetches, those fetched at once together; it reads none.
pub fn touched(
    days: &[Day],
    query: &Query,
    shape: (usize, usize),
    rules: &Rules,
) -> Result<Vec<Vec<StoredChunk>>> {
    let mut groups = Vec::new();
    for (day, layout) in layouts(days, query, shape, rules) {
        for (tile, rows, columns) in layout.mosaic.windows(&layout.footprint()) {
            groups.extend(day.tiles[tile].grid.touched(day.day, rows, columns)?);
        }
    }
    Ok(groups)
}

/// Gets what [`render`] would read, for the caches to keep.
pub fn prefetch(
    reader: &GranuleReader,
    days: &[Day],
    query: &Query,
    shape: (usize, usize),
    rules: &Rules,
    ahead: Ahead,
) -> Result<()> {
    for (day, layout) in layouts(days, query, shape, rules) {
        for (tile, rows, columns) in layout.mosaic.windows(&layout.footprint()) {
            reader.prefetch(&day.tiles[tile].grid, day.day, rows, columns, ahead)?;
        }
    }
    Ok(())
}

/// The native cells inside the box; all days must lie on the same axes.
pub fn render_native(
    reader: &GranuleReader,
    days: &[Day],
    query: &Query,
    rules: &Rules,
) -> Result<NativePatch> {
    let layouts: Vec<(&Day, Layout)> =
        days.iter().map(|day| (day, Layout::native(&day.tiles, &query.bbox()))).collect();
    let Some((_, Layout { mosaic, .. })) = layouts.first() else {
        return Ok(NativePatch::default());
    };
    let axes = |m: &mosaic::Mosaic| (m.lat.centres().to_vec(), m.lon.centres().to_vec());
    let (lat, lon) = axes(mosaic);
    if layouts.iter().any(|(_, other)| axes(&other.mosaic) != (lat.clone(), lon.clone())) {
        return Err(Error::unsupported(
            "the grid changes between the days of the window; give a patch size, \
             or ask for temporal_agg=\"first\" or \"last\"",
        ));
    }
    let layers = rules.temporal.layers(query);
    let mut patch = NativePatch::sized(layers, (lat.len(), lon.len()));
    let mut out = patch.target();
    out.set_axes(&|_| lat.clone(), &|_| lon.clone());
    patch.files = aggregate(reader, &layouts, query, rules, &mut out)?;
    Ok(patch)
}

/// The layout of each day that has a cell near the box.
fn layouts<'a>(
    days: &'a [Day],
    query: &Query,
    shape: (usize, usize),
    rules: &Rules,
) -> Vec<(&'a Day, Layout)> {
    days.iter()
        .filter_map(|day| Some((day, Layout::new(&day.tiles, &query.bbox(), shape, rules)?)))
        .collect()
}

/// Renders each day and combines them; returns the distinct files that carry weight.
fn aggregate(
    reader: &GranuleReader,
    layouts: &[(&Day, Layout)],
    query: &Query,
    rules: &Rules,
    out: &mut PatchMut<'_>,
) -> Result<Vec<u32>> {
    let mut files = if rules.temporal == TemporalAgg::Mean && layouts.len() > 1 {
        pool_days(reader, layouts, rules, out)?
    } else {
        place_days(reader, layouts, query, rules, out)?
    };
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

/// Renders each day into its layer; the layers without a day become invalid.
fn place_days(
    reader: &GranuleReader,
    layouts: &[(&Day, Layout)],
    query: &Query,
    rules: &Rules,
    out: &mut PatchMut<'_>,
) -> Result<Vec<u32>> {
    let mut files = Vec::new();
    let layers = rules.temporal.layers(query);
    let size = out.values.len() / layers.max(1);
    let mut missing = vec![true; layers];
    for (day, layout) in layouts {
        let layer = match rules.temporal {
            TemporalAgg::Stack => (day.day - query.day_start) as usize,
            _ => 0,
        };
        let mut patch = out.part(layer * size..(layer + 1) * size);
        if let Some(support) = patch.support.as_deref_mut() {
            support.fill(0.0);
        }
        let width = layout.columns.len();
        files.extend(resample_day(reader, day, layout, |i, row, unpack| {
            let line = i * width..(i + 1) * width;
            let delivery = Delivery::new(unpack, rules);
            delivery.write(row, &mut patch.values[line.clone()], &mut patch.mask[line.clone()]);
            if let Some(support) = patch.support.as_deref_mut() {
                Delivery::add_support(row, 1.0, &mut support[line]);
            }
        })?);
        if let Some(missing) = missing.get_mut(layer) {
            *missing = false;
        }
    }
    for (layer, _) in missing.iter().enumerate().filter(|(_, missing)| **missing) {
        out.part(layer * size..(layer + 1) * size).invalidate(rules.fill_value);
    }
    Ok(files)
}

/// Renders the mean of the days on which each pixel is valid.
fn pool_days(
    reader: &GranuleReader,
    layouts: &[(&Day, Layout)],
    rules: &Rules,
    out: &mut PatchMut<'_>,
) -> Result<Vec<u32>> {
    let mut files = Vec::new();
    if let Some(support) = out.support.as_deref_mut() {
        support.fill(0.0);
    }
    let share = 1.0 / layouts.len() as f64;
    DAYS.with_borrow_mut(|days| {
        days.clear(out.values.len(), 1.0);
        for (day, layout) in layouts {
            let width = layout.columns.len();
            files.extend(resample_day(reader, day, layout, |i, row, unpack| {
                let line = i * width..(i + 1) * width;
                let (sums, counts) =
                    (&mut days.sums[line.clone()], &mut days.weights[line.clone()]);
                Delivery::new(unpack, rules).add(row, sums, counts);
                if let Some(support) = out.support.as_deref_mut() {
                    Delivery::add_support(row, share, &mut support[line]);
                }
            })?);
        }
        // Each day has been held against the least support.
        let rules = Rules { min_support: 0.0, ..*rules };
        Delivery::new(Unpack::NONE, &rules).write(days, out.values, out.mask);
        days.release_beyond(resample::MOST_KEPT);
        Ok(files)
    })
}

/// Reads and resamples one day, row by row; returns the files that carry weight.
fn resample_day(
    reader: &GranuleReader,
    day: &Day,
    layout: &Layout,
    mut emit: impl FnMut(usize, &PixelRow, Unpack),
) -> Result<Vec<u32>> {
    let Layout { mosaic, rows, columns } = layout;
    let (field, used) = mosaic.field(reader, &day.tiles, day.day, &layout.footprint())?;
    SCRATCH.with_borrow_mut(|scratch| {
        resample(&field, rows, columns, scratch, |i, row| emit(i, row, field.unpack()));
    });
    Ok(used.into_iter().map(|tile| day.tiles[tile].id).collect())
}
