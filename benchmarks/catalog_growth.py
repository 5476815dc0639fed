"""Does a sample cost more in a large catalog? 4 days against the 856 of the published dataset.

Both datasets hold the same files: the days are hard links to a few distinct ones. The same queries,
on the days that both have, are made by a loader of each; planning, which comes before, is listed
by itself. How opening grows with the number of granules, `catalog_open.py` measures.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from options import DAYS, add_results, printable
from report import footnote, turns_of, write_json
from stopwatch import Stopwatch
from synthetic_ocean import DATA, DISTINCT, ocean, write_linked
from tasks import Task
from turns import Progress, Rows, fill_page_cache, median
from workloads import INPUTS, TARGETS, WORKLOADS, make_task

EXAMPLES = """\
examples:
  python benchmarks/catalog_growth.py
  python benchmarks/catalog_growth.py --days 2000 --samples 1536
"""


def run(task: Task) -> dict[str, float]:
    """Seconds of CPU: of a sample, and of making the loader."""
    from contenders.with_oceanarrow import stream

    for batch in stream(task.practice()):
        batch.to_torch()
    with Stopwatch() as making:
        batches = stream(task)
    with Stopwatch() as watch:
        for batch in batches:
            batch.to_torch()
    return {"making": making.cpu, "cpu": watch.cpu / len(task.queries)}


def report(few: Rows, many: Rows, days: int) -> None:
    print(f"| | {DISTINCT} days | {days} days | ratio |\n|---|---:|---:|---:|")
    for label, key in (("CPU ms a sample", "cpu"), ("CPU ms of making the loader", "making")):
        small, large = median(few, key), median(many, key)
        print(f"| {label} | {1e3 * small:.3g} | {1e3 * large:.3g} | {large / small:.3f} |")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=768, help="queries a turn (default 768)")
    parser.add_argument("--repetitions", type=int, default=7, help="turns (default 7)")
    parser.add_argument("--days", type=int, default=856, help="of the large one (default 856)")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    add_results(parser)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.task:
        print(json.dumps(run(Task.read(Path(options.task)))))
        return
    progress = Progress()
    rows: dict[int, Rows] = {DISTINCT: [], options.days: []}
    template = ocean(DAYS)
    scratch = Path(tempfile.mkdtemp(dir=DATA))
    try:
        for n_days in rows:
            write_linked(scratch / str(n_days), template, n_days, INPUTS + TARGETS)
        workload = replace(WORKLOADS["epoch"], a_day=options.samples // (DISTINCT - 1))
        small = make_task(workload, scratch / str(DISTINCT), samples=options.samples)
        fill_page_cache(f for query in small.queries for fs in query.files.values() for f in fs)
        for turn in range(options.repetitions):
            for n_days in rows:
                progress(f"turn {turn + 1} of {options.repetitions}: {n_days} days")
                replace(small, dataset=str(scratch / str(n_days))).write(scratch / "task.json")
                command = [sys.executable, __file__, "--task", str(scratch / "task.json")]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                rows[n_days].append(json.loads(done.stdout.splitlines()[-1]))
    finally:
        shutil.rmtree(scratch)
    progress("")
    print("\n## Growth with the catalog\n")
    report(rows[DISTINCT], rows[options.days], options.days)
    print("\n" + footnote(f"{turns_of(options.repetitions)} {options.samples} queries."))
    write_json(
        options.results / "catalog_growth.json", {"options": printable(options), "turns": rows}
    )


if __name__ == "__main__":
    main()
