"""Channels that are formulas, against NumPy; land, against points counted in polygons."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon
from own_files import catalogue, write

import oceanarrow
from oceanarrow import Files, Loader, Window
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.land import outlines

NAMES = [
    "latitude",
    "longitude",
    "sin_latitude",
    "cos_latitude",
    "sin_longitude",
    "cos_longitude",
    "sin_day_of_year",
    "cos_day_of_year",
    "coriolis",
    "cell_area",
    "insolation",
]
OF_DAYS = {"sin_day_of_year", "cos_day_of_year", "insolation"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("computed")
    write(folder / "sla.nc", [1.0, 2.0], ["2020-02-28", "2020-02-29"])
    return catalogue(folder / "c.parquet", Files(str(folder / "sla.nc"), {"sla": "sla"}))


def _edges(points: np.ndarray, low: float, high: float) -> np.ndarray:
    """Half-way between the pixels; of a lone one, the box."""
    if points.size == 1:
        return np.array([low, high])
    middle = (points[1:] + points[:-1]) / 2
    return np.concatenate([[2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]])


def _expected(name: str, query: Query, shape: tuple[int, int], day: date) -> np.ndarray:
    east = query.lon_max + (360 if query.lon_max < query.lon_min else 0)
    lat = np.linspace(query.lat_min, query.lat_max, shape[0])
    lon = np.linspace(query.lon_min, east, shape[1])
    if shape[0] == 1:
        lat = np.array([query.lat_min])
    year = date(day.year, 1, 1)
    length = (date(day.year + 1, 1, 1) - year).days
    number = (day - year).days + 1
    season = 2 * np.pi * (number - 0.5) / length
    phi, lamda = np.radians(lat)[:, None], np.radians(lon)[None]
    rows, columns = np.ones((shape[0], 1)), np.ones((1, shape[1]))
    south_north = np.clip(_edges(lat, query.lat_min, query.lat_max), -90, 90)
    sines = np.diff(np.sin(np.radians(south_north)))[:, None]
    return {
        "latitude": lambda: lat[:, None] * columns,
        "longitude": lambda: rows * ((lon[None] + 180) % 360 - 180),
        "sin_latitude": lambda: np.sin(phi) * columns,
        "cos_latitude": lambda: np.cos(phi) * columns,
        "sin_longitude": lambda: rows * np.sin(lamda),
        "cos_longitude": lambda: rows * np.cos(lamda),
        "sin_day_of_year": lambda: rows * columns * np.sin(season),
        "cos_day_of_year": lambda: rows * columns * np.cos(season),
        "coriolis": lambda: 2 * 7.292115e-5 * np.sin(phi) * columns,
        "cell_area": lambda: (
            6371.0088**2 * sines * np.radians(np.diff(_edges(lon, query.lon_min, east)))[None]
        ),
        "insolation": lambda: _insolation(phi, number, length) * columns,
    }[name]()


def _insolation(phi: np.ndarray, number: int, length: int) -> np.ndarray:
    """The day's course of the sun, averaged minute by minute: no formula for the sunset."""
    g = 2 * np.pi * (number - 1) / length
    declination = (
        0.006918
        - 0.399912 * np.cos(g)
        + 0.070257 * np.sin(g)
        - 0.006758 * np.cos(2 * g)
        + 0.000907 * np.sin(2 * g)
        - 0.002697 * np.cos(3 * g)
        + 0.00148 * np.sin(3 * g)
    )
    near = (
        1.00011
        + 0.034221 * np.cos(g)
        + 0.00128 * np.sin(g)
        + 0.000719 * np.cos(2 * g)
        + 0.000077 * np.sin(2 * g)
    )
    hours = (np.arange(20_000) + 0.5) / 20_000 * 2 * np.pi - np.pi
    height = np.sin(phi) * np.sin(declination)
    height = height + np.cos(phi) * np.cos(declination) * np.cos(hours)[None]
    return 1361.0 * near * np.maximum(height, 0).mean(axis=1, keepdims=True)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    west = draw(st.floats(-180, 179, width=32))
    width = draw(st.floats(0.5, 100, width=32))
    east = west + width
    south = draw(st.one_of(st.just(-90.0), st.floats(-90, 80, width=32)))
    north = draw(st.one_of(st.just(90.0), st.floats(float(south) + 0.5, 90)))
    return west, east - 360 if east > 180 else east, south, north


@settings(max_examples=60, deadline=None)
@given(
    box=boxes(),
    shape=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    day=st.dates(date(1700, 1, 1), date(2300, 1, 1)),
)
def test_formulas(dataset: Path, box: Any, shape: Any, day: date) -> None:
    query = Query(*box, day.isoformat(), day.isoformat())
    (batch,) = Loader(dataset, [query], NAMES, default_patch_size=shape, batch_size=1)
    tree = batch.to_numpy()
    for name in NAMES:
        due = _expected(name, query, shape, day)
        found = tree["inputs"][name][0]
        assert tree["masks"][name].all() and tree["present"][name].all()
        # Float32's last bits; of the sun, those of the sum over the day.
        near = {"insolation": 0.02, "cell_area": 1e-7}.get(name, 1e-12)
        if name == "longitude":
            # The antimeridian has two names.
            wrapped = np.abs(np.abs(found - due) - 360) < 1e-4
            due = np.where(wrapped, found, due)
        np.testing.assert_allclose(found, due, rtol=2.5e-7, atol=near, err_msg=name)
        if name == "longitude":
            assert (found >= -180).all() and (found <= 180).all()


def test_the_area_of_all_pixels_is_that_of_the_globe(dataset: Path) -> None:
    half = 180 / 72 / 2
    query = Query(-180 + half, 180 - half, -90 + half, 90 - half, "2020-01-01", "2020-01-01")
    (batch,) = Loader(dataset, [query], ["cell_area"], default_patch_size=(72, 144), batch_size=1)
    total = batch.to_numpy()["inputs"]["cell_area"].astype(float).sum()
    assert total == pytest.approx(4 * np.pi * 6371.0088**2, rel=1e-6)


def test_channels_of_days_follow_windows_and_their_aggregation(dataset: Path) -> None:
    query = Query(1.0, 5.0, 1.0, 5.0, "2019-12-30", "2020-01-02")
    wanted = [
        "sin_day_of_year",
        "latitude",
        Window("cos_day_of_year", -1, 2, name="week"),
        Window("insolation", 0, 0, name="mean", temporal_agg="mean"),
        Window("insolation", 0, 0, name="last", temporal_agg="last"),
    ]
    (batch,) = Loader(
        dataset, [query], wanted, default_patch_size=(3, 3), batch_size=1, temporal_agg="stack"
    )
    found = batch.to_numpy()["inputs"]
    days = [date(2019, 12, 30) + timedelta(n) for n in range(4)]

    def stack(name: str, days: list[date]) -> np.ndarray:
        return np.stack([_expected(name, query, (3, 3), day) for day in days])

    assert found["latitude"].shape == (1, 3, 3)
    np.testing.assert_allclose(
        found["sin_day_of_year"][0], stack("sin_day_of_year", days), atol=1e-6
    )
    window = [days[0] - timedelta(1), *days, days[-1] + timedelta(1), days[-1] + timedelta(2)]
    np.testing.assert_allclose(found["week"][0], stack("cos_day_of_year", window), atol=1e-6)
    sun = stack("insolation", days)
    np.testing.assert_allclose(found["mean"][0], sun.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(found["last"][0], sun[-1], atol=0.02)


def test_they_read_nothing_and_normalise(dataset: Path) -> None:
    query = Query(1.0, 5.0, 1.0, 5.0, "1800-01-01", "1800-01-01")
    loader = Loader(
        dataset,
        [query],
        [*NAMES, "land_fraction"],
        default_patch_size=(4, 4),
        batch_size=1,
        normalize={"latitude": (3.0, 2.0)},
    )
    (batch,) = loader
    due = (_expected("latitude", query, (4, 4), date(1800, 1, 1)) - 3) / 2
    np.testing.assert_allclose(batch.to_numpy()["inputs"]["latitude"][0], due, atol=1e-6)
    stats = loader.stats()
    assert stats["files_opened"] == stats["bytes_read"] == stats["chunks_decoded"] == 0
    explained = loader.explain()
    assert explained.decodes == explained.read_bytes == 0
    assert loader.schema.field("coriolis").unit == "s-1"


def test_where_they_stand(dataset: Path) -> None:
    """As a mask of another, and seen by another, they are as any variable."""
    query = Query(5.0, 20.0, -6.0, 6.0, "2020-02-28", "2020-02-28")
    windows = [Window("sla", where="latitude", name="a"), Window("latitude", where="sla", name="b")]
    (batch,) = Loader(dataset, [query], windows, default_patch_size=(4, 4), batch_size=1)
    tree = batch.to_numpy()
    assert tree["masks"]["a"].all() and tree["masks"]["b"].all()
    for name in ("latitude", "land_fraction"):
        with pytest.raises(InvalidInputError, match="cannot be a variable"):
            oceanarrow.register_variable(name, source="x", file="x.nc", netcdf="x", unit="1")


RINGS = outlines()


def _is_land(lons: np.ndarray, lats: np.ndarray) -> np.ndarray:
    """By how often a point lies within a ring, of whatever turn."""
    inside = np.zeros(lons.shape, bool)
    for polygon in RINGS:
        for ring in polygon:
            path = Polygon(np.asarray(ring))
            for turn in (-360, 0, 360):
                points = np.column_stack([lons.ravel() + turn, lats.ravel()])
                inside ^= path.contains_points(points).reshape(lons.shape)
    return inside


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((-12.0, 32.0, 33.0, 62.0), (9, 11)),
        ((170.0, -165.0, 55.0, 72.0), (7, 8)),
        ((-65.0, 20.0, -90.0, -60.0), (6, 9)),
        ((-60.0, -10.0, 58.0, 85.0), (8, 6)),
        ((46.0, 55.0, 36.0, 47.0), (10, 8)),
        ((-10.0, 10.0, -5.0, 15.0), (2, 2)),
    ],
)
def test_land_is_the_share_of_area(dataset: Path, box: Any, shape: tuple[int, int]) -> None:
    query = Query(*box, "2020-01-01", "2020-01-01")
    (batch,) = Loader(dataset, [query], ["land_fraction"], default_patch_size=shape, batch_size=1)
    found = batch.to_numpy()["inputs"]["land_fraction"][0]
    east = box[1] + (360 if box[1] < box[0] else 0)
    rows = np.clip(_edges(np.linspace(box[2], box[3], shape[0]), *box[2:]), -90, 90)
    columns = _edges(np.linspace(box[0], east, shape[1]), box[0], east)
    n = 40
    due = np.zeros(shape)
    for i, j in np.ndindex(*shape):
        # Points that stand for equal areas.
        sines = np.sin(np.radians(rows[i : i + 2]))
        lats = np.degrees(np.arcsin(sines[0] + (np.arange(n) + 0.5) / n * np.diff(sines)))
        lons = columns[j] + (np.arange(n) + 0.5) / n * (columns[j + 1] - columns[j])
        due[i, j] = _is_land(*np.meshgrid(lons, lats)).mean()
    assert 0.05 < due.mean() < 0.95 and found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(found, due, atol=0.02)
    assert abs(found.mean() - due.mean()) < 0.003


def test_land_of_the_globe(dataset: Path) -> None:
    half = 0.5
    query = Query(-180 + half, 180 - half, -90 + half, 90 - half, "2020-01-01", "2020-01-01")
    names = ["land_fraction", "cell_area"]
    (batch,) = Loader(dataset, [query], names, default_patch_size=(180, 360), batch_size=1)
    land, area = (batch.to_numpy()["inputs"][name].astype(float) for name in names)
    # Natural Earth's land is 29 % of the earth.
    assert (land * area).sum() / area.sum() == pytest.approx(0.29, abs=0.01)
