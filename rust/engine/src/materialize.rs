//! Writes the shards of a frozen set: rows of the list's own order, block by block.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, FixedSizeListArray, ListArray, RecordBatch, UInt64Array};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::collate::Columns;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::frozen::{MASKED, SET, cell_digests, set_mark, shard_schema};
use crate::interrupt;
use crate::new_file::NewFile;
use crate::stream::{Poll, Stream, StreamOptions};

/// How long to wait before looking whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// How a shard is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// As Arrow files, which can be mapped.
    Arrow,
    /// As Parquet with nested lists in the place of tensors; the text describes the columns to those
    /// who read such (`huggingface`).
    Parquet {
        /// Whether pages are compressed, by zstd.
        compressed: bool,
        /// What the columns are.
        features: String,
    },
}

/// Writes the rows of a stream into a new file, of a set of this content id; returns its bytes.
/// `progress` is told of rows.
///
/// # Errors
/// Those of the stream, and of `progress`. `Unwritable`, `Io`: it cannot be written. `Cancelled`.
pub fn write_shard(
    engine: &Arc<Engine>,
    options: StreamOptions,
    path: &Path,
    format: &Format,
    content_id: &str,
    mut progress: impl FnMut(u64) -> Result<()>,
) -> Result<u64> {
    let columns = engine.setup().columns()?;
    let schema = Arc::new(shard_schema(&engine.schema([])?, columns.members.len()));
    let mark = set_mark(content_id, options.lane_offset);
    let mut stream = Stream::new(engine.clone(), options)?;
    let mut shard = Shard::create(path, &schema, format, &mark)?;
    loop {
        match stream.poll(TICK)? {
            Poll::Batch(batch) => {
                shard.add(&batch, &schema, &columns)?;
                progress(batch.num_rows() as u64)?;
            }
            Poll::Pending => progress(0)?,
            Poll::End => return shard.finish().map_err(|e| NewFile::blame(path, e)),
        }
        if interrupt::requested() {
            return Err(Error::cancelled("interrupted"));
        }
    }
}

/// A shard in the making.
struct Shard {
    writer: Writer,
    path: std::path::PathBuf,
    rows: usize,
    /// Rows that could not be read, and why.
    masked: Vec<(usize, String)>,
}

enum Writer {
    Arrow(Box<FileWriter<NewFile>>),
    Parquet(Box<ArrowWriter<NewFile>>, Arc<Schema>),
}

impl Shard {
    fn create(path: &Path, schema: &Schema, format: &Format, mark: &str) -> Result<Self> {
        let file = NewFile::create(path, "shard")?;
        let writer = match format {
            Format::Arrow => {
                let mut writer =
                    FileWriter::try_new(file, schema).map_err(|e| unwritten(&e, path))?;
                writer.write_metadata(SET, mark);
                Writer::Arrow(Box::new(writer))
            }
            Format::Parquet { compressed, features } => {
                let nested = Arc::new(nested_schema(schema));
                let compression = match compressed {
                    true => Compression::ZSTD(ZstdLevel::default()),
                    false => Compression::UNCOMPRESSED,
                };
                let described = [("huggingface", features.as_str()), (SET, mark)];
                let described =
                    described.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
                let properties = WriterProperties::builder()
                    .set_compression(compression)
                    .set_key_value_metadata(Some(described.to_vec()))
                    .build();
                let options = ArrowWriterOptions::new().with_properties(properties);
                let writer = ArrowWriter::try_new_with_options(file, nested.clone(), options)
                    .map_err(|e| unwritten_parquet(e, path))?;
                Writer::Parquet(Box::new(writer), nested)
            }
        };
        Ok(Self { writer, path: path.to_owned(), rows: 0, masked: Vec::new() })
    }

    fn add(&mut self, batch: &RecordBatch, schema: &Arc<Schema>, columns: &Columns) -> Result<()> {
        let texts = |key: &str| batch.schema_ref().metadata().get(key).map_or("[]", String::as_str);
        let read = |e: serde_json::Error| Error::internal(format!("a batch's own metadata: {e}"));
        let rows: Vec<usize> =
            serde_json::from_str(texts("oceanarrow.masked_rows")).map_err(read)?;
        let why: Vec<String> = serde_json::from_str(texts(MASKED)).map_err(read)?;
        self.masked.extend(rows.into_iter().map(|row| self.rows + row).zip(why));
        self.rows += batch.num_rows();
        let digests = UInt64Array::from(cell_digests(columns, batch)?);
        let members = columns.members.len() as i32;
        let item = Arc::new(Field::new("item", DataType::UInt64, false));
        let refused = |e: ArrowError| Error::internal(format!("Arrow refused a shard: {e}"));
        let digests = FixedSizeListArray::try_new(item, members, Arc::new(digests), None);
        let digests: ArrayRef = Arc::new(digests.map_err(refused)?);
        let mut arrays: Vec<ArrayRef> = batch.columns().iter().cloned().chain([digests]).collect();
        match &mut self.writer {
            Writer::Arrow(writer) => {
                let rows = RecordBatch::try_new(schema.clone(), arrays).map_err(refused)?;
                writer.write(&rows).map_err(|e| unwritten(&e, &self.path))
            }
            Writer::Parquet(writer, nested) => {
                for (array, field) in arrays.iter_mut().zip(schema.fields()) {
                    *array = nest(array, field).map_err(refused)?;
                }
                let rows = RecordBatch::try_new(nested.clone(), arrays).map_err(refused)?;
                let written = writer.write(&rows).and_then(|()| writer.flush());
                written.map_err(|e| unwritten_parquet(e, &self.path))
            }
        }
    }

    fn finish(self) -> Result<u64> {
        let Self { writer, path, masked, .. } = self;
        match writer {
            Writer::Arrow(mut writer) => {
                if !masked.is_empty() {
                    writer.write_metadata(MASKED, serde_json::json!(masked).to_string());
                }
                let file = writer.into_inner().map_err(|e| unwritten(&e, &path))?;
                file.keep()
            }
            Writer::Parquet(writer, _) => {
                let file = writer.into_inner().map_err(|e| unwritten_parquet(e, &path))?;
                file.keep()
            }
        }
    }
}

fn unwritten(error: &ArrowError, path: &Path) -> Error {
    let error = match error {
        ArrowError::IoError(_, io) => Error::writing("cannot write the shard", io),
        other => Error::internal(format!("Arrow refused a shard: {other}")),
    };
    error.asset(path.display())
}

fn unwritten_parquet(error: ParquetError, path: &Path) -> Error {
    let error = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => Error::writing("cannot write the shard", &io),
            Err(other) => Error::io(format!("cannot write the shard: {other}")),
        },
        other => Error::internal(format!("Parquet refused a shard: {other}")),
    };
    error.asset(path.display())
}

/// The dimensions of the rows of a column of fixed length: those of a tensor, or the length.
fn dims(field: &Field) -> Option<Vec<usize>> {
    #[derive(serde::Deserialize)]
    struct Extension {
        shape: Vec<usize>,
    }
    let DataType::FixedSizeList(_, size) = field.data_type() else { return None };
    let text = field.metadata().get("ARROW:extension:metadata");
    let told = text.and_then(|text| serde_json::from_str::<Extension>(text).ok());
    Some(told.map_or_else(|| vec![*size as usize], |extension| extension.shape))
}

/// The schema with lists in lists in the place of tensors, and nothing that may not be null: as
/// `datasets` has it, whose own types of arrays the tensors are.
fn nested_schema(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| match (dims(field), field.data_type()) {
        (Some(dims), DataType::FixedSizeList(item, _)) => {
            let nested = dims.iter().fold(item.data_type().clone(), |inner, _| list_of(inner));
            let field = Field::new(field.name(), nested, true);
            if dims.len() < 2 {
                return field;
            }
            let dtype = if *item.data_type() == DataType::UInt8 { "uint8" } else { "float32" };
            let sides: Vec<String> = dims.iter().map(usize::to_string).collect();
            let kind = format!("datasets.features.features.Array{}DExtensionType", dims.len());
            field.with_metadata(HashMap::from([
                ("ARROW:extension:name".to_owned(), kind),
                (
                    "ARROW:extension:metadata".to_owned(),
                    format!("[[{}], \"{dtype}\"]", sides.join(", ")),
                ),
            ]))
        }
        (_, DataType::List(item)) => {
            Field::new(field.name(), list_of(item.data_type().clone()), true)
        }
        (_, other) => Field::new(field.name(), other.clone(), true),
    };
    Schema::new_with_metadata(schema.fields().iter().map(field).collect::<Vec<_>>(), HashMap::new())
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// A column as the nested schema has it.
fn nest(array: &ArrayRef, field: &Field) -> std::result::Result<ArrayRef, ArrowError> {
    let lists = |offsets: OffsetBuffer<i32>, values: ArrayRef| {
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        Ok(Arc::new(ListArray::try_new(item, offsets, values, None)?) as ArrayRef)
    };
    if let Some(list) = array.as_list_opt::<i32>() {
        return lists(list.offsets().clone(), list.values().clone());
    }
    let Some(dims) = dims(field) else { return Ok(array.clone()) };
    let mut nested: ArrayRef = array.as_fixed_size_list().values().clone();
    for side in dims.iter().rev() {
        let count = nested.len() / (*side).max(1);
        nested = lists(OffsetBuffer::from_lengths(std::iter::repeat_n(*side, count)), nested)?;
    }
    Ok(nested)
}
