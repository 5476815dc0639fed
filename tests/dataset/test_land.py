"""The shipped land data: how it is made, and known places."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.path import Path as PlanePath

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.land import LandMask, outlines
from oceanarrow.land.bundled import bundled

REPOSITORY = Path(__file__).resolve().parents[2]
MASK = LandMask.builtin()


@pytest.fixture(scope="module")
def bake() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bake", REPOSITORY / "land" / "bake.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_land(lon: float, lat: float) -> bool:
    return bool(MASK.mask[int((lat + 90) / 0.25), int((lon + 180) / 0.25)])


def test_rebuilding_gives_the_shipped_bytes(bake: ModuleType) -> None:
    # Compared before compression: zlib's output depends on its version.
    files = bake.bake()
    assert {name: bundled(name) == content for name, content in files.items()} == {
        "mask-0.25deg.zlib": True,
        "polygons.zlib": True,
    }
    shipped = REPOSITORY / "python" / "oceanarrow" / "land" / "data"
    assert sorted(files) == sorted(path.name for path in shipped.iterdir())
    assert sum(path.stat().st_size for path in shipped.iterdir()) < 200_000


@pytest.mark.parametrize(
    ("place", "lon", "lat", "land"),
    [
        ("Paris", 2.35, 48.85, True),
        ("Denver", -105.0, 39.7, True),
        ("Alice Springs", 133.9, -23.7, True),
        ("the pole", 0.0, -89.9, True),
        ("Antarctica at the antimeridian", 179.9, -87.0, True),
        ("Antarctica at the antimeridian, western side", -179.9, -87.0, True),
        ("Vostok", 106.8, -78.5, True),
        ("Chukotka, east of the antimeridian", -173.0, 66.0, True),
        ("Chukotka, west of the antimeridian", 175.0, 68.0, True),
        ("Wrangel Island", -179.6, 71.2, True),
        ("Greenland", -40.0, 75.0, True),
        ("mid-Atlantic", -40.0, 30.0, False),
        ("mid-Pacific", -179.9, 0.0, False),
        ("Southern Ocean", 0.0, -60.0, False),
        ("Ross Sea", -175.0, -74.0, False),
        ("North Pole", 0.0, 89.9, False),
        ("Mediterranean", 18.0, 35.0, False),
        ("Black Sea", 34.0, 43.0, False),
        ("Caspian, water in this source", 51.0, 41.5, False),
    ],
)
def test_known_places(place: str, lon: float, lat: float, land: bool) -> None:
    assert is_land(lon, lat) is land, place


def test_a_third_of_the_cells_and_three_tenths_of_the_area_are_land() -> None:
    assert MASK.mask.shape == (720, 1440) and MASK.mask.dtype == bool
    assert 0.29 < MASK.mask.mean() < 0.34
    weights = np.cos(np.radians(np.linspace(-89.875, 89.875, 720)))
    assert 0.28 < np.average(MASK.mask.mean(axis=1), weights=weights) < 0.30


def test_mask_and_outlines_agree() -> None:
    rng = np.random.default_rng(1)
    rows, columns = rng.integers(0, 720, 3000), rng.integers(0, 1440, 3000)
    centres = np.column_stack([columns * 0.25 - 179.875, rows * 0.25 - 89.875])
    inside = np.zeros(len(centres), dtype=bool)
    for outline in outlines():
        for turn in (-360.0, 0.0, 360.0):
            hits = [PlanePath(ring).contains_points(centres - (turn, 0.0)) for ring in outline]
            inside |= np.logical_xor.reduce(hits)
    # Outlines are rounded to a thousandth of a degree, so a centre may change sides.
    assert (inside != MASK.mask[rows, columns]).sum() <= 2


def test_outlines_are_closed_and_free_of_jumps() -> None:
    polygons = outlines()
    assert len(polygons) == 125 and sum(len(polygon) - 1 for polygon in polygons) == 1
    for polygon in polygons:
        for ring in polygon:
            assert np.array_equal(ring[0], ring[-1]) and len(ring) >= 4
            steps = np.abs(np.diff(ring[:, 0]))
            assert np.all((steps < 90) | (ring[1:, 1] == -90))


def test_land_fraction_counts_the_touched_cells() -> None:
    mask = np.zeros((720, 1440), dtype=bool)
    mask[360, 720] = True
    land = LandMask(mask)
    assert land.get_land_fraction((0, 0.1, 0, 0.1)) == 1.0
    assert land.get_land_fraction((0, 0.25, 0, 0.25)) == 0.25
    assert land.get_land_fraction((-0.25, 0.25, 0, 0.5)) == 1 / 9
    assert land.get_land_fraction((0.25, 0.5, 0, 0.5)) == 0.0
    assert land.is_ocean((0, 0.25, 0, 0.25), 0.25) and not land.is_ocean((0, 0.25, 0, 0.25), 0.2)
    assert LandMask(~mask).get_land_fraction((-180, 180, -90, 90)) == 1 - 1 / mask.size


def test_land_fraction_across_the_antimeridian() -> None:
    mask = np.zeros((720, 1440), dtype=bool)
    mask[:, 1436:] = True
    land = LandMask(mask)
    assert land.get_land_fraction((179, -179.01, 0, 10)) == 0.5
    assert land.get_land_fraction((179, 190, 0, 10)) == 1.0
    assert land.get_land_fraction((359, 359.9, 0, 10)) == 0.0
    assert land.get_land_fraction((-181, -180.01, 0, 10)) == 1.0
    assert land.get_land_fraction((181, 190, 0, 10)) == 0.0


def test_the_builtin_mask_is_shared_and_read_only() -> None:
    assert LandMask.builtin() is MASK
    with pytest.raises(ValueError, match="read-only"):
        MASK.mask[0, 0] = False
    assert np.array_equal(pickle.loads(pickle.dumps(MASK)).mask, MASK.mask)


def test_mask_files_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "mask.npy"
    for array in (np.zeros((720, 1440)), np.zeros((1440, 720), bool), np.array([{}])):
        np.save(path, array, allow_pickle=True)
        with pytest.raises(InvalidInputError, match=r"mask\.npy"):
            LandMask.from_npy(path)
    for content in (b"", b"not an array", b"\x93NUMPY\x01\x00"):
        path.write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"mask\.npy: not a readable"):
            LandMask.from_npy(path)
