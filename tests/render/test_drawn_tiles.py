"""Tiles that have little in common: any of the eight regions, each with axes of its own.

A tile may be missing beside one that is within reach, end before its region does, run from north to
south, hold longitudes of another turn, or have cells of another size. Whatever the box, the engine
renders what the oracle does.
"""

from __future__ import annotations

import random
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from comparison import compare, engine_render
from hypothesis import given
from hypothesis import strategies as st
from small_files import write_file

from oceanarrow.taco import REGIONS, GranuleFile, write_taco

DAY = "2023-04-01"
VARIABLE = "l4_ssh"
FILE, NETCDF = oracle.FILES[VARIABLE]
STEPS = (0.75, 1.0, 1.0, 1.0, 1.5, 2.0, 2.25, 3.0)
QUERIES = 8

Axes = tuple[np.ndarray, np.ndarray]


def _axis(rng: random.Random, start: float, stop: float, step: float) -> np.ndarray:
    """Ascending centres in [start, stop); they begin and end where they like."""
    first = start + step * rng.choice([0.5, 0.5, 0.0, 0.25, 0.8])
    low = min(first + step * rng.choice([0, 0, 0, 1, 3, rng.randrange(60)]), stop - 2 * step)
    high = stop - rng.choice([0.0, 0.0, 0.0, step, 7.5, rng.uniform(0, 80)])
    if rng.random() < 0.1:
        # Spacings that differ, but are no gaps.
        return np.cumsum(
            [low, *rng.choices([step, 1.5 * step], k=max(1, int((high - low) / step / 1.5)))]
        )
    return np.arange(low, max(high, low + 1.5 * step), step)


def _axes(rng: random.Random, region: str, usual: tuple[float, float]) -> Axes:
    """Latitudes and longitudes of a tile, in the order of its file."""
    west, east, south, north = REGIONS[region]
    steps = usual if rng.random() < 0.6 else (rng.choice(STEPS), rng.choice(STEPS))
    lat, lon = _axis(rng, south, north, steps[0]), _axis(rng, west, east, steps[1])
    lat, lon = lat[lat < north], lon[lon < east]
    return lat[:: rng.choice([1, 1, -1])], lon + rng.choice(
        [0.0, 0.0, 360.0 if west < 0 else -360.0]
    )


def _tile(rng: random.Random, path: Path, region: str, usual: tuple[float, float]) -> GranuleFile:
    lat, lon = _axes(rng, region, usual)
    # Each cell says where it is, and no two tiles the same of a place.
    place = 10.0 * (lon[None, :] % 360.0) + lat[:, None] + 4000.0 * list(REGIONS).index(region)
    holes = rng.choice([0.0, 0.1, 0.5])
    number = np.random.default_rng(rng.randrange(2**32)).random(place.shape)
    values = np.where(number < holes, np.nan, place).astype(np.float32)
    write_file(path, {"lat": lat, "lon": lon}, {NETCDF: (("lat", "lon"), values, {"units": "m"})})
    step = abs(float(lat[-1] - lat[0])) / (lat.size - 1)
    return GranuleFile(DAY, region, VARIABLE, path, file_name=FILE, res_deg_lat=step)


def _dataset(rng: random.Random, folder: Path) -> Path:
    usual = (rng.choice(STEPS), rng.choice(STEPS))
    regions = rng.sample(list(REGIONS), rng.choice([1, 2, 3, 4, 5, 6, 7, 8]))
    tiles = [_tile(rng, folder / f"{region}.nc", region, usual) for region in regions]
    return write_taco(folder / "taco", tiles, parquet={})


def _query(rng: random.Random) -> oracle.Query:
    """A box that mostly lies about a meridian or a parallel where tiles meet, or may meet."""

    def number(low: float, high: float) -> float:
        return (
            rng.randint(int(low * 4), int(high * 4)) / 4
            if rng.random() < 0.5
            else rng.uniform(low, high)
        )

    width = number(180, 360) if rng.random() < 0.05 else number(2, 15)
    height = number(2, 15)
    west = rng.choice([-180.0, -90.0, 0.0, 90.0, 180.0]) - rng.choice([0.0, width / 2, width])
    west = (west + number(-3, 3) + 180.0) % 360.0 - 180.0
    south = (
        number(-85, 65)
        if rng.random() < 0.4
        else number(-4, 4) - rng.choice([0, height / 2, height])
    )
    east = west + width
    if east > 180.0 and rng.random() < 0.5:
        east = east - 360.0 if width < 360.0 and east - 360.0 < west else east
    return oracle.Query(west, east, max(south, -90.0), min(south + height, 90.0), DAY, DAY)


def _options(rng: random.Random) -> dict[str, Any]:
    return {
        "resample": rng.choice(["bilinear", "area", "nearest", "auto"]),
        "grid": rng.choice(["exact", "exact", "crop"]),
        "min_support": rng.choice([0.01, 0.01, 0.317, 0.853]),
    }


def _is_open(want: oracle.Rendered, *args: Any, **options: Any) -> bool:
    """Whether rounding, or something that the rules leave open, decides about a pixel."""
    if want.shaky or len(want.far) > 6:
        return True
    choices = (c for n in range(len(want.far)) for c in combinations(want.far, n + 1))
    for without in choices:
        other = oracle.render(*args, **options, without=without)
        if other.files != want.files or not np.array_equal(other.mask, want.mask):
            return True
        if not np.allclose(other.data, want.data, rtol=1e-6):
            return True
    return False


@given(seed=st.integers(0, 2**32 - 1))
def test_any_tiles(seed: int) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        root = _dataset(rng, Path(folder))
        for _ in range(QUERIES):
            query, options = _query(rng), _options(rng)
            shape = (rng.randint(1, 9), rng.randint(1, 9))
            want = oracle.render(root, query, VARIABLE, shape, **options)
            if not _is_open(want, root, query, VARIABLE, shape, **options):
                compare(want, root, query, VARIABLE, shape, **options)


@pytest.mark.parametrize("resample", ["bilinear", "nearest", "area"])
def test_nothing_lies_where_a_tile_is_missing(tmp_path: Path, resample: str) -> None:
    """South of the box a tile has columns where north of it there is no tile."""
    tiles = []
    for region in ("SOUTH_ATLANTIC", "NORTH_INDIAN"):
        west, east, south, north = REGIONS[region]
        lat, lon = np.arange(south + 0.5, north), np.arange(west + 0.5, east)
        values = np.broadcast_to(1000.0 * lon, (90, 90)).astype(np.float32)
        path = tmp_path / f"{region}.nc"
        write_file(path, {"lat": lat, "lon": lon}, {NETCDF: (("lat", "lon"), values, {})})
        tiles.append(GranuleFile(DAY, region, VARIABLE, path, res_deg_lat=1.0))
    root = write_taco(tmp_path / "taco", tiles)
    query = oracle.Query(-5.0, 5.0, 1.5, 8.0, DAY, DAY)
    data, mask, *_ = engine_render(root, query, VARIABLE, (3, 5), resample=resample)
    assert not mask[:, :2].any()
    assert mask[:, 3:].all()
    assert (data[:, 3:] >= 1000.0).all()
