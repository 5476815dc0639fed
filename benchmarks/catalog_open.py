"""How long it takes, and how much memory, to open the catalog of a dataset of the published size.

Writes the level tables of up to 856 days x 8 regions x 11 files (75,328 granules) with the options
of the published dataset, then opens them in fresh processes: the time a granule should not grow
with their number. Beside it stands pyarrow reading the
same columns of level 2 alone, which is less work: no joining, checking or sorting. The peak counts
all that the process maps on its way, libraries loaded on first use included.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import struct
import subprocess
import sys
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from options import add_results, printable
from report import footnote, write_json

EXAMPLE = "example: python benchmarks/catalog_open.py --days 856 2000 --processes 9 --opens 7"

REGIONS = {
    f"{ns}_{name}": (lon, lon + 90.0, lat, lat + 90.0)
    for ns, lat in (("NORTH", 0.0), ("SOUTH", -90.0))
    for name, lon in (
        ("ATLANTIC", -90.0),
        ("INDIAN", 0.0),
        ("PACIFIC_EAST", 90.0),
        ("PACIFIC_WEST", -180.0),
    )
}
SOURCES = [
    "argo",
    "glorys",
    "l3_ssh",
    "l3_sss_smos_asc",
    "l3_sss_smos_desc",
    "l3_sst",
    "l3_swot",
    "l4_ssh",
    "l4_sss",
    "l4_sst",
    "l4_wind",
]
# What the published files were written with.
WRITER = {
    "version": "2.6",
    "data_page_version": "2.0",
    "compression": "zstd",
    "compression_level": 22,
    "use_dictionary": False,
    "write_statistics": False,
    "store_schema": False,
    "row_group_size": 65_536,
}
COLUMNS = [
    "id",
    "type",
    "data_source",
    "res_deg_lat",
    "internal:parent_id",
    "internal:relative_path",
]

# Run in a fresh process each: prints milliseconds of each opening, rows, and growth of the peak
# memory in bytes (from /proc: getrusage reports the peak of the parent where that was larger).
ENGINE = """
import json, sys, time
from oceanarrow._engine import Catalog
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
before = peak(); times = []; grown = 0
for _ in range(int(sys.argv[2])):
    start = time.perf_counter(); catalog = Catalog([sys.argv[1]])
    times.append(1e3 * (time.perf_counter() - start)); grown = grown or peak() - before
print(json.dumps([times, len(catalog), grown]))
"""
PYARROW = """
import json, sys, time
import pyarrow.parquet as pq
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
before = peak(); times = []; grown = 0
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    path = sys.argv[1] + "/METADATA/level2.parquet"
    table = pq.read_table(path, columns=sys.argv[3:], use_threads=False)
    times.append(1e3 * (time.perf_counter() - start)); grown = grown or peak() - before
print(json.dumps([times, table.num_rows, grown]))
"""


def box_wkb(lon_min: float, lon_max: float, lat_min: float, lat_max: float) -> bytes:
    ring = [
        (lon_max, lat_min),
        (lon_max, lat_max),
        (lon_min, lat_max),
        (lon_min, lat_min),
        (lon_max, lat_min),
    ]
    return struct.pack("<BIII", 1, 3, 1, 5) + b"".join(struct.pack("<dd", *point) for point in ring)


def write_levels(root: Path, n_days: int) -> None:
    """COLLECTION.json and the three level tables, with all the columns of the published ones."""
    days = [date(2023, 3, 29) + timedelta(days=k) for k in range(n_days)]
    dates = [day.strftime("%Y_%m_%d") for day in days]
    n_tiles, n_files = n_days * len(REGIONS), n_days * len(REGIONS) * len(SOURCES)
    starts = [datetime(day.year, day.month, day.day) for day in days]
    boxes = [box_wkb(*box) for box in REGIONS.values()]
    tile_paths = [f"{day}/{region}/" for day in dates for region in REGIONS]
    level0 = {
        "id": dates,
        "type": ["FOLDER"] * n_days,
        "stac:time_start": [f"{day.isoformat()}T00:00:00+00:00" for day in days],
        "internal:current_id": range(n_days),
        "internal:parent_id": range(n_days),
    }
    level1 = {
        "id": list(REGIONS) * n_days,
        "type": ["FOLDER"] * n_tiles,
        "istac:geometry": boxes * n_days,
        "istac:time_start": [start for start in starts for _ in REGIONS],
        "internal:current_id": range(n_tiles),
        "internal:parent_id": [k // len(REGIONS) for k in range(n_tiles)],
        "internal:relative_path": tile_paths,
    }
    # Footprints and times come from the data, so hardly two are the same.
    rng = random.Random(0)
    corners = [
        (lon + rng.random(), lat) for lon, _, lat, _ in REGIONS.values() for _ in SOURCES
    ] * n_days
    per_day = len(REGIONS) * len(SOURCES)
    times = [
        [
            start + timedelta(seconds=hour * 3_600 + rng.randrange(14_400))
            for start in starts
            for _ in range(per_day)
        ]
        for hour in (0, 10, 20)
    ]
    names = [f"{source.replace('sss_smos', 'sss')}.nc" for source in SOURCES]
    level2 = {
        "id": names * n_tiles,
        "type": ["FILE"] * n_files,
        "data_source": SOURCES * n_tiles,
        "sensor": [source.upper() for source in SOURCES] * n_tiles,
        "res_deg_lat": [0.05 + k % 11 / 40 for k in range(n_files)],
        "istac:geometry": [box_wkb(lon, lon + 90, lat, lat + 90) for lon, lat in corners],
        "istac:centroid": [struct.pack("<BIdd", 1, 1, lon + 45, lat + 45) for lon, lat in corners],
        "istac:crs": ["EPSG:4326"] * n_files,
        "istac:time_start": times[0],
        "istac:time_middle": times[1],
        "istac:time_end": times[2],
        "internal:current_id": range(n_files),
        "internal:parent_id": [k // len(SOURCES) for k in range(n_files)],
        "internal:relative_path": [path + name for path in tile_paths for name in names],
    }
    (root / "METADATA").mkdir(parents=True)
    for level, columns in enumerate((level0, level1, level2)):
        arrays = {}
        for name, values in columns.items():
            kind = pa.timestamp("us") if name.startswith("istac:time") else None
            arrays[name] = pa.array(list(values), kind)
        pq.write_table(pa.table(arrays), root / f"METADATA/level{level}.parquet", **WRITER)
    schema = {
        "root": {"n": n_days, "type": "FOLDER"},
        "hierarchy": {"1": [{"n": n_tiles}], "2": [{"n": n_files}]},
    }
    document = {"id": "synthetic", "taco_version": "0.5.0", "taco:pit_schema": schema}
    (root / "COLLECTION.json").write_text(json.dumps(document))


def measure(
    script: str, processes: int, *arguments: str
) -> tuple[list[float], list[float], int, float]:
    """First openings and later ones in ms, rows, and the median growth of peak memory in MB."""
    first, later, grown, rows = [], [], [], 0
    for _ in range(processes):
        result = subprocess.run(
            [sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True
        )
        times, rows, memory = json.loads(result.stdout)
        first.append(times[0])
        later += times[1:]
        grown.append(memory / 1e6)
    return first, later or first, rows, statistics.median(grown)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--days", type=int, nargs="+", default=[107, 428, 856],
        help="days of 8 regions x 11 files (default 107 428 856)",
    )  # fmt: skip
    parser.add_argument(
        "--processes", type=int, default=5, help="fresh processes for each reader (default 5)"
    )
    parser.add_argument("--opens", type=int, default=7, help="openings in each process (default 7)")
    add_results(parser)
    return parser.parse_args()


def main() -> None:
    chosen = parse()
    readers = {
        "oceanarrow: all levels, joined, checked, sorted": (ENGINE, []),
        "pyarrow: 6 columns of level 2": (PYARROW, COLUMNS),
    }
    print("\n## Opening the catalog\n")
    print(
        "| reader | granules | first, ms | later, ms | later, us a granule | growth of peak, MB |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    raw = {}
    with tempfile.TemporaryDirectory() as scratch:
        for days in chosen.days:
            root = Path(scratch) / str(days)
            write_levels(root, days)
            for label, (script, columns) in readers.items():
                arguments = (str(root), str(chosen.opens), *columns)
                first, later, rows, grown = measure(script, chosen.processes, *arguments)
                warm = statistics.median(later)
                print(
                    f"| {label} | {rows:,} | {statistics.median(first):.1f} | {warm:.1f} "
                    f"| {1e3 * warm / rows:.3f} | {grown:.1f} |"
                )
                raw[f"{label}, {days} days"] = {"first": first, "later": later, "grown": grown}
    print("\n" + footnote(f"Medians of {chosen.processes} processes."))
    write_json(chosen.results / "catalog_open.json", {"options": printable(chosen), "turns": raw})


if __name__ == "__main__":
    main()
