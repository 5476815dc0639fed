"""What training on one's own files costs, beside the same numbers in tiles of a dataset.

A global daily field of a quarter of a degree (720 x 1440, int16, deflated) lies three times on the
disk: in one NetCDF file of all days with chunks of one day, in a file a day, and as a dataset of
eight tiles of 90 degrees a day. Each contender reads the same patches of 10 degrees in a process
of its own, turn by turn: our loader on the tiles and on catalogues of the files, in its shuffled
order; xarray's `open_mfdataset`, and `open_dataset` with the day's cells sliced, both day by day,
which is their best order, and on the first days only. A patch decodes all of a day's chunk in a
plain file, an eighth of that in a tile: what that costs depends on how many patches share the day,
and on the cache. Our loaders have that which `explain` says they need, and one the default.

The second table: the field where a quality variable of the same file allows it (`valid=`), beside
reading that variable as another input.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
from options import add_results, printable
from report import footnote, write_json
from scipy.ndimage import zoom
from stopwatch import Stopwatch

from oceanarrow import Loader
from oceanarrow.dataset import PatchSize, Query, QueryGenerator

EXAMPLE = "example: python benchmarks/own_files.py --days 365 --per-day 64"

FIRST = date(2021, 1, 1)
EPOCH = date(1970, 1, 1)
ROWS, COLUMNS = 720, 1440
SIDE = 90.0
CONTENDERS = {
    "tiles": "oceanarrow, tiles of 90 degrees",
    "year": "oceanarrow, one file of all days",
    "daily": "oceanarrow, a file a day",
    "year at 512 MiB": "oceanarrow, one file of all days, default cache",
    "slices": "xarray, `open_dataset`, a day's slice",
    "mfdataset": "xarray, `open_mfdataset` and `isel`",
}
FLAGS = {"plain": "the field", "flag": "with `valid=`", "both": "and the quality as an input"}


@functools.cache
def fields(index: int) -> dict[str, np.ndarray]:
    """Smooth noise with land left out, and a quality of 0 to 4."""
    rng = np.random.default_rng(index)
    rough = zoom(rng.normal(size=(45, 90)), 16, order=1)
    fine = zoom(rng.normal(size=(360, 720)), 2, order=1)
    land = zoom(np.random.default_rng(0).normal(size=(12, 24)), 60, order=1) > 0.6
    stored = np.rint(3000 * rough + 200 * fine).clip(-32000, 32000).astype("i2")
    stored[land] = -32767
    quality = zoom(rng.integers(0, 5, (72, 144)), 10, order=0).astype("i1")
    return {"sla": stored, "quality": quality}


def write(path: Path, numbers: range, rows: slice, columns: slice) -> None:
    """Days of a part of the globe, a chunk a day."""
    lat = -89.875 + 0.25 * np.arange(ROWS)[rows]
    lon = -179.875 + 0.25 * np.arange(COLUMNS)[columns]
    stamps = [(FIRST + timedelta(days=number) - EPOCH).days for number in numbers]
    with h5py.File(path, "w") as file:
        axes = {
            "time": (np.array(stamps, "i4"), "days since 1970-01-01"),
            "latitude": (lat.astype("f4"), "degrees_north"),
            "longitude": (lon.astype("f4"), "degrees_east"),
        }
        for name, (values, units) in axes.items():
            axis = file.create_dataset(name, data=values)
            axis.attrs["units"] = units
            axis.make_scale(name)
        shape = (len(stamps), lat.size, lon.size)
        for name, dtype in (("sla", "i2"), ("quality", "i1")):
            v = file.create_dataset(
                name, shape, dtype, chunks=(1, *shape[1:]), compression="gzip", compression_opts=4
            )
            for axis, dim in zip(v.dims, axes, strict=True):
                axis.attach_scale(file[dim])
        file["sla"].attrs["_FillValue"] = np.int16(-32767)
        file["sla"].attrs["scale_factor"] = 1e-4
        file["sla"].attrs["units"] = "m"
        for place, number in enumerate(numbers):
            for name, values in fields(number % 8).items():
                file[name][place] = values[rows, columns]


def write_all(folder: Path, days: int) -> None:
    """The three layouts, and catalogues of two of them."""
    from oceanarrow import Files, write_catalog
    from oceanarrow.taco import REGIONS, GranuleFile, write_taco

    print(f"Writing {days} days to {folder}", file=sys.stderr)
    (folder / "daily").mkdir()
    everything = (slice(0, ROWS), slice(0, COLUMNS))
    write(folder / "year.nc", range(days), *everything)
    tiles = []
    for number in range(days):
        day = FIRST + timedelta(days=number)
        write(folder / "daily" / f"{day:%Y%m%d}.nc", range(number, number + 1), *everything)
        for region, (west, _, south, _) in REGIONS.items():
            row, column = round((south + 90) * 4), round((west + 180) * 4)
            path = folder / f"{number}_{region}.nc"
            cells = (slice(row, row + 360), slice(column, column + 360))
            write(path, range(number, number + 1), *cells)
            tiles.append(GranuleFile(day, region, "l4_ssh", path, res_deg_lat=0.25))
    write_taco(folder / "tiles", tiles, container="folder")
    for tile in tiles:
        Path(tile.path).unlink()
    for name, paths in (("year", "year.nc"), ("daily", "daily/*.nc")):
        files = Files(folder / paths, {"sla": "sla", "quality": "quality"})
        flagged = Files(folder / paths, {"good": "sla"}, valid={"quality": (2, None)})
        catalogue = folder / f"{name}.parquet"
        write_catalog(catalogue, [files, flagged], progress=False)


def queries(chosen: argparse.Namespace) -> list[Query]:
    last = FIRST + timedelta(days=chosen.days - 1)
    return QueryGenerator().generate_training_queries(
        chosen.days * chosen.per_day,
        PatchSize(10, "deg"),
        (str(FIRST), str(last)),
        bbox_constraint=(-175, 175, -75, 75),
        seed=7,
        verbose=False,
    )


def ours(
    dataset: Path, names: list[str], asked: list[Query], cores: int, cache: int | None = None
) -> Loader:
    """A loader; by default with the cache that it says it needs."""
    options = {"batch_size": 32, "default_patch_size": (40, 40), "tail": "partial"}
    options |= {"threads": cores, "cache_dir": None}
    if cache is None:
        cache = Loader(dataset, asked, names, **options).explain().needed_cache_bytes
    return Loader(dataset, asked, names, cache_bytes=cache, **options)


def theirs(name: str, folder: Path, asked: list[Query]) -> int:
    import xarray as xr

    paths = sorted((folder / "daily").glob("*.nc"))
    asked = sorted(asked, key=lambda query: str(query.time_start))
    opened = xr.open_mfdataset(paths, engine="h5netcdf") if name == "mfdataset" else None
    day = kept = None
    for query in asked:
        if opened is not None:
            field = opened["sla"].sel(time=query.time_start)
        else:
            if day != query.time_start:
                day = query.time_start
                stamp = str(day)[:10].replace("-", "")
                kept = xr.open_dataset(folder / "daily" / f"{stamp}.nc", engine="h5netcdf")
            field = kept["sla"].isel(time=0)
        lat = slice(query.lat_min, query.lat_max)
        field.sel(latitude=lat, longitude=slice(query.lon_min, query.lon_max)).load()
    return len(asked)


def contend(chosen: argparse.Namespace) -> None:
    """One contender in this process: prints what it took as JSON."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    name, folder = chosen.contender, Path(chosen.folder)
    asked = queries(chosen)
    import xarray  # noqa: F401  # not part of the work

    loader = None
    if name in FLAGS:
        wanted = {"plain": ["sla"], "flag": ["good"], "both": ["sla", "quality"]}[name]
        loader = ours(folder / "daily.parquet", wanted, asked, chosen.cores)
    elif name == "tiles":
        loader = ours(folder / "tiles", ["l4_ssh"], asked, chosen.cores)
    elif name in ("year", "daily"):
        loader = ours(folder / f"{name}.parquet", ["sla"], asked, chosen.cores)
    elif name == "year at 512 MiB":
        loader = ours(folder / "year.parquet", ["sla"], asked, chosen.cores, 512 << 20)
    else:
        # So many of the first days that they take no more than minutes.
        asked = [query for query in asked if str(query.time_start)[:10] < chosen.until]
    with Stopwatch() as watch:
        done = sum(map(len, loader)) if loader is not None else theirs(name, folder, asked)
    cache = loader.explain(max_steps=1).cache_bytes if loader is not None else 0
    print(json.dumps({"wall": watch.wall / done, "cpu": watch.cpu / done, "cache": cache}))


def measure(chosen: argparse.Namespace, names: dict[str, str], reference: str, folder: str) -> dict:
    rows: dict[str, list[dict[str, float]]] = {}
    for _ in range(chosen.repetitions):
        for name in names:
            command = [sys.executable, __file__, "--contender", name, "--folder", folder]
            for option in ("days", "per_day", "cores"):
                command += [f"--{option.replace('_', '-')}", str(getattr(chosen, option))]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))

    def median(name: str, key: str) -> float:
        return statistics.median(row[key] for row in rows[name])

    print("\n| | cache, MB | samples a second | CPU ms a sample | its CPU / the first's |")
    print("|---|---:|---:|---:|---:|")
    for name in rows:
        cpu, wall, cache = (median(name, key) for key in ("cpu", "wall", "cache"))
        ratio = cpu / median(reference, "cpu")
        kept = f"{cache / 1e6:.0f}" if cache else "–"
        print(f"| {names[name]} | {kept} | {1 / wall:,.0f} | {1e3 * cpu:.2f} | {ratio:.2f} |")
    return rows


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=60, help="of the files (default 60)")
    parser.add_argument("--per-day", type=int, default=64, help="patches a day (default 64)")
    parser.add_argument("--repetitions", type=int, default=3, help="turns (default 3)")
    parser.add_argument("--cores", type=int, default=1, help="cores that may be used (default 1)")
    until = str(FIRST + timedelta(days=10))
    parser.add_argument("--until", default=until, help="the day at which xarray stops")
    parser.add_argument("--contender", choices=CONTENDERS | FLAGS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    add_results(parser)
    return parser.parse_args()


def main() -> None:
    chosen = parse()
    if chosen.contender:
        contend(chosen)
        return
    with tempfile.TemporaryDirectory() as scratch:
        write_all(Path(scratch), chosen.days)
        print(f"\n## {chosen.days} days, {chosen.per_day} patches a day, {chosen.cores} cores")
        layouts = measure(chosen, CONTENDERS, "tiles", scratch)
        print("\n## What a quality variable costs")
        flags = measure(chosen, FLAGS, "plain", scratch)
    print("\n" + footnote(f"Medians of {chosen.repetitions} turns."))
    content = {"options": printable(chosen), "layouts": layouts, "flags": flags}
    write_json(chosen.results / "own_files.json", content)


if __name__ == "__main__":
    main()
