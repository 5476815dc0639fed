//! One file of numbered slots, each with the checksum of its block.
//!
//! ```text
//!  0   magic, slots, bytes of a slot, digest of the name; checksum of these
//!  64  slot 0: length of the block (0: none), its checksum; the block
//!      slot 1: ...
//! ```
//!
//! The file is sparse: a slot never written takes no disk and reads as zeros. Blocks are written
//! without `fsync` and without locks, because a block counts only if its checksum agrees with its
//! bytes: whatever a crash, a full disk or another process leaves half-written does not. Blocks are
//! read into memory of one's own and checked there, so that nothing can change them afterwards.

use std::fs::{File, FileTimes, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use twox_hash::XxHash3_64;

/// What every block file begins with.
pub(super) const MAGIC: &[u8; 8] = b"oarrowB1";

const HEADER: usize = 64;

const SLOT_HEADER: usize = 16;

/// Far below the largest file of usual file systems.
const MAX_FILE_BYTES: u64 = 1 << 43;

/// How often the time of last use is brought up to date.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// A digest of a file's name.
pub(super) type Digest = [u8; 32];

/// The slots of a block file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many there are.
    pub slots: u64,
    /// The longest block.
    pub slot_bytes: u64,
}

impl Shape {
    fn pitch(self) -> Option<u64> {
        self.slot_bytes.checked_add(SLOT_HEADER as u64)
    }

    /// The size of a file; `None` if it would be absurd.
    pub(super) fn file_bytes(self) -> Option<u64> {
        let bytes = self.pitch()?.checked_mul(self.slots)?.checked_add(HEADER as u64)?;
        (bytes <= MAX_FILE_BYTES).then_some(bytes)
    }
}

/// What a slot holds.
pub(super) enum SlotContent {
    Empty,
    Damaged,
    Sound(Vec<u8>),
}

/// An open block file.
pub struct BlockFile {
    file: File,
    shape: Shape,
    digest: Digest,
    opened: Instant,
    /// When its time of last use was set, in seconds after `opened`.
    touched: AtomicU64,
}

impl BlockFile {
    /// Opens a file; `None` if its header is not that of this name and shape.
    pub(super) fn open(path: &Path, digest: Digest, shape: Shape) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let file = match options.read(true).write(true).open(path) {
            Err(e) if is_read_only(&e) => File::open(path)?,
            opened => opened?,
        };
        let mut header = [0; HEADER];
        let sound = match file.read_exact_at(&mut header, 0) {
            Ok(()) => header == encode(digest, shape),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(e) => return Err(e),
        };
        Ok(sound.then(|| Self::of(file, digest, shape)))
    }

    /// Writes the header of a new file and leaves every slot empty.
    ///
    /// # Errors
    /// `InvalidInput`: a file of this shape would be absurdly large.
    pub(super) fn create(mut file: File, digest: Digest, shape: Shape) -> io::Result<Self> {
        let bytes = shape.file_bytes().ok_or(io::ErrorKind::InvalidInput)?;
        file.write_all(&encode(digest, shape))?;
        file.set_len(bytes)?;
        Ok(Self::of(file, digest, shape))
    }

    fn of(file: File, digest: Digest, shape: Shape) -> Self {
        advise_random(&file);
        let opened = Self { file, shape, digest, opened: Instant::now(), touched: 0.into() };
        opened.touch();
        opened
    }

    /// Marks the file as used now. Where that is not allowed it merely goes earlier.
    fn touch(&self) {
        let _ = self.file.set_times(FileTimes::new().set_modified(SystemTime::now()));
    }

    /// Keeps the time of last use up to date; false if the file has been deleted meanwhile.
    pub fn in_use(&self) -> bool {
        let now = self.opened.elapsed().as_secs();
        let last = self.touched.load(Ordering::Relaxed);
        if now < last + TOUCH_EVERY.as_secs() {
            return true;
        }
        self.touched.store(now, Ordering::Relaxed);
        self.touch();
        self.file.metadata().is_ok_and(|meta| meta.nlink() > 0)
    }

    /// Asks the system to read these slots ahead, all at once: one after the other would wait for
    /// the disk as often as there are slots.
    pub fn expect(&self, slots: impl Iterator<Item = u64>) {
        for slot in slots {
            if let Some(at) = self.offset(slot) {
                advise_needed(&self.file, at, self.shape.slot_bytes + SLOT_HEADER as u64);
            }
        }
    }

    /// What a slot holds; a slot that cannot be read is a damaged one.
    pub(super) fn read(&self, slot: u64) -> SlotContent {
        let Some(at) = self.offset(slot) else { return SlotContent::Empty };
        let mut header = [0; SLOT_HEADER];
        if self.file.read_exact_at(&mut header, at).is_err() {
            return SlotContent::Damaged;
        }
        let (length, checksum) = split(header);
        match usize::try_from(length) {
            Ok(0) if checksum == 0 => return SlotContent::Empty,
            Ok(bytes) if bytes > 0 && length <= self.shape.slot_bytes => {
                let mut block = vec![0; bytes];
                let read = self.file.read_exact_at(&mut block, at + SLOT_HEADER as u64);
                if read.is_ok() && self.checksum(slot, &block) == checksum {
                    return SlotContent::Sound(block);
                }
            }
            _ => {}
        }
        SlotContent::Damaged
    }

    /// Whether there is such a slot and a block of `size` bytes fits it; an empty one is no block.
    pub(super) fn takes(&self, slot: u64, size: usize) -> bool {
        slot < self.shape.slots && size > 0 && size as u64 <= self.shape.slot_bytes
    }

    /// Writes a block that the slot takes: first the bytes, then what makes them count.
    pub(super) fn write(&self, slot: u64, block: &[u8]) -> io::Result<()> {
        let at = self.offset(slot).ok_or(io::ErrorKind::InvalidInput)?;
        let mut header = [0; SLOT_HEADER];
        let (length, checksum) = header.split_at_mut(8);
        length.copy_from_slice(&(block.len() as u64).to_le_bytes());
        checksum.copy_from_slice(&self.checksum(slot, block).to_le_bytes());
        self.file.write_all_at(block, at + SLOT_HEADER as u64)?;
        self.file.write_all_at(&header, at)
    }

    fn offset(&self, slot: u64) -> Option<u64> {
        if slot >= self.shape.slots {
            return None;
        }
        self.shape.pitch()?.checked_mul(slot)?.checked_add(HEADER as u64)
    }

    /// Also depends on where the block belongs: bytes that were moved do not count.
    fn checksum(&self, slot: u64, block: &[u8]) -> u64 {
        let file = split(first(&self.digest)).0;
        XxHash3_64::oneshot_with_seed(file ^ slot, block)
    }
}

fn encode(digest: Digest, shape: Shape) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let fields = [*MAGIC, shape.slots.to_le_bytes(), shape.slot_bytes.to_le_bytes()].concat();
    let fields = [&fields[..], &digest].concat();
    let checksum = XxHash3_64::oneshot(&fields).to_le_bytes();
    for (to, from) in header.iter_mut().zip(fields.iter().chain(&checksum)) {
        *to = *from;
    }
    header
}

fn first(digest: &Digest) -> [u8; SLOT_HEADER] {
    std::array::from_fn(|i| digest[i])
}

fn split(header: [u8; SLOT_HEADER]) -> (u64, u64) {
    let both = u128::from_le_bytes(header);
    (both as u64, (both >> 64) as u64)
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// What lies around a slot is not wanted: without this, each read would fetch megabytes more.
#[cfg(target_os = "linux")]
fn advise_random(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
}

#[cfg(target_os = "linux")]
fn advise_needed(file: &File, at: u64, bytes: u64) {
    let length = std::num::NonZeroU64::new(bytes);
    let _ = rustix::fs::fadvise(file, at, length, rustix::fs::Advice::WillNeed);
}

#[cfg(not(target_os = "linux"))]
fn advise_random(_: &File) {}

#[cfg(not(target_os = "linux"))]
fn advise_needed(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_handle_notices_that_its_file_was_deleted() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("blocks");
        let shape = Shape { slots: 3, slot_bytes: 10 };
        let mut file = BlockFile::create(File::create_new(&path).unwrap(), [7; 32], shape).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(file.in_use(), "it does not look at every use");
        file.opened = file.opened.checked_sub(TOUCH_EVERY).unwrap();
        assert!(!file.in_use());
    }
}
