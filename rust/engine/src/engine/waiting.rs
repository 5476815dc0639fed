//! Work of a pool that the thread which started it waits for, and can give up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use rayon::ThreadPool;

use crate::error::{Error, Result};
use crate::interrupt;

/// Between two looks at whether the wait has been interrupted.
const TICK: Duration = Duration::from_millis(50);

/// Does `job` for each of `items` on the threads of `pool` and waits for all, unless this thread is
/// interrupted, which ends the jobs' waits for remote stores as well. A job's panic is left to whoever
/// misses what it should have made.
///
/// # Errors
/// `Cancelled`: it was interrupted.
pub(super) fn wait_for<T: Send>(
    pool: &ThreadPool,
    items: impl IntoIterator<Item = T>,
    job: impl Fn(T) + Sync,
) -> Result<()> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = bounded::<()>(0);
    pool.in_place_scope(|scope| {
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
                    return Err(Error::cancelled("the work was interrupted"));
                }
                Err(RecvTimeoutError::Timeout) | Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    })
}
