"""What channels cost: computed ones, one tensor, a grid's own cells, shifts, climatologies.

Each row is made in a process of its own, turn by turn, on the same dataset and one core:

- the tutorial's five variables in random order, each query on a day of its own, alone and with the
  eleven computed channels;
- five gridded variables of an epoch of dense queries, all chunks decoded before: as columns, as the
  channels of one tensor, and as columns that torch stacks;
- the same of one variable on boxes half a cell off its grid, and on its own cells;
- an epoch of dense queries as they are, and shifted by up to half a patch, with the default cache:
  chunks that were decoded;
- the mean of each month of a variable's own cells: reading them, `oceanarrow.climatology`, xarray.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from options import dataset_of, pick_days
from rows import rows_of, run
from stopwatch import Stopwatch, peak
from workloads import INPUTS, SIZES, TARGETS

import oceanarrow
from oceanarrow import Augment, Loader
from oceanarrow.dataset import PatchSize, Query, QueryGenerator

EXAMPLE = "example: python benchmarks/channels.py --samples 55 --repetitions 5"

COMPUTED = [
    "latitude", "longitude", "sin_latitude", "cos_latitude", "sin_longitude", "cos_longitude",
    "sin_day_of_year", "cos_day_of_year", "coriolis", "cell_area", "insolation",
]  # fmt: skip
FIELDS = ["l4_ssh", "l4_sst", "l4_sss", "glorys_uo", "glorys_vo"]
#: The rows of each table, the one that the others are compared with first.
TABLES = {
    "A cold sample of the tutorial": {
        "alone": "its five variables",
        "computed": "and eleven computed channels",
    },
    "Five variables of a warm epoch": {
        "columns": "a column each",
        "tensor": "channels of one tensor",
        "stacked": "a column each, `torch.stack`",
    },
    "One variable of a warm epoch": {
        "between": "boxes half a cell off the grid",
        "cells": "on the grid's own cells",
    },
    "An epoch of dense queries": {
        "still": "as they are",
        "moved": "shifted by up to half a patch",
    },
    "The mean of each month": {
        "reading": "reading the same cells",
        "ours": "`oceanarrow.climatology`",
        "xarray": "xarray, `groupby`",
    },
}
DEGREES = 10.0


def dense(days: list[str], bbox: tuple[float, ...], per_day: int, **options: object) -> list[Query]:
    """So many patches a day, on the first days."""
    queries = []
    for number, day in enumerate(days):
        queries += QueryGenerator(catalog=options.get("catalog")).generate_training_queries(
            per_day, options.get("size", DEGREES), (day, day), bbox_constraint=bbox,
            seed=number, verbose=False, snap=options.get("snap"),
        )  # fmt: skip
    return queries


def loader(dataset: Path, queries: list[Query], variables: object, **options: object) -> Loader:
    common = {"batch_size": 32, "default_patch_size": (64, 64), "tail": "partial", "threads": 1}
    common |= {"cache_dir": None, "cache_bytes": 4 << 30}
    return Loader(dataset, queries, variables, **(common | options))


def work(chosen: argparse.Namespace) -> tuple[Callable[[], int], Callable[[], dict]]:
    """What a row does, which gives the number of samples, and what else it tells."""
    dataset, bbox = dataset_of(chosen), tuple(chosen.bbox)
    catalog = oceanarrow.Catalog(dataset)
    days = pick_days(chosen, [str(day) for day in sorted({g["day"] for g in catalog.granules()})])
    name, nothing = chosen.row, dict
    if name in ("alone", "computed"):
        queries = dense(days[: chosen.samples + 1], bbox, 1)
        wanted = [*INPUTS, *(COMPUTED if name == "computed" else [])]
        options = {"target_variables": TARGETS, "patch_sizes": SIZES}
        # What a process does once is not a sample's; the day is one that no sample has.
        for _ in loader(dataset, queries[-1:], wanted, **options):
            pass
        made = loader(dataset, queries[:-1], wanted, **options)
        return (lambda: sum(map(len, made))), nothing
    if name in ("reading", "ours", "xarray"):
        return monthly(name, dataset, days[: chosen.samples]), nothing
    few = days[:4]
    if name in ("still", "moved"):
        queries = dense(days[:8], bbox, 48)
        augment = Augment(shift=DEGREES / 2) if name == "moved" else None
        made = loader(dataset, queries, ["l4_ssh", "l4_sst"], augment=augment, cache_bytes=None)
        return (lambda: sum(map(len, made))), lambda: {"decodes": made.stats()["chunks_decoded"]}
    if name in ("between", "cells"):
        cells = PatchSize(64, "cells")
        queries = dense(few, bbox, 48, catalog=catalog, size=cells, snap="l4_ssh")
        if name == "between":
            half = catalog.grid("l4_ssh").lat.step / 2
            queries = [moved(query, half) for query in queries]
        made = loader(dataset, queries, ["l4_ssh"], batch_size=64)
        return warm(made, lambda batch: batch), nothing
    queries = dense(few, bbox, 48)
    import torch

    def stack(batch: oceanarrow.Batch) -> object:
        inputs = batch.to_torch()["inputs"]
        return torch.stack([inputs[field] for field in FIELDS], dim=1)

    made = loader(dataset, queries, {"x": FIELDS} if name == "tensor" else FIELDS, batch_size=64)
    use = stack if name == "stacked" else lambda batch: batch.to_torch()
    return warm(made, use), lambda: {"peak": peak()}


def warm(made: Loader, use: Callable[[oceanarrow.Batch], object]) -> Callable[[], int]:
    """Epochs after one that has decoded all."""
    for batch in made:
        use(batch)

    def run() -> int:
        samples = 0
        for _ in range(10):
            for batch in made:
                use(batch)
                samples += len(batch)
        return samples

    return run


def moved(query: Query, degrees: float) -> Query:
    lon_min, lon_max, lat_min, lat_max = query.bbox
    edges = (lon_min + degrees, lon_max + degrees, lat_min + degrees, lat_max + degrees)
    return Query(*edges, query.time_start, query.time_end)


def monthly(name: str, dataset: Path, days: list[str]) -> Callable[[], int]:
    """The months of sea level, or reading it."""
    span = (days[0], days[-1])

    def ours() -> int:
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch) / "months.nc"
            oceanarrow.climatology(dataset, "l4_ssh", output, days=span, progress=False)
        return len(days)

    def reading() -> int:
        from oceanarrow.dataset import OceanTACODataset

        boxes = oceanarrow.Catalog(dataset).regions.values()
        queries = [Query(*box, day, day) for box in boxes for day in days]
        options = {"default_patch_size": None, "temporal_agg": "first", "cache_bytes": 0}
        for sample in OceanTACODataset(dataset, queries, ["l4_ssh"], [], **options):
            assert sample["inputs"]["l4_ssh"] is not None
        return len(days)

    def xarrays() -> int:
        import xarray as xr

        granules = [g for g in oceanarrow.Catalog(dataset).granules() if g["file"] == "l4_ssh.nc"]
        for region in sorted({g["region"] for g in granules}):
            fields = []
            for granule in granules:
                if granule["region"] != region or not span[0] <= granule["day"] <= span[1]:
                    continue
                with xr.open_dataset(granule["path"], engine="h5netcdf") as opened:
                    field = opened["sla"].squeeze(drop=True).load()
                fields.append(field.assign_coords(time=np.datetime64(granule["day"], "ns")))
            xr.concat(fields, "time").groupby("time.month").mean()
        return len(days)

    import torch  # noqa: F401  # importing is not part of the work
    import xarray  # noqa: F401

    return {"ours": ours, "reading": reading, "xarray": xarrays}[name]


def contend(chosen: argparse.Namespace) -> None:
    """One row in this process: prints what it took as JSON."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    run, told = work(chosen)
    with Stopwatch() as watch:
        samples = run()
    print(json.dumps({"cpu": watch.cpu / samples, **told()}))


def measure(chosen: argparse.Namespace, rows: dict[str, str]) -> dict[str, list[dict]]:
    """Turn by turn; prints the table."""
    found = rows_of(chosen, __file__, rows)

    def median(name: str, key: str) -> float:
        return statistics.median(row[key] for row in found[name])

    reference = next(iter(rows))
    keys = list(found[reference][0])
    print("| | " + " | ".join(f"{HEADS[key]} | / the first's" for key in keys) + " |")
    print("|---|" + "---:|---:|" * len(keys))
    for name, label in rows.items():
        cells = []
        for key in keys:
            cells += [SHOWN[key](median(name, key))]
            cells += [f"{median(name, key) / median(reference, key):.3f}"]
        print(f"| {label} | {' | '.join(cells)} |")
    sys.stdout.flush()
    return found


HEADS = {"cpu": "CPU ms a sample", "peak": "peak MB", "decodes": "chunks decoded"}
SHOWN = {
    "cpu": lambda seconds: f"{1e3 * seconds:.3f}",
    "peak": lambda size: f"{size / 1e6:.0f}",
    "decodes": lambda chunks: f"{chunks:,.0f}",
}


if __name__ == "__main__":
    run(__file__, str(__doc__), EXAMPLE, TABLES, contend, measure, dataset_of, samples=55)
