//! Engine errors as Python exceptions.

use oceanarrow_engine::error::{Error, Kind};
use pyo3::prelude::*;

/// The exception of an engine error.
pub fn raise(error: Error) -> PyErr {
    let class = match error.kind {
        Kind::InvalidInput => "InvalidInputError",
        Kind::NotFound => "NotFoundError",
        Kind::InvalidDataset => "InvalidDatasetError",
        Kind::CorruptGranule => "CorruptGranuleError",
        Kind::Unsupported => "UnsupportedError",
        Kind::Io => "TransientIoError",
        Kind::Cancelled => "CancelledError",
        Kind::Internal => "InternalError",
    };
    Python::attach(|py| {
        py.import("oceanarrow.exceptions")
            .and_then(|module| module.getattr(class))
            .and_then(|class| class.call1((error.to_string(),)))
            .map_or_else(|e| e, PyErr::from_value)
    })
}
