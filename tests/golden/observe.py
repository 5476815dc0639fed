"""What the golden file holds of each loader, as it is now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from oceanarrow import Batch, Loader

from . import loaders

GOLDEN = Path(__file__).parent / "golden.json"
#: What may change apart: names of plans, orders of queries, columns, and values.
PARTS = ("plans", "orders", "columns", "values")
_STEPS_OF_AN_EPOCH_WITHOUT_END = 12
FIRST_BATCHES = 3


def observe(root: Path) -> dict[str, dict[str, Any]]:
    """Each part by the loader's name."""
    seen: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for name in loaders.LOADERS:
        for part, value in _observe_one(loaders.make(root, name)).items():
            seen[part][name] = value
    seen["values"]["native cells"] = _native(root)
    return seen


def _observe_one(ranks: list[Loader]) -> dict[str, Any]:
    first = [list(islice(rank, FIRST_BATCHES)) for rank in ranks]
    states = [rank.state_dict() for rank in ranks]
    assert all(state == states[0] for state in states)
    # The rules version goes up with the values, not with the plan.
    assert states[0].pop("rules") >= 2
    epochs = []
    for number in range(2):
        for rank in ranks:
            rank.set_epoch(number)
        epochs.append(epoch(ranks))
    schema = pa.schema(first[0][0].schema)
    return {
        "plans": {"id": ranks[0].plan_id, "state": states[0]},
        "orders": {
            "queries": [queries for queries, _ in epochs],
            "positions": [positions for _, positions in epochs],
        },
        "columns": {field.name: [str(field.type), _metadata(field)] for field in schema},
        "values": [[_digests(batch) for batch in batches] for batches in first],
    }


def epoch(ranks: list[Loader]) -> tuple[list[str], list[list[int]]]:
    """The queries of each global batch, padded ones in brackets; where the run stands after it."""
    batches, positions = [], []
    for parts in zip(*(_steps(rank) for rank in ranks), strict=True):
        rows = [row for batch in parts for row in _rows(batch)]
        batches.append(" ".join(rows))
        states = [json.loads(batch.metadata["oceanarrow.cursor"]) for batch in parts]
        assert all(state == states[0] for state in states)
        positions.append([states[0][key] for key in ("epoch", "lane_offset", "lanes")])
    return batches, positions


def _steps(loader: Loader) -> Iterator[Batch]:
    try:
        len(loader)
    except TypeError:
        return islice(loader, _STEPS_OF_AN_EPOCH_WITHOUT_END)
    return iter(loader)


def _rows(batch: Batch) -> Iterator[str]:
    rows = batch.to_numpy()["metadata"]
    for query, weight in zip(rows["query"].tolist(), rows["sample_weight"].tolist(), strict=True):
        yield str(query) if weight == 1.0 else f"({query})"


def _metadata(field: pa.Field) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in sorted((field.metadata or {}).items())}


def _digests(batch: Batch) -> dict[str, str]:
    """A digest of each column, and of the schema's metadata that no other part has."""
    records = pa.record_batch(batch)
    digests = {
        name: _digest(_leaves(column))
        for name, column in zip(records.schema.names, records.columns, strict=True)
    }
    return digests | {"masked": batch.metadata["oceanarrow.masked"]}


def _leaves(column: pa.Array) -> Iterator[np.ndarray]:
    """Validity, lengths and numbers, level by level."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    yield column.is_valid().to_numpy(zero_copy_only=False)
    while pa.types.is_nested(column.type):
        if not pa.types.is_fixed_size_list(column.type):
            yield column.value_lengths().to_numpy(zero_copy_only=False)
        column = column.flatten()
    yield column.to_numpy(zero_copy_only=False)


def _native(root: Path) -> list[dict[str, Any]]:
    samples = loaders.native(root)
    seen = []
    for sample in (samples[i] for i in range(len(samples))):
        entries = {**sample["inputs"], **sample["targets"]}
        digests = {
            name: None
            if entry is None
            else _digest(np.asarray(entry[key]) for key in sorted(entry))
            for name, entry in entries.items()
        }
        seen.append(digests | {"n_files": int(sample["metadata"]["n_files"])})
    return seen


def _digest(arrays: Iterable[np.ndarray]) -> str:
    """Of types, shapes and little-endian bytes."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        assert array.dtype.kind in "biufM", f"{array.dtype} has no bytes of its own"
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()
