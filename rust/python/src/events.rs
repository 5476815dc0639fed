//! Events of the engine, for Python's `logging`.

use std::time::UNIX_EPOCH;

use oceanarrow_engine::events;
use pyo3::prelude::*;

/// The events that wait, each its kind, level, time and text, and how many more were dropped. From now
/// on only events of the level `wanted` or a higher one are noted.
#[pyfunction]
pub fn take_events(wanted: i64) -> (Vec<(&'static str, u8, f64, String)>, u64) {
    let wanted = u8::try_from(wanted.max(0)).unwrap_or(u8::MAX);
    let (events, lost) = events::take(wanted);
    let plain = events.into_iter().map(|event| {
        let since = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        (event.kind.name(), event.kind.level(), since.as_secs_f64(), event.text)
    });
    (plain.collect(), lost)
}

/// The kinds of events, and their levels.
#[pyfunction]
pub fn event_kinds() -> Vec<(&'static str, u8)> {
    events::Kind::ALL.iter().map(|kind| (kind.name(), kind.level())).collect()
}
