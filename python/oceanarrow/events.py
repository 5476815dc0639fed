"""The engine's events as records of `logging`; see docs/how_to/logging.md.

Engine threads note events in a bounded queue. Calls from Python hand over what waits there, so that
no engine thread ever needs the interpreter.
"""

from __future__ import annotations

import logging

from oceanarrow import _engine

_ROOT = logging.getLogger("oceanarrow")
_ROOT.addHandler(logging.NullHandler())

_LOGGERS = {kind: _ROOT.getChild(kind) for kind, _ in _engine.event_kinds()}


def hand_over() -> None:
    """Hands the events that wait to their loggers, and notes what those want from now on."""
    wanted = min(logger.getEffectiveLevel() for logger in _LOGGERS.values())
    events, lost = _engine.take_events(wanted)
    for kind, level, created, text in events:
        logger = _LOGGERS[kind]
        if logger.isEnabledFor(level):
            record = logger.makeRecord(logger.name, level, "(engine)", 0, text, (), None)
            record.relativeCreated += (created - record.created) * 1000
            record.created, record.msecs = created, created % 1 * 1000
            logger.handle(record)
    if lost:
        _ROOT.warning("%d events were dropped: too many came between two calls", lost)
