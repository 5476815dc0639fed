"""Samples a second, CPU time and memory: oceanarrow, a plain xarray + torch loop, and the floor.

The work is that of the OceanTACO tutorial: patches of 10 degrees, four inputs and one target. Every
contender runs in a process of its own, turn by turn, on the same queries and the same cores. Files
are in the page cache; "cold" means that no sample finds anything opened or decoded by another,
"warm" that a first pass over the same queries has filled the cache of decoded chunks. The loader
starts cold and then uses its cache, as in a first epoch.

The floor is what no reader can avoid for a cold sample: read each chunk that it touches, inflate
it, undo the shuffle, convert it to float32. On one thread, without any rendering.
"""

import argparse
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from machine import describe
from tiles import TILES, write_dataset

from oceanarrow.dataset import PatchSize, Query, QueryGenerator

if TYPE_CHECKING:
    from oceanarrow.dataset import OceanTACODataset

INPUTS = ["l4_sst", "l4_sss", "l3_swot", "l3_ssh"]
TARGETS = ["l4_ssh"]
DEFAULT = (64, 64)
SIZES = {"l3_ssh": (96, 96), "l3_swot": (128, 128)}
GENERATED = Path(__file__).parent / "data" / "one_region"
EXAMPLES = """\
examples:
  python benchmarks/samples.py
  python benchmarks/samples.py --samples 200 --repetitions 9 --cores 2
  python benchmarks/samples.py --dataset /data/OceanTACO --first 2023-04-01 --last 2023-04-30
"""


class Stopwatch:
    """Wall and CPU seconds of this process and the children it has waited for."""

    def __enter__(self) -> "Stopwatch":
        self._wall, self._cpu = time.perf_counter(), self._used()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._wall, self._used() - self._cpu

    @staticmethod
    def _used() -> float:
        usages = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def dataset_cold(path: str, queries: list[Query]) -> Stopwatch:
    """Each sample from a copy of its own, which has opened and decoded nothing."""
    packed = pickle.dumps(_dataset(path, queries))
    copies = [pickle.loads(packed) for _ in queries]
    with Stopwatch() as watch:
        for index, dataset in enumerate(copies):
            dataset[index]
    return watch


def dataset_warm(path: str, queries: list[Query]) -> Stopwatch:
    dataset = _dataset(path, queries)
    for index in range(len(dataset)):
        dataset[index]
    with Stopwatch() as watch:
        for index in range(len(dataset)):
            dataset[index]
    return watch


def _dataset(path: str, queries: list[Query]) -> "OceanTACODataset":
    from oceanarrow.dataset import OceanTACODataset

    return OceanTACODataset(
        path, queries, INPUTS, TARGETS, default_patch_size=DEFAULT, patch_sizes=SIZES
    )


def loader(path: str, queries: list[Query]) -> Stopwatch:
    import oceanarrow

    stream = oceanarrow.Loader(
        path,
        queries,
        INPUTS,
        TARGETS,
        batch_size=16,
        default_patch_size=DEFAULT,
        patch_sizes=SIZES,
        shuffle=False,
        tail="partial",
        threads=len(os.sched_getaffinity(0)),
    )
    with Stopwatch() as watch:
        delivered = sum(len(batch.to_torch()["present"]["l4_ssh"]) for batch in stream)
    assert delivered == len(queries)
    return watch


def xarray_loop(path: str, queries: list[Query]) -> Stopwatch:
    """What one writes without a library: open the tiles, cut the box, resize, keep the mask."""
    import torch
    import xarray as xr
    from torch.nn import functional

    def patch(variable: str, query: Query) -> tuple[torch.Tensor, torch.Tensor]:
        size = SIZES.get(variable, DEFAULT)
        pieces = []
        for file in _files(path, variable, query):
            with xr.open_dataset(file, engine="h5netcdf") as opened:
                field = opened[TILES[variable].netcdf].squeeze(drop=True)
                lon = slice(query.lon_min, query.lon_max)
                lat = slice(query.lat_min, query.lat_max)
                field = field.sel(lon=lon, lat=lat)
                if 0 not in field.shape:
                    pieces.append(field.load())
        if not pieces:
            return torch.zeros(size), torch.zeros(size, dtype=torch.bool)
        mosaic = pieces[0] if len(pieces) == 1 else xr.combine_by_coords(pieces)
        values = torch.from_numpy(np.ascontiguousarray(mosaic.values, dtype=np.float32))
        valid = values.isfinite()
        both = torch.stack([values.nan_to_num(), valid.float()])[None]
        data, weight = functional.interpolate(both, size=size, mode="bilinear")[0]
        return data / weight.clamp(min=1e-6), weight > 0.01

    with Stopwatch() as watch:
        for query in queries:
            for variable in INPUTS + TARGETS:
                patch(variable, query)
    return watch


def floor(path: str, queries: list[Query]) -> Stopwatch:
    """Each sample's chunks; finding out which ones they are is not counted."""
    inflate, _ = _inflate()
    chunks = [item for query in queries for item in _touched(path, query).items()]
    with Stopwatch() as watch:
        for file, parts in chunks:
            descriptor = os.open(file, os.O_RDONLY)
            for offset, size, length, dtype, shuffle, scale, shift in parts:
                raw = inflate(os.pread(descriptor, size, offset), length)
                if shuffle:
                    raw = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1).T.tobytes()
                values = np.frombuffer(raw, dtype).astype(np.float32)
                if scale is not None:
                    values *= scale
                    values += shift
            os.close(descriptor)
    return watch


def _inflate() -> tuple[Callable[[bytes, int], bytes], str]:
    """The fastest inflate at hand, and its name."""
    try:
        import deflate
    except ImportError:
        import zlib

        return (lambda data, length: zlib.decompress(data, bufsize=length)), "zlib"
    return (lambda data, length: deflate.zlib_decompress(data, length)), "libdeflate"


def _files(path: str, variable: str, query: Query) -> list[Path]:
    from oceanarrow.taco import REGIONS

    day = str(query.time_start)[:10].replace("-", "_")
    return [
        file
        for region, (lon_min, lon_max, lat_min, lat_max) in REGIONS.items()
        if query.lon_min < lon_max
        and query.lon_max > lon_min
        and query.lat_min < lat_max
        and query.lat_max > lat_min
        and (file := Path(path) / "DATA" / day / region / f"{variable}.nc").exists()
    ]


def _touched(path: str, query: Query) -> dict[Path, list[tuple]]:
    import h5py

    found: dict[Path, dict[int, tuple]] = {}
    for variable in INPUTS + TARGETS:
        for file in _files(path, variable, query):
            with h5py.File(file) as opened:
                stored = opened[TILES[variable].netcdf]
                rows = _span(opened["lat"][:], query.lat_min, query.lat_max)
                columns = _span(opened["lon"][:], query.lon_min, query.lon_max)
                _collect(stored, rows, columns, found.setdefault(file, {}))
    return {file: list(parts.values()) for file, parts in found.items()}


def _span(axis: np.ndarray, low: float, high: float) -> tuple[int, int]:
    inside = np.flatnonzero((axis >= low) & (axis <= high))
    return (int(inside[0]), int(inside[-1])) if inside.size else (0, -1)


def _collect(stored, rows, columns, parts: dict[int, tuple]) -> None:
    height, width = stored.chunks[-2:]
    length = int(np.prod(stored.chunks)) * stored.dtype.itemsize
    scale, shift = stored.attrs.get("scale_factor"), stored.attrs.get("add_offset", 0.0)

    def visit(chunk) -> None:
        top, left = chunk.chunk_offset[-2:]
        if (
            top <= rows[1]
            and top + height > rows[0]
            and left <= columns[1]
            and left + width > columns[0]
        ):
            parts[chunk.byte_offset] = (
                chunk.byte_offset,
                chunk.size,
                length,
                stored.dtype,
                stored.shuffle,
                scale,
                shift,
            )

    stored.id.chunk_iter(visit)


CONTENDERS: dict[str, tuple[str, Callable[[str, list[Query]], Stopwatch]]] = {
    "dataset-cold": ("OceanTACODataset, cold", dataset_cold),
    "dataset-warm": ("OceanTACODataset, warm", dataset_warm),
    "loader": ("Loader, cold", loader),
    "xarray": ("xarray + torch loop", xarray_loop),
    "floor": ("floor: inflate and convert", floor),
}


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
    import torch

    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, available[: options.cores])
    torch.set_num_threads(min(options.cores, len(available)))
    _, run = CONTENDERS[options.contender]
    watch = run(options.dataset, queries_of(options))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": watch.wall, "cpu": watch.cpu, "peak": peak}))


def measure(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """All contenders, turn by turn, after one round that fills the page cache."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in options.contenders}
    for repetition in range(options.repetitions + 1):
        for name in options.contenders:
            if sys.stderr.isatty():
                print(f"\r{repetition}/{options.repetitions} {name:<14}", end="", file=sys.stderr)
            command = [sys.executable, __file__, "--contender", name, "--dataset", options.dataset]
            command += ["--samples", str(options.samples), "--cores", str(options.cores)]
            command += ["--first", options.first, "--last", options.last]
            command += ["--bbox", *map(str, options.bbox)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            if repetition:
                results[name].append(json.loads(done.stdout.splitlines()[-1]))
    return results


def report(options: argparse.Namespace, results: dict[str, list[dict[str, float]]]) -> None:
    def median(name: str, key: str) -> float:
        return statistics.median(row[key] for row in results[name])

    reference = "xarray" if "xarray" in results else options.contenders[0]
    label = CONTENDERS[reference][0]
    print(f"\n| | samples/s | CPU ms a sample | peak MB | CPU of {label} / its CPU |")
    print("|---|---:|---:|---:|---:|")
    for name in results:
        rate = options.samples / median(name, "wall")
        cpu = 1000 * median(name, "cpu") / options.samples
        ratio = median(reference, "cpu") / median(name, "cpu")
        peak = median(name, "peak")
        print(f"| {CONTENDERS[name][0]} | {rate:.0f} | {cpu:.2f} | {peak:.0f} | {ratio:.1f} |")
    packages = ("oceanarrow", "numpy", "torch", "xarray", "h5netcdf")
    kind = "synthetic tiles" if options.dataset == str(GENERATED) else options.dataset
    print(
        f"\nMedians of {options.repetitions} turns, {options.samples} samples each, "
        f"{options.cores} of {os.cpu_count()} cores; {kind}. Floor with {_inflate()[1]}.  \n"
        f"{describe(*packages)}"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default=str(GENERATED), help="TACO folder (default: made)")
    parser.add_argument("--samples", type=int, default=64, help="patches a turn")
    parser.add_argument("--repetitions", type=int, default=5, help="turns that count")
    parser.add_argument("--cores", type=int, default=1, help="cores that a contender may use")
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
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME"
    )
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.contender:
        contend(options)
        return
    if options.dataset == str(GENERATED) and not GENERATED.exists():
        print(f"Writing synthetic tiles to {GENERATED}", file=sys.stderr)
        write_dataset(GENERATED)
    report(options, measure(options))


if __name__ == "__main__":
    main()
