//! Fetching what remote stores have, ahead of decoding it: threads that do nothing but wait, so that
//! as many reads are under way as the store's gate lets through.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};
use crate::interrupt;

/// Between two looks at whether the wait has been interrupted.
const TICK: Duration = Duration::from_millis(50);

/// The threads.
pub(crate) struct Downloads(ThreadPool);

impl Downloads {
    /// So many threads.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("oceanarrow-io-{i}"))
            .build()
            .map(Self)
            .map_err(|e| Error::io(format!("cannot start the threads that download: {e}")))
    }

    /// Does `job` for each of `items`, and `then` after the last. A job's panic is left to whoever
    /// needs the same data.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        items: Vec<T>,
        job: impl Fn(T) + Send + Sync + 'static,
        then: impl FnOnce() + Send + 'static,
    ) {
        if items.is_empty() {
            return then();
        }
        let left = AtomicUsize::new(items.len());
        let shared = Arc::new((job, left, Mutex::new(Some(then))));
        for item in items {
            let shared = shared.clone();
            self.0.spawn(move || {
                let (job, left, then) = &*shared;
                let _ = catch_unwind(AssertUnwindSafe(|| job(item)));
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    let last = then.lock().ok().and_then(|mut then| then.take());
                    let _ = catch_unwind(AssertUnwindSafe(|| last.map(|then| then())));
                }
            });
        }
    }

    /// Does `job` for each of `items` and waits for all, unless this thread is interrupted.
    ///
    /// # Errors
    /// `Cancelled`: it was.
    pub(crate) fn wait_for<T: Send>(
        &self,
        items: impl IntoIterator<Item = T>,
        job: impl Fn(T) + Sync,
    ) -> Result<()> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = bounded::<()>(0);
        self.0.in_place_scope(|scope| {
            let job = &job;
            for item in items {
                let (sender, cancelled) = (sender.clone(), cancelled.clone());
                scope.spawn(move |_| {
                    let check = move || cancelled.load(Ordering::Relaxed);
                    let work = || interrupt::scope(check, || job(item));
                    let _ = catch_unwind(AssertUnwindSafe(work));
                    drop(sender);
                });
            }
            drop(sender);
            loop {
                match receiver.recv_timeout(TICK) {
                    Err(RecvTimeoutError::Timeout) if interrupt::requested() => {
                        cancelled.store(true, Ordering::Relaxed);
                        return Err(Error::cancelled("reading was interrupted"));
                    }
                    Err(RecvTimeoutError::Timeout) | Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
        })
    }
}
