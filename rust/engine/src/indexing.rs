//! Makes an index of a dataset: opens every granule once, on many threads.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::catalog::{Catalog, Granule};
use crate::error::{Error, Result};
use crate::granule::{Described, GranuleReader, IndexRow, IndexWriter};
use crate::new_file::NewFile;
use crate::parallel::in_order;
use crate::plan::Selector;
use crate::store::{ByteSource, Store};
use crate::variable::{Geometry, Variable};

/// What an index has come to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Its entries.
    pub entries: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// What could not be opened and has no entry, each with the reason.
    pub unreadable: Vec<String>,
}

/// One variable of one object.
struct Task<'a> {
    path: String,
    object: u32,
    variable: &'a str,
}

/// Writes an index of the gridded `variables` of all granules of `catalog` to `path`, which
/// then holds the whole index or what it held before. `progress` is told how many of how many
/// granules are done; its error ends the work.
///
/// # Errors
/// `Io`, `AccessDenied`: the store fails, or the file cannot be written. `InvalidInput`: there is
/// nothing to index. `Cancelled`. A granule that is damaged, or not there, is none.
pub fn write_index(
    store: &Arc<Store>,
    catalog: &Catalog,
    variables: &[Variable],
    threads: usize,
    path: &Path,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Indexed> {
    let tasks = tasks(catalog, variables);
    if tasks.is_empty() {
        return Err(Error::invalid_input(
            "the dataset has no granule of these gridded variables in this time",
        ));
    }
    let blame = |e: Error| NewFile::blame(path, e);
    let file = NewFile::create(path, "index")?;
    let origin: Vec<String> = catalog.remote_roots().map(str::to_owned).collect();
    let mut writer = IndexWriter::new(file, &origin).map_err(blame)?;
    let mut indexed =
        describe_all(store, catalog, &tasks, threads, &mut writer, progress).map_err(blame)?;
    indexed.bytes = writer.finish().map_err(blame)?.keep()?;
    Ok(indexed)
}

/// What to open, in the order of the index.
fn tasks<'a>(catalog: &'a Catalog, variables: &'a [Variable]) -> Vec<Task<'a>> {
    let mut chosen = HashSet::new();
    let selectors: Vec<(Selector, &str)> = variables
        .iter()
        .filter(|v| v.geometry == Geometry::Grid && chosen.insert((&v.source, &v.file, &v.netcdf)))
        .filter_map(|v| Some((Selector::new(catalog, v)?, v.netcdf.as_str())))
        .collect();
    let of_granule = |granule: &'a Granule| {
        let held = selectors.iter().filter(|(selector, _)| selector.matches(granule));
        held.map(|(_, variable)| Task {
            path: catalog.relative_path(granule.object),
            object: granule.object,
            variable,
        })
    };
    let undated = catalog.undated().iter().map(|undated| &undated.granule);
    let every = catalog.granules().iter().chain(undated);
    let mut tasks: Vec<Task<'a>> = every.flat_map(of_granule).collect();
    tasks.sort_by(|a, b| (&a.path, a.variable).cmp(&(&b.path, b.variable)));
    tasks.dedup_by(|a, b| (&a.path, a.variable) == (&b.path, b.variable));
    tasks
}

/// Opens the granules on threads, and writes what comes of them in order.
fn describe_all(
    store: &Arc<Store>,
    catalog: &Catalog,
    tasks: &[Task<'_>],
    threads: usize,
    writer: &mut IndexWriter<NewFile>,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Indexed> {
    let reader = GranuleReader::new(store.clone(), 0);
    let describe = |&Task { object, variable, .. }: &Task<'_>| {
        catalog.check_zip_entry(&**store as &dyn ByteSource, object)?;
        reader.describe(&catalog.location(object), variable)
    };
    let mut indexed = Indexed::default();
    let mut write = |task: usize, described: Result<Described>| {
        let Some(Task { path, variable, .. }) = tasks.get(task) else { return Ok(()) };
        match described {
            Ok(Described { entry, size, version }) => {
                let (path, variable) = (path.clone(), (*variable).to_owned());
                writer.add(IndexRow { path, variable, size, version, entry })?;
                indexed.entries += 1;
                Ok(())
            }
            Err(e) if e.concerns_one_file() => {
                indexed.unreadable.push(e.to_string());
                Ok(())
            }
            Err(e) => Err(e),
        }
    };
    let total = tasks.len() as u64;
    in_order(tasks, threads, describe, &mut write, |done| progress(done as u64, total))?;
    Ok(indexed)
}
