"""A dataset on a web server 30 ms away: round trips, requests, bytes, samples a second.

nginx serves the dataset on this machine behind a link that adds a round trip's time to every
exchange (benchmarks/latency.py: half of it in each direction, once more for a new connection). Its
capacity is that of the machine unless --megabits limits it. nginx itself counts requests and bytes.

- Opening the catalog: what it takes with the latency and without tells the round trips.
- Cold samples with an index, one loader each: requests against contiguous runs of the chunks that
  a sample touches, network bytes against the bytes of these chunks; h5py tells where they lie.
- Samples a second, turn by turn, each contender in a process of its own and with an empty cache;
  the catalog is open. Whole tiles are downloaded one after the other, on one connection: those
  that overlap the box, or those of all regions, which the documented library does (here the other
  regions' tiles hold no data and are small). Lazily means xarray, h5netcdf and fsspec's HTTP files.
  oceanarrow does more queries than the others: on few days they share chunks and opened files.
  On a dataset with at least one day a query (--dataset) nothing is shared.
- The sweep of coalesce_gap: ranges of a file no further apart are one request.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from contenders import Result, Work
from machine import describe
from options import add_results, printable
from report import turns_of, write_json
from stopwatch import Stopwatch
from synthetic_ocean import ocean
from tasks import Task, Where
from web_server import NGINX, Server, serve
from workloads import INPUTS, TARGETS, WORKLOADS, Survey, make_task

EXAMPLES = """\
examples:
  python benchmarks/remote.py
  python benchmarks/remote.py --round-trip 100 --megabits 50
  python benchmarks/remote.py --contenders default index --samples 128
"""
DAYS = 4
GAPS = (0, 4 << 10, 16 << 10, 64 << 10, 256 << 10)
PACKAGES = ("oceanarrow", "xarray", "h5netcdf", "h5py", "fsspec", "aiohttp", "requests")
OURS = "default"
Rows = list[dict[str, float]]

# Run in a fresh process each, as connections are kept: prints the seconds of opening a catalog.
OPENING = """
import sys, time
from oceanarrow._engine import Catalog
start = time.perf_counter()
Catalog(sys.argv[1])
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Way:
    """A way to get the samples: prepares the work of a task, with the file of an index."""

    label: str
    prepare: Callable[[Task, str], Work]
    #: Does only some of the queries.
    slow: bool = False


def _streamed(task: Task, **options: object) -> Work:
    from contenders.with_oceanarrow import stream

    loader = stream(task, **{"threads": None} | options)

    def work() -> Result:
        samples = sum(len(next(iter(batch.to_torch()["present"].values()))) for batch in loader)
        return {"samples": samples}

    return work


def _default(task: Task, _: str, **options: object) -> Work:
    return _streamed(task, **options)


def _indexed(task: Task, index: str, **options: object) -> Work:
    return _streamed(task, index=index, cache_dir=None, **options)


def _with_gap(task: Task, index: str, gap: int) -> Work:
    return _indexed(task, index, storage_options={"coalesce_gap": gap})


def _one_by_one(task: Task, _: str) -> Work:
    from contenders.with_oceanarrow import dataset

    return dataset(task)


def _over_http(task: Task, _: str, function: str, **options: object) -> Work:
    from contenders import over_http

    work: Work = getattr(over_http, function)(task, **options)
    return work


def _lazy(cache: str, block: int) -> Way:
    label = f"lazily, {cache}, blocks of {block >> 10} KiB"
    prepare = partial(_over_http, function="lazy", cache_type=cache, block_size=block)
    return Way(label, prepare, slow=True)


WAYS = {
    "default": Way("oceanarrow, Loader, default settings", _default),
    "index": Way("oceanarrow, Loader, index", _indexed),
    "threads": Way("oceanarrow, Loader, 16 threads", partial(_default, threads=16)),
    "index-threads": Way(
        "oceanarrow, Loader, with an index, 16 threads", partial(_indexed, threads=16)
    ),
    "dataset": Way("oceanarrow, dataset, one by one", _one_by_one),
    "tiles": Way("whole tiles that overlap", partial(_over_http, function="whole_tiles"), True),
    "all": Way("whole tiles of all regions", partial(_over_http, function="all_regions"), True),
    "lazy": _lazy("readahead", 5 << 20),
    "lazy-small": _lazy("readahead", 64 << 10),
    "lazy-blocks": _lazy("blockcache", 64 << 10),
}
SWEEP = {
    f"gap-{gap}": Way(f"{gap >> 10} KiB", partial(_with_gap, gap=gap)) for gap in GAPS
}  # fmt: skip


def contend(name: str, scratch: Path) -> None:
    """One contender in this process; prints what it took as JSON."""
    warnings.simplefilter("ignore")
    way, index = (WAYS | SWEEP)[name], str(scratch / "index.parquet")
    os.environ["OCEANARROW_CACHE_DIR"] = str(scratch / name / "practice")
    way.prepare(Task.read(scratch / "near.json"), index)()
    os.environ["OCEANARROW_CACHE_DIR"] = str(scratch / name / "cache")
    with Stopwatch() as opening:
        work = way.prepare(Task.read(scratch / "task.json"), index)
    with Stopwatch() as watch:
        samples = work()["samples"]
    row = {"wall": watch.wall / samples, "cpu": watch.cpu / samples, "prepared": opening.wall}
    print(json.dumps(row | {"samples": samples}))


def at(task: Task, address: str) -> Task:
    """The same task with the dataset at an address."""

    def moved(query: Where) -> Where:
        files = {
            name: [f"{address}/{Path(file).relative_to(task.dataset)}" for file in paths]
            for name, paths in query.files.items()
        }
        return replace(query, files=files)

    queries = [moved(query) for query in task.queries]
    return replace(
        task, dataset=address, queries=queries, first_of_all=moved(task.first_of_all)
    )  # fmt: skip


def race(
    ways: dict[str, Way], task: Task, server: Server, options: argparse.Namespace, index: str
) -> dict[str, Rows]:
    """The contenders turn by turn."""
    results: dict[str, Rows] = {name: [] for name in ways}
    for turn in range(options.repetitions):
        order = [*ways][turn % len(ways) :] + [*ways][: turn % len(ways)]
        for name in order:
            share = options.slow_samples if ways[name].slow else len(task.queries)
            with tempfile.TemporaryDirectory() as scratch:
                place = Path(scratch)
                at(task.practice(), server.near).write(place / "near.json")
                mine = replace(task, queries=task.queries[:share])
                at(mine, server.far).write(place / "task.json")
                (place / "index.parquet").symlink_to(index)
                server.forget()
                command = [sys.executable, __file__, "--contend", name, scratch]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            row = json.loads(done.stdout.splitlines()[-1])
            asked = server.asked(".nc")
            row["requests"] = len(asked) / row["samples"]
            row["bytes"] = sum(request.length for request in asked) / row["samples"]
            results[name].append(row)
    return results


def median(rows: Rows, key: str) -> float:
    return statistics.median(row[key] for row in rows)


def report_race(results: dict[str, Rows], reference: str, title: str) -> None:
    labels = {name: way.label for name, way in (WAYS | SWEEP).items()}
    print(
        f"\n| {title} | samples | samples/s | CPU ms a sample | requests a sample | MB a sample ",
        end="",
    )
    print(f"| {labels[reference]} is faster by |\n|---|---:|---:|---:|---:|---:|---:|")
    for name, rows in results.items():
        ratio = median(rows, "wall") / median(results[reference], "wall")
        print(
            f"| {labels[name]} | {rows[0]['samples']} | {1 / median(rows, 'wall'):.3g} "
            f"| {1e3 * median(rows, 'cpu'):.3g} | {median(rows, 'requests'):.1f} "
            f"| {median(rows, 'bytes') / 1e6:.2f} | {ratio:.2f}x |"
        )
    sys.stdout.flush()


def opening(server: Server, options: argparse.Namespace) -> dict[str, object]:
    """Prints and returns what opening the catalog takes."""

    def took(address: str) -> float:
        command = [sys.executable, "-c", OPENING, address]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    server.forget()
    far = [took(server.far) for _ in range(options.opens)]
    asked = server.asked()
    near = [took(server.near) for _ in range(options.opens)]
    extra = 1e3 * (statistics.median(far) - statistics.median(near))
    print("\n### Opening the catalog\n")
    print("| ms | ms without latency | requests | round trips, that of connecting included |")
    print("|---:|---:|---:|---:|")
    print(
        f"| {1e3 * statistics.median(far):.1f} | {1e3 * statistics.median(near):.1f} "
        f"| {len(asked) / options.opens:.0f} | {extra / options.round_trip:.2f} |"
    )
    return {"far": far, "near": near, "requests": len(asked)}


def cold_samples(task: Task, server: Server, index: str) -> list[dict[str, float]]:
    """Prints and returns what single samples cost, each with a loader of its own."""
    rows = []
    for gap in GAPS:
        for query in task.queries:
            one = replace(task, queries=[query])
            work = _with_gap(at(one, server.far), index, gap)
            server.forget()
            work()
            asked = server.asked(".nc")
            sent = sum(request.length for request in asked)
            rows.append({"gap": gap, "requests": len(asked), "bytes": sent} | touched(task, query))
    print("\n### Cold samples with an index\n")
    print(
        "| coalesce_gap | chunks | their runs | requests | requests / runs | of the worst sample ",
        end="",
    )
    print("| kB of chunks | kB over the network | bytes / bytes of chunks | of the worst sample |")
    print("|---:|" + "---:|" * 9)
    for gap in GAPS:
        mine = [row for row in rows if row["gap"] == gap]
        total = {key: statistics.mean(row[key] for row in mine) for key in mine[0]}
        most = max(row["requests"] / row["runs"] for row in mine)
        worst = max(row["bytes"] / row["stored"] for row in mine)
        print(
            f"| {gap >> 10} KiB | {total['chunks']:.1f} | {total['runs']:.1f} "
            f"| {total['requests']:.1f} | {total['requests'] / total['runs']:.2f} | {most:.2f} "
            f"| {total['stored'] / 1e3:.0f} | {total['bytes'] / 1e3:.0f} "
            f"| {total['bytes'] / total['stored']:.3f} | {worst:.3f} |"
        )
    sys.stdout.flush()
    return rows


def touched(task: Task, query: Where) -> dict[str, float]:
    """The chunks that a sample touches, their contiguous runs and their bytes, from h5py."""
    from contenders.floor import plan

    chunks = runs = stored = 0
    for _, together in plan(task, query):
        end = None
        for chunk in (chunk for run in together for chunk in run):
            chunks, stored, runs = chunks + 1, stored + chunk.stored, runs + (chunk.address != end)
            end = chunk.address + chunk.stored
    return {"chunks": chunks, "runs": runs, "stored": stored}


def make_index(dataset: Path, task: Task, path: Path) -> None:
    import oceanarrow
    from oceanarrow._engine import write_index

    known = [oceanarrow.variables()[name] for name in task.variables]
    write_index(
        [str(dataset)],
        path,
        [(variable.source, variable.file, variable.netcdf) for variable in known],
        days=None,
        storage_options=None,
        progress=lambda done, total: None,
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", help="TACO folder (default: a synthetic one, made once)")
    parser.add_argument("--samples", type=int, default=64, help="queries a turn (default 64)")
    parser.add_argument(
        "--slow-samples", type=int, default=4, help="of the others than oceanarrow (default 4)"
    )
    parser.add_argument(
        "--cold-samples", type=int, default=12, help="with a loader each (default 12)"
    )
    parser.add_argument("--opens", type=int, default=7, help="of the catalog (default 7)")
    parser.add_argument("--repetitions", type=int, default=3, help="turns (default 3)")
    parser.add_argument("--round-trip", type=float, default=30, help="milliseconds (default 30)")
    parser.add_argument("--megabits", type=float, help="a second, of all answers together")
    parser.add_argument(
        "--contenders", nargs="+", choices=WAYS, default=list(WAYS), metavar="NAME",
        help=f"some of {', '.join(WAYS)} (default: all)",
    )  # fmt: skip
    add_results(parser)
    parser.add_argument("--contend", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    if options.contend:
        contend(options.contend[0], Path(options.contend[1]))
        return
    if NGINX is None:
        print("\n## Over HTTP\n\nSkipped: nginx is not installed.")
        return
    dataset = (Path(options.dataset) if options.dataset else ocean(DAYS)).resolve()
    # All days but the first, which is for practice.
    days = len(Survey(str(dataset), [*INPUTS, *TARGETS]).days) - 1
    workload = replace(WORKLOADS["cold"], a_day=-(-options.samples // days))
    cores = len(os.sched_getaffinity(0))
    task = make_task(workload, dataset, samples=options.samples, cores=cores)
    task = replace(task, any_order=False)
    raw: dict[str, object] = {}
    rate = f", {options.megabits:g} Mbit/s" if options.megabits else ""
    print(f"\n## Over HTTP, {options.round_trip:g} ms away{rate}")
    with (
        serve(dataset, options.round_trip, options.megabits) as server,
        tempfile.TemporaryDirectory() as scratch,
    ):
        index = Path(scratch) / "index.parquet"
        make_index(dataset, task, index)
        raw["opening"] = opening(server, options)
        few = replace(task, queries=task.queries[: options.cold_samples])
        raw["cold"] = cold_samples(few, server, str(index))
        print("\n### Samples, side by side")
        ways = {name: WAYS[name] for name in options.contenders}
        turns = race(ways, task, server, options, str(index))
        report_race(turns, OURS if OURS in turns else next(iter(turns)), "way")
        print("\n### coalesce_gap, with an index")
        sweep = race(SWEEP, task, server, options, str(index))
        report_race(sweep, f"gap-{16 << 10}", "coalesce_gap")
        raw |= {"turns": turns, "sweep": sweep}
    print(f"\n{turns_of(options.repetitions)}  \n{describe(*PACKAGES)}")
    write_json(options.results / "remote.json", {"options": printable(options), **raw})


if __name__ == "__main__":
    main()
