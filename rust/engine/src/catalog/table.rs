//! One table of metadata: Parquet read in batches, its columns addressed by name and checked for type.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::types::{
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{
    Array, BinaryArray, Float64Array, Int64Array, PrimitiveArray, RecordBatch, StringArray,
};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::assets::{Asset, Contents};
use crate::error::{Error, Result};

const BATCH_ROWS: usize = 8_192;
/// The most rows a table may have; the largest known dataset has 264,792.
const MAX_ROWS: i64 = 50_000_000;
const MAGIC: &[u8] = b"PAR1";

/// A table whose footer has been read.
pub(super) struct Table {
    asset: Asset,
    bytes: Bytes,
    footer: ArrowReaderMetadata,
}

impl Table {
    /// Reads the footer of a file; `missing` says what it means if there is none.
    pub(super) fn open(Contents { asset, bytes }: Contents, missing: &str) -> Result<Self> {
        let bytes = asset.or_missing(bytes, missing)?;
        if !bytes.starts_with(MAGIC) {
            return Err(asset.error(
                "is not a Parquet file (no PAR1 at its start); in an archive, entries must be STORED",
            ));
        }
        if bytes.len() < 12 || !bytes.ends_with(MAGIC) {
            return Err(asset.error(format_args!(
                "is a truncated Parquet file ({} bytes, no PAR1 at the end)",
                bytes.len()
            )));
        }
        // Types then follow from the Parquet schema alone, whatever Arrow types the writer had.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let footer = guarded(|| ArrowReaderMetadata::load(&bytes, options))
            .map_err(|e| asset.error(format_args!("has a damaged Parquet footer: {e}")))?;
        let rows = footer.metadata().file_metadata().num_rows();
        if !(0..=MAX_ROWS).contains(&rows) {
            return Err(
                asset.error(format_args!("claims {rows} rows; at most {MAX_ROWS} are read"))
            );
        }
        Ok(Self { asset, bytes, footer })
    }

    /// Rows, by the footer.
    pub(super) fn rows(&self) -> u64 {
        self.footer.metadata().file_metadata().num_rows().unsigned_abs()
    }

    /// A value among the metadata of the file.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        let entries = self.footer.metadata().file_metadata().key_value_metadata()?;
        entries.iter().find(|entry| entry.key == key)?.value.as_deref()
    }

    /// The name of the file, for messages.
    pub(super) fn name(&self) -> &str {
        &self.asset.name
    }

    /// Whether there is a column of this name.
    pub(super) fn has(&self, column: &str) -> bool {
        self.position(column).is_some()
    }

    /// An error about this table.
    pub(super) fn error(&self, problem: impl std::fmt::Display) -> Error {
        self.asset.error(problem)
    }

    /// Hands the rows to `visit`, batch by batch. `required` columns must exist, `optional` may.
    pub(super) fn visit(
        &self,
        required: &[&str],
        optional: &[&str],
        mut visit: impl FnMut(&Rows<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut columns = Vec::with_capacity(required.len() + optional.len());
        for name in required {
            columns.push(self.position(name).ok_or_else(|| self.lacks(name))?);
        }
        columns.extend(optional.iter().filter_map(|name| self.position(name)));
        let mut first_row = 0;
        let read = self.decode(&columns, |batch| {
            let rows = Rows { level: self, first_row, batch };
            first_row += rows.batch.num_rows() as u64;
            visit(&rows)
        })?;
        read.map_err(|e| self.damaged(&columns, &e))?;
        if first_row != self.rows() {
            return Err(self
                .error(format_args!("has {first_row} rows, but its footer says {}", self.rows())));
        }
        Ok(())
    }

    /// The outer error is the visitor's, the inner one Parquet's.
    fn decode(
        &self,
        columns: &[usize],
        mut visit: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<std::result::Result<(), String>> {
        let reader = guarded(|| {
            let mask = ProjectionMask::roots(self.footer.parquet_schema(), columns.iter().copied());
            ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.bytes.clone(),
                self.footer.clone(),
            )
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
        });
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(e) => return Ok(Err(e)),
        };
        loop {
            match guarded(|| reader.next().transpose()) {
                Ok(None) => return Ok(Ok(())),
                Ok(Some(batch)) => visit(batch)?,
                Err(e) => return Ok(Err(e)),
            }
        }
    }

    /// Names the first column that cannot be decoded.
    fn damaged(&self, columns: &[usize], problem: &str) -> Error {
        for &column in columns {
            if let Ok(Err(e)) = self.decode(&[column], |_| Ok(())) {
                let name = self.footer.schema().field(column).name();
                return self.error(format_args!("has a damaged column {name}: {e}"));
            }
        }
        self.error(format_args!("is damaged: {problem}"))
    }

    fn position(&self, column: &str) -> Option<usize> {
        self.footer.schema().fields().iter().position(|field| field.name() == column)
    }

    fn lacks(&self, column: &str) -> Error {
        let names: Vec<_> =
            self.footer.schema().fields().iter().map(|field| field.name().as_str()).collect();
        self.error(format_args!("lacks column {column} (has: {})", names.join(", ")))
    }
}

/// Runs the Parquet reader, turning what it says of damaged files into text, panics included.
fn guarded<T, E: std::fmt::Display>(
    read: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the Parquet reader gave up on it".into()),
    }
}

/// A batch of rows.
pub(super) struct Rows<'a> {
    level: &'a Table,
    first_row: u64,
    batch: RecordBatch,
}

impl Rows<'_> {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// An error about row `row` of this batch.
    pub(super) fn error(&self, row: usize, problem: impl std::fmt::Display) -> Error {
        self.level.error(format_args!("row {}: {problem}", self.first_row + row as u64))
    }

    /// A string column, which must exist.
    pub(super) fn text(&self, name: &str) -> Result<&StringArray> {
        self.column(name, "string")
    }

    /// An int64 column, which must exist.
    pub(super) fn int(&self, name: &str) -> Result<&Int64Array> {
        self.column(name, "int64")
    }

    /// A string column, if there is one.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&StringArray>> {
        self.optional(name, "string")
    }

    /// A binary column, if there is one.
    pub(super) fn optional_binary(&self, name: &str) -> Result<Option<&BinaryArray>> {
        self.optional(name, "binary")
    }

    /// A float64 column, if there is one.
    pub(super) fn optional_float(&self, name: &str) -> Result<Option<&Float64Array>> {
        self.optional(name, "double")
    }

    /// A column of times, if there is one: strings or timestamps.
    pub(super) fn optional_times(&self, name: &str) -> Result<Option<Times<'_>>> {
        let Some(array) = self.batch.column_by_name(name) else { return Ok(None) };
        let any = array.as_any();
        let times = if let Some(text) = any.downcast_ref() {
            Times::Text(text)
        } else if let Some(times) = any.downcast_ref() {
            Times::Milliseconds(times)
        } else if let Some(times) = any.downcast_ref() {
            Times::Microseconds(times)
        } else if let Some(times) = any.downcast_ref() {
            Times::Nanoseconds(times)
        } else {
            return Err(self.wrong_type(name, array, "string or timestamp"));
        };
        Ok(Some(times))
    }

    fn column<A: Array + 'static>(&self, name: &str, expected: &str) -> Result<&A> {
        self.optional(name, expected)?.ok_or_else(|| self.level.lacks(name))
    }

    fn optional<A: Array + 'static>(&self, name: &str, expected: &str) -> Result<Option<&A>> {
        let Some(array) = self.batch.column_by_name(name) else { return Ok(None) };
        match array.as_any().downcast_ref() {
            Some(typed) => Ok(Some(typed)),
            None => Err(self.wrong_type(name, array, expected)),
        }
    }

    fn wrong_type(&self, name: &str, array: &dyn Array, expected: &str) -> Error {
        self.level.error(format_args!(
            "has column {name} of type {}, expected {expected}",
            array.data_type()
        ))
    }
}

/// A column of times.
pub(super) enum Times<'a> {
    Text(&'a StringArray),
    Milliseconds(&'a PrimitiveArray<TimestampMillisecondType>),
    Microseconds(&'a PrimitiveArray<TimestampMicrosecondType>),
    Nanoseconds(&'a PrimitiveArray<TimestampNanosecondType>),
}

impl Times<'_> {
    /// The UTC day of a row: `None` where it is null, `Some(None)` where it is no time.
    pub(super) fn day(&self, row: usize) -> Option<Option<i32>> {
        const SECONDS: i64 = 86_400;
        let day = |value: i64, per_second: i64| {
            i32::try_from(value.div_euclid(SECONDS * per_second)).ok()
        };
        match self {
            Times::Text(a) => a.is_valid(row).then(|| super::ids::day_of_time(a.value(row))),
            Times::Milliseconds(a) => a.is_valid(row).then(|| day(a.value(row), 1_000)),
            Times::Microseconds(a) => a.is_valid(row).then(|| day(a.value(row), 1_000_000)),
            Times::Nanoseconds(a) => a.is_valid(row).then(|| day(a.value(row), 1_000_000_000)),
        }
    }
}

/// The value of a row, `None` where it is null or the column is absent.
pub(super) fn text_at(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|a| a.is_valid(row)).map(|a| a.value(row))
}

/// The value of a row, `None` where it is null or the column is absent.
pub(super) fn int_at(column: Option<&Int64Array>, row: usize) -> Option<i64> {
    column.filter(|a| a.is_valid(row)).map(|a| a.value(row))
}
