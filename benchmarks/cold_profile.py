"""Where the time of a cold sample goes: opening files, fresh memory, the rest.

The queries share nothing, each is on a day of its own. "Filling" has the default cache, which such
a run only ever fills: every chunk goes into memory that the system has to hand out first. "Full"
has a cache that the first third of the run has filled: memory is used again. "Opening" opens the
same files and decodes nothing (`Loader.explain`), without and with an index. The floor is that of
`samples.py`: the touched chunks, inflated and converted into memory that is used again.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from options import add_common, dataset_of, pick_days, printable
from report import footnote, turns_of, write_json
from tasks import Task
from turns import Progress, Rows, contend, fill_page_cache, median
from workloads import WORKLOADS, make_task

SMALL_CACHE = 16 << 20
CASES = {
    "filling": "the cache is filling",
    "full": "the cache is full",
    "opening": "opening alone",
    "indexed": "opening alone, with an index",
    "floor": "floor: inflate and convert",
}
EXAMPLES = """\
examples:
  python benchmarks/cold_profile.py
  python benchmarks/cold_profile.py --dataset /data/OceanTACO --samples 200
"""


def run(case: str, task: Task, index: str) -> dict[str, float]:
    """What a sample takes: CPU and system milliseconds, page faults."""
    from contenders.with_oceanarrow import stream

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.cores])
    options = {"full": {"cache_bytes": SMALL_CACHE}, "indexed": {"index": index}}.get(case, {})
    loader = stream(task, **options)
    if case in ("opening", "indexed"):
        before = _used()
        loader.explain()
        count = len(task.queries)
    else:
        steps, skipped = iter(loader), len(loader) // 3
        for _ in range(skipped):
            next(steps)
        before = _used()
        count = sum(len(batch.to_torch()["metadata"]["query"]) for batch in steps)
    cpu, system, faults = (b - a for a, b in zip(before, _used(), strict=True))
    return {"cpu": 1e3 * cpu / count, "system": 1e3 * system / count, "faults": faults / count}


def _used() -> tuple[float, float, int]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_stime, usage.ru_minflt


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(parser, samples=55, repetitions=5)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--index", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.case:
        print(json.dumps(run(options.case, Task.read(Path(options.task)), options.index)))
        return
    dataset = dataset_of(options)
    task = make_task(
        WORKLOADS["cold"],
        dataset,
        samples=options.samples,
        cores=options.cores,
        bbox=tuple(options.bbox),
        days=lambda days: pick_days(options, days),
    )
    progress, rows = Progress(), {case: Rows() for case in CASES}
    with tempfile.TemporaryDirectory() as scratch:
        path, index = Path(scratch) / "task.json", Path(scratch) / "index.parquet"
        task.write(path)
        fill_page_cache(
            file for query in task.queries for files in query.files.values() for file in files
        )
        command = [sys.executable, "-m", "oceanarrow", "index", str(dataset), "-o", str(index)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, __file__, "--task", str(path), "--index", str(index)]
        for turn in range(options.repetitions):
            for case in CASES:
                progress(f"turn {turn + 1} of {options.repetitions}: {CASES[case]}")
                if case == "floor":
                    floor = contend("floor", path, sys.executable)
                    rows[case].append({"cpu": 1e3 * float(floor["cpu"])})
                    continue
                done = subprocess.run(
                    [*command, "--case", case], check=True, stdout=subprocess.PIPE, text=True
                )
                rows[case].append(json.loads(done.stdout.splitlines()[-1]))
    progress("")
    print("\n## A cold sample\n")
    print("| | CPU ms | of it in the system | page faults | CPU / floor |")
    print("|---|---:|---:|---:|---:|")
    floor = median(rows["floor"], "cpu")
    for case, label in CASES.items():
        cpu, system, faults = (median(rows[case], key) for key in ("cpu", "system", "faults"))
        row = f"| {label} | {cpu:.2f} | {system:.2f} | {faults:.0f} | {cpu / floor:.2f} |"
        print(row.replace("nan", "–"))
    text = f"{turns_of(options.repetitions)} {len(task.queries)} queries."
    print("\n" + footnote(text))
    write_json(options.results / "cold_profile.json", {"options": printable(options)} | rows)


if __name__ == "__main__":
    main()
