"""Two threads against one, and against what the machine itself gains from a second core.

The loader makes an epoch of dense queries, and one of queries that share nothing. Beside it stands
pure inflate: the chunks of the same queries, inflated over and over, in one process and in two at
the same time. No loader can gain more than that, because cores share caches, memory and often their
arithmetic units. Turn by turn, each in a process of its own.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from options import add_common, dataset_of, pick_days, printable
from report import footnote, turns_of, write_json
from tasks import Task
from turns import Progress, fill_page_cache, median
from workloads import WORKLOADS, make_task

EXAMPLES = """\
examples:
  python benchmarks/two_threads.py
  python benchmarks/two_threads.py --threads 8 --samples 1024 --repetitions 9
"""
#: Inflating goes on for this long at least, in seconds.
LONG_ENOUGH = 0.5


def loader(task: Task, threads: int) -> dict[str, float]:
    """Wall seconds of an epoch."""
    from contenders.with_oceanarrow import stream

    for batch in stream(task.practice(), threads=threads):
        batch.to_torch()
    batches = stream(task, threads=threads)
    start = time.perf_counter()
    for batch in batches:
        batch.to_torch()
    return {"wall": time.perf_counter() - start}


def inflate(task: Task, threads: int) -> dict[str, float]:
    """Wall seconds of inflating the same chunks `threads` times as often in as many processes."""
    chunks = _stored(task)
    barrier = multiprocessing.get_context("fork").Barrier(threads + 1)
    processes = [
        multiprocessing.get_context("fork").Process(target=_inflate, args=(chunks, barrier))
        for _ in range(threads)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    start = time.perf_counter()
    barrier.wait()
    took = time.perf_counter() - start
    for process in processes:
        process.join()
    return {"wall": took / threads}


def _inflate(chunks: list[tuple[bytes, int]], barrier: Barrier) -> None:
    from contenders.floor import inflater

    decode, _ = inflater()
    start = time.perf_counter()
    for data, length in chunks:
        decode(memoryview(data), length)
    rounds = int(LONG_ENOUGH / (time.perf_counter() - start)) + 1
    rounds = 2 ** (rounds - 1).bit_length()  # so that every process does the same work
    barrier.wait()
    for _ in range(rounds):
        for data, length in chunks:
            decode(memoryview(data), length)
    barrier.wait()


def _stored(task: Task) -> list[tuple[bytes, int]]:
    from contenders.floor import plan

    found = []
    for query in task.queries:
        for file, runs in plan(task, query):
            with Path(file).open("rb") as opened:
                for chunk in (chunk for run in runs for chunk in run):
                    opened.seek(chunk.address)
                    found.append((opened.read(chunk.stored), chunk.raw))
    return found


PARTS = {
    "epoch": ("Loader, an epoch of dense queries", loader, "epoch"),
    "cold": ("Loader, queries that share nothing", loader, "cold"),
    "inflate": ("pure inflate: the machine's limit", inflate, "cold"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(parser, samples=768, repetitions=5, cores=len(os.sched_getaffinity(0)))
    parser.add_argument("--threads", type=int, default=2, help="compared with one (default 2)")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    if options.part:
        part, path, threads = options.part
        print(json.dumps(PARTS[part][1](Task.read(Path(path)), int(threads))))
        return
    progress, rows = Progress(), {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in {part[2] for part in PARTS.values()}:
            task = make_task(
                WORKLOADS[name],
                dataset_of(options),
                samples=options.samples,
                bbox=tuple(options.bbox),
                days=lambda days: pick_days(options, days),
            )
            fill_page_cache(f for query in task.queries for fs in query.files.values() for f in fs)
            task.write(Path(scratch) / f"{name}.json")
        for turn in range(options.repetitions):
            for part, (label, _, workload) in PARTS.items():
                for threads in (1, options.threads):
                    progress(f"turn {turn + 1} of {options.repetitions}: {label}, {threads}")
                    path = str(Path(scratch) / f"{workload}.json")
                    command = [sys.executable, __file__, "--part", part, path, str(threads)]
                    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                    row = json.loads(done.stdout.splitlines()[-1])
                    rows.setdefault((part, threads), []).append(row)
    progress("")
    print(f"\n## {options.threads} threads against one\n")
    print(f"| | gain of {options.threads} threads over 1, wall | of the machine's limit |")
    print("|---|---:|---:|")
    gains = {
        part: median(rows[part, 1], "wall") / median(rows[part, options.threads], "wall")
        for part in PARTS
    }
    for part, (label, *_) in PARTS.items():
        print(f"| {label} | {gains[part]:.2f} | {100 * gains[part] / gains['inflate']:.0f} % |")
    print("\n" + footnote(turns_of(options.repetitions)))
    turns = {f"{part}, {threads} threads": rows[part, threads] for part, threads in rows}
    write_json(
        options.results / "two_threads.json", {"options": printable(options), "turns": turns}
    )


if __name__ == "__main__":
    main()
