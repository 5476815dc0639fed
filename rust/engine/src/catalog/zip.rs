//! `.tacozip`: a ZIP whose first entry, `TACO_HEADER`, says where the metadata lie.

use super::assets::{Asset, impostor};
use super::collection::DEPTH;
use crate::error::{Error, Kind, Result};
use crate::store::{ByteSource, Extent, Fetched, Location, Want};

/// Bytes of a ZIP local header before the entry's name.
pub(super) const LOCAL_HEADER: usize = 30;
/// Bytes of the extra field of an entry of 4 GiB or more.
pub(super) const ZIP64_EXTRA: usize = 20;

const SIGNATURE: &[u8] = b"PK\x03\x04";
const NAME: &[u8] = b"TACO_HEADER";
const MAX_ENTRIES: usize = 7;
/// Payload of `TACO_HEADER`: a count, 3 zero bytes, 7 pairs of offset and size.
const PAYLOAD: usize = 4 + MAX_ENTRIES * 16;
/// The header with nothing between name and payload, as every writer makes it.
pub(super) const HEADER_END: usize = LOCAL_HEADER + NAME.len() + PAYLOAD;
/// Enough for the header with a small extra field.
const FIRST_READ: u64 = 256;

/// The metadata of an archive.
pub(super) struct Archive {
    /// Size of the file in bytes.
    pub(super) size: u64,
    /// `(offset, end)` of what is not data: the header and the metadata.
    pub(super) reserved: Vec<(u64, u64)>,
    /// `COLLECTION.json`.
    pub(super) collection: Asset,
    /// The level tables, from level 0 on.
    pub(super) levels: Vec<Asset>,
}

impl Archive {
    /// Reads the headers of archives, in one round trip.
    pub(super) fn open(source: &dyn ByteSource, paths: &[String]) -> Vec<Result<Self>> {
        let wants: Vec<Want> = paths
            .iter()
            .map(|path| Want {
                location: Location::whole(path.as_str()),
                extent: Extent::Start(FIRST_READ),
            })
            .collect();
        let parts = source.fetch(&wants).into_iter().zip(paths);
        parts.map(|(part, path)| Self::parse(part, path)).collect()
    }

    fn parse(part: Result<Fetched>, path: &str) -> Result<Self> {
        let read = || -> Result<Self> {
            let Fetched { bytes, size } = part?;
            let size = size.ok_or_else(|| Error::internal("a store told no size"))?;
            let header = Header::parse(&bytes).map_err(Error::invalid_dataset)?;
            header.check(size).map_err(Error::invalid_dataset)?;
            Ok(Self::new(path, size, &header))
        };
        read().map_err(|e| match e.kind {
            Kind::NotFound => Error::not_found("no such archive").asset(path),
            _ => e.asset(path),
        })
    }

    fn new(path: &str, size: u64, header: &Header) -> Self {
        let asset = |name: String, &slice: &(u64, u64)| {
            Asset::new(name, Location { object: path.into(), slice: Some(slice) })
        };
        let (collection, levels) = match header.entries.split_last() {
            Some((last, levels)) => (*last, levels),
            None => ((0, 0), &[][..]),
        };
        let levels: Vec<Asset> = levels
            .iter()
            .enumerate()
            .map(|(k, slice)| asset(format!("METADATA/level{k}.parquet"), slice))
            .collect();
        let mut reserved = vec![(0, header.end)];
        reserved.extend(header.entries.iter().map(|&(offset, size)| (offset, offset + size)));
        Self { size, reserved, collection: asset("COLLECTION.json".into(), &collection), levels }
    }
}

/// `TACO_HEADER`: offset and size of each level, then of `COLLECTION.json`.
#[derive(Debug, PartialEq)]
struct Header {
    entries: Vec<(u64, u64)>,
    /// Where its own payload ends.
    end: u64,
}

impl Header {
    /// Parses the first bytes of an archive.
    fn parse(start: &[u8]) -> std::result::Result<Self, String> {
        if let Some(what) = impostor(start) {
            return Err(format!("the archive {what}"));
        }
        if !start.starts_with(SIGNATURE) {
            return Err("not a ZIP archive: it does not start with PK".into());
        }
        if start.len() < HEADER_END {
            return Err(format!(
                "the archive has {} bytes, too few for a TACO_HEADER ({HEADER_END}); is it truncated?",
                start.len()
            ));
        }
        let local = LocalHeader::parse(start).ok_or("the first ZIP entry is truncated")?;
        match start.get(LOCAL_HEADER..LOCAL_HEADER + local.name_length) {
            Some(name) if name == NAME => {}
            Some(b"TACO_GHOST") => {
                return Err("written by a pre-release tacozip (TACO_GHOST): create it again".into());
            }
            name => {
                return Err(format!(
                    "not a tacozip: its first entry is {:?}, expected TACO_HEADER",
                    String::from_utf8_lossy(name.unwrap_or_default())
                ));
            }
        }
        local.check(PAYLOAD as u64).map_err(|e| format!("TACO_HEADER {e}"))?;
        let begin = LOCAL_HEADER + local.name_length + local.extra_length;
        let payload =
            start.get(begin..begin + PAYLOAD).ok_or("TACO_HEADER has an over-long extra field")?;
        let (head, pairs) = payload.split_at(4);
        let count = usize::from(head.first().copied().unwrap_or(0));
        if !(1..=MAX_ENTRIES).contains(&count) {
            return Err(format!("TACO_HEADER lists {count} entries, expected 1 to {MAX_ENTRIES}"));
        }
        let entries = pairs
            .chunks_exact(16)
            .take(count)
            .filter_map(|pair| Some((u64_at(pair, 0)?, u64_at(pair, 8)?)))
            .collect();
        Ok(Self { entries, end: (begin + PAYLOAD) as u64 })
    }

    /// Checks the entries against the archive's size and against each other.
    fn check(&self, archive_size: u64) -> std::result::Result<(), String> {
        let mut extents = vec![(0, self.end, "TACO_HEADER".to_owned())];
        for (k, &(offset, size)) in self.entries.iter().enumerate() {
            let entry = format!("TACO_HEADER entry {k} ({offset},{size})");
            match offset.checked_add(size) {
                Some(end) if end <= archive_size => extents.push((offset, end, entry)),
                _ => {
                    return Err(format!(
                        "{entry} lies outside the file of {archive_size} bytes; is it truncated?"
                    ));
                }
            }
            if size == 0 {
                return Err(format!("TACO_HEADER entry {k} is empty"));
            }
        }
        extents.sort_unstable();
        for pair in extents.windows(2) {
            if let [(_, end, first), (begin, _, second)] = pair
                && begin < end
            {
                return Err(format!("{second} overlaps {first}"));
            }
        }
        if self.entries.len() < DEPTH + 2 {
            return Err(format!(
                "METADATA/level{}.parquet is missing: TACO_HEADER lists {} of {} metadata files",
                self.entries.len().saturating_sub(1),
                self.entries.len(),
                DEPTH + 2
            ));
        }
        Ok(())
    }
}

/// The fields of a ZIP local header that matter.
pub(super) struct LocalHeader {
    flags: u16,
    method: u16,
    compressed_size: u32,
    size: u32,
    /// Length of the name, which follows the header.
    pub(super) name_length: usize,
    /// Length of the extra field, which follows the name.
    pub(super) extra_length: usize,
}

impl LocalHeader {
    /// Parses a local header; `None` if it is truncated or none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header: &[u8] = bytes.get(..LOCAL_HEADER)?;
        if !header.starts_with(SIGNATURE) {
            return None;
        }
        Some(Self {
            flags: u16_at(header, 6)?,
            method: u16_at(header, 8)?,
            compressed_size: u32_at(header, 18)?,
            size: u32_at(header, 22)?,
            name_length: u16_at(header, 26)?.into(),
            extra_length: u16_at(header, 28)?.into(),
        })
    }

    /// What is wrong with an entry whose payload should be `expected` plain bytes.
    pub(super) fn check(&self, expected: u64) -> std::result::Result<(), String> {
        // From 4 GiB on, the sizes stand in the extra field and these are all ones.
        let expected = u32::try_from(expected).unwrap_or(u32::MAX);
        if self.method != 0 {
            Err(format!("is compressed (method {}); entries must be STORED", self.method))
        } else if self.flags & 1 != 0 {
            Err("is encrypted".into())
        } else if self.compressed_size != expected || self.size != expected {
            Err(format!(
                "has {} bytes (stored as {}), expected {expected}",
                self.size, self.compressed_size
            ))
        } else {
            Ok(())
        }
    }
}

/// Checks that the local header before `offset` is that of the entry `name` of `size` bytes.
pub(super) fn check_entry(
    source: &dyn ByteSource,
    archive: &str,
    name: &str,
    (offset, size): (u64, u64),
) -> Result<()> {
    let whole = Location::whole(archive);
    let extra = if size >= u64::from(u32::MAX) { ZIP64_EXTRA } else { 0 };
    let length = LOCAL_HEADER + name.len() + extra;
    let wrong = |problem: String| {
        Error::corrupt(format!("the ZIP entry {name} {problem}"))
            .asset(Location { object: whole.object.clone(), slice: Some((offset, size)) })
    };
    let begin = offset
        .checked_sub(length as u64)
        .ok_or_else(|| wrong("lies before the archive's start".into()))?;
    let bytes = source.read(&whole, begin..offset)?;
    let header = LocalHeader::parse(&bytes)
        .ok_or_else(|| wrong("has no local header where the metadata say".into()))?;
    let stored = bytes.get(LOCAL_HEADER..LOCAL_HEADER + name.len()).unwrap_or_default();
    if header.name_length != name.len() || stored != name.as_bytes() {
        return Err(wrong(format!("is in truth {:?}", String::from_utf8_lossy(stored))));
    }
    if header.extra_length != extra {
        return Err(wrong("has an extra field where its data should begin".into()));
    }
    header.check(size).map_err(wrong)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::{HEADER_END, Header, LocalHeader, MAX_ENTRIES, NAME, PAYLOAD};

    /// The first bytes of an archive with these entries, written field by field.
    fn start(entries: &[(u64, u64)]) -> Vec<u8> {
        let size = (PAYLOAD as u32).to_le_bytes();
        let mut bytes = b"PK\x03\x04\x0a\0\0\0\0\0\x5c\x39\x76\x5d".to_vec();
        bytes.extend([0; 4]);
        bytes.extend(size);
        bytes.extend(size);
        bytes.extend([NAME.len() as u8, 0, 0, 0]);
        bytes.extend(NAME);
        bytes.extend([entries.len() as u8, 0, 0, 0]);
        for k in 0..MAX_ENTRIES {
            let (offset, size) = entries.get(k).copied().unwrap_or_default();
            bytes.extend(offset.to_le_bytes());
            bytes.extend(size.to_le_bytes());
        }
        bytes
    }

    /// Entries one after the other, with gaps, behind the header.
    fn laid_out() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0u64..1 << 40, 1u64..1 << 40), 4..=MAX_ENTRIES).prop_map(|gaps| {
            let mut end = HEADER_END as u64;
            gaps.into_iter()
                .map(|(gap, size)| {
                    let offset = end + gap;
                    end = offset + size;
                    (offset, size)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Header::parse(&bytes).and_then(|header| header.check(1_000));
            let _ = LocalHeader::parse(&bytes).map(|header| header.check(7));
        }

        #[test]
        fn damaged_headers_never_panic(
            entries in prop::collection::vec(any::<(u64, u64)>(), 0..=MAX_ENTRIES),
            at in 0..HEADER_END,
            value: u8,
            size: u64,
        ) {
            let mut bytes = start(&entries);
            bytes[at] = value;
            let _ = Header::parse(&bytes).and_then(|header| header.check(size));
        }

        #[test]
        fn written_headers_are_read(entries in laid_out()) {
            let header = Header::parse(&start(&entries)).unwrap();
            let (offset, size) = *entries.last().unwrap();
            prop_assert_eq!(header.check(offset + size), Ok(()));
            prop_assert!(header.check(offset + size - 1).unwrap_err().contains("outside the file"));
            prop_assert_eq!(header, Header { entries, end: HEADER_END as u64 });
        }

        #[test]
        fn entries_that_share_a_byte_are_refused(entries in laid_out(), k in 1usize..4) {
            let mut entries = entries;
            let (before, length) = entries[k - 1];
            entries[k] = (before + length - 1, 1);
            let header = Header::parse(&start(&entries)).unwrap();
            prop_assert!(header.check(u64::MAX).unwrap_err().contains("overlaps"));
        }
    }

    #[test]
    fn sizes_of_4_gib_and_more_stand_in_the_extra_field() {
        let mut bytes = start(&[]);
        bytes[18..26].fill(0xff);
        let header = LocalHeader::parse(&bytes).unwrap();
        assert_eq!(header.check(5 << 30), Ok(()));
        assert!(header.check(116).is_err());
    }
}
