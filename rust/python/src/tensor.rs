//! `_engine.Tensor`: one column of a batch, shared with NumPy without a copy.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, UInt8Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::DataType;
use numpy::ndarray::{ArrayView, IxDyn};
use numpy::{Element, PyArray, PyArray1};
use oceanarrow_engine::error::Error;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::error::raise;

/// A column's values: a dense array of `shape`, kept alive by this object and by its views.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Tensor {
    /// The flat values.
    values: ArrayRef,
    shape: Vec<usize>,
}

impl Tensor {
    /// A tensor over the flat `values`.
    pub fn new(values: ArrayRef, shape: Vec<usize>) -> Self {
        Self { values, shape }
    }

    /// A NumPy view of the values; `slf` becomes its base.
    fn view<'py, T>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>>
    where
        T: ArrowPrimitiveType,
        T::Native: Element,
    {
        let this = slf.get();
        let values = this
            .values
            .as_primitive_opt::<T>()
            .ok_or_else(|| raise(Error::internal(format!("a column is not {}", T::DATA_TYPE))))?;
        let shape = IxDyn(&this.shape);
        let view = ArrayView::from_shape(shape, values.values())
            .map_err(|e| raise(Error::internal(format!("a column has another shape: {e}"))))?;
        // SAFETY: the Arrow buffer behind `view` is never reallocated and lives as long as `slf`,
        // which the array holds as its base. Arrow consumers only read it; whoever writes through
        // the array owns the batch (one batch, one consumer).
        Ok(unsafe { PyArray::borrow_from_array(&view, slf.clone().into_any()) }.into_any())
    }
}

#[pymethods]
impl Tensor {
    /// Dimensions, the batch first.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    /// The values as a NumPy array: a writable view, except of booleans, which Arrow packs in bits.
    fn numpy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        match this.values.data_type() {
            DataType::Float32 => Self::view::<Float32Type>(slf),
            DataType::Float64 => Self::view::<Float64Type>(slf),
            DataType::UInt8 => Self::view::<UInt8Type>(slf),
            DataType::Int32 => Self::view::<Int32Type>(slf),
            DataType::Int64 => Self::view::<Int64Type>(slf),
            DataType::Date32 => Self::view::<Date32Type>(slf),
            DataType::Boolean => {
                let flags = this.values.as_boolean().values().iter();
                Ok(PyArray1::from_iter(slf.py(), flags).into_any())
            }
            other => Err(raise(Error::internal(format!("no array of {other}")))),
        }
    }

    /// The element type, as NumPy knows it.
    #[getter]
    fn dtype<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::numpy(slf)?.getattr("dtype")
    }

    #[pyo3(signature = (**kwargs))]
    fn __dlpack__<'py>(
        slf: &Bound<'py, Self>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::numpy(slf)?.call_method("__dlpack__", (), kwargs)
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        // kDLCPU, device 0.
        (1, 0)
    }

    fn __repr__(&self) -> String {
        format!("Tensor(shape={:?}, dtype={})", self.shape, self.values.data_type())
    }
}
