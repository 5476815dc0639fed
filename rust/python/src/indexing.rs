//! `write_index`: makes an index of a dataset.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use oceanarrow_engine::catalog::Catalog;
use oceanarrow_engine::error::Error;
use oceanarrow_engine::indexing;
use oceanarrow_engine::store::{Store, is_remote};
use oceanarrow_engine::variable::{Geometry, Variable};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::run;
use crate::options;

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
    };
    let variables: Vec<Variable> = variables.into_iter().map(variable).collect();
    let storage = options::storage_options(storage_options.as_ref())?;
    let raised = Mutex::new(None);
    let report = |done: u64, total: u64| {
        Python::attach(|py| progress.call1(py, (done, total))).map(|_| ()).map_err(|e| {
            *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            Error::cancelled("the report of progress failed")
        })
    };
    let indexed = run(py, || {
        let storage = storage.resolve(&roots)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let remote = roots.iter().any(|root| is_remote(root));
        let threads = if remote { storage.policy.concurrency } else { cores };
        let store = Arc::new(Store::new(&storage));
        let mut catalog = Catalog::open(&*store, &roots)?;
        if let Some((first, last)) = days {
            catalog = catalog.retain(|granule| (first..=last).contains(&granule.day));
        }
        indexing::write_index(&store, &catalog, &variables, threads, &path, report)
    });
    if let Some(error) = raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let indexed = indexed?;
    let dict = PyDict::new(py);
    dict.set_item("entries", indexed.entries)?;
    dict.set_item("bytes", indexed.bytes)?;
    dict.set_item("unreadable", indexed.unreadable)?;
    Ok(dict)
}
