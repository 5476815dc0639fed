"""What a disk cache of decoded chunks saves in a second epoch, and what it costs in the first.

Each contender is a process that reads the tutorial's patches once, turn by turn on the same queries
and cores: decoding every chunk; decoding and leaving the chunks in an empty disk cache, writing
included; taking them from the cache that an earlier process has filled. By default nothing is kept
in memory, as in an epoch over far more data than `cache_bytes` holds.

"Cold" means that the system was asked to drop what it held of the files. A virtual disk may still
hold them in the memory of its host: what a disk costs has to be measured on that disk.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe
from synthetic_ocean import ocean

from oceanarrow.dataset import PatchSize, Query, QueryGenerator

INPUTS = ["l4_sst", "l4_sss", "l3_swot", "l3_ssh"]
TARGETS = ["l4_ssh"]
SIZES = {"l3_ssh": (96, 96), "l3_swot": (128, 128)}
DAYS = 4
CONTENDERS = {
    "decode": "no disk cache",
    "first": "empty disk cache",
    "second": "filled disk cache",
}
EXAMPLES = """\
examples:
  python benchmarks/second_epoch.py
  python benchmarks/second_epoch.py --cache-bytes 536870912 --cores 2
  python benchmarks/second_epoch.py --dataset /data/OceanTACO --cache-dir /local/scratch
"""


def queries_of(options: argparse.Namespace) -> list[Query]:
    return QueryGenerator().generate_training_queries(
        options.samples,
        PatchSize(10, "deg"),
        (options.first, options.last),
        bbox_constraint=tuple(options.bbox),
        seed=42,
        verbose=False,
    )


def contend(options: argparse.Namespace) -> None:
    """Run one contender in this process and print what it took as JSON."""
    import oceanarrow

    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, available[: options.cores])
    cache = None if options.contender == "decode" else options.cache_dir
    loader = oceanarrow.Loader(
        options.dataset,
        queries_of(options),
        INPUTS,
        TARGETS,
        batch_size=16,
        default_patch_size=(64, 64),
        patch_sizes=SIZES,
        shuffle=False,
        tail="partial",
        threads=min(options.cores, len(available)),
        cache_bytes=options.cache_bytes,
        cache_dir=cache,
    )
    wall, cpu = time.perf_counter(), _cpu()
    delivered = sum(len(batch) for batch in loader)
    wall = time.perf_counter() - wall
    stats = loader.stats()
    del loader  # waits until the last chunk is written
    assert delivered == options.samples
    assert stats["disk_cache_failure"] is None
    print(json.dumps({"wall": wall, "cpu": _cpu() - cpu, "chunks": stats["chunks_decoded"]}))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def drop(*paths: str) -> None:
    """Asks the system to forget what it holds of the files below `paths`."""
    for path in paths:
        for file in Path(path).rglob("*"):
            if file.is_file():
                descriptor = os.open(file, os.O_RDONLY)
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def run(options: argparse.Namespace, contender: str, cache: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--contender", contender, "--dataset", options.dataset]
    command += ["--samples", str(options.samples), "--cores", str(options.cores)]
    command += ["--cache-bytes", str(options.cache_bytes), "--cache-dir", cache]
    command += ["--first", options.first, "--last", options.last]
    command += ["--bbox", *map(str, options.bbox)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    options: argparse.Namespace, filled: str
) -> dict[tuple[str, str], list[dict[str, float]]]:
    """All contenders, turn by turn, after a round that fills the cache and the page cache."""
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    while run(options, "second", filled)["chunks"]:
        pass  # what comes faster than the disk takes it is left for the next time
    for repetition in range(options.repetitions + 1):
        for name in CONTENDERS:
            for pages in ("warm", "cold"):
                cache = filled if name == "second" else f"{filled}-{name}"
                run(options, "decode", filled)
                if name == "second":
                    run(options, "second", filled)
                shutil.rmtree(f"{filled}-first", ignore_errors=True)
                if pages == "cold":
                    drop(options.dataset, filled)
                took = run(options, name, cache)
                if repetition:
                    results.setdefault((name, pages), []).append(took)
    shutil.rmtree(f"{filled}-first", ignore_errors=True)
    return results


def report(
    options: argparse.Namespace,
    results: dict[tuple[str, str], list[dict[str, float]]],
    filled: str,
) -> None:
    def median(name: str, pages: str, key: str) -> float:
        return 1000 * statistics.median(row[key] for row in results[name, pages]) / options.samples

    print("\n| | page cache | CPU ms a sample | ms a sample | CPU without / its CPU |")
    print("|---|---|---:|---:|---:|")
    for name, pages in results:
        cpu, wall = median(name, pages, "cpu"), median(name, pages, "wall")
        ratio = median("decode", pages, "cpu") / cpu
        print(f"| {CONTENDERS[name]} | {pages} | {cpu:.2f} | {wall:.2f} | {ratio:.2f} |")
    taken = sum(file.stat().st_blocks * 512 for file in Path(filled).iterdir())
    print(
        f"\nMedians of {options.repetitions} turns, {options.samples} samples each, "
        f"{options.cores} of {os.cpu_count()} cores, {options.cache_bytes >> 20} MiB of chunks in "
        f"memory; {Path(options.dataset).name}. The disk cache takes {taken / 1e6:.0f} MB.  \n"
        f"{describe('oceanarrow', 'numpy')}"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", help="TACO folder (default: synthetic, made)")
    parser.add_argument("--samples", type=int, default=64, help="patches a turn")
    parser.add_argument("--repetitions", type=int, default=5, help="turns that count")
    parser.add_argument("--cores", type=int, default=1, help="cores that a contender may use")
    parser.add_argument("--cache-bytes", type=int, default=0, help="chunks kept in memory")
    parser.add_argument("--cache-dir", help="on the disk to measure (default: with the tiles)")
    parser.add_argument("--first", default="2023-04-01", help="first day")
    parser.add_argument("--last", default="2023-04-02", help="last day")
    parser.add_argument(
        "--bbox",
        nargs=4,
        type=float,
        default=[-80, -10, 10, 55],
        metavar=("LON_MIN", "LON_MAX", "LAT_MIN", "LAT_MAX"),
        help="where patch centres lie",
    )
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.contender:
        contend(options)
        return
    options.dataset = options.dataset or str(ocean(DAYS))
    where = options.cache_dir or str(Path(options.dataset).parent)
    with tempfile.TemporaryDirectory(prefix="second-epoch-", dir=where) as scratch:
        filled = str(Path(scratch) / "filled")
        report(options, measure(options, filled), filled)


if __name__ == "__main__":
    main()
