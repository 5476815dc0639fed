//! What opening a file read of it: by that, another state of the file is told from a copy.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::varint::{put, take};
use crate::error::{Kind, Result};
use crate::store::{ByteSource, Extent, Fetched, Location, Want};

/// Far above what opening a file reads. Evidence may come from a stranger.
const MAX_BYTES: u64 = 256 << 20;

/// Byte ranges of a file, and a digest of what they hold: all metadata that opening came by, axes
/// included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::granule) struct Evidence {
    /// Starts and ends.
    ranges: Vec<(u64, u64)>,
    digest: u128,
}

impl Evidence {
    fn new(reads: &[(u64, Bytes)]) -> Self {
        let ranges = reads.iter().map(|(at, bytes)| (*at, at + bytes.len() as u64)).collect();
        Self { ranges, digest: digest(reads.iter().map(|(_, bytes)| bytes)) }
    }

    /// As a listing keeps it.
    pub(in crate::granule) fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.ranges.iter().flat_map(|&(start, end)| [start, end]);
        let mut bytes = self.digest.to_le_bytes().to_vec();
        numbers.for_each(|number| put(&mut bytes, number));
        bytes
    }

    /// What [`Evidence::to_bytes`] gave; `None` of anything else.
    pub(in crate::granule) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digest, mut rest) = bytes.split_first_chunk()?;
        let mut ranges = Vec::new();
        while !rest.is_empty() {
            ranges.push((take(&mut rest).ok()?, take(&mut rest).ok()?));
        }
        Some(Self { ranges, digest: u128::from_le_bytes(*digest) })
    }

    #[cfg(test)]
    pub(super) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// Whether the file holds the same there; reads it.
    ///
    /// # Errors
    /// Those of a store that fails, which say nothing about the file.
    pub(in crate::granule) fn holds(
        &self,
        source: &dyn ByteSource,
        location: &Location,
    ) -> Result<bool> {
        let ranges: Vec<Range<u64>> = self.ranges.iter().map(|&(start, end)| start..end).collect();
        let bytes = ranges.iter().try_fold(0u64, |sum, range| {
            sum.checked_add(range.end.checked_sub(range.start)?).filter(|&sum| sum <= MAX_BYTES)
        });
        // Without any, nothing would be proved.
        if ranges.is_empty() || bytes.is_none() {
            return Ok(false);
        }
        match source.read_many(location, &ranges) {
            Ok(found) => Ok(digest(found.iter()) == self.digest),
            Err(e) if e.concerns_one_file() && e.kind != Kind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// 128 bits of hash, which two states of a file never share in practice.
fn digest<'a>(pieces: impl Iterator<Item = &'a Bytes>) -> u128 {
    let mut bytes = Vec::new();
    pieces.for_each(|piece| bytes.extend_from_slice(piece));
    let half = |seed| u128::from(XxHash3_64::oneshot_with_seed(seed, &bytes));
    half(0) << 64 | half(1)
}

/// A source that remembers what is read of one file through it.
pub(in crate::granule) struct Witness {
    source: Arc<dyn ByteSource>,
    reads: Mutex<Vec<(u64, Bytes)>>,
}

impl Witness {
    pub(in crate::granule) fn new(source: Arc<dyn ByteSource>) -> Self {
        Self { source, reads: Mutex::default() }
    }

    /// What was read so far.
    pub(in crate::granule) fn evidence(&self) -> Evidence {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        reads.retain(|(_, bytes)| !bytes.is_empty());
        reads.sort_by_key(|(at, bytes)| (*at, bytes.len()));
        reads.dedup_by_key(|(at, bytes)| (*at, bytes.len()));
        Evidence::new(&reads)
    }

    fn note(&self, start: u64, bytes: &Bytes) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.push((start, bytes.clone()));
    }
}

impl ByteSource for Witness {
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.source.read(location, range.clone())?;
        self.note(range.start, &bytes);
        Ok(bytes)
    }

    fn size(&self, location: &Location) -> Result<u64> {
        self.source.size(location)
    }

    fn version(&self, location: &Location) -> Result<Option<String>> {
        self.source.version(location)
    }

    fn fetch(&self, wants: &[Want]) -> Vec<Result<Fetched>> {
        let parts = self.source.fetch(wants);
        for (want, part) in wants.iter().zip(&parts) {
            let start = match &want.extent {
                Extent::Range(range) => range.start,
                Extent::Start(_) | Extent::Whole(_) | Extent::Size => 0,
            };
            if let Ok(part) = part {
                self.note(start, &part.bytes);
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::store::LocalFiles;

    fn holds(evidence: &[u8], path: &str) -> bool {
        let evidence = Evidence::from_bytes(evidence);
        evidence.is_some_and(|e| e.holds(&LocalFiles::default(), &Location::whole(path)).unwrap())
    }

    #[test]
    fn evidence_of_a_file_holds_for_it_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("x.nc").to_string_lossy().into_owned();
        std::fs::write(&path, vec![7; 4096]).unwrap();
        let witness = Witness::new(Arc::new(LocalFiles::default()));
        witness.read(&Location::whole(path.as_str()), 100..300).unwrap();
        let evidence = witness.evidence().to_bytes();
        assert!(holds(&evidence, &path));
        // Nothing, more than there is, and the whole file too often.
        assert!(!holds(&evidence[..16], &path));
        let huge =
            |ranges: &[(u64, u64)]| Evidence { ranges: ranges.to_vec(), digest: 0 }.to_bytes();
        assert!(!holds(&huge(&[(0, u64::MAX)]), &path));
        assert!(!holds(&huge(&[(9, 8)]), &path));
        assert!(!holds(&huge(&vec![(0, 4096); 1 << 17]), &path));
        std::fs::write(&path, vec![8; 4096]).unwrap();
        assert!(!holds(&evidence, &path));
    }

    proptest! {
        #[test]
        fn any_bytes_are_evidence_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(evidence) = Evidence::from_bytes(&bytes) {
                prop_assert_eq!(Evidence::from_bytes(&evidence.to_bytes()), Some(evidence));
            }
        }
    }
}
