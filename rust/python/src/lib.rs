//! Python bindings.
use pyo3::prelude::*;

/// The native module.
#[pymodule]
fn _engine(_m: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
