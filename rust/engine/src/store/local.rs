//! Local files, read with `pread`: no shared file position, so safe across threads and forks.

use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lru::LruCache;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread, preadv};

use super::{ByteSource, Location};
use crate::error::{Error, Result};
use crate::events::{self, Kind};

/// Open files kept at most; far below the usual limit of 1,024 descriptors a process.
const MAX_OPEN_FILES: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Slices that the system fills at once.
const MAX_SLICES: usize = 1024;

/// A file, and its size and time of last change when it was opened.
struct OpenFile {
    file: File,
    size: u64,
    modified: SystemTime,
}

/// By path.
type OpenFiles = LruCache<Arc<str>, Arc<OpenFile>>;

/// Local files.
pub struct LocalFiles {
    open: Mutex<OpenFiles>,
}

impl Default for LocalFiles {
    fn default() -> Self {
        Self { open: Mutex::new(LruCache::new(MAX_OPEN_FILES)) }
    }
}

impl LocalFiles {
    fn open(&self, location: &Location) -> Result<Arc<OpenFile>> {
        if let Some(found) = self.lock().get(&location.object) {
            return Ok(found.clone());
        }
        // Without the lock: a file on a slow disk must not keep others from being opened.
        let opened = File::open(&*location.object)
            .and_then(|file| {
                let meta = file.metadata()?;
                if meta.is_dir() {
                    return Err(io::Error::from(ErrorKind::IsADirectory));
                }
                Ok(Arc::new(OpenFile { file, size: meta.len(), modified: meta.modified()? }))
            })
            .map_err(|e| read_error(&e, location))?;
        events::note(Kind::Open, || format!("opened {} ({} bytes)", location.object, opened.size));
        // Another thread may have been first: all read one file then.
        Ok(self.lock().get_or_insert(location.object.clone(), || opened).clone())
    }

    fn lock(&self) -> MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalFiles {
    /// Fills slices one after the other with the bytes from `offset` on.
    ///
    /// # Errors
    /// `CorruptGranule`: the file ends before. `NotFound`, `Io`.
    pub fn read_into(
        &self,
        location: &Location,
        mut offset: u64,
        mut slices: &mut [IoSliceMut<'_>],
    ) -> Result<()> {
        let file = self.open(location)?;
        IoSliceMut::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let some = slices.len().min(MAX_SLICES);
            match preadv(&file.file, &mut slices[..some], offset) {
                Ok(0) => return Err(read_error(&ErrorKind::UnexpectedEof.into(), location)),
                Ok(read) => {
                    IoSliceMut::advance_slices(&mut slices, read);
                    offset = offset.saturating_add(read as u64);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(read_error(&error.into(), location)),
            }
        }
        Ok(())
    }
}

impl ByteSource for LocalFiles {
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        let file = self.open(location)?;
        let (base, size) = extent(&file, location)?;
        if range.start > range.end || range.end > size {
            return Err(Error::corrupt(format!(
                "bytes {}..{} lie outside the {size} bytes of the file; is it truncated?",
                range.start, range.end
            ))
            .asset(location));
        }
        let length = usize::try_from(range.end - range.start).map_err(|_| {
            Error::corrupt("a byte range exceeds the address space").asset(location)
        })?;
        read_exact(&file.file, base + range.start, length)
            .map(Bytes::from)
            .map_err(|e| read_error(&e, location))
    }

    fn size(&self, location: &Location) -> Result<u64> {
        let file = self.open(location)?;
        Ok(extent(&file, location)?.1)
    }

    /// Size and time of last change, as `make` and `rsync` tell versions.
    fn version(&self, location: &Location) -> Result<Option<String>> {
        let file = self.open(location)?;
        let since_epoch = file.modified.duration_since(UNIX_EPOCH);
        Ok(since_epoch.ok().map(|time| format!("{} {}", file.size, time.as_nanos())))
    }
}

fn read_exact(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(length);
    while buffer.len() < length {
        // Capacity may exceed what was asked for; what comes too much is cut off.
        let at = offset + buffer.len() as u64;
        match pread(file, spare_capacity(&mut buffer), at) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    buffer.truncate(length);
    Ok(buffer)
}

/// Offset and size of the asset within its file.
fn extent(file: &OpenFile, location: &Location) -> Result<(u64, u64)> {
    match location.slice {
        None => Ok((0, file.size)),
        Some((offset, size)) => match offset.checked_add(size) {
            Some(end) if end <= file.size => Ok((offset, size)),
            _ => Err(Error::corrupt(format!(
                "the archive has {} bytes, too few for this entry; is it truncated?",
                file.size
            ))
            .asset(location)),
        },
    }
}

fn read_error(error: &io::Error, location: &Location) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::not_found("no such file"),
        ErrorKind::UnexpectedEof => Error::corrupt("the file ends before the bytes asked for"),
        _ => Error::io(format!("cannot read: {error}")),
    }
    .asset(location)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_slow_file_keeps_no_other_from_being_opened() {
        let dir = tempfile::TempDir::new().unwrap();
        let (slow, quick) = (dir.path().join("slow"), dir.path().join("quick"));
        // A pipe opens when somebody opens its other end.
        assert!(Command::new("mkfifo").arg(&slow).status().unwrap().success());
        std::fs::write(&quick, b"bytes").unwrap();
        let files = Arc::new(LocalFiles::default());
        let size = |path: &Path| {
            let (files, location) = (files.clone(), Location::whole(path.to_str().unwrap()));
            let (sender, receiver) = mpsc::channel();
            std::thread::spawn(move || sender.send(files.size(&location)));
            receiver
        };
        let waits = size(&slow);
        assert!(waits.recv_timeout(Duration::from_millis(100)).is_err(), "it opened at once");
        let opened = size(&quick).recv_timeout(Duration::from_secs(10));
        let _other_end = File::options().write(true).open(&slow).unwrap();
        assert_eq!(opened.unwrap().unwrap(), 5);
        assert_eq!(waits.recv_timeout(Duration::from_secs(10)).unwrap().unwrap(), 0);
    }

    #[test]
    fn threads_that_open_a_file_at_once_share_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("granule.nc");
        std::fs::write(&path, b"bytes").unwrap();
        let (files, location) = (LocalFiles::default(), Location::whole(path.to_str().unwrap()));
        let opened: Vec<Arc<OpenFile>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| files.open(&location).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|file| Arc::ptr_eq(file, &opened[0])));
    }

    #[test]
    fn a_changed_file_has_another_version() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("granule.nc");
        let location = Location::whole(path.to_str().unwrap());
        let version = || LocalFiles::default().version(&location).unwrap().unwrap();
        let changed = |seconds: u64| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        std::fs::write(&path, b"some").unwrap();
        changed(1000);
        let first = version();
        assert_eq!(version(), first);
        changed(1001);
        assert_ne!(version(), first);
        std::fs::write(&path, b"more bytes").unwrap();
        changed(1000);
        assert_ne!(version(), first);
    }
}
