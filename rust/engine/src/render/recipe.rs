//! Recipes: what a patch reads and how it is painted, as plain data. Making one reads nothing.

use std::sync::Arc;

use super::axis::{Places, pixels_over};
use super::computed::Computed;
use super::kernel::Kernel;
use super::layout::Layout;
use super::mosaic::{PlacedCells, Tile};
use super::rules::{CellRule, GridRule, Rules, TemporalAgg};
use crate::error::{Error, Result};
use crate::geo::BBox;
use crate::granule::{Grid, Reading, When};
use crate::query::Query;
use crate::variable::Channel;

/// The field of one day.
pub struct Day {
    /// Days since 1970-01-01.
    pub day: i32,
    /// What it is a sum of.
    pub parts: Vec<Part>,
}

/// All of a day's field, or a share of a place of a cycle.
pub struct Part {
    /// The share; those of a day sum to 1.
    pub share: f64,
    /// The tiles, in catalog order.
    pub tiles: Vec<Tile>,
}

impl Day {
    /// A day that tiles of its own are of.
    pub fn whole(day: i32, tiles: Vec<Tile>) -> Self {
        Self { day, parts: vec![Part { share: 1.0, tiles }] }
    }
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
    /// Whether its one layer serves all days.
    constant: bool,
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
    pub sum: Sum,
    /// What it is an anomaly from.
    pub minus: Option<Other>,
    /// A pixel counts only where it is valid in each of these, too.
    pub masks: Vec<Other>,
}

/// Sheets times their shares; without any it is valid nowhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum(pub Vec<(f64, Sheet)>);

/// Pixels.
#[derive(Clone, Debug)]
pub(super) enum Sheet {
    /// Resampled cells.
    Cells { sources: Vec<Source>, rows: Kernel, columns: Kernel },
    /// A formula's.
    Computed(Computed),
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
pub(super) struct Other {
    pub sum: Sum,
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
        let layout = |tiles: &[Tile]| match shape {
            None => Some(Layout::native(tiles, &bbox)),
            Some(shape) => Layout::new(tiles, &bbox, shape, rules),
        };
        let mut placed = Vec::with_capacity(days.len());
        for day in days {
            let parts = day.parts.iter().map(|part| Some((part, layout(&part.tiles)?)));
            placed.extend(parts.collect::<Option<Vec<_>>>().map(|parts| (day.day, parts)));
        }
        let layouts: Vec<&Layout> =
            placed.iter().flat_map(|(_, parts)| parts.iter().map(|(_, layout)| layout)).collect();
        let axes = match (layouts.first(), shape, rules.grid) {
            (_, None, _) => native_axes(&layouts)?,
            (Some(Layout { mosaic, rows, columns }), _, GridRule::Crop) => {
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
        let tiles = days.iter().flat_map(|day| &day.parts).flat_map(|part| &part.tiles);
        let levels = tiles.map(|tile| tile.grid.n_levels()).max().unwrap_or(1);
        let mut layers = Vec::with_capacity(placed.len() * levels);
        for (day, parts) in &placed {
            let stacked = first_day.map_or(0, |first| (day - first) as usize);
            for level in 0..levels {
                let sheet = |(part, layout): &(&Part, Layout)| {
                    Ok((part.share, Sheet::of_cells(&part.tiles, layout, level)?))
                };
                let sum = Sum(parts.iter().map(sheet).collect::<Result<_>>()?);
                layers.push(Layer::new(*day, level, stacked * levels + level, sum));
            }
        }
        let planes = rules.temporal.layers(query) * levels;
        Ok(Self { shape, planes, rules: *rules, axes, layers, constant: false })
    }

    /// The recipe of a formula, on each of these days. `land` gives the share of land of the pixels.
    ///
    /// # Errors
    /// `InvalidInput`: there is no patch size. Those of `land`.
    pub fn computed(
        channel: Channel,
        days: impl Iterator<Item = i32>,
        query: &Query,
        shape: Option<(usize, usize)>,
        rules: &Rules,
        land: impl Fn(&BBox, (usize, usize)) -> Result<Arc<[f32]>>,
    ) -> Result<Self> {
        let shape = shape.ok_or_else(|| {
            Error::invalid_input("a computed channel has no cells of its own; give a patch size")
        })?;
        let bbox = query.bbox();
        let layer = |day: i32| {
            let plane = match (rules.temporal, channel.is_of_day()) {
                (TemporalAgg::Stack, true) => (day - query.day_start) as usize,
                _ => 0,
            };
            let computed = match channel {
                Channel::LandFraction => Computed::Given(land(&bbox, shape)?),
                _ => Computed::product(channel, &bbox, shape, day),
            };
            Ok(Layer::new(day, 0, plane, Sum(vec![(1.0, Sheet::Computed(computed))])))
        };
        let layers = days.map(layer).collect::<Result<_>>()?;
        let planes = if channel.is_of_day() { rules.temporal.layers(query) } else { 1 };
        let constant = !channel.is_of_day();
        Ok(Self { shape, planes, rules: *rules, axes: Axes::Over(bbox), layers, constant })
    }

    /// The same of a field that serves all days.
    #[must_use]
    pub fn on_all_days(self) -> Self {
        Self { constant: true, ..self }
    }

    /// Lets a pixel of a day count only where it is valid in `other`, too, which has as many pixels
    /// over the same box; nowhere where there is none.
    ///
    /// # Errors
    /// `InvalidInput`: it has other pixels.
    pub fn only_where(mut self, other: Option<&Self>) -> Result<Self> {
        for (i, other) in self.others(other, "masks another")?.into_iter().enumerate() {
            self.layers[i].masks.push(other);
        }
        Ok(self)
    }

    /// Makes each day an anomaly: its value less that of `other`, valid where both are; nowhere where
    /// there is none.
    ///
    /// # Errors
    /// `InvalidInput`: it has other pixels.
    pub fn minus(mut self, other: Option<&Self>) -> Result<Self> {
        for (i, other) in self.others(other, "is an anomaly from another")?.into_iter().enumerate()
        {
            self.layers[i].minus = Some(other);
        }
        Ok(self)
    }

    /// Checks that another variable is read from cells at the same places.
    ///
    /// # Errors
    /// `InvalidInput`: it is not.
    pub fn check_same_cells(&self, other: &Self) -> Result<()> {
        let grids = |recipe: &Self| -> Vec<Arc<Grid>> {
            recipe.readings().map(|reading| reading.grid.clone()).collect()
        };
        let (own, others) = (grids(self), grids(other));
        let beside = |grid: &Arc<Grid>| {
            others.iter().any(|other| other.lat == grid.lat && other.lon == grid.lon)
        };
        if others.is_empty() || own.iter().all(beside) {
            return Ok(());
        }
        Err(Error::invalid_input(
            "joint variables are components of one field, on the same cells, and these lie on \
             different grids; where one should count only where the other is valid, ask for it as \
             Window(..., where=)",
        ))
    }

    /// The layer of another variable on the same pixels, for each layer.
    fn others(&self, other: Option<&Self>, what: &str) -> Result<Vec<Other>> {
        let rules = other.map_or(self.rules, |other| other.rules);
        if let Some(other) = other
            && !other.layers.is_empty()
            && !self.layers.is_empty()
            && (self.shape != other.shape || self.pixel_axes() != other.pixel_axes())
        {
            return Err(Error::invalid_input(format!(
                "one variable {what} only on the same pixels, not {:?} on {:?}; give both one patch \
                 size, and grid=\"exact\"",
                other.shape, self.shape
            )));
        }
        let of_layer = |layer: &Layer| {
            let on_day = other.and_then(|other| {
                let same = |found: &&Layer| other.constant || found.day == layer.day;
                let mut on_day = other.layers.iter().filter(same);
                // One without levels is about all.
                let level = if on_day.clone().count() == 1 { 0 } else { layer.level };
                on_day.find(|other| other.level == level)
            });
            Other { sum: on_day.map(|found| found.sum.clone()).unwrap_or_default(), rules }
        };
        Ok(self.layers.iter().map(of_layer).collect())
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
        let sheets = self.layers.iter().flat_map(|layer| layer.sum.sheets());
        let sources = sheets.flat_map(Sheet::sources);
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

/// The axes of the native cells; an error where those of the days differ.
fn native_axes(layouts: &[&Layout]) -> Result<Axes> {
    let mut axes =
        layouts.iter().map(|layout| (layout.mosaic.lat.centres(), layout.mosaic.lon.centres()));
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
    fn new(day: i32, level: usize, plane: usize, sum: Sum) -> Self {
        Self { day, level, plane, sum, minus: None, masks: Vec::new() }
    }

    /// What is read, in the order of the painting.
    fn readings(&self) -> impl Iterator<Item = &Reading> {
        let others = self.masks.iter().map(|mask| &mask.sum);
        let minus = self.minus.iter().map(|minus| &minus.sum);
        let sums = others.chain([&self.sum]).chain(minus);
        sums.flat_map(Sum::sheets).flat_map(Sheet::sources).flat_map(Source::readings)
    }

    fn bytes(&self) -> usize {
        let others = self.masks.iter().chain(&self.minus).map(|other| &other.sum);
        let sheets = others.chain([&self.sum]).flat_map(Sum::sheets);
        size_of::<Self>() + sheets.map(Sheet::bytes).sum::<usize>()
    }
}

impl Sum {
    fn sheets(&self) -> impl Iterator<Item = &Sheet> {
        self.0.iter().map(|(_, sheet)| sheet)
    }
}

impl Sheet {
    fn of_cells(tiles: &[Tile], layout: &Layout, level: usize) -> Result<Self> {
        let placed = layout.mosaic.placed(&layout.footprint());
        let sources = placed.into_iter().map(|placed| {
            let tile = tiles.get(placed.tile);
            let tile = tile.ok_or_else(|| Error::internal("a mosaic has lost a tile"))?;
            Source::new(tile, placed, level)
        });
        let sources = sources.collect::<Result<_>>()?;
        Ok(Self::Cells { sources, rows: layout.rows.clone(), columns: layout.columns.clone() })
    }

    fn sources(&self) -> &[Source] {
        match self {
            Self::Cells { sources, .. } => sources,
            Self::Computed(_) => &[],
        }
    }

    fn bytes(&self) -> usize {
        let own = match self {
            Self::Cells { rows, columns, .. } => rows.bytes() + columns.bytes(),
            Self::Computed(computed) => computed.bytes(),
        };
        let sources = self.sources().iter().map(|source| {
            let places = source.rows.bytes() + source.columns.bytes();
            size_of::<Source>() + places + source.readings().count() * size_of::<Reading>()
        });
        size_of::<Self>() + own + sources.sum::<usize>()
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
