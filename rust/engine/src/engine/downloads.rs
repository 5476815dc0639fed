//! Fetching what remote stores have, ahead of decoding it: threads that do nothing but wait, so that
//! as many reads are under way as the store's gate lets through.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::waiting::wait_for;
use crate::error::{Error, Result};

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
        wait_for(&self.0, items, job)
    }
}
