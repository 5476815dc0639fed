"""The stream itself: overhead of a step, seeking in a huge plan, threads against processes.

Each measurement runs in a process of its own, turn by turn; medians are reported.

- overhead: batches of 16 rows and 5 variables of which no file exists, so that nothing is rendered.
- seek: an order of 10 million queries in a thousand days. Building it happens once a run; a seek
  finds the queries of the batch at a random step of an epoch that was not touched before.
  Memory counts from where the queries are arrays; "kept" is what an order holds.
- transport: patches of one region, made by 2 threads of the process that consumes them, or by
  2 worker processes of a torch DataLoader. The clock runs from the first batch on.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from options import DAYS, add_results, printable
from report import footnote, turns_of, write_json
from synthetic_ocean import ocean
from workloads import INPUTS, SIZE, SIZES, TARGETS

from oceanarrow.dataset import PatchSize, Query, QueryGenerator

BATCH = 16
WORKERS = 2


def overhead(options: argparse.Namespace) -> dict[str, float]:
    import torch  # noqa: F401 -- importing it must not be timed

    import oceanarrow

    asked = [Query(-60.0, -50.0, 20.0, 30.0, "2001-01-01", "2001-01-01")] * options.steps * BATCH
    stream = oceanarrow.Loader(
        str(ocean(DAYS)), asked, INPUTS, TARGETS, batch_size=BATCH, default_patch_size=(1, 1)
    )
    next(iter(stream))
    results = {}
    for name, use in {
        "Loader: a step": lambda batch: batch,
        "Loader: a step with to_torch()": lambda batch: batch.to_torch(),
    }.items():
        start = time.perf_counter()
        steps = sum(use(batch) is not None for batch in stream)
        results[f"{name}, us"] = 1e6 * (time.perf_counter() - start) / steps
    return results


def seek(options: argparse.Namespace) -> dict[str, float]:
    from oceanarrow import _engine

    n, rng = options.queries, np.random.default_rng(0)
    boxes = np.empty((n, 4))
    boxes[:, 0], boxes[:, 2] = rng.uniform(-180, 175, n), rng.uniform(-80, 75, n)
    boxes[:, 1], boxes[:, 3] = boxes[:, 0] + 5, boxes[:, 2] + 5
    days = np.repeat(rng.integers(0, 1000, n, np.int32)[:, None], 2, 1)
    before = _resident()
    start = time.perf_counter()
    order = _engine.Order(boxes, days, global_batch=256, seed=1, tail="drop")
    built = time.perf_counter() - start
    kept = _resident() - before
    steps = order.steps_left()
    took = []
    for epoch in range(1, 8):
        offset = int(rng.integers(0, steps)) * order.lane_rows
        start = time.perf_counter()
        order.slots(epoch, offset)
        took.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "Order: seek to a step, ms": 1e3 * statistics.median(took),
        "Order: memory kept, MB": kept / 1e6,
        "Order: memory kept after seeks, MB": (_resident() - before) / 1e6,
        "Order: building it, ms": 1e3 * built,
        "Order: peak while building, MB": (peak - before) / 1e6,
    }


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def threads(options: argparse.Namespace) -> dict[str, float]:
    from torch.utils.data import DataLoader

    rate = _rate(DataLoader(_patches(options, threads=WORKERS), batch_size=None))
    return {f"{WORKERS} threads of this process, samples/s": rate}


def processes(options: argparse.Namespace) -> dict[str, float]:
    from torch.utils.data import DataLoader

    dataset = _patches(options, threads=WORKERS)
    rate = _rate(DataLoader(dataset, batch_size=None, num_workers=WORKERS))
    return {f"{WORKERS} worker processes, samples/s": rate}


def _patches(options: argparse.Namespace, *, threads: int):
    from oceanarrow.torch import OceanTACOIterableDataset

    asked = QueryGenerator().generate_training_queries(
        options.samples,
        PatchSize(10, "deg"),
        ("2023-04-01", "2023-04-02"),
        bbox_constraint=(-80, -10, 10, 55),
        seed=42,
        verbose=False,
    )
    return OceanTACOIterableDataset(
        str(ocean(DAYS)),
        asked,
        INPUTS,
        TARGETS,
        batch_size=BATCH,
        default_patch_size=SIZE,
        patch_sizes=SIZES,
        threads=threads,
    )


def _rate(batches) -> float:
    iterator = iter(batches)
    next(iterator)
    start = time.perf_counter()
    rows = sum(len(batch["present"][TARGETS[0]]) for batch in iterator)
    return rows / (time.perf_counter() - start)


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "overhead": overhead,
    "seek": seek,
    "threads": threads,
    "processes": processes,
}


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """All parts, turn by turn."""
    results: dict[str, list[float]] = {}
    for _ in range(options.repetitions):
        for part in options.parts:
            command = [sys.executable, __file__, "--part", part]
            for name in ("steps", "queries", "samples"):
                command += [f"--{name}", str(getattr(options, name))]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            for name, value in json.loads(done.stdout.splitlines()[-1]).items():
                results.setdefault(name, []).append(value)
    return results


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5000, help="steps of the overhead")
    parser.add_argument("--queries", type=int, default=10_000_000, help="queries of the order")
    parser.add_argument("--samples", type=int, default=2048, help="patches of the transport")
    parser.add_argument("--repetitions", type=int, default=5, help="turns")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    add_results(parser)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.part:
        print(json.dumps(PARTS[options.part](options)))
        return
    ocean(DAYS)
    results = measure(options)
    print("\n## The stream itself\n")
    print("| | median | least | most |")
    print("|---|---:|---:|---:|")
    for name, values in results.items():
        cells = (statistics.median(values), min(values), max(values))
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in cells) + " |")
    text = (
        f"batches of {BATCH}, {len(INPUTS + TARGETS)} variables; order of {options.queries:,} "
        f"queries; {options.samples} patches; {len(os.sched_getaffinity(0))} cores."
    )
    print("\n" + footnote(f"{turns_of(options.repetitions)} {text}"))
    write_json(options.results / "stream.json", {"options": printable(options), "turns": results})


if __name__ == "__main__":
    main()
