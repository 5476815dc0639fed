//! The metadata files of a dataset: where they lie, and what they are not.

use bytes::Bytes;

use crate::error::{Error, Kind, Result};
use crate::store::{ByteSource, Extent, Fetched, Location, Want};

/// The largest `COLLECTION.json` read; a real one has 16 kB.
pub(super) const MAX_JSON: u64 = 16 << 20;
/// The largest level table read; a real one has 1 MB.
pub(super) const MAX_PARQUET: u64 = 512 << 20;

/// One metadata file.
pub(super) struct Asset {
    /// Its name within the dataset, for messages.
    pub(super) name: String,
    /// Where it lies.
    pub(super) location: Location,
}

impl Asset {
    pub(super) fn new(name: impl Into<String>, location: Location) -> Self {
        Self { name: name.into(), location }
    }

    /// An error about this file.
    pub(super) fn error(&self, problem: impl std::fmt::Display) -> Error {
        Error::invalid_dataset(format!("{} {problem}", self.name)).asset(&self.location)
    }

    /// Turns "no such file" into what it means for the dataset; other failures stay as they are.
    pub(super) fn or_missing<T>(&self, result: Result<T>, meaning: &str) -> Result<T> {
        result.map_err(|e| if e.kind == Kind::NotFound { self.error(meaning) } else { e })
    }
}

/// A metadata file and its contents, or why they could not be had.
pub(super) struct Contents {
    pub(super) asset: Asset,
    pub(super) bytes: Result<Bytes>,
}

/// The whole of several files, each if it is no larger than its limit, in one round trip.
pub(super) fn read_together(source: &dyn ByteSource, assets: Vec<(Asset, u64)>) -> Vec<Contents> {
    let wants: Vec<Want> = assets
        .iter()
        .map(|(asset, limit)| Want {
            location: asset.location.clone(),
            extent: Extent::Whole(*limit),
        })
        .collect();
    let read = |((asset, _), part): ((Asset, u64), Result<Fetched>)| {
        let bytes = match part {
            Ok(Fetched { bytes, .. }) => match impostor(&bytes) {
                None => Ok(bytes),
                Some(what) => Err(asset.error(what)),
            },
            // Too large.
            Err(e) if e.kind == Kind::InvalidDataset => Err(asset.error(e.message)),
            Err(e) => Err(e),
        };
        Contents { asset, bytes }
    };
    assets.into_iter().zip(source.fetch(&wants)).map(read).collect()
}

/// What a file is instead of itself, when a download went wrong.
pub(super) fn impostor(bytes: &[u8]) -> Option<&'static str> {
    let start = bytes.trim_ascii_start();
    let tag = |tag: &str| {
        start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()))
    };
    if bytes.is_empty() {
        Some("is empty (0 bytes)")
    } else if tag("version https://git-lfs") {
        Some("is a git-lfs pointer, not the file itself: run `git lfs pull`")
    } else if tag("<!doctype html") || tag("<html") {
        Some("is not itself: got HTML, probably a web page saved in its place; download it again")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::impostor;

    #[test]
    fn failed_downloads_are_recognised() {
        assert!(impostor(b"").is_some_and(|x| x.contains("empty")));
        assert!(
            impostor(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
                .is_some_and(|x| x.contains("git lfs pull"))
        );
        assert!(impostor(b"\n <!DOCTYPE html><p>404").is_some_and(|x| x.contains("HTML")));
        assert!(impostor(b"<HTML>").is_some());
        assert!(impostor(b"PAR1").is_none());
    }
}
