"""How long a trainer waits for data.

The trainer's step is a small CNN's forward and backward pass on one CPU thread, then sleep until it
has taken 1.2 times as long as the loader takes for a batch when nobody asks for anything
else: what a GPU does in a step leaves the CPU to the loader. The loader's time a batch is measured
in the same run, over an epoch of dense queries in its own order. Waiting is the time spent in
asking for the next batch; the first batch, for which nothing can be ready, is listed by itself.

The others get the same step, with workers of torch's DataLoader: as many as there are cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from options import add_common, dataset_of, pick_days, printable
from report import footnote, turns_of, write_json
from tasks import Skipped, Task
from turns import Progress, Rows, fill_page_cache, median
from workloads import WORKLOADS, make_task

STEP = 1.2
EXAMPLES = """\
examples:
  python benchmarks/pipeline.py
  python benchmarks/pipeline.py --cores 8 --samples 4096 --dataset /data/OceanTACO
"""
LABELS = {
    "oceanarrow": "oceanarrow, Loader",
    "oceantaco": "oceantaco 0.1.0, DataLoader workers",
    "xarray": "xarray + torch, DataLoader workers",
}
#: Batches that the slow ones make; their share of waiting does not depend on it.
FEW = 6


def trainer() -> Callable[[Any], None]:
    """One step of a small network on images of its own: what is measured is the wait for data."""
    import torch
    from torch import nn

    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    images = torch.randn(2, 4, 32, 32)

    def step(_: Any) -> None:
        loss = network(images).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step(None)
    return step


def train(batches: Iterable[Any], step: Callable[[Any], None], seconds: float) -> dict[str, float]:
    """Time waited and time in all after the first batch, and the wait for the first, in seconds."""
    waited, count, first, start = 0.0, 0, 0.0, time.perf_counter()
    asked = start
    for batch in batches:
        got = time.perf_counter()
        if count == 0:
            first, start = got - asked, got
        else:
            waited += got - asked
        count += 1
        step(batch)
        time.sleep(max(0.0, seconds - (time.perf_counter() - got)))
        asked = time.perf_counter()
    return {"waited": waited, "took": asked - start, "first": first, "batches": count}


def run(name: str, task: Task, seconds: float) -> dict[str, float | str]:
    """One contender in this process; our own measures how long a step is to be."""
    import torch

    torch.set_num_threads(1)
    step = trainer()
    if name == "oceanarrow":
        from contenders.with_oceanarrow import stream

        start = time.perf_counter()
        batches = sum(1 for batch in stream(task) if batch.to_torch())
        a_batch = (time.perf_counter() - start) / batches
        ours = (batch.to_torch() for batch in stream(task))
        return {"step": STEP * a_batch, **train(ours, step, STEP * a_batch)}
    try:
        if name == "oceantaco":
            from contenders import with_oceantaco as peer
        else:
            from contenders import with_xarray as peer
    except Skipped as why:
        return {"skipped": str(why)}
    few = replace(task, queries=task.queries[: FEW * task.batch])
    theirs = peer.batches(few, workers=task.cores)
    return {"step": seconds, **train(islice(theirs, FEW), step, seconds)}


def in_own_process(name: str, task: Task, seconds: float, cores: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "task.json"
        task.write(path)
        command = [sys.executable, __file__, "--contender", name, str(path), str(seconds)]
        done = subprocess.run(
            [*command, "--cores", str(cores)], check=True, stdout=subprocess.PIPE, text=True
        )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(results: dict[str, Rows]) -> None:
    print("| | step, ms | batches | first batch, ms | waits, share of the time |")
    print("|---|---:|---:|---:|---:|")
    for name, rows in results.items():
        shares = [{"share": row["waited"] / row["took"]} for row in rows]
        print(
            f"| {LABELS[name]} | {1e3 * median(rows, 'step'):.1f} "
            f"| {median(rows, 'batches'):.0f} | {1e3 * median(rows, 'first'):.0f} "
            f"| {100 * median(shares, 'share'):.1f} % |"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(parser, samples=2048, repetitions=3, cores=len(os.sched_getaffinity(0)))
    parser.add_argument("--contender", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    if options.contender:
        warnings.simplefilter("ignore")
        name, path, seconds = options.contender
        print(json.dumps(run(name, Task.read(Path(path)), float(seconds))))
        return
    task = make_task(
        WORKLOADS["epoch"],
        dataset_of(options),
        samples=options.samples,
        cores=options.cores,
        bbox=tuple(options.bbox),
        days=lambda days: pick_days(options, days),
    )
    fill_page_cache(
        file for query in task.queries for files in query.files.values() for file in files
    )
    progress = Progress()
    results: dict[str, Rows] = {name: [] for name in LABELS}
    for turn in range(options.repetitions):
        for name, rows in results.items():
            progress(f"turn {turn + 1} of {options.repetitions}: {LABELS[name]}")
            seconds = median(results["oceanarrow"], "step") if results["oceanarrow"] else 0.0
            row = in_own_process(name, task, seconds, options.cores)
            if "skipped" in row:
                print(f"{LABELS[name]} skipped: {row['skipped']}", file=sys.stderr)
            else:
                rows.append(row)
    progress("")
    results = {name: rows for name, rows in results.items() if rows}
    print("\n## Waiting for data\n")
    report(results)
    text = f"{len(task.queries)} queries, 48 a day, batches of {task.batch}, {options.cores} cores."
    print("\n" + footnote(f"{turns_of(options.repetitions)} {text}"))
    write_json(options.results / "pipeline.json", {"options": printable(options), "turns": results})


if __name__ == "__main__":
    main()
