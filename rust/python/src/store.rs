//! `Store`: bytes of local and remote objects, for tests of the transport.

use oceanarrow_engine::store::{self as engine, ByteSource, Extent, Fetched, Location, Want};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::error::run;
use crate::options;

/// Reads bytes of objects by their kept names.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Store {
    inner: engine::Store,
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (storage_options = None, roots = Vec::new()))]
    fn new(
        py: Python<'_>,
        storage_options: Option<Bound<'_, PyAny>>,
        roots: Vec<String>,
    ) -> PyResult<Self> {
        let options = options::storage_options(storage_options.as_ref())?;
        run(py, || Ok(Self { inner: engine::Store::new(&options.resolve(&roots)?) }))
    }

    /// The bytes of each range `(start, end)`.
    fn read<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        ranges: Vec<(u64, u64)>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let ranges: Vec<_> = ranges.into_iter().map(|(start, end)| start..end).collect();
        let read = run(py, || self.inner.read_many(&Location::whole(name), &ranges))?;
        Ok(read.iter().map(|bytes| PyBytes::new(py, bytes)).collect())
    }

    /// The first `most` bytes of an object, and its size.
    fn read_start<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        most: u64,
    ) -> PyResult<(Bound<'py, PyBytes>, u64)> {
        let (bytes, size) = run(py, || self.inner.read_start(&Location::whole(name), most))?;
        Ok((PyBytes::new(py, &bytes), size))
    }

    /// All bytes of an object of at most `limit`.
    fn read_all<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        limit: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let want = Want { location: Location::whole(name), extent: Extent::Whole(limit) };
        let Fetched { bytes, .. } = run(py, || self.inner.fetch_one(&want))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The size of an object.
    fn size(&self, py: Python<'_>, name: &str) -> PyResult<u64> {
        run(py, || self.inner.size(&Location::whole(name)))
    }

    /// What has gone over the network: `requests`, `retries`, `network_bytes`.
    fn traffic<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let traffic = self.inner.traffic();
        let dict = PyDict::new(py);
        dict.set_item("requests", traffic.requests)?;
        dict.set_item("retries", traffic.retries)?;
        dict.set_item("network_bytes", traffic.bytes)?;
        Ok(dict)
    }
}
