//! Collated batches as Arrow record batches (`docs/reference/batch.md`).

mod schema;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type, UInt8Type};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, Date32Array, FixedSizeListArray, Float32Array,
    Float64Array, Int32Array, Int64Array, ListArray, PrimitiveArray, RecordBatch, UInt8Array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use crate::collate::{Collated, ColumnData, GridBuffers, PointRow};
use crate::error::{Error, Result};

pub use schema::{ColumnField, MemberField, batch_schema};

/// Row status: delivered.
const OK: u8 = 0;
/// Row status: repeats a query to fill up the batch.
const PADDED: u8 = 1;
/// Row status: a granule could not be read and was masked.
const UNREADABLE: u8 = 2;

/// The record batch of a collated batch; `metadata` is added to the schema's own.
pub fn record_batch(
    batch: Collated,
    schema: &Schema,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Result<RecordBatch> {
    let rows = row_columns(&batch);
    // Of a tensor of several variables, any of them.
    let present = |column: usize| -> ArrayRef {
        let flags = (0..batch.rows.len()).map(|row| {
            let members = batch.members.iter().zip(batch.row_outcomes(row));
            Some(members.filter(|(m, _)| m.column == column).any(|(_, o)| o.present))
        });
        Arc::new(flags.collect::<BooleanArray>())
    };
    let present: Vec<ArrayRef> = (0..batch.columns.len()).map(present).collect();
    let mut fields = schema.fields().iter();
    let mut arrays = Vec::with_capacity(schema.fields().len());
    for (column, present) in batch.columns.into_iter().zip(present) {
        match column {
            ColumnData::Grid(grid) => {
                grid_columns(grid.freeze(), present, &mut fields, &mut arrays)?;
            }
            ColumnData::Points(rows) => point_columns(&rows, present, &mut fields, &mut arrays)?,
        }
    }
    arrays.extend(rows);
    if schema.index_of("augmentation").is_ok() {
        let codes = batch.rows.iter().map(|row| Some(row.orientation.code()));
        arrays.push(Arc::new(codes.collect::<UInt8Array>()));
    }
    let mut all: HashMap<String, String> = schema.metadata().clone();
    all.extend(metadata);
    let schema = Arc::new(Schema::new_with_metadata(schema.fields().clone(), all));
    RecordBatch::try_new(schema, arrays).map_err(arrow_error)
}

type Fields<'a> = std::slice::Iter<'a, Arc<Field>>;

/// The columns of a gridded variable, in the schema's order.
fn grid_columns(
    buffers: GridBuffers,
    present: ArrayRef,
    fields: &mut Fields<'_>,
    out: &mut Vec<ArrayRef>,
) -> Result<()> {
    out.push(tensor::<Float32Type>(buffers.values, fields.next())?);
    out.push(tensor::<UInt8Type>(buffers.mask, fields.next())?);
    fields.next();
    out.push(present);
    let axes = buffers.axes.into_iter().flat_map(|(lat, lon)| [lat, lon]);
    for buffer in buffers.support.into_iter().chain(axes) {
        out.push(tensor::<Float32Type>(buffer, fields.next())?);
    }
    Ok(())
}

/// The columns of a point variable, in the schema's order.
fn point_columns(
    rows: &[PointRow],
    present: ArrayRef,
    fields: &mut Fields<'_>,
    out: &mut Vec<ArrayRef>,
) -> Result<()> {
    out.push(list::<Float32Type>(rows.iter().map(|r| &r.values[..]), fields.next())?);
    out.push(list::<Float32Type>(rows.iter().map(|r| &r.lat[..]), fields.next())?);
    out.push(list::<Float32Type>(rows.iter().map(|r| &r.lon[..]), fields.next())?);
    out.push(list::<Float64Type>(rows.iter().map(|r| &r.time[..]), fields.next())?);
    out.push(list::<Float32Type>(rows.iter().map(|r| &r.pressure[..]), fields.next())?);
    fields.next();
    out.push(present);
    Ok(())
}

/// The columns that describe the rows.
fn row_columns(batch: &Collated) -> Vec<ArrayRef> {
    let rows = &batch.rows;
    let f64s = |value: &dyn Fn(usize) -> f64| -> ArrayRef {
        Arc::new((0..rows.len()).map(value).map(Some).collect::<Float64Array>())
    };
    let dates = |value: &dyn Fn(usize) -> i32| -> ArrayRef {
        Arc::new((0..rows.len()).map(value).map(Some).collect::<Date32Array>())
    };
    let status = (0..rows.len()).map(|i| {
        let unreadable = batch.row_outcomes(i).iter().any(|o| o.unreadable.is_some());
        Some(match (rows[i].padded, unreadable) {
            (true, _) => PADDED,
            (false, true) => UNREADABLE,
            (false, false) => OK,
        })
    });
    let n_files = (0..rows.len()).map(|i| {
        let mut files: Vec<u32> =
            batch.row_outcomes(i).iter().flat_map(|o| o.files.iter().copied()).collect();
        files.sort_unstable();
        files.dedup();
        Some(files.len() as i32)
    });
    vec![
        Arc::new(rows.iter().map(|r| Some(r.index as i64)).collect::<Int64Array>()),
        f64s(&|i| rows[i].query.lon_min),
        f64s(&|i| rows[i].query.lon_max),
        f64s(&|i| rows[i].query.lat_min),
        f64s(&|i| rows[i].query.lat_max),
        dates(&|i| rows[i].query.day_start),
        dates(&|i| rows[i].query.day_end),
        Arc::new(n_files.collect::<Int32Array>()),
        Arc::new(status.collect::<UInt8Array>()),
        Arc::new(
            rows.iter().map(|r| Some(if r.padded { 0.0 } else { 1.0 })).collect::<Float32Array>(),
        ),
    ]
}

/// A fixed-size list over a buffer, as its field describes it; no copy.
fn tensor<T: ArrowPrimitiveType>(buffer: Buffer, field: Option<&Arc<Field>>) -> Result<ArrayRef> {
    match field.map(|f| f.data_type()) {
        Some(DataType::FixedSizeList(item, size)) => {
            let values = PrimitiveArray::<T>::new(ScalarBuffer::from(buffer), None);
            FixedSizeListArray::try_new(item.clone(), *size, Arc::new(values), None)
                .map(|list| Arc::new(list) as ArrayRef)
                .map_err(arrow_error)
        }
        _ => Err(Error::internal("the schema has no tensor field for a buffer")),
    }
}

/// A list column out of one slice a row.
fn list<'a, T: ArrowPrimitiveType>(
    rows: impl Iterator<Item = &'a [T::Native]> + Clone,
    field: Option<&Arc<Field>>,
) -> Result<ArrayRef> {
    match field.map(|f| f.data_type()) {
        Some(DataType::List(item)) => {
            let length = rows.clone().map(<[T::Native]>::len).fold(0, usize::saturating_add);
            if i32::try_from(length).is_err() {
                return Err(Error::invalid_input(format!(
                    "a batch has {length} points of a variable, more than the 2^31 - 1 that an \
                     Arrow list holds; use smaller batches"
                )));
            }
            let offsets = OffsetBuffer::from_lengths(rows.clone().map(<[T::Native]>::len));
            let mut values: Vec<T::Native> = Vec::new();
            values.try_reserve_exact(length).map_err(Error::no_room)?;
            values.extend(rows.flatten());
            let values = PrimitiveArray::<T>::new(values.into(), None);
            ListArray::try_new(item.clone(), offsets, Arc::new(values), None)
                .map(|list| Arc::new(list) as ArrayRef)
                .map_err(arrow_error)
        }
        _ => Err(Error::internal("the schema has no list field for a variable")),
    }
}

fn arrow_error(error: ArrowError) -> Error {
    Error::internal(format!("Arrow refused a batch: {error}"))
}
