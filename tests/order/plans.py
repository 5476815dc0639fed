"""Queries by recipe, and the engine's order behind the interface of the reference."""

import hashlib

import numpy as np

from oceanarrow import _engine

from . import reference

DAY = 19_000


def boxes_and_days(n: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of 5 x 4 degrees all over the sphere, on `days` days."""
    west = [(i * 7919) % 3550 / 10 - 180 for i in range(n)]
    south = [(i * 104_729) % 1750 / 10 - 90 for i in range(n)]
    boxes = [(w, w + 5, s, s + 4) for w, s in zip(west, south, strict=True)]
    first = [DAY + i * 31 % days for i in range(n)]
    return (
        np.array(boxes, dtype=np.float64).reshape(n, 4),
        np.repeat(np.array(first, dtype=np.int32).reshape(n, 1), 2, axis=1),
    )


def weights(n: int) -> list[float]:
    """Weights from 0 to 2.5."""
    return [i * 37 % 11 / 4 for i in range(n)]


def reference_clusters(boxes: np.ndarray, days: np.ndarray, extra_days: int = 0) -> list[list[int]]:
    rows = zip(boxes.tolist(), days[:, 0].tolist(), strict=True)
    cells = [(day, reference.cell(w, e - w, s, n)) for (w, e, s, n), day in rows]
    return reference.clusters(cells, extra_days)


def by_reference(n, batch, seed, tail, days=7, extra_days=0, kind=reference.Order, **options):
    clusters = [list(range(n))]
    if seed is not None:
        clusters = reference_clusters(*boxes_and_days(n, days), extra_days)
    return kind(clusters, n, batch, seed, tail, **options)


class EngineOrder:
    """`_engine.Order` with the methods of the reference."""

    def __init__(self, n, batch, seed, tail, days=7, weights=None, **options):
        if weights is not None:
            weights = np.array(weights, dtype=np.float64)
        self.n, self.batch = n, batch
        self.native = _engine.Order(
            *boxes_and_days(n, days),
            global_batch=batch,
            seed=seed,
            tail=tail,
            weights=weights,
            **options,
        )
        self.lanes = self.native.lanes

    permute = staticmethod(_engine.order_permute)

    def steps(self, world_size=1, rank=0):
        return self.native.steps_left()

    def step(self, epoch, t, rank=0, world_size=1):
        queries, padded = self.native.slots(epoch, t * self.native.lane_rows, rank, world_size)
        return list(zip(queries.tolist(), padded.tolist(), strict=True))

    worker_steps = reference.Order.worker_steps


def digest(slots) -> str:
    """A digest of (query, padded) slots."""
    data = b"".join(query.to_bytes(8, "little") + bytes([padded]) for query, padded in slots)
    fields = b"".join(len(x).to_bytes(8, "little") + x for x in (b"slots", data))
    return hashlib.blake2b(fields, digest_size=8).hexdigest()
