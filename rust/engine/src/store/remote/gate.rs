//! One gate a host, shared by all threads: how many requests may be under way, and not before when.
//!
//! The limit grows by one for each round of successes and is halved when the host pushes back
//! (additive increase, multiplicative decrease). A wait that the host asks for holds for everyone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

/// Requests at a time until a host has shown that it takes more.
const FIRST_LIMIT: f64 = 8.0;
/// Failures within this time count as one: they are answers to the same burst.
const BURST: Duration = Duration::from_millis(200);
/// How long a waiter sleeps at most before it looks again, whatever it missed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Admits requests to one host.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    under_way: usize,
    closed_until: Option<Instant>,
    halved: Option<Instant>,
}

impl Default for Gate {
    fn default() -> Self {
        let state = State { limit: FIRST_LIMIT, under_way: 0, closed_until: None, halved: None };
        Self { state: Mutex::new(state), freed: Notify::new() }
    }
}

/// The right to have one request under way.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<Gate>,
    most: usize,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit; at most `most` are out at a time.
    pub(super) async fn enter(self: &Arc<Self>, most: usize) -> Permit {
        loop {
            // Before the state is looked at, or a permit freed in between would go unnoticed.
            let freed = self.freed.notified();
            match self.try_enter(most) {
                Ok(permit) => return permit,
                Err(Some(until)) => sleep_until(until).await,
                Err(None) => {
                    let _ = timeout(LOOK_AGAIN, freed).await;
                }
            }
        }
    }

    /// A permit, or how long the gate is closed, or nothing while all permits are out.
    fn try_enter(self: &Arc<Self>, most: usize) -> Result<Permit, Option<Instant>> {
        let mut state = self.lock();
        if let Some(until) = state.closed_until.filter(|&until| until > Instant::now()) {
            return Err(Some(until));
        }
        if state.under_way >= (state.limit as usize).clamp(1, most.max(1)) {
            return Err(None);
        }
        state.under_way += 1;
        Ok(Permit { gate: self.clone(), most })
    }

    /// Closes the gate for everyone; a time that no clock can tell leaves it as it is.
    pub(super) fn close_for(&self, wait: Duration) {
        let Some(until) = Instant::now().checked_add(wait) else { return };
        let mut state = self.lock();
        state.closed_until = Some(state.closed_until.map_or(until, |known| known.max(until)));
    }

    /// How long the gate stays closed.
    pub(super) fn closed_for(&self) -> Duration {
        let until = self.lock().closed_until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    #[cfg(test)]
    fn limit(&self) -> f64 {
        self.lock().limit
    }
}

impl Permit {
    /// The request succeeded: the host may take more.
    pub(super) fn succeeded(&self) {
        let mut state = self.gate.lock();
        state.limit = (state.limit + 1.0 / state.limit).min(self.most.max(1) as f64);
    }

    /// The host pushed back or the network failed: send less.
    pub(super) fn failed(&self) {
        let mut state = self.gate.lock();
        let now = Instant::now();
        if state.halved.is_none_or(|last| now.duration_since(last) > BURST) {
            state.limit = (state.limit / 2.0).max(1.0);
            state.halved = Some(now);
        }
    }

    /// The gate that this permit is of.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.lock().under_way -= 1;
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use tokio::time::Instant;

    use super::super::limits::MAX_WAIT;
    use super::{FIRST_LIMIT, Gate};

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn no_more_permits_are_out_than_allowed() {
        runtime().block_on(async {
            let gate = Arc::new(Gate::default());
            let first = gate.enter(2).await;
            let _second = gate.enter(2).await;
            assert!(gate.try_enter(2).is_err());
            drop(first);
            assert!(gate.try_enter(2).is_ok());
        });
    }

    #[test]
    fn the_limit_grows_slowly_and_falls_fast() {
        runtime().block_on(async {
            let gate = Arc::new(Gate::default());
            let permit = gate.enter(20).await;
            for _ in 0..9 {
                permit.succeeded();
            }
            assert!((gate.limit() - FIRST_LIMIT - 1.0).abs() < 0.1, "{}", gate.limit());
            permit.failed();
            let halved = gate.limit();
            assert!((halved - (FIRST_LIMIT + 1.0) / 2.0).abs() < 0.1);
            permit.failed();
            assert!((gate.limit() - halved).abs() < 1e-9, "one burst counts once");
            for _ in 0..10_000 {
                permit.succeeded();
            }
            assert!((gate.limit() - 20.0).abs() < 1e-9);
        });
    }

    #[test]
    fn a_closed_gate_lets_nobody_in_before_its_time() {
        runtime().block_on(async {
            let gate = Arc::new(Gate::default());
            gate.close_for(Duration::from_millis(60));
            gate.close_for(Duration::from_millis(10));
            let start = Instant::now();
            let _permit = gate.enter(4).await;
            assert!(start.elapsed() >= Duration::from_millis(60));
            assert_eq!(gate.closed_for(), Duration::ZERO);
            gate.close_for(Duration::MAX);
            gate.close_for(MAX_WAIT);
            let (closed, second) = (gate.closed_for(), Duration::from_secs(1));
            assert!(MAX_WAIT - second < closed && closed <= MAX_WAIT, "{closed:?}");
        });
    }
}
