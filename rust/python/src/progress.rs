//! Long work that reports how far it is.

use std::sync::{Mutex, PoisonError};

use oceanarrow_engine::error::{Error, Result};
use oceanarrow_engine::store::StorageOptions;
use pyo3::prelude::*;

use crate::error::run;

/// Does `work` without the GIL; `progress` is called with how many of how many are done, and what it
/// raises ends the work and is raised.
pub fn reporting<T: Send>(
    py: Python<'_>,
    progress: &Py<PyAny>,
    work: impl FnOnce(&mut (dyn FnMut(u64, u64) -> Result<()> + Send)) -> Result<T> + Send,
) -> PyResult<T> {
    let raised = Mutex::new(None);
    let mut report = |done: u64, total: u64| {
        Python::attach(|py| progress.call1(py, (done, total))).map(|_| ()).map_err(|e| {
            *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            Error::cancelled("the report of progress failed")
        })
    };
    let done = run(py, || work(&mut report));
    match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => done,
    }
}

/// Threads that open files: as many as wait for a server, or as there are cores.
pub fn threads(storage: &StorageOptions, remote: bool) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if remote { storage.policy.concurrency } else { cores }
}
