//! Copies assets into files, several at once, in pieces of bounded size.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::error::{Error, Result};
use crate::interrupt;
use crate::store::{ByteSource, Extent, Fetched, Location, Want};

/// Bytes that a thread holds at most.
const PIECE: u64 = 16 << 20;

/// One asset and the file to be.
pub(super) struct Copy {
    pub(super) location: Location,
    pub(super) target: PathBuf,
    /// What the asset must have, in bytes.
    pub(super) size: u64,
}

/// What [`Transfer::poll`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes more have come.
    Bytes(u64),
    /// A file more is there.
    File,
    /// Nothing within the time given.
    Pending,
    /// All files are there.
    End,
}

/// Copies under way. A file has its name only when it is whole and on the disk. Dropping the
/// transfer stops it.
pub struct Transfer {
    events: Receiver<Result<Progress>>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    store: Arc<dyn ByteSource>,
    copies: Vec<Copy>,
    next: AtomicUsize,
    /// Also ends waits for a remote store.
    cancelled: Arc<AtomicBool>,
}

impl Transfer {
    pub(super) fn start(
        store: Arc<dyn ByteSource>,
        copies: Vec<Copy>,
        threads: usize,
    ) -> Result<Self> {
        let (sender, events) = unbounded();
        let threads = threads.clamp(1, copies.len().max(1));
        let cancelled = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared { store, copies, next: AtomicUsize::new(0), cancelled });
        let mut transfer = Self { events, shared, threads: Vec::with_capacity(threads) };
        for i in 0..threads {
            let (shared, sender) = (transfer.shared.clone(), sender.clone());
            let named = std::thread::Builder::new().name(format!("oceanarrow-copy-{i}"));
            let started = named.spawn(move || shared.work(&sender));
            transfer.threads.push(
                started
                    .map_err(|e| Error::io(format!("cannot start threads to copy with: {e}")))?,
            );
        }
        Ok(transfer)
    }

    /// Waits up to `timeout` for something to happen. After an error the transfer stops.
    pub fn poll(&mut self, timeout: Duration) -> Result<Progress> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Ok(Progress::Pending),
            Err(RecvTimeoutError::Disconnected) => {
                for thread in self.threads.drain(..) {
                    let panicked = |_| Error::internal("a copy panicked; please report this");
                    thread.join().map_err(panicked)?;
                }
                Ok(Progress::End)
            }
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Copies what no other thread has begun.
    fn work(&self, events: &Sender<Result<Progress>>) {
        let cancelled = self.cancelled.clone();
        interrupt::scope(
            move || cancelled.load(Ordering::Relaxed),
            || {
                while let Some(copy) = self.copies.get(self.next.fetch_add(1, Ordering::Relaxed)) {
                    if self.cancelled.load(Ordering::Relaxed) {
                        return;
                    }
                    let copied = self.copy(copy, events);
                    let failed = copied.is_err();
                    // The consumer may have gone.
                    let _ = events.send(copied.map(|()| Progress::File));
                    if failed {
                        self.cancelled.store(true, Ordering::Relaxed);
                    }
                }
            },
        );
    }

    fn copy(&self, copy: &Copy, events: &Sender<Result<Progress>>) -> Result<()> {
        let partial = partial(&copy.target)?;
        if let Some(folder) = copy.target.parent() {
            fs::create_dir_all(folder).map_err(|e| cannot_write(folder, &e))?;
        }
        let mut file = File::create(&partial).map_err(|e| cannot_write(&partial, &e))?;
        let written = self.write(copy, &mut file, events).and_then(|()| {
            let kept = file.sync_all().and_then(|()| fs::rename(&partial, &copy.target));
            kept.map_err(|e| cannot_write(&copy.target, &e))
        });
        if written.is_err() {
            // Gives back the space; the error is what matters.
            let _ = fs::remove_file(&partial);
        }
        written
    }

    fn write(&self, copy: &Copy, file: &mut File, events: &Sender<Result<Progress>>) -> Result<()> {
        let Copy { location, target, size } = copy;
        let mut put = |bytes: &[u8]| {
            file.write_all(bytes).map_err(|e| cannot_write(target, &e))?;
            let _ = events.send(Ok(Progress::Bytes(bytes.len() as u64)));
            Ok(())
        };
        let (first, now) = self.store.read_start(location, PIECE)?;
        if now != *size {
            let changed = format!(
                "has {now} bytes, but had {size} when this download was planned; the dataset has \
                 changed: download it into another directory"
            );
            return Err(Error::corrupt(changed).asset(location));
        }
        put(&first)?;
        let mut at = first.len() as u64;
        while at < *size {
            let range = at..(*size).min(at + PIECE);
            at = range.end;
            let want = Want { location: location.clone(), extent: Extent::Range(range) };
            let Fetched { bytes, .. } = self.store.fetch_one(&want)?;
            put(&bytes)?;
        }
        Ok(())
    }
}

/// Where a file lies while it is not whole: a name that the next attempt uses again.
fn partial(target: &Path) -> Result<PathBuf> {
    let name = target.file_name().ok_or_else(|| Error::internal("a copy has no name"))?;
    Ok(target.with_file_name(format!(".{}.part", name.to_string_lossy())))
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::writing("cannot write", error).asset(path.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::ops::Range;

    use bytes::Bytes;
    use tempfile::TempDir;

    use super::*;
    use crate::error::Kind;

    /// Assets named by their sizes.
    struct Sized;

    fn content(size: u64) -> Vec<u8> {
        (0..size).map(|i| (i * i % 251) as u8).collect()
    }

    impl ByteSource for Sized {
        fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
            let bytes = content(self.size(location)?);
            Ok(Bytes::from(bytes).slice(range.start as usize..range.end as usize))
        }

        fn size(&self, location: &Location) -> Result<u64> {
            location.object.parse().map_err(|_| Error::not_found("none").asset(location))
        }
    }

    fn copies(dir: &Path, sizes: &[&str], expected: Option<u64>) -> Vec<Copy> {
        let copy = |name: &&str| Copy {
            location: Location::whole(*name),
            target: dir.join("folder").join(name),
            size: expected.or(name.parse().ok()).unwrap_or(1),
        };
        sizes.iter().map(copy).collect()
    }

    fn run(mut transfer: Transfer) -> Result<(u64, usize)> {
        let (mut bytes, mut files) = (0, 0);
        loop {
            match transfer.poll(Duration::from_secs(5))? {
                Progress::Bytes(n) => bytes += n,
                Progress::File => files += 1,
                Progress::Pending => return Err(Error::internal("it stalls")),
                Progress::End => return Ok((bytes, files)),
            }
        }
    }

    #[test]
    fn files_of_any_size_come_whole() {
        let dir = TempDir::new().unwrap();
        let large = (2 * PIECE + 5).to_string();
        let sizes = ["0", "1", "70000", &large, &PIECE.to_string()];
        let transfer = Transfer::start(Arc::new(Sized), copies(dir.path(), &sizes, None), 3);
        let total: u64 = sizes.iter().map(|size| size.parse::<u64>().unwrap()).sum();
        assert_eq!(run(transfer.unwrap()).unwrap(), (total, sizes.len()));
        for size in sizes {
            let found = fs::read(dir.path().join("folder").join(size)).unwrap();
            assert!(found == content(size.parse().unwrap()), "{size}");
        }
        assert_eq!(fs::read_dir(dir.path().join("folder")).unwrap().count(), sizes.len());
    }

    #[test]
    fn an_error_leaves_no_file() {
        let dir = TempDir::new().unwrap();
        for (names, expected, kind) in
            [(["absent"], None, Kind::NotFound), (["10"], Some(11), Kind::CorruptGranule)]
        {
            let transfer =
                Transfer::start(Arc::new(Sized), copies(dir.path(), &names, expected), 2);
            assert_eq!(run(transfer.unwrap()).unwrap_err().kind, kind);
            assert_eq!(fs::read_dir(dir.path().join("folder")).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("folder"), "a file where a folder should be").unwrap();
        let transfer = Transfer::start(Arc::new(Sized), copies(dir.path(), &["5"], None), 1);
        let error = run(transfer.unwrap()).unwrap_err();
        assert_eq!(error.kind, Kind::Unwritable);
        assert!(error.asset.unwrap().contains("folder"));
    }
}
