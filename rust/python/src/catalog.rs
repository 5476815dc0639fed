//! `Catalog`: the granules of a dataset.

use std::path::PathBuf;

use numpy::PyArray1;
use oceanarrow_engine::calendar::iso_date;
use oceanarrow_engine::catalog as engine;
use oceanarrow_engine::error::Error;
use oceanarrow_engine::store::{StorageOptions, Store};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{raise, run};
use crate::options;

/// The granules of a TACO dataset, sorted by day, region, source and file.
///
/// `paths` is a path or address of one FOLDER, `.tacozip` or `.tacocat` directory, or all parts of a split dataset.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Catalog {
    inner: engine::Catalog,
    storage: StorageOptions,
}

/// One path or all parts.
#[derive(FromPyObject)]
enum Paths {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

impl Paths {
    fn into_strings(self) -> PyResult<Vec<String>> {
        let paths = match self {
            Self::One(path) => vec![path],
            Self::Many(paths) => paths,
        };
        let text = |path: PathBuf| {
            path.into_os_string().into_string().map_err(|path| {
                raise(Error::invalid_input(format!("the path {path:?} is not UTF-8 text")))
            })
        };
        paths.into_iter().map(text).collect()
    }
}

#[pymethods]
impl Catalog {
    #[new]
    #[pyo3(signature = (paths, *, storage_options = None))]
    fn new(
        py: Python<'_>,
        paths: Paths,
        storage_options: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let paths = paths.into_strings()?;
        let storage = options::storage_options(storage_options.as_ref())?;
        run(py, || {
            let storage = storage.resolve(&paths)?;
            let inner = engine::Catalog::open(&Store::new(&storage), &paths)?;
            Ok(Self { inner, storage })
        })
    }

    fn __len__(&self) -> usize {
        self.inner.granules().len()
    }

    /// First and last day that have a granule, as ISO dates; None if there is no granule.
    #[getter]
    fn days(&self) -> Option<(String, String)> {
        self.inner.days().map(|(first, last)| (iso_date(first), iso_date(last)))
    }

    /// Footprint of each region by name: (lon_min, lon_max, lat_min, lat_max), degrees.
    #[getter]
    fn regions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let regions = PyDict::new(py);
        for region in self.inner.regions() {
            let b = region.bbox;
            regions.set_item(&region.name, (b.lon, b.lon + b.width, b.lat_min, b.lat_max))?;
        }
        Ok(regions)
    }

    /// The names of the data sources, in alphabetical order.
    #[getter]
    fn sources(&self) -> Vec<&str> {
        self.inner.sources()
    }

    /// What is odd about the dataset, but no reason to refuse it.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.inner.warnings().to_vec()
    }

    /// A column a property of the granules, in their order: `day` (int32, since 1970-01-01), `region`
    /// and `product` (int32, places in `region_table` and `product_table`), `res_deg_lat` (float32),
    /// `path`, `offset` and `size` (None where a file lies by itself).
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let granules = self.inner.granules();
        let column =
            |of: fn(&engine::Granule) -> i32| PyArray1::from_iter(py, granules.iter().map(of));
        let locations: Vec<_> = granules.iter().map(|g| self.inner.location(g.object)).collect();
        let slices = |of: fn((u64, u64)) -> u64| -> Vec<Option<u64>> {
            locations.iter().map(|location| location.slice.map(of)).collect()
        };
        let columns = PyDict::new(py);
        columns.set_item("day", column(|g| g.day))?;
        columns.set_item("region", column(|g| g.region as i32))?;
        columns.set_item("product", column(|g| g.product as i32))?;
        let resolution = granules.iter().map(|granule| granule.res_deg_lat);
        columns.set_item("res_deg_lat", PyArray1::from_iter(py, resolution))?;
        columns.set_item("offset", slices(|slice| slice.0))?;
        columns.set_item("size", slices(|slice| slice.1))?;
        let paths: Vec<&str> = locations.iter().map(|location| &*location.object).collect();
        columns.set_item("path", paths)?;
        Ok(columns)
    }

    /// The regions in the order of their numbers: name, west, east, south and north edge in degrees.
    fn region_table(&self) -> Vec<(String, f64, f64, f64, f64)> {
        let row = |region: &engine::Region| {
            let b = region.bbox;
            (region.name.clone(), b.lon, b.lon + b.width, b.lat_min, b.lat_max)
        };
        self.inner.regions().iter().map(row).collect()
    }

    /// The products in the order of their numbers: source and file of each.
    fn product_table(&self) -> Vec<(String, String)> {
        let row =
            |product: &engine::Product| (product.source.to_string(), product.file.to_string());
        self.inner.products().iter().map(row).collect()
    }

    /// The granules as dicts: day (ISO), region, source, file, res_deg_lat (NaN: unknown), path, and,
    /// in an archive, offset and size in bytes (else None).
    fn granules<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.inner.granules().iter().map(|granule| self.granule(py, granule)).collect()
    }

    /// Checks the ZIP local header of granule `index`; nothing to check in a folder.
    fn check_zip_entry(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        let granule = self.inner.granules().get(index).copied().ok_or_else(|| {
            pyo3::exceptions::PyIndexError::new_err(format!("there is no granule {index}"))
        })?;
        run(py, || self.inner.check_zip_entry(&Store::new(&self.storage), granule.object))
    }
}

impl Catalog {
    fn granule<'py>(
        &self,
        py: Python<'py>,
        granule: &engine::Granule,
    ) -> PyResult<Bound<'py, PyDict>> {
        let location = self.inner.location(granule.object);
        let product = &self.inner.products()[granule.product as usize];
        let row = PyDict::new(py);
        row.set_item("day", iso_date(granule.day))?;
        row.set_item("region", &self.inner.regions()[granule.region as usize].name)?;
        row.set_item("source", &*product.source)?;
        row.set_item("file", &*product.file)?;
        row.set_item("res_deg_lat", granule.res_deg_lat)?;
        row.set_item("path", &*location.object)?;
        row.set_item("offset", location.slice.map(|slice| slice.0))?;
        row.set_item("size", location.slice.map(|slice| slice.1))?;
        Ok(row)
    }
}
