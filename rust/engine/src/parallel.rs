//! Long work on threads of its own, with its results in order, and an end at once when interrupted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};

use crate::error::{Error, Result};
use crate::interrupt;

/// How long to wait before looking whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// Does `work` on each of the tasks, on `threads` threads, and hands what comes of them to `take` in
/// the order of the tasks. `progress` is told how many are done, also now and then when there are no
/// more; its error, or that of `take`, ends the work.
///
/// # Errors
/// Those of `take` and `progress`. `Cancelled`: interrupted. `Io`: threads cannot be started.
pub fn in_order<T: Sync, R: Send>(
    tasks: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, R) -> Result<()>,
    mut progress: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let (next, stop) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let (done, results) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, tasks.len().max(1)) {
            let (done, ended, next, work) = (done.clone(), stop.clone(), &next, &work);
            let share = move || {
                let stopped = ended.clone();
                let stopped = move || stopped.load(Ordering::Relaxed);
                interrupt::scope(stopped, || {
                    while !ended.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(task) = tasks.get(index) else { break };
                        if done.send((index, work(task))).is_err() {
                            break;
                        }
                    }
                });
            };
            let named = std::thread::Builder::new().name("oceanarrow-open".to_owned());
            if let Err(e) = named.spawn_scoped(scope, share) {
                stop.store(true, Ordering::Relaxed);
                return Err(Error::io(format!("cannot start threads: {e}")));
            }
        }
        drop(done);
        let (mut waiting, mut taken) = (BTreeMap::new(), 0);
        let outcome = receive(&results, |result| {
            if let Some((index, result)) = result {
                waiting.insert(index, result);
                while let Some(result) = waiting.remove(&taken) {
                    take(taken, result)?;
                    taken += 1;
                }
            }
            progress(taken)
        });
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Hands each result to `step`, which is also called now and then without; looks every tick whether
/// to stop.
fn receive<T>(results: &Receiver<T>, mut step: impl FnMut(Option<T>) -> Result<()>) -> Result<()> {
    let mut looked = Instant::now();
    loop {
        match results.recv_timeout(TICK) {
            Ok(result) => step(Some(result))?,
            Err(RecvTimeoutError::Timeout) => step(None)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if looked.elapsed() >= TICK {
            looked = Instant::now();
            if interrupt::requested() {
                return Err(Error::cancelled("interrupted"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_tasks() {
        let tasks: Vec<u64> = (0..200).collect();
        let work = |&n: &u64| {
            std::thread::sleep(Duration::from_micros(200 * (n % 7)));
            n * n
        };
        let (mut found, mut most) = (Vec::new(), 0);
        let take = |index, square| {
            found.push((index as u64, square));
            Ok(())
        };
        in_order(&tasks, 4, work, take, |done| {
            assert!(done >= most);
            most = done;
            Ok(())
        })
        .unwrap();
        assert_eq!(found, tasks.iter().map(|&n| (n, n * n)).collect::<Vec<_>>());
        assert_eq!(most, 200);
    }

    #[test]
    fn an_error_ends_the_work() {
        let tasks: Vec<u64> = (0..10_000).collect();
        let worked = AtomicUsize::new(0);
        let work = |_: &u64| {
            worked.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1));
        };
        let fail = |index, ()| if index == 3 { Err(Error::io("full")) } else { Ok(()) };
        assert_eq!(in_order(&tasks, 2, work, fail, |_| Ok(())).unwrap_err().message, "full");
        assert!(worked.into_inner() < 1_000);
        let cancel = |_| Err(Error::cancelled("enough"));
        assert!(in_order(&tasks, 2, |_| (), |_, ()| Ok(()), cancel).is_err());
        in_order(&[(); 0], 2, |_| (), |_, ()| Ok(()), |_| Ok(())).unwrap();
    }
}
