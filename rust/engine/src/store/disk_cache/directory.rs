//! The directory of a disk cache: whose it is, what lies in it, and what has to go.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::{Builder, NamedTempFile};

use super::block_file::{BlockFile, Digest, MAGIC, Shape};
use crate::error::{Error, Result};

/// The file that makes a directory ours, and what it says.
const MARKER: &str = "OCEANARROW-DISK-CACHE";
pub(super) const FORMAT: &str = "format 1\n";

const SUFFIX: &str = ".blocks";

/// Files in the making; then they are renamed.
const NEW: &str = "new-";

/// A file in the making that is older than this was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// File systems keep times less exactly than clocks tell them.
const TIME_ERROR: Duration = Duration::from_secs(1);

/// A directory that holds block files and nothing else.
pub(super) struct Directory {
    path: PathBuf,
    opened: SystemTime,
}

/// A block file in the directory.
pub(super) struct CachedFile {
    path: PathBuf,
    /// What it takes on the disk.
    pub(super) bytes: u64,
    used: SystemTime,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let opened = Self { path: path.to_owned(), opened: SystemTime::now() };
        let claimed = fs::create_dir_all(path).and_then(|()| opened.claim());
        match claimed {
            Ok(Ok(())) => Ok(opened),
            Ok(Err(problem)) => Err(Error::invalid_input(problem).asset(path.display())),
            Err(e) => {
                Err(Error::writing("cannot use this as a disk cache", &e).asset(path.display()))
            }
        }
    }

    /// A cache that is there already; `None` where there is no directory or an empty one.
    pub(super) fn existing(path: &Path) -> Result<Option<Self>> {
        let empty = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(e) if e.kind() == ErrorKind::NotFound => true,
            Err(e) => {
                let problem = format!("cannot read this as a disk cache: {e}");
                return Err(Error::io(problem).asset(path.display()));
            }
        };
        if empty { Ok(None) } else { Self::open(path).map(Some) }
    }

    /// Makes sure that the directory is ours; otherwise says why it cannot be.
    fn claim(&self) -> io::Result<std::result::Result<(), &'static str>> {
        let marker = self.path.join(MARKER);
        let check = || match fs::read(&marker) {
            Ok(found) if found == FORMAT.as_bytes() => Ok(Some(Ok(()))),
            Ok(_) => {
                Ok(Some(Err("this is a disk cache of another version of oceanarrow; delete \
                                  it or choose another directory")))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        if let Some(answer) = check()? {
            return Ok(answer);
        }
        for entry in fs::read_dir(&self.path)? {
            if !is_new(&entry?.file_name().to_string_lossy()) {
                // Another process may have made the marker meanwhile.
                return Ok(check()?.unwrap_or(Err(
                    "this directory is neither empty nor a disk cache; choose another one",
                )));
            }
        }
        let mut new = self.new_file()?;
        new.write_all(FORMAT.as_bytes())?;
        match new.persist_noclobber(&marker) {
            Err(e) if e.error.kind() != ErrorKind::AlreadyExists => Err(e.error),
            _ => Ok(check()?.unwrap_or(Err("the marker of this disk cache was removed"))),
        }
    }

    /// The block file of this name; `None` if there is none and none is to be made.
    pub(super) fn file(
        &self,
        name: &[u8],
        shape: Shape,
        create: bool,
    ) -> io::Result<Option<BlockFile>> {
        let digest = digest(name, shape);
        let path = self.path.join(file_name(&digest));
        match BlockFile::open(&path, digest, shape) {
            Ok(Some(file)) => return Ok(Some(file)),
            Ok(None) if !create => return Ok(None),
            Ok(None) => remove(&path)?,
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            Err(_) if !create => return Ok(None),
            Err(_) => {}
        }
        let (new, temporary) = self.new_file()?.into_parts();
        let file = BlockFile::create(new, digest, shape)?;
        match temporary.persist_noclobber(&path) {
            Ok(()) => Ok(Some(file)),
            // Another process was faster.
            Err(e) if e.error.kind() == ErrorKind::AlreadyExists => {
                BlockFile::open(&path, digest, shape)
            }
            Err(e) => Err(e.error),
        }
    }

    fn new_file(&self) -> io::Result<NamedTempFile> {
        // As any file of the user, so that a group can share a cache.
        let permissions = fs::Permissions::from_mode(0o666);
        Builder::new().prefix(NEW).suffix(SUFFIX).permissions(permissions).tempfile_in(&self.path)
    }

    /// Makes room below `limit`, least recently used files first, and returns the bytes that are
    /// left in use. Files that somebody has used since this process opened the cache stay: an epoch
    /// that does not fit would otherwise lose each block just before it is wanted again.
    pub(super) fn shrink(&self, limit: u64) -> io::Result<u64> {
        let entries = self.entries()?;
        let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries.iter().take_while(|entry| entry.used + TIME_ERROR < self.opened) {
            if total <= limit {
                break;
            }
            if remove_ours(&entry.path)? {
                total -= entry.bytes;
            }
        }
        Ok(total)
    }

    /// What lies in it, least recently used first.
    pub(super) fn entries(&self) -> io::Result<Vec<CachedFile>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            entries.extend(self.inspect(&entry?)?);
        }
        entries.sort_by_key(|entry| entry.used);
        Ok(entries)
    }

    /// Removes an entry; tells whether it held what we write.
    pub(super) fn remove(entry: &CachedFile) -> io::Result<bool> {
        remove_ours(&entry.path)
    }

    /// An entry, if it is a block file; removes what a dead process left half-made.
    fn inspect(&self, entry: &DirEntry) -> io::Result<Option<CachedFile>> {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let found = match entry.metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        let path = entry.path();
        if !found.is_file() || !(is_new(&name) || is_block_file(&name)) {
            return Ok(None);
        }
        let used = found.modified()?;
        if is_new(&name) && used.elapsed().is_ok_and(|age| age > ABANDONED) {
            remove_ours(&path)?;
            return Ok(None);
        }
        Ok(Some(CachedFile { path, bytes: found.blocks().saturating_mul(512), used }))
    }
}

/// Removes a file if it holds what we write, or nothing yet; whatever its name is.
fn remove_ours(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(MAGIC.len() as u64).read_to_end(&mut start)?,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let ours = start.is_empty() || start == MAGIC || FORMAT.as_bytes().starts_with(&start);
    if ours {
        remove(path)?;
    }
    Ok(ours)
}

fn is_new(name: &str) -> bool {
    name.starts_with(NEW) && name.ends_with(SUFFIX)
}

fn is_block_file(name: &str) -> bool {
    let digits = name.strip_suffix(SUFFIX).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

pub(super) fn digest(name: &[u8], shape: Shape) -> Digest {
    let mut hasher = blake2b_simd::Params::new().hash_length(size_of::<Digest>()).to_state();
    hasher.update(&shape.slots.to_le_bytes()).update(&shape.slot_bytes.to_le_bytes());
    let hash = hasher.update(name).finalize();
    std::array::from_fn(|i| hash.as_bytes().get(i).copied().unwrap_or_default())
}

pub(super) fn file_name(digest: &Digest) -> String {
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    digits + SUFFIX
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
