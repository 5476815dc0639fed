//! Samples into one batch: a buffer a column, written once, each (row, column) by its own task.
//! Buffers come from a pool with old contents, so every element must be written.

mod slab;

use std::sync::Arc;

use arrow_buffer::Buffer;

use crate::error::{Error, Result};
use crate::orientation::Orientation;
use crate::query::Query;
use crate::render::PatchMut;

pub use crate::render::PointRow;
pub use slab::{SlabMut, SlabPool};

/// Points of a row, about.
const POINT_BYTES: u64 = 4096;

/// The shape of a gridded column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridShape {
    /// Channels of a tensor of several variables, which has neither days nor levels of its own.
    pub channels: Option<usize>,
    /// Days of a stack; `None` for a single layer.
    pub layers: Option<usize>,
    /// Levels; `None` without a dimension of them.
    pub levels: Option<usize>,
    /// Pixel rows.
    pub height: usize,
    /// Pixel columns.
    pub width: usize,
    /// Whether a support column is wanted.
    pub support: bool,
    /// Whether latitude and longitude columns are wanted.
    pub axes: bool,
}

impl GridShape {
    /// The tensor's dimensions: `[H, W]`, with C channels, T days, Z levels, or both (`[T, Z, H, W]`)
    /// before.
    pub fn dims(&self) -> Vec<usize> {
        let planes = self.channels.into_iter().chain(self.layers).chain(self.levels);
        planes.chain([self.height, self.width]).collect()
    }

    /// Values a cell.
    pub fn size(&self) -> usize {
        self.dims().into_iter().fold(1, usize::saturating_mul)
    }

    /// Values a cell, which Arrow counts in 32 bits.
    ///
    /// # Errors
    /// `InvalidInput`: there are more.
    pub fn list_size(&self) -> Result<i32> {
        i32::try_from(self.size()).map_err(|_| {
            Error::invalid_input(format!(
                "a patch of {:?} has more than the 2^31 - 1 values that an Arrow tensor holds; use a \
                 smaller patch, or fewer days or levels",
                self.dims()
            ))
        })
    }

    /// Bytes a cell in a batch.
    fn bytes(&self) -> u64 {
        let values = (self.size() as u64).saturating_mul(if self.support { 9 } else { 5 });
        let axes = if self.axes { self.height.saturating_add(self.width) as u64 } else { 0 };
        values.saturating_add(axes.saturating_mul(4))
    }
}

/// What a variable's column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A tensor.
    Grid(GridShape),
    /// Ragged levels.
    Points,
}

impl ColumnKind {
    /// Planes of pixels a row; points have none.
    pub fn planes(&self) -> usize {
        match self {
            Self::Points => 0,
            Self::Grid(GridShape { channels, layers, levels, .. }) => [channels, layers, levels]
                .into_iter()
                .flatten()
                .fold(1, |n, m| n.saturating_mul(*m)),
        }
    }
}

/// One variable of the samples, as far as a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The column that it is in.
    pub column: usize,
    /// How many of its planes it fills, after those of the members before it.
    pub planes: usize,
}

/// The columns of a batch, and what fills them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// What each holds.
    pub kinds: Vec<ColumnKind>,
    /// The variables, column by column.
    pub members: Vec<Member>,
}

/// Memory of a batch: that of its tensors, and about that of its points.
pub fn batch_bytes(kinds: &[ColumnKind], rows: u64) -> u64 {
    let bytes = |kind: &ColumnKind| match kind {
        ColumnKind::Grid(shape) => shape.bytes(),
        ColumnKind::Points => POINT_BYTES,
    };
    rows.saturating_mul(kinds.iter().map(bytes).fold(0, u64::saturating_add))
}

/// Memory of what describes the rows of a batch.
pub fn description_bytes(members: usize, rows: u64) -> u64 {
    rows.saturating_mul((size_of::<Row>() + members * size_of::<Outcome>()) as u64)
}

/// The data of one variable's column.
pub enum ColumnData {
    /// A tensor.
    Grid(Box<GridData>),
    /// Ragged levels, a row each.
    Points(Vec<PointRow>),
}

/// The buffers of a gridded column, one element a pixel and row.
pub struct GridData {
    shape: GridShape,
    values: SlabMut,
    mask: SlabMut,
    support: Option<SlabMut>,
    axes: Option<(SlabMut, SlabMut)>,
}

/// The frozen buffers of a gridded column.
pub struct GridBuffers {
    /// float32 values.
    pub values: Buffer,
    /// uint8 mask.
    pub mask: Buffer,
    /// float32 support.
    pub support: Option<Buffer>,
    /// float32 latitudes and longitudes.
    pub axes: Option<(Buffer, Buffer)>,
}

/// Where one task writes.
pub enum CellMut<'a> {
    /// A patch.
    Grid(PatchMut<'a>),
    /// Levels.
    Points(&'a mut PointRow),
}

/// What a task found for its (row, column).
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Whether a file covers the query.
    pub present: bool,
    /// Files that carry weight.
    pub files: Vec<u32>,
    /// Why the variable could not be read, where bad granules are masked.
    pub unreadable: Option<String>,
}

/// What one row stands for.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Position in the user's list.
    pub index: usize,
    /// The query itself.
    pub query: Query,
    /// Whether the row only fills up the batch.
    pub padded: bool,
    /// How its patches were flipped and turned.
    pub orientation: Orientation,
}

/// A batch being put together.
pub struct Collated {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// The columns.
    pub columns: Vec<ColumnData>,
    /// The variables, column by column.
    pub members: Vec<Member>,
    /// What was found, row by row, a variable each.
    pub outcomes: Vec<Outcome>,
}

impl Collated {
    /// Buffers for a batch of `rows`.
    pub fn new(columns: &Columns, rows: Vec<Row>, pool: &Arc<SlabPool>) -> Result<Self> {
        let members = columns.members.clone();
        let columns = columns
            .kinds
            .iter()
            .map(|kind| match kind {
                ColumnKind::Grid(shape) => GridData::new(*shape, rows.len(), pool)
                    .map(|data| ColumnData::Grid(Box::new(data))),
                ColumnKind::Points => defaults(rows.len()).map(ColumnData::Points),
            })
            .collect::<Result<_>>()?;
        let outcomes = defaults(rows.len().saturating_mul(members.len()))?;
        Ok(Self { rows, columns, members, outcomes })
    }

    /// Every (row, variable) with the place to write it: disjoint, so that tasks can run side by side.
    pub fn cells(&mut self) -> Vec<(usize, usize, CellMut<'_>, &mut Outcome)> {
        let Self { columns, members, outcomes, .. } = self;
        let mut places: Vec<Box<dyn Iterator<Item = CellMut<'_>>>> = Vec::new();
        for column in columns {
            places.push(match column {
                ColumnData::Grid(grid) => Box::new(grid.patches().map(CellMut::Grid)),
                ColumnData::Points(rows) => Box::new(rows.iter_mut().map(CellMut::Points)),
            });
        }
        let mut cells = Vec::with_capacity(outcomes.len());
        for (row, outcomes) in outcomes.chunks_mut(members.len().max(1)).enumerate() {
            let mut left: Vec<Option<CellMut<'_>>> =
                places.iter_mut().map(Iterator::next).collect();
            for (variable, (member, outcome)) in members.iter().zip(outcomes).enumerate() {
                let cell = match left.get_mut(member.column) {
                    Some(Some(CellMut::Grid(patch))) => {
                        Some(CellMut::Grid(patch.take(member.planes)))
                    }
                    Some(points) => points.take(),
                    None => None,
                };
                cells.extend(cell.map(|cell| (row, variable, cell, outcome)));
            }
        }
        cells
    }

    /// The outcomes of a row, a variable each.
    pub fn row_outcomes(&self, row: usize) -> &[Outcome] {
        let n = self.members.len();
        &self.outcomes[row * n..(row + 1) * n]
    }
}

fn defaults<T: Clone + Default>(length: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(length).map_err(Error::no_room)?;
    values.resize(length, T::default());
    Ok(values)
}

impl GridData {
    fn new(shape: GridShape, rows: usize, pool: &Arc<SlabPool>) -> Result<Self> {
        let floats = |a_row: usize| pool.take::<f32>(rows.saturating_mul(a_row));
        let axes = || Ok((floats(shape.height)?, floats(shape.width)?));
        Ok(Self {
            shape,
            values: floats(shape.size())?,
            mask: pool.take::<u8>(rows.saturating_mul(shape.size()))?,
            support: shape.support.then(|| floats(shape.size())).transpose()?,
            axes: shape.axes.then(axes).transpose()?,
        })
    }

    fn patches(&mut self) -> impl Iterator<Item = PatchMut<'_>> {
        let GridShape { height, width, .. } = self.shape;
        let (size, pixels) = (self.shape.size(), height * width);
        let mut support = self.support.as_mut().map(|b| b.typed_mut().chunks_mut(size));
        let mut axes = self.axes.as_mut().map(|(lat, lon)| {
            (lat.typed_mut().chunks_mut(height), lon.typed_mut().chunks_mut(width))
        });
        let values = self.values.typed_mut::<f32>().chunks_mut(size);
        values.zip(self.mask.typed_mut::<u8>().chunks_mut(size)).map(move |(values, mask)| {
            let support = support.as_mut().and_then(Iterator::next);
            let axes = axes.as_mut().and_then(|(lat, lon)| Some((lat.next()?, lon.next()?)));
            PatchMut { axes, ..PatchMut::new(values, mask, support, pixels) }
        })
    }

    /// The frozen buffers.
    pub fn freeze(self) -> GridBuffers {
        GridBuffers {
            values: self.values.freeze(),
            mask: self.mask.freeze(),
            support: self.support.map(SlabMut::freeze),
            axes: self.axes.map(|(lat, lon)| (lat.freeze(), lon.freeze())),
        }
    }
}
