"""Memory over an epoch: what the loader takes beyond torch and its cache, and whether it grows.

Memory in use is noted at every batch of an epoch of dense queries over all days of the dataset,
with a small cache that the epoch fills many times over. The first quarter of the epoch fills pools
and caches; after it nothing should grow.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from options import add_common, dataset_of, pick_days, printable
from report import footnote, save, turns_of, write_json
from stopwatch import peak, resident
from tasks import Task
from turns import Progress, Rows, median
from workloads import WORKLOADS, make_task

EXAMPLES = """\
examples:
  python benchmarks/memory.py
  python benchmarks/memory.py --cache-bytes 134217728 --samples 20000 --dataset /data/OceanTACO
"""


def run(task: Task, cache_bytes: int) -> dict[str, float | list[int]]:
    """Memory in use after importing torch, at every batch, and at its peak, in bytes."""
    import torch  # noqa: F401 -- what it takes is not the loader's

    imported = resident()
    from contenders.with_oceanarrow import stream

    batches = stream(task, cache_bytes=cache_bytes)
    used = []
    for batch in batches:
        batch.to_torch()
        used.append(resident())
    quarter = len(used) // 4
    early, late = used[quarter : 2 * quarter], used[-quarter:]
    return {
        "imported": imported,
        "peak": peak(),
        "beyond": peak() - imported - cache_bytes,
        "growth": statistics.median(late) - statistics.median(early),
        "amplification": batches.stats()["amplification"],
        "used": used,
    }


def draw(rows: Rows, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(7, 3))
    for row in rows:
        panel.plot([used / 1e6 for used in row["used"]], linewidth=0.8)
    panel.axhline(rows[0]["imported"] / 1e6, color="grey", linestyle=":", label="torch imported")
    panel.set_xlabel("batch")
    panel.set_ylabel("memory in use, MB")
    panel.set_ylim(bottom=0)
    panel.legend(fontsize=8)
    save(figure, path)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(parser, samples=2640, repetitions=3, cores=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--cache-bytes", type=int, default=64 << 20, help="budget of the cache (default 64 MiB)"
    )
    parser.add_argument("--task", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.task:
        print(json.dumps(run(Task.read(Path(options.task)), options.cache_bytes)))
        return
    task = make_task(
        WORKLOADS["epoch"],
        dataset_of(options),
        samples=options.samples,
        cores=options.cores,
        bbox=tuple(options.bbox),
        days=lambda days: pick_days(options, days),
    )
    progress, rows = Progress(), []
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "task.json"
        task.write(path)
        command = [sys.executable, __file__, "--task", str(path)]
        command += ["--cache-bytes", str(options.cache_bytes)]
        for turn in range(options.repetitions):
            progress(f"turn {turn + 1} of {options.repetitions}")
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    progress("")
    print("\n## Memory over an epoch\n")
    print("| | MB |\n|---|---:|")
    for label, key in {
        "torch imported": "imported",
        "peak": "peak",
        "peak beyond torch and the cache's budget": "beyond",
        "growth from the second to the last quarter": "growth",
    }.items():
        print(f"| {label} | {median(rows, key) / 1e6:.1f} |")
    text = (
        f"{len(task.queries)} queries, cache of {options.cache_bytes >> 20} MiB, each chunk "
        f"decoded {median(rows, 'amplification'):.1f} times, {options.cores} threads."
    )
    print("\n" + footnote(f"{turns_of(options.repetitions)} {text}"))
    write_json(options.results / "memory.json", {"options": printable(options), "turns": rows})
    draw(rows, options.results / "memory.png")


if __name__ == "__main__":
    main()
