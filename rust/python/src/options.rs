//! `storage_options`: a mapping of Python's as the engine's options.

use oceanarrow_engine::error::Error;
use oceanarrow_engine::store::StorageOptions;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::error::raise;

/// The options in a mapping, which the engine checks. No message shows a value: it may be secret.
pub fn storage_options(given: Option<&Bound<'_, PyAny>>) -> PyResult<StorageOptions> {
    let Some(given) = given else { return Ok(StorageOptions::default()) };
    let wrong = |what: String| raise(Error::invalid_input(format!("storage_options{what}")));
    let mapping = given
        .cast::<PyMapping>()
        .map_err(|_| wrong(" must be a mapping of names to values".into()))?;
    let json = given.py().import("json")?;
    let mappings_too = PyDict::new(given.py());
    mappings_too.set_item("default", given.py().get_type::<PyDict>())?;
    let mut entries = Vec::new();
    for item in mapping.items()? {
        let (name, value): (String, Bound<'_, PyAny>) =
            item.extract().map_err(|_| wrong(" must have texts as names".into()))?;
        let value: String = json
            .call_method("dumps", (value,), Some(&mappings_too))
            .and_then(|text| text.extract())
            .map_err(|_| wrong(format!("[{name:?}] is no text, number or mapping of texts")))?;
        let name: String = json.call_method1("dumps", (name,))?.extract()?;
        entries.push(format!("{name}: {value}"));
    }
    StorageOptions::from_json(&format!("{{{}}}", entries.join(", "))).map_err(raise)
}
