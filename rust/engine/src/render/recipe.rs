//! Recipes: what a patch reads and how it is painted, as plain data. Making one reads nothing.

use std::sync::Arc;

use super::axis::{Places, linspace};
use super::kernel::Kernel;
use super::layout::Layout;
use super::mosaic::{PlacedCells, Tile};
use super::rules::{CellRule, GridRule, Rules, TemporalAgg};
use crate::error::{Error, Result};
use crate::geo::BBox;
use crate::granule::{Grid, Reading, When};
use crate::query::Query;

/// The tiles of one source on one day, in catalog order.
pub struct Day {
    /// Days since 1970-01-01.
    pub day: i32,
    /// The tiles.
    pub tiles: Vec<Tile>,
}

/// What the patch of one variable and query is made of: a layer of readings a day, and the weights
/// from their cells to the pixels.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Pixels `(H, W)`.
    pub(super) shape: (usize, usize),
    /// Planes of `H x W` pixels: one a day of a stack (else one in all), times one a level.
    pub(super) planes: usize,
    pub(super) rules: Rules,
    pub(super) axes: Axes,
    pub(super) layers: Vec<Layer>,
}

/// Where the pixels lie.
#[derive(Clone, Debug)]
pub(super) enum Axes {
    /// On `linspace` over the box, both ends included.
    Over(BBox),
    /// At these latitudes and longitudes.
    At(Vec<f64>, Vec<f64>),
}

/// One level of one day.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    day: i32,
    level: usize,
    /// The plane that it is painted on.
    pub plane: usize,
    pub sources: Vec<Source>,
    pub rows: Kernel,
    pub columns: Kernel,
    /// A pixel counts only where it is valid in each of these, too.
    pub masks: Vec<Mask>,
}

/// A tile's cells that carry weight, and where they lie on the day's mosaic.
#[derive(Clone, Debug)]
pub(super) struct Source {
    object: u32,
    pub reading: Reading,
    pub rows: Places,
    pub columns: Places,
    /// Of a variable under conditions, the time steps of the reading one by one.
    pub steps: Vec<Step>,
}

/// A time step under conditions.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub reading: Reading,
    /// A cell counts only where the same cell of each of these obeys one of its rules.
    pub conditions: Vec<(Reading, Vec<CellRule>)>,
}

/// Another variable on the same day and pixels.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    /// `None`: it has nothing near the box on that day.
    pub layer: Option<Layer>,
    pub rules: Rules,
}

impl Recipe {
    /// The recipe of a query's patch; `shape` gives its pixels, `None` the native cells in the box.
    /// `days` are those that have a file, already selected by [`TemporalAgg::select`].
    ///
    /// # Errors
    /// `Unsupported`: the native cells change between the days, or the cells of a condition lie
    /// elsewhere than those that it is about.
    pub fn new(
        days: &[Day],
        query: &Query,
        shape: Option<(usize, usize)>,
        rules: &Rules,
    ) -> Result<Self> {
        let bbox = query.bbox();
        let layouts: Vec<(&Day, Layout)> = days
            .iter()
            .filter_map(|day| {
                let layout = match shape {
                    None => Some(Layout::native(&day.tiles, &bbox)),
                    Some(shape) => Layout::new(&day.tiles, &bbox, shape, rules),
                };
                Some((day, layout?))
            })
            .collect();
        let axes = match (layouts.first(), shape, rules.grid) {
            (_, None, _) => native_axes(&layouts)?,
            (Some((_, Layout { mosaic, rows, columns })), _, GridRule::Crop) => {
                let (lat, lon) = (mosaic.lat.centres(), mosaic.lon.centres());
                Axes::At(rows.centres(lat), columns.centres(lon))
            }
            _ => Axes::Over(bbox),
        };
        let shape = match (shape, &axes) {
            (None, Axes::At(lat, lon)) => (lat.len(), lon.len()),
            (shape, _) => shape.unwrap_or_default(),
        };
        let first_day = match rules.temporal {
            TemporalAgg::Stack => Some(query.day_start),
            _ => None,
        };
        let tiles = days.iter().flat_map(|day| &day.tiles);
        let levels = tiles.map(|tile| tile.grid.n_levels()).max().unwrap_or(1);
        let layers = layouts.iter().flat_map(|(day, layout)| {
            let stacked = first_day.map_or(0, |first| (day.day - first) as usize);
            (0..levels).map(move |level| Layer::new(day, layout, stacked * levels + level, level))
        });
        let layers = layers.collect::<Result<_>>()?;
        let planes = rules.temporal.layers(query) * levels;
        Ok(Self { shape, planes, rules: *rules, axes, layers })
    }

    /// Lets a pixel of a day count only where it is valid in `other`, too, which has as many pixels
    /// over the same box; nowhere where there is none.
    ///
    /// # Errors
    /// `InvalidInput`: it has other pixels.
    pub fn only_where(mut self, other: Option<&Self>) -> Result<Self> {
        let rules = other.map_or(self.rules, |other| other.rules);
        if let Some(other) = other
            && (self.shape != other.shape || self.pixel_axes() != other.pixel_axes())
        {
            return Err(Error::invalid_input(format!(
                "one variable masks another only on the same pixels, not {:?} on {:?}; give both one \
                 patch size, and grid=\"exact\"",
                other.shape, self.shape
            )));
        }
        for layer in &mut self.layers {
            let on_day = other.and_then(|other| {
                let mut on_day = other.layers.iter().filter(|other| other.day == layer.day);
                // One without levels is about all.
                let level = if on_day.clone().count() == 1 { 0 } else { layer.level };
                on_day.find(|other| other.level == level)
            });
            layer.masks.push(Mask { layer: on_day.cloned(), rules });
        }
        Ok(self)
    }

    /// Planes, rows and columns of the patch.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.planes, self.shape.0, self.shape.1)
    }

    /// What is read, in the order of the painting.
    pub fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.layers.iter().flat_map(Layer::readings)
    }

    /// The distinct files of which a cell carries weight, by their numbers.
    pub fn files(&self) -> Vec<u32> {
        let sources = self.layers.iter().flat_map(|layer| &layer.sources);
        let mut files: Vec<u32> = sources.map(|source| source.object).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// The memory that it takes, about; the grids are the reader's.
    pub fn bytes(&self) -> usize {
        let axes = match &self.axes {
            Axes::Over(_) => 0,
            Axes::At(lat, lon) => 8 * (lat.len() + lon.len()),
        };
        size_of::<Self>() + axes + self.layers.iter().map(Layer::bytes).sum::<usize>()
    }

    /// Latitudes and longitudes of the pixels.
    pub fn pixel_axes(&self) -> (Vec<f64>, Vec<f64>) {
        match &self.axes {
            Axes::Over(bbox) => pixels_over(bbox, self.shape),
            Axes::At(lat, lon) => (lat.clone(), lon.clone()),
        }
    }
}

/// Latitudes and longitudes of pixels that lie on `linspace` over a box.
pub(super) fn pixels_over(bbox: &BBox, (height, width): (usize, usize)) -> (Vec<f64>, Vec<f64>) {
    let lat = linspace(bbox.lat_min, bbox.lat_max, height);
    (lat, linspace(bbox.lon, bbox.lon + bbox.width, width))
}

/// The axes of the native cells; an error where those of the days differ.
fn native_axes(layouts: &[(&Day, Layout)]) -> Result<Axes> {
    let mut axes = layouts
        .iter()
        .map(|(_, layout)| (layout.mosaic.lat.centres(), layout.mosaic.lon.centres()));
    let (lat, lon) = axes.next().unwrap_or_default();
    if axes.any(|other| other != (lat, lon)) {
        return Err(Error::unsupported(
            "the grid changes between the days of the window; give a patch size, or ask for \
             temporal_agg=\"first\" or \"last\"",
        ));
    }
    Ok(Axes::At(lat.to_vec(), lon.to_vec()))
}

impl Layer {
    fn new(day: &Day, layout: &Layout, plane: usize, level: usize) -> Result<Self> {
        let placed = layout.mosaic.placed(&layout.footprint());
        let sources = placed.into_iter().map(|placed| {
            let tile = day.tiles.get(placed.tile);
            let tile = tile.ok_or_else(|| Error::internal("a mosaic has lost a tile"))?;
            Source::new(tile, placed, level)
        });
        let sources = sources.collect::<Result<_>>()?;
        let (rows, columns) = (layout.rows.clone(), layout.columns.clone());
        Ok(Self { day: day.day, level, plane, sources, rows, columns, masks: Vec::new() })
    }

    fn readings(&self) -> Box<dyn Iterator<Item = &Reading> + '_> {
        let masks = self.masks.iter().filter_map(|mask| mask.layer.as_ref());
        Box::new(
            masks.flat_map(Self::readings).chain(self.sources.iter().flat_map(Source::readings)),
        )
    }

    fn bytes(&self) -> usize {
        let sources = self.sources.iter().map(|source| {
            let places = source.rows.bytes() + source.columns.bytes();
            size_of::<Source>() + places + source.readings().count() * size_of::<Reading>()
        });
        let masks = self.masks.iter().filter_map(|mask| mask.layer.as_ref()).map(Self::bytes);
        let kernels = self.rows.bytes() + self.columns.bytes();
        size_of::<Self>() + kernels + sources.chain(masks).sum::<usize>()
    }
}

impl Source {
    fn new(tile: &Tile, placed: PlacedCells, level: usize) -> Result<Self> {
        let PlacedCells { cells: (cell_rows, cell_cols), rows, columns, .. } = placed;
        let reading = |grid: &Arc<Grid>, when, level| Reading {
            grid: grid.clone(),
            when,
            level,
            rows: cell_rows.clone(),
            cols: cell_cols.clone(),
        };
        let whens = tile.grid.steps_of(tile.when)?;
        let conditions = |(n, when): (usize, &When)| {
            let conditions = tile.conditions.iter().map(|(grid, rule)| {
                if grid.lat != tile.grid.lat || grid.lon != tile.grid.lon {
                    return Err(Error::unsupported(
                        "a quality variable has other axes than the one it is about",
                    ));
                }
                let rules = rule.told(&grid.flags).map_err(|e| grid.blame(e))?;
                // One without time, or without levels, is about all.
                let level = if grid.n_levels() == 1 { 0 } else { level };
                if grid.is_timeless() {
                    return Ok((reading(grid, When::Day(0), level), rules));
                }
                let own = grid.steps_of(tile.when)?;
                match own.get(n) {
                    Some(&when) if own.len() == whens.len() => {
                        Ok((reading(grid, when, level), rules))
                    }
                    _ => Err(Error::unsupported(
                        "a quality variable has other time steps than the one it is about",
                    )),
                }
            });
            let conditions = conditions.collect::<Result<_>>()?;
            Ok(Step { reading: reading(&tile.grid, *when, level), conditions })
        };
        let steps = match tile.conditions.as_slice() {
            [] => Vec::new(),
            _ => whens.iter().enumerate().map(conditions).collect::<Result<_>>()?,
        };
        let reading = reading(&tile.grid, tile.when, level);
        Ok(Self { object: tile.object, reading, rows, columns, steps })
    }

    /// What is read.
    fn readings(&self) -> Box<dyn Iterator<Item = &Reading> + '_> {
        if self.steps.is_empty() {
            return Box::new(std::iter::once(&self.reading));
        }
        Box::new(self.steps.iter().flat_map(|step| {
            std::iter::once(&step.reading).chain(step.conditions.iter().map(|(flags, _)| flags))
        }))
    }
}
