//! Python bindings.

mod error;
mod granule;

use pyo3::prelude::*;

/// The native module.
#[pymodule]
fn _engine(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(error::error_kinds, m)?)?;
    m.add_function(wrap_pyfunction!(granule::read_window, m)?)?;
    m.add_function(wrap_pyfunction!(granule::read_points, m)?)?;
    Ok(())
}
