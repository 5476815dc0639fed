"""Side by side: oceanarrow, the libraries one could use instead, and the floor.

Every contender runs in a process of its own, turn by turn, on the same files, queries and cores,
after the files were read once to fill the page cache. CPU time counts: it does not depend on what
else the machine does. A first query, on a day that no other has, is not counted.

- oceanarrow: the map-style dataset and the Loader in the default convention, and the Loader with
  grid="crop", resample="auto", which is what oceantaco renders.
- xarray + torch: open the tiles, cut the box, resize; the loop one writes without a library.
- xbatcher over files opened lazily with open_mfdataset; oceantaco 0.1.0 sorted by day, with 64 open
  files and its cache of a batch; the documented library, from a checkout.
- The floor: read, inflate and convert the chunks that a sample touches, on one thread, and no more.

Slow contenders do part of the queries, in an epoch all those of some days; numbers are per sample.
What a library does before the first sample (catalog, plan) is not counted; opening files is.
"""

import argparse
import sys
from dataclasses import asdict

from options import add_common, dataset_of, pick_days, printable
from report import draw, footnote, table, turns_of, write_json
from turns import Progress, Rows, measure
from workloads import WORKLOADS, make_task

EXAMPLES = """\
examples:
  python benchmarks/samples.py
  python benchmarks/samples.py --workloads cold epoch --repetitions 5
  python benchmarks/samples.py --dataset /data/OceanTACO --first 2023-04-01 --last 2023-05-31
  python benchmarks/samples.py --workloads cold --documented ~/oceanTACO
"""
REFERENCE = "loader"


def run(options: argparse.Namespace, name: str, progress: Progress) -> dict[str, Rows]:
    """One workload: measures and prints it."""
    workload = WORKLOADS[name]
    task = make_task(
        workload,
        dataset_of(options),
        samples=options.dense if workload.a_day > 1 else options.samples,
        cores=options.cores,
        bbox=tuple(options.bbox),
        days=lambda days: pick_days(options, days),
        documented=options.documented,
    )
    names = [key for key in workload.contenders if key in (options.contenders or names_of(name))]
    python = {"documented": options.documented_python or sys.executable}
    results, skipped = measure(task, names, options.repetitions, python, progress)
    print(f"\n### {workload.title}\n\n{workload.about[0].upper()}{workload.about[1:]}. ", end="")
    print(f"{len(task.queries)} queries, {options.cores} of the cores.\n")
    print(table(results, REFERENCE))
    for key, why in skipped.items():
        print(f"\n{key} skipped: {why}")
    sys.stdout.flush()
    return results


def names_of(workload: str) -> list[str]:
    return list(WORKLOADS[workload].contenders)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(parser, samples=55, repetitions=3)
    parser.add_argument(
        "--dense", type=int, default=192, help="queries of the epoch, 48 a day (default 192)"
    )
    parser.add_argument(
        "--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME",
        help=f"some of {', '.join(WORKLOADS)} (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--contenders", nargs="+", choices=names_of("cold"), metavar="NAME",
        help=f"some of {', '.join(names_of('cold'))} (default: all)",
    )  # fmt: skip
    parser.add_argument("--documented", metavar="PATH", help="checkout of the documented library")
    parser.add_argument(
        "--documented-python", metavar="PATH", help="Python that has what that library imports"
    )
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    progress = Progress()
    print("## Samples, side by side")
    everything = {name: run(options, name, progress) for name in options.workloads}
    print("\n" + footnote(turns_of(options.repetitions)))
    raw = {name: asdict(WORKLOADS[name]) | {"turns": everything[name]} for name in everything}
    content = {"options": printable(options), "workloads": raw}
    write_json(options.results / "samples.json", content)
    panels = {name: (WORKLOADS[name].title, rows) for name, rows in everything.items()}
    if any(REFERENCE in rows for rows in everything.values()):
        draw(options.results / "samples.png", panels, REFERENCE)


if __name__ == "__main__":
    main()
