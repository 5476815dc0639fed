//! Files that an earlier catalogue lists, and need not be opened again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{FilePath, FileRows, Files, Occasion, Part};
use crate::catalog::{Identity, Listing};
use crate::error::Result;
use crate::granule::{Index, IndexRow};
use crate::store::{ByteSource, Location};

/// The state that was listed, and its parts with their priorities.
type KnownFile = (Identity, Vec<(i32, Part)>);

/// What an earlier catalogue and its index say.
#[derive(Default)]
pub struct Known {
    files: HashMap<Arc<str>, KnownFile>,
    entries: HashMap<String, Vec<IndexRow>>,
}

impl Known {
    /// What the catalogue at `path` says, and the index beside it.
    ///
    /// # Errors
    /// As [`Listing::open`]. An index that cannot be read is one without entries.
    pub fn open(source: &dyn ByteSource, path: &str, index: &Path) -> Result<(Self, Listing)> {
        let listing = Listing::open(source, path)?;
        let mut files: HashMap<Arc<str>, KnownFile> = HashMap::new();
        for granule in &listing.granules {
            let (Some(file), Some(group)) = (
                listing.files.get(granule.file as usize),
                listing.groups.get(granule.group as usize),
            ) else {
                continue;
            };
            let (_, parts) = files
                .entry(file.path.clone())
                .or_insert_with(|| (file.identity.clone(), Vec::new()));
            let same = |(priority, part): &&mut (i32, Part)| {
                *priority == group.priority
                    && part.variables == group.variables
                    && part.edges == granule.edges
            };
            let occasion = Occasion { day: granule.day, cycle: granule.cycle };
            let days = (occasion, granule.steps);
            match parts.iter_mut().find(same) {
                Some((_, part)) => part.days.push(days),
                None => parts.push((
                    group.priority,
                    Part {
                        variables: group.variables.clone(),
                        days: vec![days],
                        edges: granule.edges,
                        resolution: granule.res_deg_lat,
                    },
                )),
            }
        }
        let entries = Index::rows(index);
        Ok((Self { files, entries }, listing))
    }

    /// What was listed of a file, if it has not changed since.
    pub(super) fn find(
        &self,
        source: &dyn ByteSource,
        files: &Files,
        path: &FilePath,
    ) -> Option<FileRows> {
        let (identity, parts) = self.files.get(path.kept.as_str())?;
        let location = Location::whole(path.location.as_str());
        let version = source.version(&location).ok()??;
        let same = source.size(&location).ok()? == identity.size
            && identity.version() == Some(version.as_str());
        let entries = self.entries.get(&path.kept)?;
        let asked = |name: &String| {
            let variables = files.variables.as_ref();
            variables.is_none_or(|variables| variables.iter().any(|(asked, _)| asked == name))
        };
        let of_files = parts.iter().filter(|(priority, part)| {
            *priority == files.priority && part.variables.iter().all(asked)
        });
        let parts: Vec<Part> = of_files.map(|(_, part)| part.clone()).collect();
        (same && !parts.is_empty()).then(|| FileRows {
            path: path.kept.as_str().into(),
            priority: files.priority,
            identity: identity.clone(),
            parts,
            units: Vec::new(),
            costly: Vec::new(),
            entries: entries.clone(),
        })
    }
}
