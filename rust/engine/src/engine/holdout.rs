//! Whole tracks hidden from an input, or shown as a target: which cells of a file count.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::granule::{GranuleReader, Grid};
use crate::plan::Digest;
use crate::render::CellRule;
use crate::store::Location;

/// Of each cell the place of its track in the lists of tracks.
const TRACK: &str = "primary_track";
/// Whether a cell is of several tracks, which belong to neither part.
const OVERLAP: &str = "is_overlap";
/// The names of the tracks, the same in every tile of a pass.
const IDS: &str = "track_ids";
/// The satellites of the tracks.
const PLATFORMS: &str = "track_platforms";

/// Files whose tracks need not be drawn again.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// A file's number, the seed, the bits of the share, and whether the tracks held out are wanted.
type Key = (u32, u64, u64, bool);

/// The drawn tracks of the files that were last asked for.
pub(super) struct DrawnTracks(Mutex<LruCache<Key, CellRule>>);

impl Default for DrawnTracks {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl DrawnTracks {
    fn get_or_draw(&self, key: Key, draw: impl FnOnce() -> CellRule) -> CellRule {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rule) = kept().get(&key) {
            return rule.clone();
        }
        let rule = draw();
        kept().put(key, rule.clone());
        rule
    }
}

/// Which tracks are held out, and which part is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// The tracks.
    pub of: HeldOut,
    /// Whether the tracks held out are wanted, not the others.
    pub target: bool,
    /// Draws tracks.
    pub seed: u64,
}

/// Tracks that are held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HeldOut {
    /// About this share of all, drawn by their ids.
    Share(f64),
    /// Those of these satellites.
    Platforms(Vec<String>),
}

impl Holdout {
    /// What the cells of a file must obey to count.
    ///
    /// # Errors
    /// `Unsupported`: the file does not tell tracks apart. As reading it.
    pub(super) fn conditions(
        &self,
        reader: &GranuleReader,
        (object, location): (u32, &Location),
        drawn: &DrawnTracks,
    ) -> Result<Vec<(Arc<Grid>, CellRule)>> {
        let list = match self.of {
            HeldOut::Share(_) => IDS,
            HeldOut::Platforms(_) => PLATFORMS,
        };
        let explained = |error: Error| match error.kind {
            Kind::NotFound if error.variable.is_some() => Error {
                kind: Kind::Unsupported,
                message: format!(
                    "holdout needs {TRACK}, {OVERLAP} and {list}, which tell tracks apart, and the \
                     file lacks one of them"
                )
                .into(),
                ..error
            },
            _ => error,
        };
        let names = reader.texts(location, list).map_err(explained)?;
        let grid = |name: &str| reader.grid(location, name, None, &[]).map_err(explained);
        let wanted = |(_, name): &(usize, &String)| self.holds_out(name) == self.target;
        let places = || {
            let places = names.iter().enumerate().filter(wanted).map(|(place, _)| place as f64);
            CellRule::OneOf(places.collect())
        };
        let rule = match self.of {
            HeldOut::Share(share) => {
                drawn.get_or_draw((object, self.seed, share.to_bits(), self.target), places)
            }
            HeldOut::Platforms(_) => places(),
        };
        Ok(vec![(grid(TRACK)?, rule), (grid(OVERLAP)?, CellRule::Within(0.0, 0.0))])
    }

    /// Whether a track of this id, or of this satellite, is held out.
    fn holds_out(&self, name: &str) -> bool {
        match &self.of {
            HeldOut::Platforms(platforms) => platforms.iter().any(|platform| platform == name),
            HeldOut::Share(share) => {
                let digest = Digest::new("holdout").field(&self.seed.to_le_bytes());
                let drawn = u64::from_le_bytes(digest.field(name.as_bytes()).bytes());
                (drawn as f64) < share * 2.0_f64.powi(64)
            }
        }
    }
}
