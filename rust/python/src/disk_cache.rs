//! Upkeep of a disk cache's directory.

use std::path::PathBuf;

use oceanarrow_engine::store::{DiskCache, DiskCacheUse};
use pyo3::prelude::*;

use crate::error::run;

/// Files and bytes on the disk of the cache in a directory; None if there is no cache.
#[pyfunction]
pub fn measure_disk_cache(py: Python<'_>, path: PathBuf) -> PyResult<Option<(u64, u64)>> {
    let found = run(py, || DiskCache::measure(&path))?;
    Ok(found.map(|DiskCacheUse { files, bytes }| (files, bytes)))
}

/// Removes files, least recently used first, until the rest take at most `max_bytes` (None: all);
/// returns how many and their bytes.
#[pyfunction]
pub fn prune_disk_cache(
    py: Python<'_>,
    path: PathBuf,
    max_bytes: Option<u64>,
) -> PyResult<(u64, u64)> {
    let DiskCacheUse { files, bytes } = run(py, || DiskCache::prune(&path, max_bytes))?;
    Ok((files, bytes))
}
