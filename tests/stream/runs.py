"""Small streams, and digests of what they deliver."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oceanarrow import Loader
from oceanarrow.dataset import Query

DAYS = ("2023-04-01", "2023-04-02", "2023-04-03")
INPUTS, TARGETS = ("l4_sst",), ("l4_ssh",)


def asked(n: int) -> list[Query]:
    """N boxes over three days and several regions, no two the same."""
    return [
        Query(west, west + 9, south, south + 8, day, day)
        for i in range(n)
        for west, south, day in [(-175.0 + 4.7 * (i % 71), -62.0 + 1.9 * (i % 61), DAYS[i % 3])]
    ]


def options(**changes: Any) -> dict[str, Any]:
    """Arguments of a loader of tiny patches; each epoch of 12 a batch has windows and lanes."""
    return {
        "default_patch_size": (4, 4),
        "window": 5,
        "seed": 11,
        "threads": 1,
        "global_batch_size": 12,
    } | changes


def make(path: Path | str, n: int = 65, inputs=INPUTS, targets=TARGETS, **changes: Any) -> Loader:
    return Loader(path, asked(n), inputs, targets, **options(**changes))


def world(path: Path | str, world_size: int, n: int = 65, **changes: Any) -> list[Loader]:
    """The loaders of all ranks."""
    return [make(path, n, rank=r, world_size=world_size, **changes) for r in range(world_size)]


def row_digests(batch: Mapping[str, Any]) -> list[str]:
    """A digest of each row: its query, values, masks, place, time, status and weight.

    Takes what `to_numpy` or `to_torch` gives. Padding of point variables is no part of a row.
    """
    columns = [values for key, values in sorted(_leaves(batch)) if not key.endswith("cursor")]
    digests = []
    for row in range(len(batch["metadata"]["query"])):
        digest = hashlib.blake2b(digest_size=12)
        for values in columns:
            digest.update(np.ascontiguousarray(values[row]).tobytes())
        digests.append(digest.hexdigest())
    return digests


def _leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    mask = tree.get("mask")
    for name, entry in tree.items():
        if isinstance(entry, Mapping):
            yield from _leaves(entry, f"{path}/{name}")
        elif mask is not None and name != "mask":
            values, kept = np.asarray(entry), np.asarray(mask)
            yield f"{path}/{name}", [v[m] for v, m in zip(values, kept, strict=True)]
        elif name == "mask":
            yield f"{path}/{name}", np.asarray(entry).sum(axis=1)
        else:
            yield f"{path}/{name}", entry if isinstance(entry, str) else np.asarray(entry)


def steps(batches: Iterable[Any]) -> list[list[str]]:
    """The digests of the rows of each batch of a loader or of a `DataLoader`."""
    return [row_digests(b if isinstance(b, Mapping) else b.to_numpy()) for b in batches]


def joined(ranks: Iterable[Iterable[Any]]) -> list[list[str]]:
    """The global batches: the ranks' rows one after the other; all ranks have as many steps."""
    digests = [steps(batches) for batches in ranks]
    return [[row for part in parts for row in part] for parts in zip(*digests, strict=True)]


def query_rows(batches: Iterable[Any]) -> list[tuple[int, float]]:
    """(query, weight) of each row."""
    rows: list[tuple[int, float]] = []
    for batch in batches:
        tree = batch if isinstance(batch, Mapping) else batch.to_numpy()
        metadata = tree["metadata"]
        rows += zip(
            np.asarray(metadata["query"]).tolist(),
            np.asarray(metadata["sample_weight"]).tolist(),
            strict=True,
        )
    return rows
