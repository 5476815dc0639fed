//! What opening a file read of it: by that, another state of the file is told from a copy.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::varint::{put, take};
use crate::error::{Kind, Result};
use crate::store::{ByteSource, Extent, Fetched, Location, Want};

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
        // Without any, nothing would be proved.
        if ranges.is_empty() || ranges.iter().any(|range| range.start > range.end) {
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
