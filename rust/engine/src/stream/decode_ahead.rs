//! Decoding one window ahead: while a window of the order is rendered, each step also decodes its
//! share of what the next window needs, cluster by cluster. Otherwise the first steps of a window, in
//! which every row may touch a new cluster, would decode for all that follow, and the trainer wait.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::plan::Order;

/// The shares of the steps of a stream.
pub(super) struct DecodeAhead<T> {
    /// Steps a window; nothing is decoded ahead of a list's own order, or of windows of one step.
    steps: Option<u64>,
    /// Steps of the first window that lie before the stream's step 0.
    skipped: u64,
    /// Every how many steps the stream makes one; the shares of those between fall to it.
    stride: u64,
    next: Option<Arc<Upcoming<T>>>,
}

/// A window to come.
pub(super) struct Upcoming<T> {
    number: u64,
    /// The steps of it.
    steps: Range<u64>,
    /// Its queries, in the order to decode them; made by the thread that first claims to.
    queries: OnceLock<Vec<T>>,
    claimed: AtomicBool,
    /// How many of the queries have been given out.
    given: AtomicUsize,
}

/// What a step decodes of the window after its own.
pub(super) struct Share<T> {
    pub window: Arc<Upcoming<T>>,
    part: Range<u64>,
    parts: u64,
}

impl<T> DecodeAhead<T> {
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
    pub(super) fn share(&mut self, step: u64) -> Option<Share<T>> {
        let steps = self.steps?;
        let place = step + self.skipped;
        let number = place / steps + 1;
        let window = match &self.next {
            Some(window) if window.number == number => window.clone(),
            _ => {
                let start = number * steps - self.skipped;
                let steps = start..start + steps;
                let window = Arc::new(Upcoming::new(number, steps));
                self.next = Some(window.clone());
                window
            }
        };
        let part = place % steps;
        let part = part - part % self.stride;
        Some(Share { window, part: part..(part + self.stride).min(steps), parts: steps })
    }
}

impl<T> Upcoming<T> {
    fn new(number: u64, steps: Range<u64>) -> Self {
        let (claimed, given) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { number, steps, queries: OnceLock::new(), claimed, given }
    }
}

impl<T> Share<T> {
    /// The window's queries up to the end of this share that nobody has been given. `make` makes them
    /// out of the window's steps; while another thread does, there are none, because waiting would
    /// hold up batches, and a later share takes them over.
    pub(super) fn take(&self, make: impl FnOnce(Range<u64>) -> Vec<T>) -> &[T] {
        let window = &self.window;
        if window.queries.get().is_none() && window.claimed.swap(true, Ordering::Relaxed) {
            return &[];
        }
        let queries = window.queries.get_or_init(|| make(window.steps.clone()));
        let ends = u128::from(self.part.end) * queries.len() as u128;
        let end = (ends / u128::from(self.parts)) as usize;
        let start = window.given.fetch_max(end, Ordering::Relaxed).min(end);
        &queries[start..end]
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
                let make = |_| queries.clone();
                seen.extend(share.iter().flat_map(|share| share.take(make)).copied());
            }
            assert_eq!(seen, queries);
        }
    }

    #[test]
    fn a_share_does_not_wait_for_the_list_and_a_later_one_takes_it_over() {
        let mut ahead = DecodeAhead { steps: Some(3), skipped: 0, stride: 1, next: None };
        let shares: Vec<Share<usize>> = (0..3).filter_map(|step| ahead.share(step)).collect();
        let [first, second, third] = &shares[..] else { unreachable!("three shares") };
        let made = first.take(|_| {
            // Meanwhile, on another thread:
            assert!(second.take(|_| vec![9]).is_empty());
            vec![1, 2, 3, 4, 5, 6]
        });
        assert_eq!(made, [1, 2]);
        assert_eq!(third.take(|_| vec![9]), [3, 4, 5, 6]);
        assert!(second.take(|_| vec![9]).is_empty(), "they were given out");
    }

    #[test]
    fn a_list_is_not_decoded_ahead() {
        let mut ahead: DecodeAhead<usize> =
            DecodeAhead { steps: None, skipped: 0, stride: 1, next: None };
        assert!(ahead.share(0).is_none());
    }
}
