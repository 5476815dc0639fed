//! What small remote files held when they were last read, kept in the disk cache: a catalog, or point
//! data, then costs one round trip that asks whether they still do, and none offline.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use blake2b_simd::{Params, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::disk_cache::{DiskCache, Shape};
use super::{ByteSource, Extent, Fetched, Location, Want, is_remote};
use crate::error::{Error, Result};

/// Level tables larger than this are not kept.
const SLOT_BYTES: u64 = 64 << 20;

/// Goes up when entries come to be written differently.
const FORMAT: u32 = 1;

/// A store whose remote answers are kept.
pub struct Revalidated<S> {
    source: S,
    cache: Arc<DiskCache>,
    offline: bool,
    /// Of all remote answers so far.
    digest: Mutex<State>,
}

/// An answer that was kept.
#[derive(Serialize, Deserialize)]
struct Answer {
    /// Of the object that it is from.
    version: String,
    size: Option<u64>,
    bytes: Vec<u8>,
}

impl<S: Deref<Target: ByteSource> + Send + Sync> Revalidated<S> {
    /// Keeps in `cache` what `source` answers; `offline`, nothing is asked.
    pub fn new(source: S, cache: Arc<DiskCache>, offline: bool) -> Self {
        let digest = Params::new().hash_length(16).to_state();
        Self { source, cache, offline, digest: Mutex::new(digest) }
    }

    /// A digest of all remote answers: of a catalog's, it tells the states of a dataset apart.
    pub fn digest(&self) -> Vec<u8> {
        let digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        digest.finalize().as_bytes().to_vec()
    }

    fn note(&self, want: &Want, part: &Result<Fetched>) {
        if let Ok(part) = part
            && is_remote(&want.location.object)
        {
            let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
            digest.update(&(part.bytes.len() as u64).to_le_bytes()).update(&part.bytes);
        }
    }

    /// What tells this state of the want's object: the name it is pinned to, and its version.
    fn state(&self, location: &Location) -> Option<String> {
        let pinned = self.source.pinned(&location.object).ok()?;
        let pinned = Location { object: pinned.into(), slice: location.slice };
        let version = self.source.version(&pinned).ok()??;
        Some(format!("{} {version}", pinned.object))
    }

    fn load<T: for<'de> Deserialize<'de>>(&self, name: &impl Serialize) -> Option<T> {
        let name = postcard::to_stdvec(&(FORMAT, name)).ok()?;
        let file = self.cache.file(&name, Shape { slots: 1, slot_bytes: SLOT_BYTES })?;
        postcard::from_bytes(&self.cache.read_apart(&file, 0)?).ok()
    }

    fn save(&self, name: &impl Serialize, value: &impl Serialize) {
        let encoded = postcard::to_stdvec(&(FORMAT, name)).and_then(|name| {
            let value = postcard::to_stdvec(value)?;
            Ok((name, value))
        });
        if let Ok((name, value)) = encoded
            && let Some(file) = self.cache.file(&name, Shape { slots: 1, slot_bytes: SLOT_BYTES })
        {
            self.cache.write_behind(&file, 0, &Arc::new(value));
        }
    }

    /// Asks for all objects at once what will tell whether their entries still hold.
    fn ask_for_versions(&self, entries: &[(&Want, Option<Answer>)]) {
        let wants: Vec<Want> = entries
            .iter()
            .filter(|(want, entry)| entry.is_some() && !want.location.object.starts_with("hf://"))
            .map(|(want, _)| Want {
                location: Location::whole(want.location.object.clone()),
                extent: Extent::Size,
            })
            .collect();
        // A failure shows when the object itself is asked for.
        let _ = self.source.fetch(&wants);
    }
}

fn name(want: &Want) -> (&'static str, &Location, String) {
    ("answer", &want.location, format!("{:?}", want.extent))
}

impl<S: Deref<Target: ByteSource> + Send + Sync> ByteSource for Revalidated<S> {
    fn fetch(&self, wants: &[Want]) -> Vec<Result<Fetched>> {
        let entries: Vec<(&Want, Option<Answer>)> = wants
            .iter()
            .map(|want| {
                let remote = is_remote(&want.location.object);
                (want, if remote { self.load(&name(want)) } else { None })
            })
            .collect();
        if !self.offline {
            self.ask_for_versions(&entries);
        }
        let mut results: Vec<Option<Result<Fetched>>> = Vec::with_capacity(wants.len());
        for (want, entry) in entries {
            let holds = |entry: &Answer| {
                self.offline || self.state(&want.location).as_ref() == Some(&entry.version)
            };
            results.push(
                entry
                    .filter(holds)
                    .map(|entry| Ok(Fetched { bytes: Bytes::from(entry.bytes), size: entry.size })),
            );
        }
        let missing: Vec<Want> = wants
            .iter()
            .zip(&results)
            .filter(|(_, result)| result.is_none())
            .map(|(want, _)| want.clone())
            .collect();
        let mut fetched = missing.iter().zip(self.source.fetch(&missing));
        let lost = || Err(Error::internal("a store gave no result"));
        wants
            .iter()
            .zip(results)
            .map(|(want, found)| {
                let part = found.unwrap_or_else(|| {
                    let Some((want, part)) = fetched.next() else { return lost() };
                    if let Ok(part) = &part
                        && is_remote(&want.location.object)
                        && let Some(version) = self.state(&want.location)
                    {
                        let bytes = part.bytes.to_vec();
                        self.save(&name(want), &Answer { version, size: part.size, bytes });
                    }
                    part
                });
                self.note(want, &part);
                part
            })
            .collect()
    }

    fn fetch_one(&self, want: &Want) -> Result<Fetched> {
        let lost = || Err(Error::internal("a store gave no result"));
        self.fetch(std::slice::from_ref(want)).pop().unwrap_or_else(lost)
    }

    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        let want = Want { location: location.clone(), extent: Extent::Range(range) };
        Ok(self.fetch_one(&want)?.bytes)
    }

    fn size(&self, location: &Location) -> Result<u64> {
        let want = Want { location: location.clone(), extent: Extent::Size };
        let size = self.fetch_one(&want)?.size;
        size.ok_or_else(|| Error::internal("a store told no size").asset(location))
    }

    fn version(&self, location: &Location) -> Result<Option<String>> {
        self.source.version(location)
    }

    fn pinned(&self, object: &str) -> Result<String> {
        if !is_remote(object) {
            return self.source.pinned(object);
        }
        if self.offline {
            return Ok(self.load(&("pinned", object)).unwrap_or_else(|| object.to_owned()));
        }
        let pinned = self.source.pinned(object)?;
        self.save(&("pinned", object), &pinned);
        Ok(pinned)
    }
}
