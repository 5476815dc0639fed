//! Decoding one window ahead: while a window of the order is rendered, each step also decodes its
//! share of what the next window needs, cluster by cluster. Otherwise the first steps of a window, in
//! which every row may touch a new cluster, would decode for all that follow, and the trainer wait.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::plan::Order;

/// The shares of the steps of a stream.
pub(super) struct DecodeAhead {
    /// Steps a window; nothing is decoded ahead of a list's own order, or of windows of one step.
    steps: Option<u64>,
    /// Steps of the first window that lie before the stream's step 0.
    skipped: u64,
    /// Every how many steps the stream makes one; the shares of those between fall to it.
    stride: u64,
    next: Option<Arc<Window>>,
}

/// A window to come.
pub(super) struct Window {
    number: u64,
    /// The steps of it.
    steps: Range<u64>,
    /// Its queries, in the order to decode them; made by whichever thread needs them first.
    queries: OnceLock<Vec<usize>>,
}

/// What a step decodes of the window after its own.
pub(super) struct Share {
    pub window: Arc<Window>,
    part: Range<u64>,
    parts: u64,
}

impl DecodeAhead {
    /// For a stream that starts at a lane offset and makes every `stride`-th step.
    pub(super) fn new(order: &Order, lane_offset: u64, stride: u64) -> Self {
        let rows = order.lane_rows();
        let steps = order.spec().window.min(order.spec().n.div_ceil(order.lanes())) / rows;
        let windows = order.spec().seed.is_some() && steps > 1;
        Self {
            steps: windows.then_some(steps),
            skipped: if windows { (lane_offset / rows) % steps } else { 0 },
            stride: stride.max(1),
            next: None,
        }
    }

    /// The share of a step.
    pub(super) fn share(&mut self, step: u64) -> Option<Share> {
        let steps = self.steps?;
        let place = step + self.skipped;
        let number = place / steps + 1;
        let window = match &self.next {
            Some(window) if window.number == number => window.clone(),
            _ => {
                let start = number * steps - self.skipped;
                let steps = start..start + steps;
                let window = Arc::new(Window { number, steps, queries: OnceLock::new() });
                self.next = Some(window.clone());
                window
            }
        };
        let part = place % steps;
        let part = part - part % self.stride;
        Some(Share { window, part: part..(part + self.stride).min(steps), parts: steps })
    }
}

impl Window {
    /// The queries, made by `make` out of the steps if nobody has made them.
    pub(super) fn queries(&self, make: impl FnOnce(Range<u64>) -> Vec<usize>) -> &[usize] {
        self.queries.get_or_init(|| make(self.steps.clone()))
    }
}

impl Share {
    /// The share of a window's queries.
    pub(super) fn of<'a>(&self, queries: &'a [usize]) -> &'a [usize] {
        let n = queries.len() as u128;
        let at = |part: u64| (u128::from(part) * n / u128::from(self.parts)) as usize;
        &queries[at(self.part.start)..at(self.part.end)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_a_window_are_all_of_it() {
        for (steps, skipped, stride) in [(4, 0, 1), (4, 3, 1), (7, 2, 1), (12, 0, 3), (12, 5, 4)] {
            let mut ahead = DecodeAhead { steps: Some(steps), skipped, stride, next: None };
            let queries: Vec<usize> = (0..23).collect();
            let first = (steps - skipped) % steps;
            let mut seen = Vec::new();
            for step in (first..first + steps).step_by(stride as usize) {
                let share = ahead.share(step);
                let steps_of = share.as_ref().map(|share| share.window.steps.clone());
                assert_eq!(steps_of, Some(first + steps..first + 2 * steps));
                seen.extend(share.iter().flat_map(|share| share.of(&queries)).copied());
            }
            assert_eq!(seen, queries);
        }
    }

    #[test]
    fn a_list_is_not_decoded_ahead() {
        let mut ahead = DecodeAhead { steps: None, skipped: 0, stride: 1, next: None };
        assert!(ahead.share(0).is_none());
    }
}
