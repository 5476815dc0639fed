//! Python bindings.
use pyo3::prelude::*;

mod catalog;
mod error;

/// The native module.
#[pymodule]
fn _engine(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<catalog::Catalog>()?;
    Ok(())
}
