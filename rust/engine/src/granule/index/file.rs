//! An index of a dataset as a Parquet file: made ahead, copied along, read by whoever opens it.
//!
//! ```text
//!  path      string   day/region/file, as within the dataset; the file is sorted by it
//!  variable  string   name in the granule
//!  size      uint64   bytes of the granule when it was indexed
//!  version   string   which state of it that was; null where nothing told
//!  entry     binary   see `entry`
//!  checksum  uint64   of the other columns, so that none is taken for another row's
//! ```

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray, UInt64Array,
};
use arrow_buffer::Buffer;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    RowFilter,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use twox_hash::XxHash3_64;

use crate::error::{Error, Kind, Result};
use crate::store::{ByteSource, Extent, Location, Want, is_remote};

/// Says that a Parquet file is an index, and in which format.
const FORMAT_KEY: &str = "oceanarrow.index";
const FORMAT: &str = "2";

/// The remote objects that versions are of, a JSON list.
const ORIGIN_KEY: &str = "oceanarrow.origin";

/// How to come by one.
const REMEDY: &str = "make an index with `oceanarrow index TACO -o index.parquet`";

/// The largest index that is read from a server.
const MAX_FETCHED: u64 = 1 << 30;

/// Rows that are skipped or looked at together.
const GROUP_ROWS: usize = 4096;

/// Rows decoded at once.
const BATCH_ROWS: usize = 512;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRow {
    /// Path within the dataset: `day/region/file`.
    pub path: String,
    /// The variable's name in the granule.
    pub variable: String,
    /// The granule's size in bytes.
    pub size: u64,
    /// Which state of the granule was indexed.
    pub version: Option<String>,
    /// The grid, encoded.
    pub entry: Vec<u8>,
}

/// What an index says of one variable of one granule.
pub(super) struct Record {
    pub size: u64,
    /// Comparable with versions of the granule's own object alone.
    pub version: Option<String>,
    pub entry: Buffer,
}

/// Granules by their paths within the dataset, or within each of several.
pub type Granules = HashMap<String, Vec<Location>>;

/// The part of an index file that a plan needs.
#[derive(Default)]
pub struct Index {
    records: HashMap<Location, Vec<(String, Record)>>,
    /// Why there are none although there should be some.
    failure: Option<String>,
}

impl Index {
    /// Reads what the index at `path` says of granules, given by their paths within the dataset.
    /// A file that cannot be read is an index without entries.
    pub fn read(path: &Path, granules: &Granules) -> Self {
        match IndexFile::open(path).and_then(|file| file.records(granules)) {
            Ok(records) => Self { records, failure: None },
            Err(e) => Self { records: HashMap::new(), failure: Some(e.to_string()) },
        }
    }

    /// Adds what the index beside a dataset, at a path or an address, says of granules. One that is
    /// not there is none.
    pub fn add_beside(&mut self, source: &dyn ByteSource, place: &str, granules: &Granules) {
        let file = if is_remote(place) {
            IndexFile::fetch(source, place)
        } else {
            IndexFile::open(Path::new(place))
        };
        match file.and_then(|file| file.records(granules)) {
            Ok(records) => self.records.extend(records),
            Err(e) if matches!(e.kind, Kind::NotFound | Kind::AccessDenied) => {}
            Err(e) => self.failure = Some(e.to_string()),
        }
    }

    /// Both; of what both know, the `other` counts.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.records.extend(other.records);
        Self { failure: self.failure.or(other.failure), ..self }
    }

    /// All entries of the index at `path` by the paths of their files, none where it cannot be read.
    pub fn rows(path: &Path) -> HashMap<String, Vec<IndexRow>> {
        let mut found: HashMap<String, Vec<IndexRow>> = HashMap::new();
        let read = IndexFile::open(path).and_then(|file| {
            let groups = (0..file.footer.metadata().num_row_groups()).collect();
            file.scan(groups, None, |Row { path, variable, size, version, entry }| {
                found.entry(path.to_owned()).or_default().push(IndexRow {
                    path: path.to_owned(),
                    variable: variable.to_owned(),
                    size,
                    version: version.map(str::to_owned),
                    entry: entry.to_vec(),
                });
            })
        });
        if read.is_ok() { found } else { HashMap::new() }
    }

    /// Checks that the file at `path` is an index.
    ///
    /// # Errors
    /// `NotFound`: there is no file. `InvalidInput`: it is something else.
    pub fn check(path: &Path) -> Result<()> {
        IndexFile::open(path).map(|_| ())
    }

    /// Why nothing could be read; `None` if it could.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn get(&self, location: &Location, variable: &str) -> Option<&Record> {
        let of_granule = self.records.get(location)?;
        of_granule.iter().find(|(name, _)| name == variable).map(|(_, record)| record)
    }
}

/// An index file whose footer has been read.
struct IndexFile {
    file: File,
    path: String,
    footer: ArrowReaderMetadata,
    origin: Vec<String>,
}

impl IndexFile {
    fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::not_found(format!("no such file; {REMEDY}")),
            _ => Error::io(format!("cannot read the index: {e}")),
        });
        Self::of(file.map_err(|e| e.asset(&name))?, name)
    }

    /// An index that lies on a server, by way of a file that nobody sees.
    fn fetch(source: &dyn ByteSource, address: &str) -> Result<Self> {
        let location = Location::whole(address);
        let extent = Extent::Whole(MAX_FETCHED);
        let bytes = source.fetch_one(&Want { location, extent })?.bytes;
        let kept = || -> io::Result<File> {
            let mut file = tempfile::tempfile()?;
            file.write_all(&bytes)?;
            Ok(file)
        };
        let file = kept().map_err(|e| Error::writing("cannot keep the index", &e))?;
        Self::of(file, address.to_owned())
    }

    fn of(file: File, name: String) -> Result<Self> {
        let wrong =
            |problem: &str| Error::invalid_input(format!("{problem}; {REMEDY}")).asset(&name);
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let footer = guarded(|| ArrowReaderMetadata::load(&file, options))
            .map_err(|e| wrong(&format!("this is no sound Parquet file ({e})")))?;
        let entries = footer.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| {
            let found = entries?.iter().find(|entry| entry.key == key)?;
            found.value.as_deref()
        };
        match value(FORMAT_KEY) {
            Some(FORMAT) => {}
            Some(_) => return Err(wrong("this index is of another version of oceanarrow")),
            None => return Err(wrong("this Parquet file is no index of granules")),
        }
        let typed = |(a, b): (&Arc<Field>, &Arc<Field>)| {
            a.name() == b.name() && a.data_type() == b.data_type()
        };
        let (found, due) = (footer.schema().fields(), schema());
        if found.len() != due.fields().len() || !found.iter().zip(due.fields()).all(typed) {
            return Err(wrong("this index does not have the columns of one"));
        }
        let origin = value(ORIGIN_KEY).and_then(|text| serde_json::from_str(text).ok());
        Ok(Self { file, path: name, footer, origin: origin.unwrap_or_default() })
    }

    /// The entries of these granules.
    fn records(self, granules: &Granules) -> Result<HashMap<Location, Vec<(String, Record)>>> {
        let mut paths: Vec<&str> = granules.keys().map(String::as_str).collect();
        paths.sort_unstable();
        let groups = guarded(|| self.groups(&paths)).map_err(|e| self.damaged(&e))?;
        let wanted: HashSet<String> = granules.keys().cloned().collect();
        let mut records: HashMap<Location, Vec<(String, Record)>> = HashMap::new();
        self.scan(groups, Some(wanted), |Row { path, variable, size, version, entry }| {
            for location in granules.get(path).into_iter().flatten() {
                let version = version.filter(|_| self.is_origin(location)).map(str::to_owned);
                let record = Record { size, version, entry: entry.clone() };
                records.entry(location.clone()).or_default().push((variable.to_owned(), record));
            }
        })?;
        Ok(records)
    }

    /// Hands the rows of some row groups to `visit`: those of the `wanted` paths, or all.
    fn scan(
        &self,
        groups: Vec<usize>,
        wanted: Option<HashSet<String>>,
        mut visit: impl FnMut(Row<'_>),
    ) -> Result<()> {
        let mut reader = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.file.try_clone()?,
                self.footer.clone(),
            );
            let builder = builder.with_row_groups(groups).with_batch_size(BATCH_ROWS);
            let Some(wanted) = wanted else { return builder.build() };
            let paths = ProjectionMask::roots(self.footer.parquet_schema(), [0]);
            let is_wanted =
                move |batch: RecordBatch| -> std::result::Result<BooleanArray, ArrowError> {
                    let paths = batch.column(0).as_string::<i32>();
                    Ok(paths.iter().map(|path| path.map(|path| wanted.contains(path))).collect())
                };
            let filter = ArrowPredicateFn::new(paths, is_wanted);
            builder.with_row_filter(RowFilter::new(vec![Box::new(filter)])).build()
        })
        .map_err(|e| self.damaged(&e))?;
        while let Some(batch) =
            guarded(|| reader.next().transpose()).map_err(|e| self.damaged(&e))?
        {
            rows(&batch).for_each(&mut visit);
        }
        Ok(())
    }

    fn damaged(&self, problem: &str) -> Error {
        Error::corrupt(format!("the index is damaged: {problem}")).asset(&self.path)
    }

    /// The row groups that may hold some of these sorted paths.
    fn groups(&self, paths: &[&str]) -> parquet::errors::Result<Vec<usize>> {
        let schema = self.footer.parquet_schema();
        let column = StatisticsConverter::try_new("path", self.footer.schema(), schema)?;
        let groups = self.footer.metadata().row_groups();
        let (least, greatest) = (column.row_group_mins(groups)?, column.row_group_maxes(groups)?);
        let (least, greatest) = (least.as_string::<i32>(), greatest.as_string::<i32>());
        let may_hold = |&group: &usize| {
            if least.is_null(group) || greatest.is_null(group) {
                return true;
            }
            let from = paths.partition_point(|path| *path < least.value(group));
            paths.get(from).is_some_and(|path| *path <= greatest.value(group))
        };
        Ok((0..groups.len()).filter(may_hold).collect())
    }

    /// Whether versions in this index are comparable with those of `location`: a local file's tell
    /// its size and time, wherever it is; a server's are its own.
    fn is_origin(&self, location: &Location) -> bool {
        let object = &*location.object;
        let holds = |origin: &String| {
            object.strip_prefix(origin.as_str()).is_some_and(|p| p.is_empty() || p.starts_with('/'))
        };
        if is_remote(object) { self.origin.iter().any(holds) } else { self.origin.is_empty() }
    }
}

/// A row of an index file.
struct Row<'a> {
    path: &'a str,
    variable: &'a str,
    size: u64,
    version: Option<&'a str>,
    entry: Buffer,
}

/// The rows of a batch that are what was written.
fn rows(batch: &RecordBatch) -> impl Iterator<Item = Row<'_>> {
    let (paths, names) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
    let sizes = batch.column(2).as_primitive::<UInt64Type>();
    let (versions, entries) =
        (batch.column(3).as_string::<i32>(), batch.column(4).as_binary::<i32>());
    let checksums = batch.column(5).as_primitive::<UInt64Type>();
    (0..batch.num_rows()).filter_map(move |row| {
        let (path, variable, size) = (paths.value(row), names.value(row), sizes.value(row));
        let version = versions.is_valid(row).then(|| versions.value(row));
        let bytes = entries.value(row);
        let sound = checksum(path, variable, size, version, bytes) == checksums.value(row);
        let from = entries.value_offsets().get(row).copied().unwrap_or_default() as usize;
        let entry = entries.values().slice_with_length(from, bytes.len());
        sound.then_some(Row { path, variable, size, version, entry })
    })
}

fn checksum(path: &str, variable: &str, size: u64, version: Option<&str>, entry: &[u8]) -> u64 {
    let keys = format!("{path}\n{variable}\n{size}\n{version:?}");
    XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(keys.as_bytes()), entry)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("variable", DataType::Utf8, false),
        Field::new("size", DataType::UInt64, false),
        Field::new("version", DataType::Utf8, true),
        Field::new("entry", DataType::Binary, false),
        Field::new("checksum", DataType::UInt64, false),
    ]))
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

/// Writes an index.
pub struct IndexWriter<W: Write + Send> {
    writer: ArrowWriter<Noting<W>>,
    rows: Vec<IndexRow>,
    failure: Arc<OnceLock<io::Error>>,
}

impl<W: Write + Send> IndexWriter<W> {
    /// Begins an index of granules that lie in the remote objects `origin`; none, if local.
    ///
    /// # Errors
    /// `Unwritable` or `Io`: the file cannot be written.
    pub fn new(file: W, origin: &[String]) -> Result<Self> {
        let origin = serde_json::to_string(origin).unwrap_or_default();
        let metadata = vec![
            KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_owned()),
            KeyValue::new(ORIGIN_KEY.to_owned(), origin),
        ];
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_column_dictionary_enabled("entry".into(), false)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(metadata))
            .build();
        let failure = Arc::new(OnceLock::new());
        let file = Noting { file, failure: failure.clone() };
        let writer = ArrowWriter::try_new(file, schema(), Some(properties))
            .map_err(|e| failed(&e, &failure))?;
        Ok(Self { writer, rows: Vec::new(), failure })
    }

    /// Adds a row; they come in the order of their paths.
    ///
    /// # Errors
    /// `Unwritable` or `Io`: the file cannot be written.
    pub fn add(&mut self, row: IndexRow) -> Result<()> {
        self.rows.push(row);
        if self.rows.len() < BATCH_ROWS { Ok(()) } else { self.flush() }
    }

    /// Completes the file and returns it.
    ///
    /// # Errors
    /// `Unwritable` or `Io`: the file cannot be written.
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        let written = self.writer.into_inner().map_err(|e| failed(&e, &self.failure))?;
        Ok(written.file)
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let checksums = rows.iter().map(|row| {
            checksum(&row.path, &row.variable, row.size, row.version.as_deref(), &row.entry)
        });
        let columns: [ArrayRef; 6] = [
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.path))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.variable))),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.size))),
            Arc::new(StringArray::from_iter(rows.iter().map(|row| row.version.as_deref()))),
            Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.entry))),
            Arc::new(UInt64Array::from_iter_values(checksums)),
        ];
        let batch = RecordBatch::try_new(schema(), columns.to_vec())
            .map_err(|e| Error::internal(format!("cannot make a batch of the index: {e}")))?;
        self.writer.write(&batch).map_err(|e| failed(&e, &self.failure))
    }
}

/// Remembers why writing failed: what Parquet's writer makes of it is text.
struct Noting<W> {
    file: W,
    failure: Arc<OnceLock<io::Error>>,
}

impl<W: Write> Noting<W> {
    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &done
            && error.kind() != io::ErrorKind::Interrupted
        {
            let _ = self.failure.set(match error.raw_os_error() {
                Some(number) => io::Error::from_raw_os_error(number),
                None => error.kind().into(),
            });
        }
        done
    }
}

impl<W: Write> Write for Noting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.file.write(bytes);
        self.note(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.file.flush();
        self.note(done)
    }
}

fn failed(error: &ParquetError, noted: &OnceLock<io::Error>) -> Error {
    let what = "cannot write the index";
    match noted.get() {
        Some(cause) => Error::writing(what, cause),
        None => Error::io(format!("{what}: {error}")),
    }
}
