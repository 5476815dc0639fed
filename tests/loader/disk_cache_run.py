"""An epoch with a disk cache, in this process or as a program of its own.

As a program, `disk_cache_run.py DATASET CACHE_DIR [LARGEST_FILE]`: says "ready", waits for a line,
and prints a digest of the values and why the cache failed, if it did. LARGEST_FILE limits what it
may write to a file, in bytes.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import time
from typing import Any

import numpy as np

from oceanarrow import Loader
from oceanarrow.dataset import Query

VARIABLES = ["l4_sst", "l3_swot", "l4_ssh"]
QUERIES = [Query(-60 + 9 * i, -40 + 9 * i, 5, 30, "2023-04-01", "2023-04-03") for i in range(6)]


def loader(path: Any, **options: Any) -> Loader:
    patches = {"batch_size": 2, "default_patch_size": (24, 20), "shuffle": False}
    return Loader(path, QUERIES, VARIABLES, **patches, **options)


def values(path: Any, **options: Any) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The patches of an epoch, and what it took. The cache is written when this returns."""
    epoch = loader(path, **options)
    arrays = []
    for batch in epoch:
        tensors = batch.to_numpy()
        for name in VARIABLES:
            arrays += [tensors["inputs"][name].copy(), tensors["masks"][name].copy()]
    return arrays, _settled(epoch) if "cache_dir" in options else epoch.stats()


def _settled(epoch: Loader) -> dict[str, Any]:
    """The statistics once nothing more is written: threads of the stream may outlive the epoch."""
    stats = epoch.stats()
    while stats["chunks_decoded"]:
        time.sleep(0.3)
        before, stats = stats, epoch.stats()
        if stats["disk_bytes_written"] == before["disk_bytes_written"]:
            break
    return stats


def digest(arrays: list[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


if __name__ == "__main__":
    dataset, cache_dir, *limit = sys.argv[1:]
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
    print("ready", flush=True)
    sys.stdin.readline()
    got, stats = values(dataset, cache_dir=cache_dir, cache_bytes=0)
    print(digest(got))
    print(stats["disk_cache_failure"])
