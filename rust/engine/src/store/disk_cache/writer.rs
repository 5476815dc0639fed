//! Writes blocks behind the threads that make them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::Counters;
use super::block_file::BlockFile;
use super::directory::Directory;

/// Bytes that may wait; what comes while as many wait is not written.
const MAX_WAITING: usize = 32 << 20;

/// A full cache is looked at again so often: another process may have made room.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The share of the budget that is written before the directory is looked at again, and that is
/// freed beyond need. Processes that share a cache may exceed its budget by as much, each.
const SLACK: u64 = 64;

struct Job {
    file: Arc<BlockFile>,
    slot: u64,
    /// What it counts for among those that wait.
    size: usize,
    block: Arc<Vec<u8>>,
}

/// Takes blocks to write, and writes what waits when it is dropped.
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    /// Started by the first block.
    thread: Mutex<Thread>,
    state: Arc<State>,
}

enum Thread {
    NotYet(Receiver<Job>),
    Running(JoinHandle<()>),
    Failed,
}

/// What waits, by file (its address: what waits holds it) and slot.
type Waiting = HashMap<(usize, u64), Arc<Vec<u8>>>;

struct State {
    directory: Arc<Directory>,
    budget: u64,
    counters: Arc<Counters>,
    waiting: AtomicUsize,
    blocks: Mutex<Waiting>,
    opened: Instant,
    /// Milliseconds after `opened` before which the cache is full.
    full_until: AtomicU64,
}

impl Writer {
    pub(super) fn new(directory: Arc<Directory>, budget: u64, counters: Arc<Counters>) -> Self {
        let (jobs, waiting) = unbounded();
        let state = State {
            directory,
            budget,
            counters,
            waiting: AtomicUsize::new(0),
            blocks: Mutex::default(),
            opened: Instant::now(),
            full_until: AtomicU64::new(0),
        };
        let thread = Mutex::new(Thread::NotYet(waiting));
        Self { jobs: Some(jobs), thread, state: Arc::new(state) }
    }

    /// Whether blocks are left out for now, for want of room.
    pub(super) fn is_full(&self) -> bool {
        self.state.is_full()
    }

    /// Takes a block of `size` bytes, unless too many wait or the cache is full.
    pub(super) fn offer(
        &self,
        file: &Arc<BlockFile>,
        slot: u64,
        size: usize,
        block: impl FnOnce() -> Arc<Vec<u8>>,
    ) {
        let Some(jobs) = self.jobs.as_ref().filter(|_| !self.is_full()) else { return };
        if self.state.waiting.fetch_add(size, Ordering::Relaxed) > MAX_WAITING {
            self.state.waiting.fetch_sub(size, Ordering::Relaxed);
            return;
        }
        self.start();
        let block = block();
        self.state.blocks().insert(place(file, slot), block.clone());
        let _ = jobs.send(Job { file: file.clone(), slot, size, block });
    }

    /// A block that waits to be written.
    pub(super) fn waiting(&self, file: &BlockFile, slot: u64) -> Option<Arc<Vec<u8>>> {
        self.state.blocks().get(&place(file, slot)).cloned()
    }

    fn start(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*thread, Thread::NotYet(_)) {
            return;
        }
        if let Thread::NotYet(jobs) = std::mem::replace(&mut *thread, Thread::Failed) {
            let state = self.state.clone();
            let named = std::thread::Builder::new().name("oceanarrow-disk-cache".to_owned());
            match named.spawn(move || state.write_all(&jobs)) {
                Ok(running) => *thread = Thread::Running(running),
                Err(e) => self.state.counters.fail(&e),
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Thread::Running(running) = std::mem::replace(thread, Thread::Failed) {
            let _ = running.join();
        }
    }
}

fn place(file: &BlockFile, slot: u64) -> (usize, u64) {
    (std::ptr::from_ref(file) as usize, slot)
}

impl State {
    fn blocks(&self) -> MutexGuard<'_, Waiting> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_full(&self) -> bool {
        self.milliseconds() < self.full_until.load(Ordering::Relaxed)
    }

    fn write_all(&self, jobs: &Receiver<Job>) {
        let mut allowance = 0;
        for Job { file, slot, size, block } in jobs {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            let bytes = block.len() as u64;
            let written = self.admit(bytes, &mut allowance).and_then(|admitted| {
                if admitted {
                    file.write(slot, &block)?;
                    self.counters.written.fetch_add(bytes, Ordering::Relaxed);
                }
                Ok(())
            });
            self.blocks().remove(&place(&file, slot));
            if let Err(e) = written {
                self.counters.fail(&e);
                self.blocks().clear();
                return;
            }
        }
    }

    /// Whether `bytes` more may be written. The directory is looked at only now and then.
    fn admit(&self, bytes: u64, allowance: &mut u64) -> std::io::Result<bool> {
        if *allowance < bytes && !self.is_full() {
            let slack = self.budget / SLACK;
            let used = self.directory.shrink(self.budget.saturating_sub(slack.max(bytes)))?;
            *allowance = self.budget.saturating_sub(used).min(slack.max(bytes));
        }
        if *allowance < bytes {
            let until = self.milliseconds() + LOOK_AGAIN.as_millis() as u64;
            self.full_until.store(until, Ordering::Relaxed);
            return Ok(false);
        }
        *allowance -= bytes;
        Ok(true)
    }
}
