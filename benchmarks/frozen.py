"""What a frozen set and statistics cost.

Each row is made in a process of its own, turn by turn, on the same dataset and one core:

- the tutorial's five variables: a cold stream (each query on a day of its own); epochs of a frozen
  set that memory holds, in random order; copying the same rows out of mapped files with NumPy,
  which compares nothing and makes no batches;
- an epoch of dense queries of the same variables: streaming it; freezing it;
  `oceanarrow.statistics` of the same pixels; NumPy's mean, deviation and quantiles of the streamed
  batches.
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
import pyarrow as pa
from channels import dense, loader
from options import dataset_of, pick_days
from rows import rows_of, run
from stopwatch import Stopwatch
from workloads import INPUTS, SIZES, TARGETS

import oceanarrow
from oceanarrow import Loader

EXAMPLE = "example: python benchmarks/frozen.py --samples 55 --repetitions 5"
TABLES = {
    "Samples of the tutorial": {
        "cold": "a cold stream",
        "frozen": "a frozen set",
        "copied": "copying the rows with NumPy",
    },
    "Numbers of an epoch": {
        "streamed": "streaming it",
        "freezing": "`oceanarrow.materialize`",
        "ours": "`oceanarrow.statistics`",
        "numpy": "NumPy, of all values at once",
    },
}
WANTED = {"target_variables": TARGETS, "patch_sizes": SIZES}
EPOCHS = 20


def work(chosen: argparse.Namespace, scratch: Path) -> Callable[[], int]:
    """What a row does, which gives the number of samples."""
    dataset, bbox = dataset_of(chosen), tuple(chosen.bbox)
    catalog = oceanarrow.Catalog(dataset)
    days = pick_days(chosen, [str(day) for day in sorted({g["day"] for g in catalog.granules()})])
    if chosen.row == "cold":
        queries = dense(days[: chosen.samples + 1], bbox, 1)
        # What a process does once is not a sample's; the day is one that no sample has.
        for _ in loader(dataset, queries[-1:], INPUTS, **WANTED):
            pass
        made = loader(dataset, queries[:-1], INPUTS, **WANTED)
        return lambda: sum(map(len, made))
    queries = dense(days[:16], bbox, 48)
    made = loader(dataset, queries, INPUTS, **WANTED)
    if chosen.row in ("frozen", "copied"):
        oceanarrow.materialize(made, scratch / "set", shard_rows=256, progress=False)
        copy = Loader.from_materialized(scratch / "set", batch_size=32, tail="partial", threads=1)
        for _ in copy:
            pass
        return epochs(copy) if chosen.row == "frozen" else copies(scratch / "set", copy)
    if chosen.row == "freezing":
        return lambda: freeze(made, scratch / "set")
    if chosen.row == "streamed":
        return lambda: sum(map(len, made))
    if chosen.row == "numpy":
        return lambda: by_numpy(made)

    def ours() -> int:
        oceanarrow.statistics(
            dataset, queries, [*INPUTS, *TARGETS], default_patch_size=(64, 64), patch_sizes=SIZES,
            threads=1, progress=False,
        )  # fmt: skip
        return len(queries)

    return ours


def freeze(made: Loader, directory: Path) -> int:
    """Also says on standard error what the set takes, beside what the pages on costs predict."""
    oceanarrow.materialize(made, directory, shard_rows=256, progress=False)
    taken = sum(path.stat().st_size for path in directory.iterdir())
    rows = len(made.query_arrays[0])
    print(f"a set takes {taken / (rows * made.row_bytes):.3f} of rows * row_bytes", file=sys.stderr)
    return rows


def epochs(made: Loader) -> Callable[[], int]:
    return lambda: sum(sum(map(len, made)) for _ in range(EPOCHS))


def copies(directory: Path, made: Loader) -> Callable[[], int]:
    """The rows of the same epochs, column by column, into the same memory batch after batch."""
    columns: list[list[np.ndarray]] = []
    names = [name for name in made.schema.names if made.schema.field(name).shape]
    for path in sorted(directory.glob("*.arrow")):
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        for i in range(file.num_record_batches):
            batch = file.get_batch(i)
            block = [batch.column(name).to_numpy_ndarray() for name in names]
            columns.append(block)
    rows_before = np.cumsum([0] + [block[0].shape[0] for block in columns])
    orders = [[batch["query"].numpy().copy() for batch in made] for _ in range(EPOCHS)]
    room = [np.empty((32, *part.shape[1:]), part.dtype) for part in columns[0]]

    def run() -> int:
        samples = 0
        for order in orders:
            for rows in order:
                blocks = np.searchsorted(rows_before, rows, "right") - 1
                for place, (row, block) in enumerate(zip(rows, blocks, strict=True)):
                    for to, part in zip(room, columns[block], strict=True):
                        to[place] = part[row - rows_before[block]]
                samples += len(rows)
        return samples

    return run


def by_numpy(made: Loader) -> int:
    values: dict[str, list[np.ndarray]] = {}
    samples = 0
    for batch in made:
        told = batch.to_numpy()
        for role in ("inputs", "targets"):
            for name, data in told[role].items():
                values.setdefault(name, []).append(data[told["masks"][name]])
        samples += len(batch)
    for parts in values.values():
        every = np.concatenate(parts).astype(np.float64)
        assert np.isfinite(
            [every.mean(), every.std(), *np.quantile(every, [0.01, 0.5, 0.99])]
        ).all()
    return samples


def contend(chosen: argparse.Namespace) -> None:
    """One row in this process: prints what it took as JSON."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    with tempfile.TemporaryDirectory() as scratch:
        run = work(chosen, Path(scratch))
        with Stopwatch() as watch:
            samples = run()
    print(json.dumps({"rate": samples / watch.wall, "cpu": watch.cpu / samples}))


def measure(chosen: argparse.Namespace, rows: dict[str, str]) -> dict[str, list[dict]]:
    """Turn by turn; prints the table."""
    found = rows_of(chosen, __file__, rows)
    reference = next(iter(rows))

    def median(name: str, key: str) -> float:
        return statistics.median(row[key] for row in found[name])

    print("| | samples/s | / the first's | CPU ms a sample | / the first's |")
    print("|---|---:|---:|---:|---:|")
    for name, label in rows.items():
        rate, cpu = median(name, "rate"), median(name, "cpu")
        print(
            f"| {label} | {rate:,.0f} | {rate / median(reference, 'rate'):.2f} "
            f"| {1e3 * cpu:.3f} | {cpu / median(reference, 'cpu'):.3f} |"
        )
    sys.stdout.flush()
    return found


if __name__ == "__main__":
    run(__file__, str(__doc__), EXAMPLE, TABLES, contend, measure, dataset_of, samples=55)
