"""What it takes to list NetCDF files that are one's own, and to open the catalogue.

Listing opens each file once and writes down its grids, days and chunks. The files are small: a day
of five packed and deflated variables, 0.5 MB in all. Beside it stand xarray opening each file and
reading its coordinates, and `open_mfdataset`, which one would use without a catalogue; listing
again with `update=True` stands for a folder to which nothing came.

Opening is that of a catalogue of many granules, in fresh processes: the time and the growth of the
peak memory, beside pyarrow reading the same file. The granules are files of a day each, or steps
of a hundred times fewer files, on either of eight grids.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from options import add_results, printable
from report import footnote, write_json
from stopwatch import Stopwatch

EXAMPLE = "example: python benchmarks/listing.py --files 2000 --granules 100000 --repetitions 5"

FIRST = date(2010, 1, 1)
EPOCH = date(1970, 1, 1)
VARIABLES = ["sla", "adt", "ugos", "vgos", "err"]
LISTERS = {
    "ours": "oceanarrow, `write_catalog`",
    "update": "oceanarrow, `update=True`, nothing new",
    "xarray": "xarray, `open_dataset` file by file, coordinates",
    "mfdataset": "xarray, `open_mfdataset`",
}

# Run in a fresh process each: prints milliseconds of each opening, rows, and growth of the peak.
OPENERS = {
    "oceanarrow, `Catalog`": """
from oceanarrow._engine import Catalog
def read(path): return len(Catalog([path]))
""",
    "pyarrow, `read_table`": """
import pyarrow.parquet as pq
def read(path): return pq.read_table(path, use_threads=False).num_rows
""",
}
HARNESS = """
import json, sys, time
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
before = peak(); times = []; grown = 0
for _ in range(int(sys.argv[2])):
    start = time.perf_counter(); rows = read(sys.argv[1])
    times.append(1e3 * (time.perf_counter() - start)); grown = grown or peak() - before
print(json.dumps([times, rows, grown]))
"""


def write_file(path: Path, n_days: int, shape: tuple[int, int], seed: int) -> None:
    """A file of so many days with the attributes that data centres write."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        axes = {
            "time": (np.arange(n_days, dtype="i4"), "days since 1970-01-01"),
            "latitude": (np.linspace(-30, 30, shape[0], dtype="f4"), "degrees_north"),
            "longitude": (np.linspace(-60, 10, shape[1], dtype="f4"), "degrees_east"),
        }
        for name, (values, units) in axes.items():
            axis = file.create_dataset(name, data=values)
            axis.attrs["units"], axis.attrs["standard_name"] = units, name
            axis.make_scale(name)
        for name in VARIABLES:
            stored = rng.integers(-3000, 3000, (n_days, *shape), "i2")
            v = file.create_dataset(name, data=stored, chunks=(1, *shape), compression="gzip")
            v.attrs["_FillValue"], v.attrs["scale_factor"] = np.int16(-32767), 1e-4
            v.attrs["units"], v.attrs["long_name"] = "m", f"made up {name}"
            for axis, dim in zip(v.dims, axes, strict=True):
                axis.attach_scale(file[dim])


def write_files(folder: Path, count: int) -> None:
    """Files of a day each, copies of one but for the day."""
    folder.mkdir()
    # Random numbers of 12.5 bits deflate to 1.6 bytes.
    write_file(folder / "template", 1, (230, 270), 0)
    for number in range(count):
        day = FIRST + timedelta(days=number)
        path = folder / f"day_{day:%Y%m%d}.nc"
        shutil.copyfile(folder / "template", path)
        with h5py.File(path, "r+") as file:
            file["time"][0] = (day - EPOCH).days
    (folder / "template").unlink()


def list_files(name: str, folder: Path, output: Path) -> None:
    """What a contender does, in this process."""
    import oceanarrow

    if name in ("ours", "update"):
        files = oceanarrow.Files(f"{folder}/*.nc", {v: v for v in VARIABLES})
        oceanarrow.write_catalog(output, files, update=name == "update", progress=False)
        return
    import xarray as xr

    paths = sorted(folder.glob("*.nc"))
    if name == "mfdataset":
        xr.open_mfdataset(paths, engine="h5netcdf", combine="nested", concat_dim="time").close()
        return
    for path in paths:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            for axis in ("time", "latitude", "longitude"):
                dataset[axis].load()


def contend(arguments: list[str]) -> None:
    """One contender in this process: prints what it took as JSON."""
    name, folder, output, cores = arguments
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    import xarray  # noqa: F401

    import oceanarrow  # noqa: F401  # not part of the listing

    with Stopwatch() as watch:
        list_files(name, Path(folder), Path(output))
    print(json.dumps({"wall": watch.wall, "cpu": watch.cpu}))


def listing(chosen: argparse.Namespace, scratch: Path) -> dict:
    folder, output = scratch / "files", scratch / "files.parquet"
    write_files(folder, chosen.files)
    size = sum(path.stat().st_size for path in folder.iterdir()) / chosen.files
    rows: dict[str, list[dict[str, float]]] = {}
    for _ in range(chosen.repetitions):
        for name in LISTERS:
            if name == "mfdataset" and not _has_dask():
                continue
            command = [sys.executable, __file__, "--contend", name, str(folder), str(output)]
            done = subprocess.run(
                [*command, str(chosen.cores)], check=True, stdout=subprocess.PIPE, text=True
            )
            rows.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))
    print(f"\n## Listing {chosen.files:,} files of {size / 1e6:.2f} MB, {chosen.cores} cores\n")
    print("| | files a second | CPU ms a file | its time / ours |\n|---|---:|---:|---:|")
    ours = statistics.median(row["wall"] for row in rows["ours"])
    for name, turns in rows.items():
        wall = statistics.median(row["wall"] for row in turns)
        cpu = statistics.median(row["cpu"] for row in turns)
        print(
            f"| {LISTERS[name]} | {chosen.files / wall:,.0f} | {1e3 * cpu / chosen.files:.2f} "
            f"| {wall / ours:.2f} |"
        )
    return rows


def _has_dask() -> bool:
    from importlib.util import find_spec

    return find_spec("dask") is not None


def write_large(path: Path, granules: int, steps: int, variables: int, scratch: Path) -> None:
    """A catalogue of so many granules, `steps` in each file: rows of a real one under other names,
    days and digests."""
    import oceanarrow

    folder = scratch / path.stem
    folder.mkdir()
    for grid in range(8):
        write_file(folder / f"{grid}.nc", steps, (20 + grid, 30), grid)
    files = oceanarrow.Files(f"{folder}/*.nc", {v: v for v in VARIABLES[:variables]})
    small = folder / "small.parquet"
    oceanarrow.write_catalog(small, files, progress=False)
    table, rng = pq.read_table(small), np.random.default_rng(0)
    rows, parts = table.to_pydict(), []
    for number in range(-(-granules // table.num_rows)):
        digests = {old: rng.bytes(16) for old in rows["path"]}
        times = {old: int(rng.integers(10**18)) for old in rows["path"]}
        columns = rows | {
            "path": [f"{number:06}/{Path(old).name}" for old in rows["path"]],
            "day": [old + number * steps for old in rows["day"]],
            "version": [f"500000 {times[old]}" for old in rows["path"]],
            "evidence": [
                digests[old] + evidence[16:]
                for old, evidence in zip(rows["path"], rows["evidence"], strict=True)
            ],
        }
        parts.append(pa.table(columns, schema=table.schema))
    keys = pq.read_metadata(small).metadata
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        writer.write_table(pa.concat_tables(parts).slice(0, granules))
        writer.add_key_value_metadata({k: v for k, v in keys.items() if k != b"ARROW:schema"})


def opening(chosen: argparse.Namespace, scratch: Path) -> dict:
    print(f"\n## Opening a catalogue of {chosen.granules:,} granules\n")
    print("| | steps a file | variables | file, MB | first, ms | later, ms | growth of peak, MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    raw = {}
    for steps, variables in ((100, 1), (1, 1), (1, 5)):
        path = scratch / f"large_{steps}_{variables}.parquet"
        write_large(path, chosen.granules, steps, variables, scratch)
        for label, reader in OPENERS.items():
            turns = []
            for _ in range(chosen.repetitions):
                command = [sys.executable, "-c", reader + HARNESS, str(path), "5"]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                turns.append(json.loads(done.stdout))
            # Ours counts a granule once a variable.
            assert all(rows / chosen.granules in (1, variables) for _, rows, _ in turns)
            first = statistics.median(times[0] for times, _, _ in turns)
            later = statistics.median(time for times, _, _ in turns for time in times[1:])
            grown = statistics.median(memory for _, _, memory in turns)
            print(
                f"| {label} | {steps} | {variables} | {path.stat().st_size / 1e6:.1f} "
                f"| {first:.0f} | {later:.0f} | {grown / 1e6:.0f} |"
            )
            raw[f"{label}, {steps} steps, {variables} variables"] = turns
    return raw


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=1000, help="files to list (default 1000)")
    parser.add_argument(
        "--granules", type=int, default=100_000, help="of the catalogue to open (default 100000)"
    )
    parser.add_argument("--repetitions", type=int, default=3, help="turns (default 3)")
    parser.add_argument("--cores", type=int, default=2, help="cores that may be used (default 2)")
    parser.add_argument("--contend", nargs=4, help=argparse.SUPPRESS)
    add_results(parser)
    return parser.parse_args()


def main() -> None:
    chosen = parse()
    if chosen.contend:
        contend(chosen.contend)
        return
    with tempfile.TemporaryDirectory() as scratch:
        listed = listing(chosen, Path(scratch))
        opened = opening(chosen, Path(scratch))
    print("\n" + footnote(f"Medians of {chosen.repetitions} turns."))
    content = {"options": printable(chosen), "listing": listed, "opening": opened}
    write_json(chosen.results / "listing.json", content)


if __name__ == "__main__":
    main()
