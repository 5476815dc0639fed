//! Catalogues of one's own files: what they define, and their making.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use oceanarrow_engine::catalog;
use oceanarrow_engine::error::Error;
use oceanarrow_engine::granule::Wanted;
use oceanarrow_engine::listing::{self, DayRule, FilePath, Files, Known, Span, Surveyed};
use oceanarrow_engine::store::{Store, is_remote, normalise};
use oceanarrow_engine::variable::Supply;
use pyo3::prelude::*;

use crate::error::{raise, run};
use crate::options;
use crate::progress::{reporting, threads};
use crate::request::{Selected, selection};

/// What the variables of those roots stand for that are catalogues: (root, JSON) each.
#[pyfunction]
#[pyo3(signature = (roots, storage_options = None))]
pub fn listed_variables(
    py: Python<'_>,
    roots: Vec<String>,
    storage_options: Option<Bound<'_, PyAny>>,
) -> PyResult<Vec<(String, String)>> {
    let storage = options::storage_options(storage_options.as_ref())?;
    let found = run(py, || {
        let storage = storage.resolve(&roots)?;
        catalog::listed_variables(&Store::new(&storage), &roots)
    })?;
    Ok(found.into_iter().map(|found| (found.root, found.variables)).collect())
}

/// A path or address, what a catalogue calls it, and its day if its name tells one.
type PathArgument = (String, String, Option<i32>);

/// Name, name in the file, and the quality variables, each with the flags that are meant by name.
type VariableArgument = (String, String, Vec<(String, Vec<String>)>);

/// Files that are listed by the same rules; a dict.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct FilesArgument {
    paths: Vec<PathArgument>,
    variables: Option<Vec<VariableArgument>>,
    select: Vec<Selected>,
    span_days: Option<u32>,
    span_month: bool,
    day_offset: i32,
    priority: i32,
    supply: String,
}

impl FilesArgument {
    fn files(self) -> PyResult<Files> {
        let files = self;
        let path = |(location, kept, day): PathArgument| {
            let location = normalise(&location).map_err(raise)?;
            let kept = if is_remote(&location) { location.clone() } else { kept };
            Ok(FilePath { location, kept, day })
        };
        let selections: Vec<_> = files.select.into_iter().map(selection).collect();
        let wanted = |(name, variable, conditions)| {
            (name, Wanted { variable, selections: selections.clone(), conditions })
        };
        let supply = Supply::of(&files.supply, "")
            .ok_or_else(|| raise(Error::internal("files of an unknown supply")))?;
        let span =
            if files.span_month { Some(Span::Month) } else { files.span_days.map(Span::Days) };
        Ok(Files {
            paths: files.paths.into_iter().map(path).collect::<PyResult<_>>()?,
            variables: files.variables.map(|all| all.into_iter().map(wanted).collect()),
            days: DayRule { day: None, span, offset: files.day_offset, supply },
            priority: files.priority,
        })
    }
}

/// What opening the files of a catalogue told.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Survey {
    /// Taken by writing it.
    inner: Mutex<Option<Surveyed>>,
    opened: usize,
    known_variables: Option<String>,
}

impl Survey {
    fn with<T>(&self, look: impl FnOnce(&mut Surveyed) -> T) -> PyResult<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let written = || raise(Error::invalid_input("the survey has been written"));
        inner.as_mut().map(look).ok_or_else(written)
    }
}

/// Opens the files of a catalogue; of `known`, an earlier one, those that have changed since, if it
/// was asked to list the same (`request`).
#[pyfunction]
#[pyo3(signature = (files, *, known, request, storage_options, progress))]
pub fn survey_files(
    py: Python<'_>,
    files: Vec<FilesArgument>,
    known: Option<PathBuf>,
    request: String,
    storage_options: Option<Bound<'_, PyAny>>,
    progress: Py<PyAny>,
) -> PyResult<Survey> {
    let files: Vec<Files> = files.into_iter().map(FilesArgument::files).collect::<PyResult<_>>()?;
    let storage = options::storage_options(storage_options.as_ref())?;
    reporting(py, &progress, |report| {
        let locations = || files.iter().flat_map(|f| &f.paths).map(|path| path.location.clone());
        let remote: Vec<String> = locations().filter(|path| is_remote(path)).collect();
        let storage = storage.resolve(&remote)?;
        let threads = threads(&storage, !remote.is_empty());
        let store = Arc::new(Store::new(&storage));
        let mut earlier = (Known::default(), None);
        if let Some(path) = known {
            let root = path.to_string_lossy();
            let index = catalog::index_beside(&root);
            let (found, listing) = Known::open(&*store, &root, Path::new(&index))?;
            if listing.request == request {
                earlier = (found, Some(listing.variables));
            }
        }
        let (known, known_variables) = earlier;
        let surveyed = listing::survey(&store, &files, &known, threads, report)?;
        let opened = surveyed.opened;
        Ok(Survey { inner: Mutex::new(Some(surveyed)), opened, known_variables })
    })
}

#[pymethods]
impl Survey {
    /// How many files were opened; the others are known from before.
    #[getter]
    fn opened(&self) -> usize {
        self.opened
    }

    /// What the variables of the earlier catalogue stand for; None if it was asked for something else.
    #[getter]
    fn known_variables(&self) -> Option<&str> {
        self.known_variables.as_deref()
    }

    /// The variables that any file holds.
    fn names(&self) -> PyResult<Vec<String>> {
        self.with(|surveyed| surveyed.names())
    }

    /// (variable, unit or None, first file) for each unit that files state.
    fn units(&self) -> PyResult<Vec<(String, Option<String>, String)>> {
        self.with(|surveyed| surveyed.units())
    }

    /// Counts files as unreadable whose units do not convert to those delivered; returns why files
    /// cannot be listed.
    fn unreadable(&self, delivered: HashMap<String, String>) -> PyResult<Vec<String>> {
        self.with(|surveyed| {
            surveyed.check_units(&delivered);
            surveyed.unreadable.iter().map(ToString::to_string).collect()
        })
    }

    /// Writes the catalogue and its index; returns granules, files and warnings.
    fn write(
        &self,
        py: Python<'_>,
        path: PathBuf,
        variables: String,
        request: String,
    ) -> PyResult<(usize, usize, Vec<String>)> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = inner.take();
        let written = || raise(Error::invalid_input("the survey has been written"));
        let surveyed = taken.ok_or_else(written)?;
        let index = PathBuf::from(catalog::index_beside(&path.to_string_lossy()));
        let written = run(py, || surveyed.write(&path, &index, variables, request))?;
        Ok((written.granules, written.files, written.warnings))
    }
}
