"""Receipts: what a loader's batches are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oceanarrow import _engine
from oceanarrow.epochs import Epochs
from oceanarrow.exceptions import InvalidInputError

RECEIPT_FORMAT = 1
KIND = "oceanarrow receipt"


def receipt_of(
    loader: Epochs,
    config: Mapping[str, Any],
    content: Mapping[str, str],
    roots: Sequence[str],
    steps: range | None,
    epoch: int,
) -> dict[str, Any]:
    """The receipt of a loader of this config and content; see `Loader.receipt`."""
    receipt: dict[str, Any] = {
        "kind": KIND,
        "format": RECEIPT_FORMAT,
        "version": _engine.__version__,
        "rules_version": _engine.RULES_VERSION,
        "config": dict(config),
        "content_id": _engine.content_id(content),
        "content": dict(content),
        "plan_id": loader.plan_id,
        "roots": loader.engine.pinned(roots),
    }
    if steps is None:
        return receipt
    if not isinstance(steps, range):
        raise InvalidInputError(f"steps must be a range, such as range(10), not {steps!r}")
    return receipt | {"epoch": epoch, "steps": replayed(loader, steps, epoch)}


def replayed(loader: Epochs, steps: range, epoch: int) -> list[dict[str, Any]]:
    """For each step its number, the queries of its rows, and their digests, a variable each."""
    found = []
    for step, batch in zip(steps, loader.replay(steps, epoch), strict=True):
        digests = _engine.cell_digests(loader.engine, batch.native)
        found.append(
            {
                "step": step,
                "queries": batch["query"].numpy().tolist(),
                "digests": [[f"{digest:016x}" for digest in row] for row in digests.tolist()],
            }
        )
    return found
