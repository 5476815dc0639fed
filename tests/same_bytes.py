"""Batches and directories, byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from oceanarrow import Loader


def bytes_of(batch: Any) -> list[bytes]:
    """Of every buffer."""
    record = pa.record_batch(batch)
    return [b.to_pybytes() for column in record for b in column.buffers() if b is not None]


def assert_same(ours: Loader, theirs: Loader) -> int:
    """One epoch of two loaders: metadata, schemas, every byte."""
    steps = 0
    for a, b in zip(ours, theirs, strict=True):
        assert a.metadata == b.metadata
        assert pa.schema(a.schema) == pa.schema(b.schema)
        assert bytes_of(a) == bytes_of(b)
        steps += 1
    return steps


def contents(directory: Path) -> dict[str, str]:
    """A digest of every file."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.iterdir())
    }
