//! From what is wanted to what is asked for: few exchanges that serve all wants.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::store::coalesce::{Limits, runs};
use crate::store::{Extent, Fetched, Want, too_large};

/// One exchange with a server: which extent of an object, and whose wants it serves.
pub(super) struct Job {
    pub(super) object: Arc<str>,
    pub(super) extent: Extent,
    /// Index of the want, and where in the extent its bytes lie (all, if `None`).
    pub(super) serves: Vec<(usize, Option<Range<u64>>)>,
}

/// What a want needs.
pub(super) enum Need {
    /// No exchange.
    Nothing(Fetched),
    /// This extent of its object.
    Ask(Extent),
}

/// What a want needs; `known_size` tells the size of an object that was met before.
pub(super) fn prepare(want: &Want, known_size: impl Fn(&str) -> Option<u64>) -> Result<Need> {
    let Want { location, extent } = want;
    let empty = |size| Ok(Need::Nothing(Fetched { bytes: Bytes::new(), size }));
    let Some((offset, size)) = location.slice else {
        return match extent {
            Extent::Range(range) if range.start > range.end => Err(outside(range, None)),
            Extent::Range(range) if range.is_empty() => empty(None),
            Extent::Size => match known_size(&location.object) {
                Some(size) => empty(Some(size)),
                None => Ok(Need::Ask(Extent::Size)),
            },
            extent => Ok(Need::Ask(extent.clone())),
        };
    };
    let range = match extent {
        Extent::Range(range) => range.clone(),
        Extent::Start(most) => 0..size.min(*most),
        Extent::Whole(limit) if size > *limit => return Err(too_large(size, *limit, location)),
        Extent::Whole(_) => 0..size,
        Extent::Size => 0..0,
    };
    if range.start > range.end || range.end > size || offset.checked_add(size).is_none() {
        return Err(outside(&range, Some(size)));
    }
    if range.is_empty() {
        return empty(Some(size));
    }
    Ok(Need::Ask(Extent::Range(offset + range.start..offset + range.end)))
}

/// The error for bytes that an asset does not have.
pub(super) fn outside(range: &Range<u64>, size: Option<u64>) -> Error {
    let size = size.map_or_else(String::new, |size| format!("{size} "));
    Error::corrupt(format!(
        "bytes {}..{} lie outside the {size}bytes of the file; is it truncated?",
        range.start, range.end
    ))
}

/// Exchanges for extents of objects, each with the index of its want; ranges of one object that lie
/// no further than `gap` apart are one.
pub(super) fn plan(asked: Vec<(usize, Arc<str>, Extent)>, gap: u64) -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut of_objects: BTreeMap<Arc<str>, Vec<(usize, Range<u64>)>> = BTreeMap::new();
    for (index, object, extent) in asked {
        match extent {
            Extent::Range(range) => of_objects.entry(object).or_default().push((index, range)),
            extent => jobs.push(Job { object, extent, serves: vec![(index, None)] }),
        }
    }
    for (object, asked) in of_objects {
        let ranges: Vec<_> = asked.iter().map(|(_, range)| range.clone()).collect();
        for run in runs(&ranges, Limits::remote(gap)) {
            let start = run.range.start;
            let within = |&i: &usize| {
                let (index, range) = &asked[i];
                (*index, Some(range.start - start..range.end - start))
            };
            let serves = run.members.iter().map(within).collect();
            jobs.push(Job { object: object.clone(), extent: Extent::Range(run.range), serves });
        }
    }
    jobs
}

/// The bytes and the size that a want gets out of an answer.
pub(super) fn cut(part: Fetched, within: Option<&Range<u64>>, want: &Want) -> Fetched {
    let Some(range) = within else { return part };
    let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(part.bytes.len());
    let bytes = part.bytes.slice(index(range.start)..index(range.end));
    let size = want.location.slice.map(|(_, size)| size);
    Fetched { bytes, size: size.or(part.size) }
}
