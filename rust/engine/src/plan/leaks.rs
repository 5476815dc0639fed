//! Pairs of queries of two lists that come too close to each other.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::parallel;
use crate::query::Query;

/// Queries of the first list that are compared at once.
const AT_ONCE: usize = 4096;

/// Boxes without an extent count as so many degrees wide and high.
const LEAST: f64 = 1e-9;

/// How far two queries must be apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gaps {
    /// Whole days between them; those with a day in common come too close even without any.
    pub days: u32,
    /// Degrees of latitude or longitude between their boxes; those with an area in common come too
    /// close even without any.
    pub degrees: f64,
}

/// Pairs that come too close in days and in space.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    /// How many there are.
    pub count: u64,
    /// The first of them: positions in both lists, ascending.
    pub pairs: Vec<(u32, u32)>,
}

/// A query of the second list, in its day's list.
struct Placed {
    position: u32,
    last: i64,
    west: f64,
    width: f64,
    south: f64,
    north: f64,
}

/// Finds the pairs of `a` and `b`, of which the first `most` are kept.
///
/// # Errors
/// `Cancelled`: interrupted. `Io`: threads cannot be started.
pub fn leaks(a: &[Query], b: &[Query], gaps: Gaps, most: usize, threads: usize) -> Result<Leaks> {
    let mut days: BTreeMap<i64, Vec<Placed>> = BTreeMap::new();
    let (mut longest, mut highest) = (0, 0.0f64);
    for (position, query) in (0..).zip(b) {
        let placed = placed(position, query);
        longest = longest.max(placed.last - i64::from(query.day_start));
        highest = highest.max(placed.north - placed.south);
        days.entry(query.day_start.into()).or_default().push(placed);
    }
    days.values_mut().for_each(|day| day.sort_by(|x, y| x.south.total_cmp(&y.south)));
    let starts: Vec<usize> = (0..a.len()).step_by(AT_ONCE).collect();
    let compare = |&start: &usize| {
        let mut found = Leaks::default();
        let mut own = Vec::new();
        for (i, query) in (start..).zip(a.get(start..).unwrap_or_default()).take(AT_ONCE) {
            let one = placed(i as u32, query);
            let first = i64::from(query.day_start) - i64::from(gaps.days);
            let last = one.last + i64::from(gaps.days);
            let (south, north) = (one.south - gaps.degrees, one.north + gaps.degrees);
            own.clear();
            for day in days.range(first - longest..=last).map(|(_, day)| day) {
                let from = day.partition_point(|other| other.south <= south - highest);
                let near = day.get(from..).unwrap_or_default();
                let near = near.iter().take_while(|other| other.south < north);
                let meets = |other: &&Placed| {
                    let east = (other.west - one.west).rem_euclid(360.0);
                    other.last >= first
                        && other.north > south
                        && (east < one.width + gaps.degrees
                            || east + other.width > 360.0 - gaps.degrees)
                };
                let hits = near.filter(meets);
                if found.pairs.len() < most {
                    own.extend(hits.map(|other| other.position));
                } else {
                    found.count += hits.count() as u64;
                }
            }
            own.sort_unstable();
            found.count += own.len() as u64;
            let room = most.saturating_sub(found.pairs.len());
            found.pairs.extend(own.iter().take(room).map(|&j| (i as u32, j)));
        }
        found
    };
    let mut all = Leaks::default();
    let take = |_, found: Leaks| {
        all.count += found.count;
        let room = most.saturating_sub(all.pairs.len());
        all.pairs.extend(found.pairs.into_iter().take(room));
        Ok(())
    };
    parallel::in_order(&starts, threads, compare, take, |_| Ok(()))?;
    Ok(all)
}

fn placed(position: u32, query: &Query) -> Placed {
    let bbox = query.bbox();
    Placed {
        position,
        last: query.day_end.into(),
        west: bbox.lon,
        width: bbox.width.max(LEAST),
        south: bbox.lat_min,
        north: bbox.lat_max.max(bbox.lat_min + LEAST),
    }
}
