"""What tracks held out and values at points cost, and whether the cost model holds.

Each row is made in a process of its own, turn by turn, on the same sample data and one core:

- the tutorial's five variables of a warm epoch, and `l3_ssh` alone, with all tracks and with a
  fifth of them hidden;
- a million points of one variable: `oceanarrow.matchups`, and xarray's `interp` of each day and
  region;
- an epoch of dense queries: what `docs/how_to/many_machines.md` makes of a quarter of it and of
  `explain()`, beside what the whole then takes.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from channels import dense, loader, warm
from rows import rows_of, run
from stopwatch import Stopwatch, peak
from synthetic_ocean import DATA
from workloads import INPUTS, SIZES, TARGETS

import oceanarrow
from oceanarrow import Window
from oceanarrow.sample_data import write_sample_data

EXAMPLE = "example: python benchmarks/maps.py --repetitions 5"
DAYS = 8
POINTS = 1_000_000
TABLES = {
    "Tracks held out of five variables": {"five": "all tracks", "five-held": "a fifth hidden"},
    "Tracks held out of one": {"one": "all tracks", "one-held": "a fifth hidden"},
    "A million points": {"matchups": "`oceanarrow.matchups`", "interp": "xarray, `interp`"},
    "The cost model": {"predicted": "foretold", "taken": "taken"},
}
WANTED = {"target_variables": TARGETS, "patch_sizes": SIZES}


def dataset_of(chosen: argparse.Namespace) -> Path:
    """Sample data, whose tracks have names; made if it is not there."""
    if chosen.dataset:
        return Path(chosen.dataset)
    path = DATA / f"sample_{DAYS}_days"
    if not path.exists():
        write_sample_data(path, synthetic=True, days=DAYS, progress=False)
    return path / "OceanTACO"


def work(chosen: argparse.Namespace) -> tuple[Callable[[], int], Callable[[float], dict]]:
    """What a row does, which gives the number of samples, and what else it tells of a second."""
    dataset, bbox = dataset_of(chosen), tuple(chosen.bbox)
    catalog = oceanarrow.Catalog(dataset)
    days = sorted({str(granule["day"]) for granule in catalog.granules()})
    name, _, held = chosen.row.partition("-")
    if name in ("five", "one"):
        tracks = Window("l3_ssh", holdout=0.2, part="input") if held else "l3_ssh"
        queries = dense(days[:4], bbox, 48)
        if name == "one":
            made = loader(dataset, queries, [tracks], patch_sizes={"l3_ssh": SIZES["l3_ssh"]})
        else:
            inputs = [tracks if variable == "l3_ssh" else variable for variable in INPUTS]
            made = loader(dataset, queries, inputs, **WANTED)
        return warm(made, lambda batch: batch), lambda cpu: {}
    if name in ("matchups", "interp"):
        run = matched if name == "matchups" else interpolated
        return run(dataset, points(days)), lambda cpu: {"peak": peak()}
    queries = dense(days, bbox, 48)
    whole = loader(dataset, queries, INPUTS, **WANTED)
    pilot = loader(dataset, queries[::4], INPUTS, **WANTED)
    made = whole if name == "taken" else pilot

    def taken(cpu: float) -> dict:
        read = whole.stats()["bytes_read"]
        with tempfile.TemporaryDirectory() as scratch:
            oceanarrow.materialize(whole, Path(scratch) / "set", progress=False)
            size = sum(path.stat().st_size for path in (Path(scratch) / "set").iterdir())
        return {"seconds": cpu, "read": read, "set": size}

    def foretold(first: float) -> dict:
        with Stopwatch() as watch:
            again = sum(map(len, pilot))
        rendering, decoding = watch.cpu / again, (first - watch.cpu) / pilot.explain().decodes
        opening = pilot.stats()["bytes_read"] - pilot.explain().read_bytes
        epoch = whole.explain()
        return {
            "seconds": rendering * len(queries) + decoding * epoch.decodes,
            "read": epoch.read_bytes + opening,
            "set": len(queries) * whole.row_bytes,
        }

    return (lambda: sum(map(len, made))), taken if name == "taken" else foretold


def points(days: list[str]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "time": rng.choice(np.array(days, "datetime64[D]"), POINTS),
        "lat": rng.uniform(-60, 60, POINTS),
        "lon": rng.uniform(-180, 180, POINTS),
    }


def matched(dataset: Path, wanted: dict[str, np.ndarray]) -> Callable[[], int]:
    return lambda: (
        oceanarrow.matchups(dataset, wanted, ["l4_sst"], threads=1, progress=False).num_rows
    )


def interpolated(dataset: Path, wanted: dict[str, np.ndarray]) -> Callable[[], int]:
    """Between neighbours of a tile only: points between two tiles stay empty."""
    import xarray as xr

    def run() -> int:
        found = np.full(POINTS, np.nan, np.float32)
        regions = oceanarrow.Catalog(dataset).regions
        for granule in oceanarrow.Catalog(dataset).granules():
            if granule["file"] != "l4_sst.nc":
                continue
            west, east, south, north = regions[granule["region"]]
            of_day = wanted["time"] == np.datetime64(granule["day"])
            lat, lon = wanted["lat"], wanted["lon"]
            here = (lat >= south) & (lat < north) & (lon >= west) & (lon < east) & of_day
            with xr.open_dataset(granule["path"], engine="h5netcdf") as opened:
                field = opened["analysed_sst"].squeeze(drop=True).load()
            at = {"lat": ("point", lat[here]), "lon": ("point", lon[here])}
            found[here] = field.interp(at).values
        assert np.isfinite(found).mean() > 0.3
        return POINTS

    return run


def contend(chosen: argparse.Namespace) -> None:
    """One row in this process: prints what it took as JSON."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    run, told = work(chosen)
    with Stopwatch() as watch:
        samples = run()
    print(json.dumps({"cpu": watch.cpu / samples, **told(watch.cpu)}))


HEADS = {
    "cpu": ("CPU µs a sample", 1e6),
    "peak": ("peak MB", 1e-6),
    "seconds": ("CPU s", 1),
    "read": ("MB read", 1e-6),
    "set": ("MB of a set", 1e-6),
}


def measure(chosen: argparse.Namespace, rows: dict[str, str]) -> dict[str, list[dict]]:
    """Turn by turn; prints the table. Ratios are those of a turn."""
    found = rows_of(chosen, __file__, rows)
    reference = found[next(iter(rows))]
    keys = [key for key in reference[0] if key != "cpu" or "seconds" not in reference[0]]
    print("| | " + " | ".join(f"{HEADS[key][0]} | / the first's" for key in keys) + " |")
    print("|---|" + "---:|---:|" * len(keys))
    for name, label in rows.items():
        cells = []
        for key in keys:
            pairs = zip(found[name], reference, strict=True)
            cells.append(
                f"{statistics.median(row[key] for row in found[name]) * HEADS[key][1]:.3g}"
            )
            cells.append(f"{statistics.median(row[key] / first[key] for row, first in pairs):.3f}")
        print(f"| {label} | {' | '.join(cells)} |")
    sys.stdout.flush()
    return found


if __name__ == "__main__":
    run(__file__, str(__doc__), EXAMPLE, TABLES, contend, measure, dataset_of, samples=1)
