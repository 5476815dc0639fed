//! Ranges of one object that lie close together are read as one.

use std::ops::Range;

/// One range to read, and which of the ranges asked for lie in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) range: Range<u64>,
    /// Indices into the ranges asked for.
    pub(super) members: Vec<usize>,
}

/// The largest run; more would keep one connection busy while others idle.
const MAX_RUN: u64 = 16 << 20;

/// Runs that hold all `ranges`, in the order of their start; none is joined over a gap larger than
/// `gap`, and none that was joined is longer than 16 MiB.
pub(super) fn runs(ranges: &[Range<u64>], gap: u64) -> Vec<Run> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|&i| (ranges[i].start, ranges[i].end));
    let mut runs: Vec<Run> = Vec::new();
    for i in order {
        let range = &ranges[i];
        if let Some(last) = runs.last_mut() {
            let end = last.range.end.max(range.end);
            let near = range.start <= last.range.end.saturating_add(gap);
            let inside = range.end <= last.range.end;
            if near && (inside || end - last.range.start <= MAX_RUN) {
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

    use super::{MAX_RUN, Run, runs};

    #[test]
    fn near_ranges_are_one_run() {
        let asked = [50..60, 0..10, 15..20, 55..58, 10..12];
        let found = runs(&asked, 5);
        let run = |range, members: &[usize]| Run { range, members: members.to_vec() };
        assert_eq!(found, [run(0..20, &[1, 4, 2]), run(50..60, &[0, 3])]);
        assert_eq!(runs(&asked, 4).len(), 2);
        assert_eq!(runs(&asked, 2).len(), 3);
    }

    proptest! {
        #[test]
        fn every_range_lies_in_one_run(
            asked in prop::collection::vec((0u64..1 << 26, 0u64..1 << 22), 0..40),
            gap in 0u64..1 << 20,
        ) {
            let asked: Vec<_> = asked.into_iter().map(|(start, n)| start..start + n).collect();
            let found = runs(&asked, gap);
            let mut seen: Vec<usize> = found.iter().flat_map(|run| run.members.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..asked.len()).collect::<Vec<_>>());
            for run in &found {
                prop_assert!(run.members.len() == 1 || run.range.end - run.range.start <= MAX_RUN);
                for &i in &run.members {
                    prop_assert!(run.range.start <= asked[i].start && asked[i].end <= run.range.end);
                }
            }
        }
    }
}
