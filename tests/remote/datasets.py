"""One dataset in every container, and what is read of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import synthetic
import torch

from oceanarrow import Loader
from oceanarrow.dataset import Query
from oceanarrow.taco import write_taco, write_tacocat

from .conftest import QUICK
from .fault_server import Request

QUERIES = [
    Query(lon, lon + 20, lat, lat + 15, f"2023-04-0{day}", f"2023-04-0{day}")
    for day, lon, lat in [(1, -50, 20), (2, 5, -40), (3, 160, 10), (1, -10, -8), (3, -120, 30)]
]
VARIABLES = (["l4_ssh", "l3_ssh", "argo"], ["l4_sst"])


def write_parts(ocean: Path, folder: Path) -> list[Path]:
    """The dataset as two archives and the TacoCat that joins them."""
    files = synthetic._files_of(ocean)
    days = sorted({file.day for file in files})
    parts = []
    for number, of_part in enumerate((days[:2], days[2:])):
        chosen = [file for file in files if file.day in of_part]
        path = folder / f"ocean_part{number}.tacozip"
        parts.append(write_taco(path, chosen, container="zip", id="ocean", pad_to=11))
    write_tacocat(parts, folder)
    return parts


def loader(place: Any, queries: list[Query] = QUERIES, **options: Any) -> Loader:
    """A loader of a few queries; waits of its transport are short."""
    storage = QUICK | options.pop("storage_options", {})
    options = {"batch_size": 2, "default_patch_size": (16, 16)} | options
    return Loader(place, queries, *VARIABLES, storage_options=storage, **options)


def batches(made: Loader) -> list[dict[str, Any]]:
    return [batch.to_numpy() for batch in made]


def assert_equal(ours: Any, theirs: Any) -> None:
    """Equal bit for bit at every level; metadata have the batch's cursor and are left out."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"metadata"}:
            assert_equal(ours[name], theirs[name])
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_equal(a, b)
    elif isinstance(ours, torch.Tensor):
        assert_equal(ours.numpy(), theirs.numpy())
    elif isinstance(ours, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert ours.tobytes() == theirs.tobytes()
    else:
        assert ours == theirs


def round_trips(requests: list[Request], delay: float) -> int:
    """How many answers, each `delay` late, were waited for one after another."""
    first = requests[0].at
    return 1 + max(round((request.at - first) / delay) for request in requests)
