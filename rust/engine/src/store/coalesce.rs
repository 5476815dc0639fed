//! Ranges of one object that lie close together are read as one: how close, and how much at once, is
//! for each kind of store to say.

use std::ops::Range;

/// One range to read, and which of the ranges asked for lie in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// The bytes to read.
    pub range: Range<u64>,
    /// Indices into the ranges asked for.
    pub members: Vec<usize>,
}

/// Which ranges are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes between two ranges that nobody asked for.
    pub gap: u64,
    /// The longest run that is made by joining.
    pub length: u64,
}

impl Limits {
    /// Of local files: only what lies between chunks, such as nodes of their index, is read along.
    pub const LOCAL: Self = Self { gap: 4 << 10, length: 8 << 20 };

    /// Of remote objects, where `gap` is the user's to choose. A longer run would keep one connection
    /// busy while others idle.
    pub const fn remote(gap: u64) -> Self {
        Self { gap, length: 16 << 20 }
    }
}

/// Runs that hold all `ranges`, in the order of their start. A range that is longer than the limit
/// is a run of its own, with those that lie in it.
pub fn runs(ranges: &[Range<u64>], limits: Limits) -> Vec<Run> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|&i| (ranges[i].start, ranges[i].end));
    let mut runs: Vec<Run> = Vec::new();
    for i in order {
        let range = &ranges[i];
        if let Some(last) = runs.last_mut() {
            let end = last.range.end.max(range.end);
            let near = range.start <= last.range.end.saturating_add(limits.gap);
            let inside = range.end <= last.range.end;
            if near && (inside || end - last.range.start <= limits.length) {
                last.range.end = end;
                last.members.push(i);
                continue;
            }
        }
        runs.push(Run { range: range.clone(), members: vec![i] });
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Limits, Run, runs};

    #[test]
    fn near_ranges_are_one_run() {
        let asked = [50..60, 0..10, 15..20, 55..58, 10..12];
        let limits = |gap| Limits { gap, length: 100 };
        let found = runs(&asked, limits(5));
        let run = |range, members: &[usize]| Run { range, members: members.to_vec() };
        assert_eq!(found, [run(0..20, &[1, 4, 2]), run(50..60, &[0, 3])]);
        assert_eq!(runs(&asked, limits(4)).len(), 2);
        assert_eq!(runs(&asked, limits(2)).len(), 3);
        assert_eq!(runs(&asked, Limits { gap: 5, length: 19 }).len(), 3);
        let huge = [u64::MAX - 1..u64::MAX, 0..u64::MAX, 7..7];
        assert_eq!(runs(&huge, limits(1)), [run(0..u64::MAX, &[1, 2, 0])]);
    }

    proptest! {
        #[test]
        fn every_range_lies_in_one_run(
            asked in prop::collection::vec((0u64..1 << 26, 0u64..1 << 22), 0..40),
            gap in 0u64..1 << 20,
            length in 0u64..1 << 25,
        ) {
            let asked: Vec<_> = asked.into_iter().map(|(start, n)| start..start + n).collect();
            let found = runs(&asked, Limits { gap, length });
            let mut seen: Vec<usize> = found.iter().flat_map(|run| run.members.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..asked.len()).collect::<Vec<_>>());
            for pair in found.windows(2) {
                prop_assert!(pair[0].range.start <= pair[1].range.start);
                let (before, after) = (&pair[0].range, &pair[1].range);
                let near = after.start <= before.end.saturating_add(gap);
                prop_assert!(!near || after.end - before.start > length, "they could be one");
            }
            for run in &found {
                let longest = run.members.iter().map(|&i| asked[i].end - asked[i].start).max();
                let most = length.max(longest.unwrap_or(0));
                prop_assert!(run.range.end - run.range.start <= most);
                let mut covered = run.range.start;
                for &i in &run.members {
                    prop_assert!(asked[i].start <= covered.saturating_add(gap));
                    covered = covered.max(asked[i].end);
                }
                prop_assert_eq!(covered, run.range.end);
                for &i in &run.members {
                    prop_assert!(run.range.start <= asked[i].start && asked[i].end <= run.range.end);
                }
            }
        }
    }
}
