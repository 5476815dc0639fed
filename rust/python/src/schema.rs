//! What Python is told of a batch's columns.

use std::collections::HashMap;

use arrow_schema::{DataType, Field, Schema};
use oceanarrow_engine::error::Error;
use pyo3::prelude::*;

use crate::error::raise;

/// Name, type of the numbers as NumPy calls it, dimensions of a row (None: a list of any length), and
/// metadata.
pub type FieldRow = (String, &'static str, Option<Vec<usize>>, HashMap<String, String>);

/// The columns of a schema.
pub fn fields(schema: &Schema) -> PyResult<Vec<FieldRow>> {
    schema.fields().iter().map(|field| field_row(field)).collect()
}

fn field_row(field: &Field) -> PyResult<FieldRow> {
    let (item, dims) = match field.data_type() {
        DataType::FixedSizeList(item, _) => (item.data_type(), Some(tensor_dims(field)?)),
        DataType::List(item) => (item.data_type(), None),
        plain => (plain, Some(Vec::new())),
    };
    let dtype = match item {
        DataType::Boolean => "bool",
        DataType::UInt8 => "uint8",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Date32 => "datetime64[D]",
        other => return Err(raise(Error::internal(format!("no NumPy type for {other}")))),
    };
    Ok((field.name().clone(), dtype, dims, field.metadata().clone()))
}

/// The dimensions in a tensor field's extension metadata.
pub fn tensor_dims(field: &Field) -> PyResult<Vec<usize>> {
    #[derive(serde::Deserialize)]
    struct Extension {
        shape: Vec<usize>,
    }
    field
        .metadata()
        .get("ARROW:extension:metadata")
        .and_then(|text| serde_json::from_str::<Extension>(text).ok())
        .map(|extension| extension.shape)
        .ok_or_else(|| raise(Error::internal("a tensor column has no shape")))
}
