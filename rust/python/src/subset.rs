//! `Subset`: the part of a dataset that an engine's queries need; `Transfer`: its copying.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oceanarrow_engine::catalog;
use oceanarrow_engine::error::Error;
use oceanarrow_engine::geo::BBox;
use oceanarrow_engine::subset;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{raise, run};

/// How long to wait before Python gets to see a signal.
const TICK: Duration = Duration::from_millis(50);

/// The files that an engine would open for any of its queries.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Subset {
    inner: Arc<subset::Subset>,
    pid: u32,
}

impl Subset {
    pub fn new(inner: subset::Subset) -> Self {
        Self { inner: Arc::new(inner), pid: std::process::id() }
    }
}

impl Drop for Subset {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // Its engine's threads exist in the parent only; joining them here would wait for ever.
            std::mem::forget(self.inner.clone());
        }
    }
}

/// `COLLECTION.json` and the level tables of a container.
type MetadataFiles<'py> = (Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>);

/// lon_min, lon_max, lat_min, lat_max.
type Footprint = (f64, f64, f64, f64);

#[pymethods]
impl Subset {
    /// The files as (path, source, size in bytes or None, address of one that a catalogue lists).
    fn files(&self) -> Vec<(&str, &str, Option<u64>, Option<&str>)> {
        let told = |file: &'_ subset::SubsetObject| file.is_listed;
        let objects = self.inner.objects().iter();
        objects.map(|f| (&*f.path, &*f.source, f.size, told(f).then(|| f.address()))).collect()
    }

    /// Footprint of each region of the dataset: (lon_min, lon_max, lat_min, lat_max), degrees.
    fn regions(&self) -> Vec<(&str, Footprint)> {
        let edges = |b: &BBox| (b.lon, b.lon + b.width, b.lat_min, b.lat_max);
        self.inner.regions().iter().map(|region| (&*region.name, edges(&region.bbox))).collect()
    }

    /// The sizes in bytes of the files `rows`, asked for together.
    fn sizes(&self, py: Python<'_>, rows: Vec<usize>) -> PyResult<Vec<u64>> {
        run(py, || self.inner.sizes(&rows))
    }

    /// The dataset's roots, with a branch pinned to its commit.
    fn pinned(&self, py: Python<'_>, roots: Vec<String>) -> PyResult<Vec<String>> {
        run(py, || self.inner.pinned(&roots))
    }

    /// The bytes of catalogues, each with the folder that its relative paths start from.
    fn listings<'py>(
        &self,
        py: Python<'py>,
        roots: Vec<String>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, String)>> {
        let found = run(py, || self.inner.listings(&roots))?;
        Ok(found.into_iter().map(|(bytes, folder)| (PyBytes::new(py, &bytes), folder)).collect())
    }

    /// `COLLECTION.json` and the level tables, of each container.
    fn metadata_files<'py>(
        &self,
        py: Python<'py>,
        roots: Vec<String>,
    ) -> PyResult<Vec<MetadataFiles<'py>>> {
        let files = run(py, || self.inner.metadata_files(&roots))?;
        let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
        let container = |file: &catalog::MetadataFiles| {
            (bytes(&file.collection), file.levels.iter().map(|level| bytes(level)).collect())
        };
        Ok(files.iter().map(container).collect())
    }

    /// Starts to copy files, given as (row, size in bytes, file to be).
    fn copy(
        &self,
        py: Python<'_>,
        rows: Vec<(usize, u64, PathBuf)>,
        threads: usize,
    ) -> PyResult<Transfer> {
        let inner = run(py, || self.inner.copy(rows, threads))?;
        Ok(Transfer { inner: Mutex::new(Some(inner)), pid: std::process::id() })
    }
}

/// Copies under way, by threads of the process that started them: an iterator over (files, bytes)
/// that have come since the last item.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Transfer {
    /// Locked without the GIL, and for a tick at a time.
    inner: Mutex<Option<subset::Transfer>>,
    pid: u32,
}

#[pymethods]
impl Transfer {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<(u64, u64)>> {
        loop {
            match py.detach(|| self.poll()).map_err(raise)? {
                subset::Progress::Bytes(bytes) => return Ok(Some((0, bytes))),
                subset::Progress::File => return Ok(Some((1, 0))),
                subset::Progress::Pending => py.check_signals()?,
                subset::Progress::End => return Ok(None),
            }
        }
    }

    /// Stops the copies; whole files stay.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.stop());
    }
}

impl Transfer {
    fn poll(&self) -> Result<subset::Progress, Error> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.as_mut().map_or(Ok(subset::Progress::End), |transfer| transfer.poll(TICK))
    }

    fn stop(&self) {
        if self.pid == std::process::id() {
            drop(self.inner.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // The threads exist in the parent only; joining them here would wait for ever.
            let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(inner.take());
        }
    }
}
