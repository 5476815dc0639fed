//! What the engine tells a log: noted by any of its threads, fetched by whoever keeps the log.
//!
//! Engine threads must wait for no interpreter, so they put events into a bounded queue. An event that
//! nobody wants costs one relaxed load. Texts name files and addresses, but never a query string, a
//! credential, or the path that a redirect led to: it may be signed.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Events that wait at most; later ones are counted and dropped, as the first tell the cause.
pub const MOST_WAITING: usize = 4_096;

/// Longer texts are cut: with the number of events, this bounds the queue to 9 MiB.
const MOST_BYTES: usize = 2_000;

/// Processes forked one from the other that have a queue each.
const MOST_FORKS: usize = 16;

/// Above every level.
const OFF: u8 = u8::MAX;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A local file was opened, or a remote one met for the first time.
    Open,
    /// A request was answered, or not.
    Request,
    /// A request is made again.
    Retry,
    /// A server asks to be left alone for a while.
    Wait,
    /// The disk cache cannot be written, or a block in it is damaged.
    Cache,
    /// A file was given up, and what it would have filled is masked.
    Masked,
}

impl Kind {
    /// Every kind, in declaration order.
    pub const ALL: [Kind; 6] =
        [Kind::Open, Kind::Request, Kind::Retry, Kind::Wait, Kind::Cache, Kind::Masked];

    /// The stable name of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Open => "open",
            Kind::Request => "request",
            Kind::Retry => "retry",
            Kind::Wait => "wait",
            Kind::Cache => "cache",
            Kind::Masked => "masked",
        }
    }

    /// How much it matters, in the numbers of Python's `logging`.
    pub const fn level(self) -> u8 {
        match self {
            Kind::Open | Kind::Request => 10,
            Kind::Retry | Kind::Wait => 20,
            Kind::Cache | Kind::Masked => 30,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub kind: Kind,
    /// When.
    pub at: SystemTime,
    /// One line.
    pub text: String,
}

/// Events with a lower level are not wanted.
static WANTED: AtomicU8 = AtomicU8::new(OFF);

/// One a process, found by its number. A forked child must not touch its parent's: a thread that does
/// not exist in the child may hold the lock.
static QUEUES: [Queue; MOST_FORKS] = [const { Queue::new() }; MOST_FORKS];

struct Queue {
    /// The process; 0 for a queue that is free.
    owner: AtomicU32,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<Event>,
    lost: u64,
}

impl Queue {
    const fn new() -> Self {
        Self {
            owner: AtomicU32::new(0),
            waiting: Mutex::new(Waiting { events: Vec::new(), lost: 0 }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: Event) {
        let mut waiting = self.lock();
        if waiting.events.len() < MOST_WAITING {
            waiting.events.push(event);
        } else {
            waiting.lost += 1;
        }
    }

    fn take(&self) -> (Vec<Event>, u64) {
        let taken = std::mem::take(&mut *self.lock());
        (taken.events, taken.lost)
    }
}

/// The queue of this process; `None` if it has too many forebears.
fn own() -> Option<&'static Queue> {
    let process = std::process::id();
    QUEUES.iter().find(|queue| {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let claimed = queue.owner.compare_exchange(0, process, order.0, order.1);
        claimed.is_ok() || claimed == Err(process)
    })
}

/// Notes an event, if events of its level are wanted; `text` is asked for only then.
#[inline]
pub fn note(kind: Kind, text: impl FnOnce() -> String) {
    if kind.level() >= WANTED.load(Ordering::Relaxed) {
        push(kind, &text());
    }
}

#[cold]
fn push(kind: Kind, text: &str) {
    if let Some(queue) = own() {
        queue.push(Event { kind, at: SystemTime::now(), text: one_line(text) });
    }
}

/// The text without control characters, which names of files may hold, cut if it is too long.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MOST_BYTES));
    for char in text.chars() {
        if line.len() + char.len_utf8() > MOST_BYTES {
            line.push('…');
            break;
        }
        line.push(if char.is_control() { ' ' } else { char });
    }
    line
}

/// The events that wait, in the order in which they were noted, and how many more were dropped. From
/// now on only events of the level `wanted` or a higher one are noted.
pub fn take(wanted: u8) -> (Vec<Event>, u64) {
    WANTED.store(wanted, Ordering::Relaxed);
    own().map_or_else(Default::default, Queue::take)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_million_events_that_nobody_takes_are_bounded_and_counted() {
        let queue = Queue::new();
        let text = one_line(&"x\n".repeat(1_000_000));
        assert!(text.len() <= MOST_BYTES + '…'.len_utf8() && text.starts_with("x x "));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..250_000 {
                        let event = Event {
                            kind: Kind::Open,
                            at: SystemTime::UNIX_EPOCH,
                            text: "x".into(),
                        };
                        queue.push(event);
                    }
                });
            }
        });
        assert!(queue.lock().events.capacity() <= 2 * MOST_WAITING);
        let (events, lost) = queue.take();
        assert_eq!((events.len(), lost), (MOST_WAITING, 1_000_000 - MOST_WAITING as u64));
        assert_eq!(queue.take(), (Vec::new(), 0));
    }

    /// The only test that changes what is wanted, which is one for all.
    #[test]
    fn only_wanted_events_are_made() {
        let mine = |events: Vec<Event>| -> Vec<(Kind, String)> {
            let mine = events.into_iter().filter(|event| event.text.starts_with("a test"));
            mine.map(|event| (event.kind, event.text)).collect()
        };
        let mut made = 0;
        let mut all = || {
            for kind in Kind::ALL {
                note(kind, || {
                    made += 1;
                    format!("a test of {}", kind.name())
                });
            }
        };
        all();
        assert_eq!(take(20), (Vec::new(), 0), "off at first");
        all();
        let kinds: Vec<Kind> = mine(take(OFF).0).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [Kind::Retry, Kind::Wait, Kind::Cache, Kind::Masked]);
        all();
        assert_eq!(mine(take(OFF).0), []);
        assert_eq!(made, 4);
    }
}
