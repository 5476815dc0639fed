//! `write_index`: makes an index of a dataset.

use std::path::PathBuf;
use std::sync::Arc;

use oceanarrow_engine::catalog::Catalog;
use oceanarrow_engine::indexing;
use oceanarrow_engine::store::{Store, is_remote};
use oceanarrow_engine::variable::{Geometry, Supply, Variable};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::options;
use crate::progress::{reporting, threads};

/// Indexes gridded `variables`, each source, file and name in the file, of a dataset, from the first
/// to the last of `days` (since 1970-01-01; None is all). `progress` is called with how many of how many are done. Returns
/// `entries`, `bytes` and `unreadable`, a list of reasons.
#[pyfunction]
#[pyo3(signature = (roots, path, variables, *, days, storage_options, progress))]
pub fn write_index<'py>(
    py: Python<'py>,
    roots: Vec<String>,
    path: PathBuf,
    variables: Vec<(String, String, String)>,
    days: Option<(i32, i32)>,
    storage_options: Option<Bound<'_, PyAny>>,
    progress: Py<PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let variable = |(source, file, netcdf): (String, String, String)| Variable {
        name: netcdf.clone(),
        source,
        file,
        netcdf,
        unit: String::new(),
        geometry: Geometry::Grid,
        supply: Supply::default(),
    };
    let variables: Vec<Variable> = variables.into_iter().map(variable).collect();
    let storage = options::storage_options(storage_options.as_ref())?;
    let indexed = reporting(py, &progress, |report| {
        let storage = storage.resolve(&roots)?;
        let threads = threads(&storage, roots.iter().any(|root| is_remote(root)));
        let store = Arc::new(Store::new(&storage));
        let mut catalog = Catalog::open(&*store, &roots)?;
        if let Some((first, last)) = days {
            catalog =
                catalog.retain(|granule, dated| !dated || (first..=last).contains(&granule.day));
        }
        indexing::write_index(&store, &catalog, &variables, threads, &path, report)
    })?;
    let dict = PyDict::new(py);
    dict.set_item("entries", indexed.entries)?;
    dict.set_item("bytes", indexed.bytes)?;
    dict.set_item("unreadable", indexed.unreadable)?;
    Ok(dict)
}
