"""oceanarrow: the map-style dataset, the loader, and the loader in oceantaco's convention."""

from typing import Any

from tasks import Task, Where

import oceanarrow
from contenders import Result, Work
from oceanarrow.dataset import OceanTACODataset, Query


def queries(wanted: list[Where]) -> list[Query]:
    return [
        Query(where.lon_min, where.lon_max, where.lat_min, where.lat_max, where.first, where.last)
        for where in wanted
    ]


def dataset(task: Task) -> Work:
    """Sample by sample, in the list's order."""
    patches = OceanTACODataset(
        task.dataset,
        queries(task.queries),
        task.inputs,
        task.targets,
        temporal_agg="stack" if task.stack else "mean",
        patch_sizes=task.sizes,
    )

    def work() -> Result:
        for index in range(len(patches)):
            patches[index]
        return {"samples": len(patches)}

    return work


def loader(task: Task) -> Work:
    """Batches; in its own order where any order will do."""
    return _stream(stream(task))


def loader_crop(task: Task) -> Work:
    """Renders what oceantaco does: `tests/render/test_peer_resample.py` proves it."""
    return _stream(stream(task, grid="crop", resample="auto"))


def stream(task: Task, **options: Any) -> oceanarrow.Loader:
    """The loader of a task; `options` are arguments of `oceanarrow.Loader` that differ."""
    chosen = {
        "batch_size": task.batch,
        "temporal_agg": "stack" if task.stack else "mean",
        "patch_sizes": task.sizes,
        "shuffle": task.any_order,
        "tail": "drop" if task.any_order else "partial",
        "threads": task.cores,
    }
    return oceanarrow.Loader(
        task.dataset, queries(task.queries), task.inputs, task.targets, **chosen | options
    )


def _stream(batches: oceanarrow.Loader) -> Work:
    def work() -> Result:
        before, samples = batches.stats(), 0
        for batch in batches:
            samples += len(next(iter(batch.to_torch()["present"].values())))
        after = batches.stats()
        decoded = after["chunks_decoded"] - before["chunks_decoded"]
        distinct = after["chunks_distinct"] - before["chunks_distinct"]
        return {
            "samples": samples,
            "chunks": decoded,
            "amplification": decoded / distinct if distinct else float(decoded > 0),
        }

    return work
