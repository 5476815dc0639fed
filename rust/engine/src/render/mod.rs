//! From windows to patches: mosaic the tiles of a day, resample to the output grid, aggregate days.
//!
//! Conventions (`docs/semantics.md`): output row `i` lies at `linspace(lat_min, lat_max, H)[i]`,
//! column `j` likewise, and values are sampled exactly there, by mask-normalised weights;
//! [`GridRule::Crop`] instead stretches the cells whose centres lie in the box.

pub mod axis;
mod kernel;
mod mosaic;
mod points;
mod resample;

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::geo::BBox;
use crate::granule::{GranuleReader, StoredChunk};
use crate::query::Query;
use axis::linspace;
use kernel::{Footprint, Kernel};
use mosaic::{HALO, Mosaic};
use resample::{Pixel, resample};

pub use mosaic::Tile;
pub use points::{PointRow, select as select_points};

/// How values move from cells to pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resampling {
    /// Mask-normalised bilinear interpolation.
    Bilinear,
    /// The mean of the valid cells in the pixel's footprint.
    Area,
    /// The nearest cell.
    Nearest,
    /// Area where both axes shrink, else bilinear.
    Auto,
}

impl Resampling {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Area => "area",
            Self::Nearest => "nearest",
            Self::Auto => "auto",
        }
    }
}

/// Where the pixels lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GridRule {
    /// On `linspace` over the box, both ends included.
    Exact,
    /// The cells whose centres lie in the box, stretched by torch's half-pixel rule.
    Crop,
}

/// How the days of a window become one patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TemporalAgg {
    /// Mean of the valid values of each pixel.
    Mean,
    /// The first day that has the file.
    First,
    /// The last day that has the file.
    Last,
    /// One layer a day, absent days invalid.
    Stack,
}

impl TemporalAgg {
    /// The days of a window that are rendered.
    pub fn select<T>(self, days: &[T]) -> &[T] {
        match self {
            Self::Mean | Self::Stack => days,
            Self::First => &days[..days.len().min(1)],
            Self::Last => &days[days.len().saturating_sub(1)..],
        }
    }

    /// The number of layers of a query's patch.
    pub fn layers(self, query: &Query) -> usize {
        if self == Self::Stack { query.n_days() } else { 1 }
    }
}

/// The rules one variable is rendered by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// How values move from cells to pixels.
    pub resampling: Resampling,
    /// Where the pixels lie.
    pub grid: GridRule,
    /// How days become one patch.
    pub temporal: TemporalAgg,
    /// Pixels with less valid weight than this are invalid.
    pub min_support: f64,
    /// What invalid pixels hold.
    pub fill_value: f32,
    /// Mean and standard deviation that valid values are normalised with.
    pub normalize: Option<(f64, f64)>,
}

impl Rules {
    /// A valid value as it is delivered: `(value - mean) / std` where normalised.
    pub fn deliver(&self, value: f64) -> f32 {
        match self.normalize {
            Some((mean, std)) => ((value - mean) / std) as f32,
            None => value as f32,
        }
    }
}

/// The tiles of one source on one day, in catalog order.
pub struct Day {
    /// Days since 1970-01-01.
    pub day: i32,
    /// The tiles.
    pub tiles: Vec<Tile>,
}

/// Where a patch is written: `layers x H x W` slices, every element of which is written.
pub struct PatchMut<'a> {
    /// Values.
    pub values: &'a mut [f32],
    /// 1 valid, 0 invalid.
    pub mask: &'a mut [u8],
    /// Share of valid weight behind each value, if wanted; under `Mean`, its mean over the days.
    pub support: Option<&'a mut [f32]>,
    /// Latitudes `[H]` and longitudes `[W]` of the pixels, if wanted.
    pub axes: Option<(&'a mut [f32], &'a mut [f32])>,
}

impl PatchMut<'_> {
    /// Makes every pixel invalid and sets the axes to `linspace` over the box.
    pub fn clear(&mut self, query: &Query, fill_value: f32) {
        self.values.fill(fill_value);
        self.mask.fill(0);
        if let Some(support) = self.support.as_deref_mut() {
            support.fill(0.0);
        }
        let bbox = query.bbox();
        self.set_axes(&|n| linspace(bbox.lat_min, bbox.lat_max, n), &|n| {
            linspace(bbox.lon, bbox.lon + bbox.width, n)
        });
    }

    fn set_axes(&mut self, lat: &dyn Fn(usize) -> Vec<f64>, lon: &dyn Fn(usize) -> Vec<f64>) {
        if let Some((lats, lons)) = &mut self.axes {
            for (out, make) in [(lats, lat), (lons, lon)] {
                let values = make(out.len());
                out.iter_mut().zip(values).for_each(|(o, v)| *o = v as f32);
            }
        }
    }
}

/// A patch on the native cells inside the box.
#[derive(Clone, Debug, Default)]
pub struct NativePatch {
    /// Layers, rows, columns; one layer unless stacked.
    pub shape: (usize, usize, usize),
    /// Values, layer by layer.
    pub values: Vec<f32>,
    /// 1 valid, 0 invalid.
    pub mask: Vec<u8>,
    /// Latitudes of the rows.
    pub lat: Vec<f32>,
    /// Longitudes of the columns.
    pub lon: Vec<f32>,
    /// The files with a cell inside the box.
    pub files: Vec<u32>,
}

impl NativePatch {
    /// A patch of `layers x H x W` pixels.
    pub fn sized(layers: usize, (height, width): (usize, usize)) -> Self {
        let size = layers * height * width;
        Self {
            shape: (layers, height, width),
            values: vec![0.0; size],
            mask: vec![0; size],
            lat: vec![0.0; height],
            lon: vec![0.0; width],
            files: Vec::new(),
        }
    }

    /// The patch as a place to write.
    pub fn target(&mut self) -> PatchMut<'_> {
        PatchMut {
            values: &mut self.values,
            mask: &mut self.mask,
            support: None,
            axes: Some((&mut self.lat, &mut self.lon)),
        }
    }
}

/// One day's mosaic and the weights from its cells to the pixels.
struct Layout {
    mosaic: Mosaic,
    rows: Kernel,
    columns: Kernel,
}

/// Weights that sum to 1 but for rounding are full support.
const SUPPORT_NOISE: f64 = 1e-9;

impl Layout {
    fn footprint(&self) -> Footprint {
        Footprint::new(&self.rows, &self.columns, self.mosaic.shape())
    }
}

thread_local! {
    /// Cells of the mosaic being resampled; kept, because fresh pages cost more than the work.
    static CELLS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    /// Sums and counts of a window of days.
    static SUMS: RefCell<Vec<(f64, u32)>> = const { RefCell::new(Vec::new()) };
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
    out.clear(query, rules.fill_value);
    let layouts = layouts(days, query, shape, rules);
    if let (GridRule::Crop, Some((_, first))) = (rules.grid, layouts.first()) {
        let Layout { mosaic, rows, columns } = first;
        out.set_axes(&|_| rows.centres(mosaic.lat.centres()), &|_| {
            columns.centres(mosaic.lon.centres())
        });
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

/// Decodes what [`render`] would read, for the cache to keep.
pub fn prefetch(
    reader: &GranuleReader,
    days: &[Day],
    query: &Query,
    shape: (usize, usize),
    rules: &Rules,
) -> Result<()> {
    for (day, layout) in layouts(days, query, shape, rules) {
        for (tile, rows, columns) in layout.mosaic.windows(&layout.footprint()) {
            reader.prefetch(&day.tiles[tile].grid, day.day, rows, columns)?;
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
    let layouts: Vec<(&Day, Layout)> = days
        .iter()
        .map(|day| {
            let mosaic = Mosaic::new(&day.tiles, &query.bbox(), 0);
            let (rows, columns) = mosaic.shape();
            let (rows, columns) = (Kernel::identity(rows), Kernel::identity(columns));
            (day, Layout { mosaic, rows, columns })
        })
        .collect();
    let Some((_, Layout { mosaic, .. })) = layouts.first() else {
        return Ok(NativePatch::default());
    };
    let axes = |m: &Mosaic| (m.lat.centres().to_vec(), m.lon.centres().to_vec());
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
    out.values.fill(rules.fill_value);
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
        .filter_map(|day| Some((day, layout(&day.tiles, &query.bbox(), shape, rules)?)))
        .collect()
}

/// The mosaic of a day and the kernels onto it; `None` if no cell is near the box.
fn layout(
    tiles: &[Tile],
    bbox: &BBox,
    (height, width): (usize, usize),
    rules: &Rules,
) -> Option<Layout> {
    let exact = rules.grid == GridRule::Exact;
    let mosaic = Mosaic::new(tiles, bbox, if exact { HALO } else { 0 });
    let (h, w) = mosaic.shape();
    if h == 0 || w == 0 {
        return None;
    }
    let (rows, columns) = if exact {
        let side = |axis: &axis::Axis, lo: f64, hi: f64, n: usize, area: bool| {
            let points = linspace(lo, hi, n);
            match rules.resampling {
                Resampling::Nearest => Kernel::nearest(axis, &points),
                _ if area => Kernel::area(axis, &points, lo, hi),
                _ => Kernel::linear(axis, &points),
            }
        };
        let (south, north) = (bbox.lat_min, bbox.lat_max);
        let (west, east) = (bbox.lon, bbox.lon + bbox.width);
        let inside = |axis: &axis::Axis, lo, hi| {
            let (start, end) = axis.within(lo, hi, true);
            end - start
        };
        let shrinks = || {
            height < inside(&mosaic.lat, south, north) && width < inside(&mosaic.lon, west, east)
        };
        let area = match rules.resampling {
            Resampling::Area => true,
            Resampling::Auto => shrinks(),
            Resampling::Bilinear | Resampling::Nearest => false,
        };
        (side(&mosaic.lat, south, north, height, area), side(&mosaic.lon, west, east, width, area))
    } else {
        let shrinks = height <= h && width <= w;
        let stretch = match rules.resampling {
            Resampling::Nearest => Kernel::torch_nearest,
            Resampling::Area if shrinks => Kernel::adaptive_pool,
            Resampling::Auto if shrinks && (height, width) != (h, w) => Kernel::adaptive_pool,
            _ => Kernel::half_pixel,
        };
        (stretch(h, height), stretch(w, width))
    };
    Some(Layout { mosaic, rows, columns })
}

/// Renders each day and combines them; returns the distinct files that carry weight.
fn aggregate(
    reader: &GranuleReader,
    layouts: &[(&Day, Layout)],
    query: &Query,
    rules: &Rules,
    out: &mut PatchMut<'_>,
) -> Result<Vec<u32>> {
    let mut files = Vec::new();
    let pooled = rules.temporal == TemporalAgg::Mean && layouts.len() > 1;
    let valid =
        |pixel: &Pixel| pixel.support > 0.0 && pixel.support + SUPPORT_NOISE >= rules.min_support;
    SUMS.with_borrow_mut(|sums| {
        if pooled {
            sums.clear();
            sums.resize(out.values.len(), (0.0, 0));
        }
        for (day, layout) in layouts {
            let layer = match rules.temporal {
                TemporalAgg::Stack => (day.day - query.day_start) as usize,
                _ => 0,
            };
            let base = layer * layout.rows.len() * layout.columns.len();
            let share = if pooled { 1.0 / layouts.len() as f64 } else { 1.0 };
            let used = resample_day(reader, day, layout, |i, pixel| {
                let at = base + i;
                if let Some(support) = out.support.as_deref_mut() {
                    support[at] += (pixel.support * share) as f32;
                }
                if !valid(&pixel) {
                    return;
                }
                if pooled {
                    sums[at].0 += pixel.value;
                    sums[at].1 += 1;
                } else {
                    out.values[at] = rules.deliver(pixel.value);
                    out.mask[at] = 1;
                }
            })?;
            files.extend(used);
        }
        if pooled {
            for (at, &(sum, n)) in sums.iter().enumerate().filter(|(_, (_, n))| *n > 0) {
                out.values[at] = rules.deliver(sum / f64::from(n));
                out.mask[at] = 1;
            }
        }
        files.sort_unstable();
        files.dedup();
        Ok(files)
    })
}

/// Reads and resamples one day; returns the files that carry weight.
fn resample_day(
    reader: &GranuleReader,
    day: &Day,
    layout: &Layout,
    emit: impl FnMut(usize, Pixel),
) -> Result<Vec<u32>> {
    let Layout { mosaic, rows, columns } = layout;
    let footprint = layout.footprint();
    CELLS.with_borrow_mut(|buffer| {
        let read = mosaic.read(reader, &day.tiles, day.day, &footprint, buffer)?;
        Ok(read.map_or_else(Vec::new, |(cells, used)| {
            resample(&cells, rows, columns, emit);
            used.into_iter().map(|tile| day.tiles[tile].id).collect()
        }))
    })
}
