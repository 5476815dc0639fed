//! `_engine.Batch`: one Arrow record batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Field};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{to_array_pycapsules, to_schema_pycapsule};

use crate::schema::{FieldRow, fields, tensor_dims};
use crate::tensor::Tensor;

/// One Arrow record batch, for any consumer of the Arrow C data interface.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Batch {
    inner: RecordBatch,
}

impl Batch {
    /// Wraps a record batch.
    pub fn new(inner: RecordBatch) -> Self {
        Self { inner }
    }

    /// The record batch.
    pub fn record_batch(&self) -> &RecordBatch {
        &self.inner
    }

    fn column(&self, name: &str) -> PyResult<(&Arc<dyn Array>, &Field)> {
        let index = self.inner.schema_ref().index_of(name).map_err(|_| {
            let names: Vec<&str> =
                self.inner.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
            PyKeyError::new_err(format!("no column {name:?}; there are {}", names.join(", ")))
        })?;
        Ok((self.inner.column(index), self.inner.schema_ref().field(index)))
    }
}

#[pymethods]
impl Batch {
    fn __len__(&self) -> usize {
        self.inner.num_rows()
    }

    /// Names of the columns, in order.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.inner.schema_ref().fields().iter().map(|f| f.name().clone()).collect()
    }

    /// The columns: name, NumPy type, dimensions of a row (None: a list of any length), metadata.
    fn fields(&self) -> PyResult<Vec<FieldRow>> {
        fields(self.inner.schema_ref())
    }

    /// The schema's metadata.
    #[getter]
    fn metadata(&self) -> HashMap<String, String> {
        self.inner.schema_ref().metadata().clone()
    }

    /// The roles of the variables, comma-separated, in order.
    fn roles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let roles = PyDict::new(py);
        for field in self.inner.schema_ref().fields() {
            if let Some(role) = field.metadata().get("role") {
                roles.set_item(field.name(), role)?;
            }
        }
        Ok(roles)
    }

    /// A column as a tensor; of a list column, its flat values.
    fn tensor(&self, name: &str) -> PyResult<Tensor> {
        let (column, field) = self.column(name)?;
        Ok(match column.data_type() {
            DataType::FixedSizeList(..) => {
                let shape = std::iter::once(column.len()).chain(tensor_dims(field)?).collect();
                Tensor::new(column.as_fixed_size_list().values().clone(), shape)
            }
            DataType::List(_) => {
                let values = column.as_list::<i32>().values();
                Tensor::new(values.clone(), vec![values.len()])
            }
            _ => Tensor::new(column.clone(), vec![column.len()]),
        })
    }

    /// Offsets of a list column: row `i` holds the values `offsets[i]..offsets[i + 1]`.
    fn offsets(&self, name: &str) -> PyResult<Vec<i32>> {
        let (column, _) = self.column(name)?;
        column
            .as_list_opt::<i32>()
            .map(|list| list.offsets().to_vec())
            .ok_or_else(|| PyKeyError::new_err(format!("{name:?} is not a column of lists")))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyTuple>> {
        let schema = self.inner.schema_ref();
        let field = Field::new_struct("", schema.fields().clone(), false)
            .with_metadata(schema.metadata().clone());
        let rows = StructArray::from(self.inner.clone());
        to_array_pycapsules(py, Arc::new(field), &rows, requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.inner.schema_ref().as_ref())
    }
}
