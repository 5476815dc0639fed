//! Writes catalogues.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{
    FORMAT, FORMAT_KEY, GROUPS_KEY, ListedFile, ListedGranule, Listing, REQUEST_KEY, VARIABLES_KEY,
    WARNINGS_KEY,
};
use crate::catalog::granule::Identity;
use crate::error::{Error, Result};

/// Name, type, and whether it may be null.
pub(super) const COLUMNS: [(&str, DataType, bool); 14] = [
    ("path", DataType::Utf8, false),
    ("size", DataType::Int64, false),
    ("version", DataType::Utf8, true),
    ("evidence", DataType::Binary, false),
    ("group", DataType::Int64, false),
    ("day", DataType::Int64, true),
    ("cycle", DataType::Int64, true),
    ("first_step", DataType::Int64, false),
    ("n_steps", DataType::Int64, false),
    ("lon_min", DataType::Float64, false),
    ("lon_max", DataType::Float64, false),
    ("lat_min", DataType::Float64, false),
    ("lat_max", DataType::Float64, false),
    ("res_deg_lat", DataType::Float64, false),
];

impl Listing {
    /// Writes the catalogue.
    ///
    /// # Errors
    /// `Io`: it cannot be written.
    pub fn write<W: Write + Send>(&self, file: W) -> Result<W> {
        let failed = |e: parquet::errors::ParquetError| {
            Error::io(format!("cannot write the catalogue: {e}"))
        };
        let json = |value: serde_json::Result<String>| {
            value.map_err(|e| Error::internal(format!("cannot describe the catalogue: {e}")))
        };
        let metadata = [
            (FORMAT_KEY, FORMAT.to_string()),
            (GROUPS_KEY, json(serde_json::to_string(&self.groups))?),
            (VARIABLES_KEY, self.variables.clone()),
            (REQUEST_KEY, self.request.clone()),
            (WARNINGS_KEY, json(serde_json::to_string(&self.warnings))?),
        ];
        let metadata = metadata.map(|(key, value)| KeyValue::new(key.to_owned(), value));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(metadata.to_vec()))
            .build();
        let fields = COLUMNS.map(|(name, kind, nullable)| Field::new(name, kind, nullable));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let batch = RecordBatch::try_new(schema.clone(), self.columns()?)
            .map_err(|e| Error::internal(format!("cannot make the catalogue: {e}")))?;
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(failed)?;
        writer.write(&batch).map_err(failed)?;
        writer.into_inner().map_err(failed)
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let file = |granule: &ListedGranule| {
            let lost = || Error::internal("a granule is of a file that is not listed");
            self.files.get(granule.file as usize).ok_or_else(lost)
        };
        let files = self.granules.iter().map(file).collect::<Result<Vec<&ListedFile>>>()?;
        let int = |value: fn(&ListedGranule) -> Option<i64>| -> ArrayRef {
            Arc::new(self.granules.iter().map(value).collect::<Int64Array>())
        };
        let float = |value: fn(&ListedGranule) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(self.granules.iter().map(value)))
        };
        let identities = || files.iter().map(|file| &file.identity);
        let sizes = identities().map(|identity| identity.size as i64);
        Ok(vec![
            Arc::new(StringArray::from_iter_values(files.iter().map(|file| &*file.path))),
            Arc::new(Int64Array::from_iter_values(sizes)),
            Arc::new(StringArray::from_iter(identities().map(Identity::version))),
            Arc::new(BinaryArray::from_iter_values(identities().map(Identity::evidence))),
            int(|granule| Some(i64::from(granule.group))),
            int(|granule| granule.day.map(i64::from)),
            int(|granule| granule.cycle.map(i64::from)),
            int(|granule| Some(i64::from(granule.steps.first))),
            int(|granule| Some(i64::from(granule.steps.count))),
            float(|granule| granule.edges[0]),
            float(|granule| granule.edges[1]),
            float(|granule| granule.edges[2]),
            float(|granule| granule.edges[3]),
            float(|granule| granule.res_deg_lat),
        ])
    }
}
