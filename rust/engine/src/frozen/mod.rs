//! Frozen sets: rows as they were rendered, in shards of the Arrow file format, read back where they
//! lie (`docs/how_to/freezing.md`).
//!
//! ```text
//!  row --shard, block, place--> Layout --pread--> a place in a batch --digest--> compared
//! ```

mod digest;
mod layout;

use std::io::IoSliceMut;
use std::sync::{Arc, OnceLock};

use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use crate::collate::{CellMut, ColumnKind, Columns, GridShape, Outcome, PointRow};
use crate::error::{Error, Result};
use crate::memory::filled;
use crate::render::{PatchMut, PlaneMut};
use crate::store::{LocalFiles, Location};
use digest::Digester;
use layout::{Block, Layout};

pub use digest::cell_digests;

/// The column of digests in a shard: of each row, one a variable.
pub const DIGESTS: &str = "digests";

/// The key of a shard's footer under which the texts of rows that could not be read lie, as JSON:
/// pairs of a row of the shard and a text.
pub const MASKED: &str = "oceanarrow.masked";

/// The key of a shard's footer under which it says of which set it is and with which row it begins.
pub const SET: &str = "oceanarrow.set";

/// What a shard says under [`SET`].
pub fn set_mark(content_id: &str, first_row: u64) -> String {
    format!("{content_id} {first_row}")
}

/// A frozen set, as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenSet {
    /// The paths of its shards.
    pub shards: Vec<String>,
    /// Rows of each shard but the last.
    pub shard_rows: u64,
    /// The content id of its rows.
    pub content_id: String,
}

/// The schema of a shard: that of batches, and the digests of so many variables.
pub fn shard_schema(batch: &Schema, members: usize) -> Schema {
    let item = Arc::new(Field::new("item", DataType::UInt64, false));
    let digests = Field::new(DIGESTS, DataType::FixedSizeList(item, members as i32), false);
    let fields = batch.fields().iter().cloned().chain([Arc::new(digests)]);
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), batch.metadata().clone())
}

/// The rows of a frozen set.
pub(crate) struct FrozenRows {
    set: FrozenSet,
    columns: Columns,
    schema: Schema,
    files: LocalFiles,
    /// Where the rows of each shard lie, from when it is first needed.
    layouts: Vec<OnceLock<Result<Layout>>>,
}

impl FrozenRows {
    /// Opens nothing yet; `schema` is that of batches.
    pub(crate) fn new(set: FrozenSet, columns: Columns, schema: &Schema) -> Self {
        Self {
            schema: shard_schema(schema, columns.members.len()),
            columns,
            files: LocalFiles::default(),
            layouts: set.shards.iter().map(|_| OnceLock::new()).collect(),
            set,
        }
    }

    /// Copies one (row, variable), and compares it with its digest.
    ///
    /// # Errors
    /// `CorruptGranule`: the shard is not what was written, or of another schema. `NotFound`, `Io`.
    pub(crate) fn fill(
        &self,
        row: usize,
        member: usize,
        cell: &mut CellMut<'_>,
    ) -> Result<Outcome> {
        let shard_rows = self.set.shard_rows.max(1) as usize;
        let (shard, place) = (row / shard_rows, row % shard_rows);
        let path = self.set.shards.get(shard);
        let path = path.ok_or_else(|| Error::invalid_input(format!("the set has no row {row}")))?;
        let location = Location::whole(path.as_str());
        let layout = self.layouts[shard].get_or_init(|| {
            let mark = set_mark(&self.set.content_id, (row - place) as u64);
            Layout::open(&self.files, &location, &mark, &self.schema, &self.columns)
        });
        let layout = layout.as_ref().map_err(Clone::clone)?;
        let (block, place) = layout.block(place).ok_or_else(|| {
            Error::corrupt(format!("the shard lacks row {place}")).asset(&location)
        })?;
        self.copy(&location, block, place, member, cell).map_err(|e| Error {
            message: format!("row {row} of the frozen set: {}", e.message).into(),
            ..e
        })
    }

    fn copy(
        &self,
        location: &Location,
        block: &Block,
        place: usize,
        member: usize,
        cell: &mut CellMut<'_>,
    ) -> Result<Outcome> {
        let column = self.columns.members.get(member).map_or(0, |member| member.column);
        let before = self.columns.members.iter().take(member).filter(|m| m.column == column);
        let first_plane: usize = before.map(|member| member.planes).sum();
        let mut digester = Digester::default();
        match (cell, self.columns.kinds.get(column)) {
            (CellMut::Grid(patch), Some(ColumnKind::Grid(shape))) => {
                let at = Place { location, block, column, row: place, first_plane };
                self.copy_patch(&at, shape, patch)?;
                digester.patch(patch);
            }
            (CellMut::Points(points), Some(ColumnKind::Points)) => {
                **points = self.points(location, block, column, place)?;
                digester.points(points);
            }
            _ => return Err(Error::internal("a cell of another kind than its column")),
        }
        let present = block.present(column, place);
        if block.digest(place, member) != digester.finish(present) {
            return Err(Error::corrupt(
                "its bytes are not those that were written; make the set anew, or fetch this shard \
                 again",
            )
            .asset(location));
        }
        // The first variable stands for all files, and each text for one variable that was masked.
        let files = if member == 0 { (0..block.n_files(place)).collect() } else { Vec::new() };
        let unreadable = block.masked(place).get(member).cloned();
        Ok(Outcome { present, files, unreadable })
    }

    fn copy_patch(
        &self,
        at: &Place<'_>,
        shape: &GridShape,
        patch: &mut PatchMut<'_>,
    ) -> Result<()> {
        let (size, pixels) = (shape.size(), shape.height * shape.width);
        let read = |part: usize, first: usize, slices: &mut [IoSliceMut<'_>]| {
            let offset = at.block.offset(at.column, part, first);
            self.files.read_into(at.location, offset, slices)
        };
        let first = at.row * size + at.first_plane * pixels;
        let mut values = Vec::with_capacity(patch.planes.len());
        let mut masks = Vec::with_capacity(patch.planes.len());
        let mut supports = Vec::new();
        for PlaneMut { values: v, mask, support } in &mut patch.planes {
            values.push(IoSliceMut::new(bytes_of(v)));
            masks.push(IoSliceMut::new(mask));
            supports.extend(support.as_deref_mut().map(|s| IoSliceMut::new(bytes_of(s))));
        }
        read(0, first, &mut values)?;
        read(1, first, &mut masks)?;
        if shape.support {
            read(2, first, &mut supports)?;
        }
        if let Some((lat, lon)) = &mut patch.axes {
            let part = if shape.support { 3 } else { 2 };
            let (height, width) = (lat.len(), lon.len());
            read(part, at.row * height, &mut [IoSliceMut::new(bytes_of(lat))])?;
            read(part + 1, at.row * width, &mut [IoSliceMut::new(bytes_of(lon))])?;
        }
        Ok(())
    }

    fn points(
        &self,
        location: &Location,
        block: &Block,
        column: usize,
        row: usize,
    ) -> Result<PointRow> {
        let floats = |part: usize| -> Result<Vec<f32>> {
            let range = block.list(column, part, row);
            let mut values = filled(0.0_f32, range.len(), "the points of a row")?;
            let offset = block.offset(column, part, range.start);
            self.files.read_into(
                location,
                offset,
                &mut [IoSliceMut::new(bytes_of(&mut values))],
            )?;
            Ok(values)
        };
        let range = block.list(column, 3, row);
        let mut time = filled(0.0_f64, range.len(), "the points of a row")?;
        let offset = block.offset(column, 3, range.start);
        self.files.read_into(location, offset, &mut [IoSliceMut::new(bytes_of(&mut time))])?;
        Ok(PointRow {
            values: floats(0)?,
            lat: floats(1)?,
            lon: floats(2)?,
            time,
            pressure: floats(4)?,
        })
    }
}

/// Where a cell lies.
struct Place<'a> {
    location: &'a Location,
    block: &'a Block,
    column: usize,
    row: usize,
    first_plane: usize,
}

/// Numbers that any bytes are.
trait Plain: Copy {}
impl Plain for f32 {}
impl Plain for f64 {}

/// The memory of numbers, as bytes to write to.
fn bytes_of<T: Plain>(numbers: &mut [T]) -> &mut [u8] {
    let length = size_of_val(numbers);
    // SAFETY: the slice is borrowed for as long as the bytes, and any bytes are numbers of `T`.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), length) }
}
