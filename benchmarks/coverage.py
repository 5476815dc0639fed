"""What coverage and the queries that it chooses cost.

Makes a year's coverage of eight sources in cells of 2 degrees (clouds, swaths and full fields, by
random numbers), and says what it takes as a file and in memory; then draws a million training
queries with `require=` and `min_valid=`, and looks for leaks among as many. Last, it counts the
coverage of a synthetic dataset, beside a loop of xarray that counts the same.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray
from machine import describe
from scipy.ndimage import zoom
from stopwatch import Stopwatch
from synthetic_ocean import ocean

import oceanarrow
from oceanarrow import _engine
from oceanarrow.dataset import PatchSize, QueryGenerator
from oceanarrow.dataset.days import utc_day
from oceanarrow.inventory.coverage import Coverage, DayCounts, Measured

DAYS = 365
FIRST = "2023-01-01"


def a_year() -> Coverage:
    """Three full fields, three under clouds, two swaths, in cells of 2 degrees."""
    rng = np.random.default_rng(0)
    cells = np.full((90, 180), 64, np.uint16)
    cells[rng.random((90, 180)) < 0.3] = 0
    sources = {}
    for number in range(8):
        days = []
        for day in range(DAYS):
            share = np.ones((90, 180))
            if 3 <= number < 6:
                share = zoom(rng.random((18, 36)), 5, order=1)
            elif number >= 6:
                share = 1.0 * ((np.arange(180) * 7 + np.arange(90)[:, None] + day * 11) % 60 < 6)
            valid = np.round(cells * share).astype(np.uint16)
            days.append(DayCounts(f"{number} {day}", cells, valid))
        sources[f"source{number}"] = Measured.of(days)
    first = utc_day(FIRST)
    return Coverage(2.0, np.arange(first, first + DAYS, dtype=np.int32), sources)


def write_a_year(path: Path) -> None:
    a_year().save(path)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=1_000_000, help="queries drawn")
    chosen = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "coverage.parquet"
        # In a process of its own, whose memory does not count.
        making = multiprocessing.get_context("spawn").Process(target=write_a_year, args=(path,))
        making.start()
        making.join()
        size = path.stat().st_size / 1e6
        start = time.perf_counter()
        coverage = Coverage.load(path)
        loading = time.perf_counter() - start
    counts = sum(m.valid.nbytes + m.cells.nbytes for m in coverage.measured.values()) / 1e6
    print(f"\na year of eight sources: a file of {size:.1f} MB, {counts:.0f} MB in memory once")
    print(f"loaded in {loading:.1f} s; the process's peak {peak_mb():.0f} MB")
    dataset = ocean(15)
    generator = QueryGenerator("builtin", catalog=dataset, coverage=coverage)
    start = time.perf_counter()
    drawn = generator.generate_training_queries(
        chosen.queries, PatchSize(10, "deg"), (FIRST, "2023-12-31"), verbose=False,
        min_valid={"source4": 0.4, "source7": 0.05}, oversample_factor=5,
    )  # fmt: skip
    took = time.perf_counter() - start
    print(f"{len(drawn):,} queries with two of min_valid in {took:.1f} s, peak {peak_mb():.0f} MB")
    del drawn
    files = oceanarrow.Catalog(dataset)
    days = files.days
    assert days is not None
    start = time.perf_counter()
    drawn = generator.generate_training_queries(
        chosen.queries, PatchSize(10, "deg"), (days.first, days.last), verbose=False,
        require=["l3_swot", "l4_ssh"], oversample_factor=5,
    )  # fmt: skip
    took = time.perf_counter() - start
    print(f"{len(drawn):,} queries with two of require in {took:.1f} s, peak {peak_mb():.0f} MB")
    del drawn
    leaks(chosen.queries)
    measure(dataset, ["l4_ssh", "l4_sst", "l3_swot"])


def leaks(count: int) -> None:
    """So many queries of a year against a tenth as many, with windows of a fortnight."""
    rng = np.random.default_rng(0)

    def extents(n: int) -> tuple[np.ndarray, np.ndarray]:
        west, south = rng.uniform(-180, 170, n), rng.uniform(-60, 50, n)
        day = rng.integers(0, DAYS, n)
        boxes = np.column_stack([west, west + 10, south, south + 10])
        return boxes, np.column_stack([day - 6, day + 7]).astype(np.int32)

    a, b = extents(count), extents(count // 10)
    start = time.perf_counter()
    found, _ = _engine.find_leaks(*a, *b, gap_days=0, gap_degrees=0.0, most=1000)
    took = time.perf_counter() - start
    print(f"{count:,} queries against {count // 10:,}: {found:,} pairs that leak, in {took:.1f} s")


def measure(dataset: Path, names: list[str]) -> None:
    """Counting, ours and xarray's, turn by turn."""
    known = oceanarrow.variables()
    ours, theirs = [], []
    for _ in range(3):
        with Stopwatch() as watch:
            found = oceanarrow.coverage(dataset, names, progress=False)
        ours.append(watch.cpu)
        with Stopwatch() as watch:
            total = 0
            for name in names:
                for path in sorted(dataset.glob(f"DATA/*/*/{known[name].file}")):
                    total += count(path, known[name].netcdf)
        theirs.append(watch.cpu)
        counted = sum(int(m.valid.sum(dtype=np.int64)) for m in found.measured.values())
        assert counted == total, (counted, total)
    ratio = float(np.median(theirs) / np.median(ours))
    print(f"counting {', '.join(names)} on 15 days: {ratio:.1f} times the CPU by xarray and NumPy")


def count(path: Path, variable: str) -> int:
    """Valid cells of a tile by coarse cell, added up."""
    with xarray.open_dataset(path) as tile:
        valid = (
            tile[variable].notnull().values.reshape(-1, tile.lat.size, tile.lon.size).any(axis=0)
        )
        counts = np.zeros((90, 180), np.int64)
        rows = ((tile.lat.values + 90) // 2).astype(int).clip(max=89)
        columns = ((tile.lon.values + 180) % 360 // 2).astype(int)
        np.add.at(counts, (rows[:, None], columns[None, :]), valid)
    return int(counts.sum())


if __name__ == "__main__":
    main()
