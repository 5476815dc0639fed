//! Makes an index of a dataset: opens every granule once, on many threads.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use tempfile::NamedTempFile;

use crate::catalog::{Catalog, Granule};
use crate::error::{Error, Kind, Result};
use crate::granule::{Described, GranuleReader, IndexRow, IndexWriter};
use crate::interrupt;
use crate::plan::Selector;
use crate::store::{ByteSource, Store};
use crate::variable::{Geometry, Variable};

/// How long to wait before looking whether to stop.
const TICK: Duration = Duration::from_millis(50);

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
    let failed = |e: &io::Error| Error::writing("cannot write the index", e).asset(path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let file =
        fs::create_dir_all(folder).and_then(|()| new_file(folder)).map_err(|e| failed(&e))?;
    let origin: Vec<String> = catalog.remote_roots().map(str::to_owned).collect();
    let mut writer = IndexWriter::new(file, &origin)?;
    // What fails without naming a file is the writing.
    let of_writing = |e: &Error| matches!(e.kind, Kind::Io | Kind::Unwritable);
    let named = |e: Error| if of_writing(&e) { e.asset(path.display()) } else { e };
    let mut indexed =
        describe_all(store, catalog, &tasks, threads, &mut writer, progress).map_err(named)?;
    let file = writer.finish().map_err(named)?;
    let keep = || -> io::Result<u64> {
        file.as_file().sync_all()?;
        let bytes = file.as_file().metadata()?.len();
        file.persist(path)?;
        Ok(bytes)
    };
    indexed.bytes = keep().map_err(|e| failed(&e))?;
    Ok(indexed)
}

fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    // As any file of the user.
    let permissions = fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".index-").permissions(permissions).tempfile_in(folder)
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
    let mut tasks: Vec<Task<'a>> = catalog.granules().iter().flat_map(of_granule).collect();
    tasks.sort_by(|a, b| (&a.path, a.variable).cmp(&(&b.path, b.variable)));
    tasks.dedup_by(|a, b| (&a.path, a.variable) == (&b.path, b.variable));
    tasks
}

/// Does the tasks on threads of its own, and writes what comes of them in order.
fn describe_all(
    store: &Arc<Store>,
    catalog: &Catalog,
    tasks: &[Task<'_>],
    threads: usize,
    writer: &mut IndexWriter<NamedTempFile>,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Indexed> {
    let reader = GranuleReader::new(store.clone(), 0);
    let (next, stop) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let (done, results) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, tasks.len()) {
            let (done, ended, next, reader) = (done.clone(), stop.clone(), &next, &reader);
            let work = move || describe_some(store, catalog, reader, tasks, next, &ended, &done);
            let named = std::thread::Builder::new().name("oceanarrow-index".to_owned());
            if let Err(e) = named.spawn_scoped(scope, work) {
                stop.store(true, Ordering::Relaxed);
                return Err(Error::io(format!("cannot start threads: {e}")));
            }
        }
        drop(done);
        let mut indexed = Indexed::default();
        let (mut waiting, mut written) = (BTreeMap::new(), 0);
        let mut step = |result| {
            if let Some((task, described)) = result {
                waiting.insert(task, described);
                in_order(&mut waiting, &mut written, tasks, writer, &mut indexed)?;
            }
            progress(written as u64, tasks.len() as u64)
        };
        let outcome = receive(&results, &mut step);
        stop.store(true, Ordering::Relaxed);
        outcome.map(|()| indexed)
    })
}

/// Hands each result to `step`, which is also called now and then without; looks every tick whether
/// to stop.
fn receive<T>(results: &Receiver<T>, mut step: impl FnMut(Option<T>) -> Result<()>) -> Result<()> {
    let mut looked = Instant::now();
    loop {
        match results.recv_timeout(TICK) {
            Ok(result) => step(Some(result))?,
            Err(RecvTimeoutError::Timeout) => step(None)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if looked.elapsed() >= TICK {
            looked = Instant::now();
            if interrupt::requested() {
                return Err(Error::cancelled("interrupted"));
            }
        }
    }
}

/// One thread's share.
fn describe_some(
    store: &Arc<Store>,
    catalog: &Catalog,
    reader: &GranuleReader,
    tasks: &[Task<'_>],
    next: &AtomicUsize,
    stop: &Arc<AtomicBool>,
    done: &Sender<(usize, Result<Described>)>,
) {
    let stopped = stop.clone();
    interrupt::scope(
        move || stopped.load(Ordering::Relaxed),
        || {
            while !stop.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(&Task { object, variable, .. }) = tasks.get(index) else { break };
                let described = catalog
                    .check_zip_entry(&**store as &dyn ByteSource, object)
                    .and_then(|()| reader.describe(&catalog.location(object), variable));
                if done.send((index, described)).is_err() {
                    break;
                }
            }
        },
    );
}

/// Writes the results whose turn it is.
fn in_order(
    waiting: &mut BTreeMap<usize, Result<Described>>,
    written: &mut usize,
    tasks: &[Task<'_>],
    writer: &mut IndexWriter<NamedTempFile>,
    indexed: &mut Indexed,
) -> Result<()> {
    while let Some(result) = waiting.remove(written) {
        let Some(Task { path, variable, .. }) = tasks.get(*written) else { break };
        *written += 1;
        match result {
            Ok(Described { entry, size, version }) => {
                let (path, variable) = (path.clone(), (*variable).to_owned());
                writer.add(IndexRow { path, variable, size, version, entry })?;
                indexed.entries += 1;
            }
            Err(e)
                if matches!(e.kind, Kind::CorruptGranule | Kind::NotFound | Kind::Unsupported) =>
            {
                indexed.unreadable.push(e.to_string());
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
