//! The digest of one (row, variable): what a reader of a frozen set and a receipt compare.
//!
//! XXH3-64 of the XXH3-64 of each part, little-endian, one after the other: whether a file covers the
//! query (a byte), then of a patch the values of each plane, the mask of each, the support of each,
//! latitudes and longitudes; of points values, latitudes, longitudes, times and pressures.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt8Type};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::ToByteSlice;
use twox_hash::XxHash3_64;

use crate::collate::{ColumnKind, Columns, GridShape, PointRow};
use crate::error::{Error, Result};
use crate::render::PatchMut;

/// The digests of the parts so far.
#[derive(Default)]
pub(super) struct Digester(Vec<u8>);

impl Digester {
    fn part(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&XxHash3_64::oneshot(bytes).to_le_bytes());
    }

    pub(super) fn patch(&mut self, patch: &PatchMut<'_>) {
        for plane in &patch.planes {
            self.part(plane.values.to_byte_slice());
        }
        for plane in &patch.planes {
            self.part(plane.mask);
        }
        for support in patch.planes.iter().filter_map(|plane| plane.support.as_deref()) {
            self.part(support.to_byte_slice());
        }
        if let Some((lat, lon)) = &patch.axes {
            self.part(lat.to_byte_slice());
            self.part(lon.to_byte_slice());
        }
    }

    pub(super) fn points(&mut self, row: &PointRow) {
        let PointRow { values, lat, lon, time, pressure } = row;
        self.part(values.to_byte_slice());
        self.part(lat.to_byte_slice());
        self.part(lon.to_byte_slice());
        self.part(time.to_byte_slice());
        self.part(pressure.to_byte_slice());
    }

    pub(super) fn finish(mut self, present: bool) -> u64 {
        self.part(&[present.into()]);
        XxHash3_64::oneshot(&self.0)
    }
}

/// The digests of a batch, row by row, one a variable.
///
/// # Errors
/// `Internal`: the batch has other columns.
pub fn cell_digests(columns: &Columns, batch: &RecordBatch) -> Result<Vec<u64>> {
    let mut digests = vec![0; batch.num_rows() * columns.members.len()];
    let mut arrays = batch.columns().iter();
    for (column, kind) in columns.kinds.iter().enumerate() {
        let wanted = parts(kind);
        let own: Vec<&ArrayRef> = arrays.by_ref().take(wanted).collect();
        if own.len() < wanted {
            return Err(Error::internal("a batch lacks columns"));
        }
        let mut first_plane = 0;
        for (member, of) in columns.members.iter().enumerate() {
            if of.column != column {
                continue;
            }
            for row in 0..batch.num_rows() {
                let planes = first_plane..first_plane + of.planes;
                digests[row * columns.members.len() + member] = match kind {
                    ColumnKind::Grid(shape) => grid(&own, shape, row, planes),
                    ColumnKind::Points => points(&own, row),
                }
                .ok_or_else(|| Error::internal("a batch has columns of other types"))?;
            }
            first_plane += of.planes;
        }
    }
    Ok(digests)
}

/// The columns of a batch that a variable, or a tensor of several, has.
pub(super) fn parts(kind: &ColumnKind) -> usize {
    match kind {
        ColumnKind::Grid(shape) => 3 + usize::from(shape.support) + if shape.axes { 2 } else { 0 },
        ColumnKind::Points => 6,
    }
}

fn grid(
    own: &[&ArrayRef],
    shape: &GridShape,
    row: usize,
    planes: std::ops::Range<usize>,
) -> Option<u64> {
    let (size, pixels) = (shape.size(), shape.height * shape.width);
    let floats = |part: usize| -> Option<&[f32]> {
        let values = own.get(part)?.as_fixed_size_list_opt()?.values();
        Some(values.as_primitive_opt::<Float32Type>()?.values())
    };
    let of_plane = |plane: usize| {
        let start = row * size + plane * pixels;
        start..start + pixels
    };
    let mut digester = Digester::default();
    let values = floats(0)?;
    for plane in planes.clone() {
        digester.part(values.get(of_plane(plane))?.to_byte_slice());
    }
    let mask = own[1].as_fixed_size_list_opt()?.values().as_primitive_opt::<UInt8Type>()?;
    for plane in planes.clone() {
        digester.part(mask.values().get(of_plane(plane))?);
    }
    if shape.support {
        let support = floats(3)?;
        for plane in planes {
            digester.part(support.get(of_plane(plane))?.to_byte_slice());
        }
    }
    if shape.axes {
        let sides = [(own.len() - 2, shape.height), (own.len() - 1, shape.width)];
        for (part, length) in sides {
            let axis = floats(part)?.get(row * length..(row + 1) * length)?;
            digester.part(axis.to_byte_slice());
        }
    }
    Some(digester.finish(own[2].as_boolean_opt()?.value(row)))
}

fn points(own: &[&ArrayRef], row: usize) -> Option<u64> {
    let item = |part: usize| own[part].as_list_opt::<i32>().map(|list| list.value(row));
    let floats =
        |part: usize| Some(item(part)?.as_primitive_opt::<Float32Type>()?.values().to_vec());
    let time = item(3)?.as_primitive_opt::<Float64Type>()?.values().to_vec();
    let row_of = PointRow {
        values: floats(0)?,
        lat: floats(1)?,
        lon: floats(2)?,
        time,
        pressure: floats(4)?,
    };
    let mut digester = Digester::default();
    digester.points(&row_of);
    Some(digester.finish(own[5].as_boolean_opt()?.value(row)))
}
