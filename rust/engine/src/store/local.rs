//! Local files, read with `pread`: no shared file position, so safe across threads and forks.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use super::{ByteSource, Location};
use crate::error::{Error, Result};

/// Open files kept at most; far below the usual limit of 1,024 descriptors a process.
const MAX_OPEN_FILES: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// A file and its size when it was opened.
struct OpenFile {
    file: File,
    size: u64,
}

/// Local files.
pub struct LocalFiles {
    open: Mutex<LruCache<Arc<str>, Arc<OpenFile>>>,
}

impl Default for LocalFiles {
    fn default() -> Self {
        Self { open: Mutex::new(LruCache::new(MAX_OPEN_FILES)) }
    }
}

impl LocalFiles {
    fn open(&self, location: &Location) -> Result<Arc<OpenFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = open.get(&location.object) {
            return Ok(found.clone());
        }
        let opened = File::open(&*location.object)
            .and_then(|file| {
                let meta = file.metadata()?;
                if meta.is_dir() {
                    return Err(io::Error::from(ErrorKind::IsADirectory));
                }
                Ok(Arc::new(OpenFile { file, size: meta.len() }))
            })
            .map_err(|e| read_error(&e, location))?;
        open.put(location.object.clone(), opened.clone());
        Ok(opened)
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
