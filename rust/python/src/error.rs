//! Engine errors and panics as the exceptions of `oceanarrow.exceptions`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use oceanarrow_engine::error::{Error, Kind};
use oceanarrow_engine::interrupt;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception class of each kind; tests/test_exceptions.py keeps both sides equal.
const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidInput => "InvalidInputError",
        Kind::NotFound => "NotFoundError",
        Kind::AccessDenied => "AccessDeniedError",
        Kind::InvalidDataset => "InvalidDatasetError",
        Kind::CorruptGranule => "CorruptGranuleError",
        Kind::Unsupported => "UnsupportedError",
        Kind::Io => "TransientIoError",
        Kind::Unwritable => "UnwritableError",
        Kind::OutOfMemory => "OutOfMemoryError",
        Kind::PlanMismatch => "PlanMismatchError",
        Kind::Cancelled => "CancelledError",
        Kind::Internal => "InternalError",
    }
}

/// The Python exception for an engine error.
pub fn to_py(py: Python<'_>, error: &Error) -> PyErr {
    let raised = py
        .import("oceanarrow.exceptions")
        .and_then(|module| module.getattr(class(error.kind)))
        .and_then(|class| Ok(class.cast_into::<PyType>()?));
    match raised {
        Ok(class) => PyErr::from_type(class, error.to_string()),
        Err(import_error) => import_error,
    }
}

/// [`to_py`], wherever the interpreter is at hand.
pub fn raise(error: Error) -> PyErr {
    Python::attach(|py| to_py(py, &error))
}

/// Runs `work` without the GIL. Its error, or a panic in it, becomes a Python exception; Ctrl-C ends
/// its waits for a remote store.
pub fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    let interrupted = Arc::new(Mutex::new(None));
    let noticed = interrupted.clone();
    let signalled = move || {
        let raised = Python::attach(|py| py.check_signals()).err();
        let ends = raised.is_some();
        if ends {
            *noticed.lock().unwrap_or_else(PoisonError::into_inner) = raised;
        }
        ends
    };
    let outcome =
        py.detach(|| catch_unwind(AssertUnwindSafe(|| interrupt::scope(signalled, work))));
    if let Some(raised) = interrupted.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(raised);
    }
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(to_py(py, &error)),
        Err(panic) => {
            let cause = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
                .unwrap_or_default();
            let message = format!("a defect of oceanarrow; please report it: {cause}");
            Err(to_py(py, &Error::internal(message)))
        }
    }
}

/// The names of the engine's error kinds.
#[pyfunction]
pub fn error_kinds() -> Vec<&'static str> {
    Kind::ALL.iter().map(|kind| kind.name()).collect()
}
