"""Batches of the queries of these tests, and whether two runs gave the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from oceanarrow import Loader

from .conftest import QUERIES, VARIABLES


def batches(place: Any, **options: Any) -> list[dict[str, Any]]:
    """All batches of an epoch, in the order of the queries."""
    options = {"batch_size": 2, "default_patch_size": (12, 16), "shuffle": False} | options
    return [batch.to_numpy() for batch in Loader(place, QUERIES, VARIABLES, **options)]


def assert_equal(ours: Any, theirs: Any) -> None:
    """Equal bit for bit at every level."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert_equal(ours[name], theirs[name])
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_equal(a, b)
    elif isinstance(ours, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert ours.tobytes() == theirs.tobytes()
    else:
        assert ours == theirs
