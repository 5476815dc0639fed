"""Queries that have what training needs: every one that is drawn meets what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oceanarrow import Catalog, Coverage, Files, Window, coverage, write_catalog
from oceanarrow.dataset import PatchSize, Query, QueryGenerator
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.land import LandMask

FIRST = np.datetime64("2021-01-30")
DAYS = 40
RANGE = (str(FIRST), str(FIRST + DAYS - 1))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Coverage]:
    """`everywhere` has all cells on all days but the last five; `seen` a band of longitudes that
    moves by 9 degrees a day, on every day that is no multiple of 4; `patch` a regional file."""
    import xarray as xr

    folder = tmp_path_factory.mktemp("world")
    lat, lon = np.arange(-89.0, 90, 2), np.arange(-179.0, 180, 2)

    def write(name: str, days: np.ndarray, lat: np.ndarray, lon: np.ndarray, values: Any) -> None:
        time = (FIRST + days).astype("datetime64[ns]")
        xr.Dataset(
            {name: (("time", "lat", "lon"), np.asarray(values, "f4"), {"units": "m"})},
            {
                "time": time,
                "lat": ("lat", lat, {"units": "degrees_north"}),
                "lon": ("lon", lon, {"units": "degrees_east"}),
            },
        ).to_netcdf(folder / f"{name}.nc", engine="h5netcdf")

    most = np.arange(DAYS - 5)
    write("everywhere", most, lat, lon, np.ones((most.size, lat.size, lon.size)))
    some = np.array([day for day in range(DAYS) if day % 4])
    band = (lon[None, :] + 180 - 9 * some[:, None]) % 360 < 60
    seen = np.where(band[:, None, :], 1.0, np.nan) * np.ones((1, lat.size, 1))
    write("seen", some, lat, lon, seen)
    near, far = np.arange(11.0, 40, 2), np.arange(171.0, 200, 2)
    write("patch", np.arange(3, 6), near, far, np.ones((3, near.size, far.size)))
    names = ("everywhere", "seen", "patch")
    write_catalog(
        folder / "c.parquet",
        [Files(folder / f"{name}.nc", {name: name}) for name in names],
        progress=False,
    )
    return folder / "c.parquet", coverage(folder / "c.parquet", names, progress=False)


@pytest.fixture(scope="module")
def generator(world: tuple[Path, Coverage]) -> QueryGenerator:
    return QueryGenerator("builtin", catalog=world[0], coverage=world[1])


def draw(generator: QueryGenerator, n: int, **options: Any) -> list[Query]:
    defaults: dict[str, Any] = {"max_land_fraction": 1.0, "verbose": False}
    return generator.generate_training_queries(n, PatchSize(10, "deg"), RANGE, **defaults | options)


def day_of(query: Query) -> int:
    return int((np.datetime64(str(query.time_start)) - FIRST).astype(int))


def test_each_has_the_share_that_was_asked_for(
    world: tuple[Path, Coverage], generator: QueryGenerator
) -> None:
    drawn = draw(generator, 300, min_valid={"seen": 0.3}, oversample_factor=20)
    assert len(drawn) == 300
    for query in drawn:
        day = day_of(query)
        # By hand: how much of the box lies in the day's band, which cells of 2 degrees make up.
        start = (9 * day) % 360
        west = (query.lon_min + 180 - start) % 360
        width = query.lon_max - query.lon_min
        inside = max(0.0, min(60, west + width) - west) if west < 60 else 0.0
        inside += max(0.0, west + width - 360)
        assert day % 4 and inside / width > 0.3 - 2.01 / width
    assert len({day_of(query) for query in drawn}) > 20


def test_each_has_the_files_that_were_asked_for(generator: QueryGenerator) -> None:
    assert {day_of(q) % 4 for q in draw(generator, 200, require=["seen"])} == {1, 2, 3}
    drawn = draw(generator, 60, require=["patch"], oversample_factor=500)
    assert len(drawn) == 60
    for query in drawn:
        # Its cells are those of 10..40 N and 170..200 E.
        assert 3 <= day_of(query) <= 5 and query.lat_max > 10 and query.lat_min < 40
        assert query.lon_max > 170 or query.lon_min < -160
    assert any(query.lon_min < -160 for query in drawn)
    wide = draw(generator, 100, require=["patch"], time_window_days=5, oversample_factor=300)
    assert min(map(day_of, wide)) >= -1 and {day_of(query) for query in wide} <= set(range(-1, 6))


def test_windows_lie_inside_the_days_that_exist(generator: QueryGenerator) -> None:
    window = Window("everywhere", -6, 7, name="around")
    days = {day_of(query) for query in draw(generator, 600, windows=[window])}
    assert days == set(range(6, DAYS - 5 - 7))
    later = Window("seen", 2, name="later")
    days = {day_of(q) for q in draw(generator, 300, windows=[later], require=["later"])}
    assert {(day + 2) % 4 for day in days} == {1, 2, 3}
    drawn = draw(generator, 80, windows=[later], min_valid={"later": 0.5}, oversample_factor=40)
    assert all((day_of(query) + 2) % 4 for query in drawn)
    with pytest.raises(InvalidInputError, match="no day of date_range"):
        draw(generator, 5, windows=[Window("patch", -9, 9)])


def test_strata_are_equal(generator: QueryGenerator) -> None:
    months = [str(query.time_start)[5:7] for query in draw(generator, 90, stratify="month")]
    assert sorted(map(months.count, set(months))) == [30, 30, 30]
    assert months != sorted(months)
    regions = []
    for query in draw(generator, 81, stratify="region", bbox_constraint=(-180, 100, -60, 60)):
        lon, lat = (query.lon_min + query.lon_max) / 2, (query.lat_min + query.lat_max) / 2
        # Boxes at the antimeridian are cut, which moves their middle.
        regions.append((int((lon + 180) // 90), int(lat // 90)))
    assert sorted(map(regions.count, set(regions))) == [10] * 7 + [11]


def test_places_are_uniform_on_the_sphere(generator: QueryGenerator) -> None:
    drawn = draw(generator, 4000, area_uniform=True, bbox_constraint=(-180, 180, -80, 80))
    lat = np.array([(query.lat_min + query.lat_max) / 2 for query in drawn])
    share = (np.abs(lat) < 30).mean()
    assert share == pytest.approx(np.sin(np.radians(30)) / np.sin(np.radians(80)), abs=0.03)


def test_land_and_overlap_count_too(generator: QueryGenerator) -> None:
    drawn = draw(generator, 150, require=["seen"], max_land_fraction=0.2, max_spatial_overlap=0.1)
    mask = LandMask.builtin()
    assert len(drawn) == 150 and all(mask.is_ocean(query.bbox, 0.2) for query in drawn)
    for i, a in enumerate(drawn):
        for b in drawn[:i]:
            if a.time_start != b.time_start:
                continue
            width = min(a.lon_max, b.lon_max) - max(a.lon_min, b.lon_min)
            height = min(a.lat_max, b.lat_max) - max(a.lat_min, b.lat_min)
            if width > 0 and height > 0:
                areas = [(q.lon_max - q.lon_min) * (q.lat_max - q.lat_min) for q in (a, b)]
                assert width * height / (sum(areas) - width * height) <= 0.1 + 1e-9


def test_land_fractions_of_many_are_those_of_each() -> None:
    mask, rng = LandMask.builtin(), np.random.default_rng(0)
    west, south = rng.uniform(-180, 180, 500), rng.uniform(-90, 90, 500)
    east, north = rng.uniform(west, 180), rng.uniform(south, 90)
    boxes = np.column_stack([west, east, south, north])
    boxes = np.concatenate([boxes, [(-180, 180, -90, 90), (0.25, 0.5, 0, 0.25), (180, 180, 0, 1)]])
    due = [mask.get_land_fraction(tuple(box)) for box in boxes.tolist()]
    np.testing.assert_array_equal(mask.land_fractions(boxes)[:-1], due[:-1])


def test_the_same_seed_the_same_queries(generator: QueryGenerator) -> None:
    drawn = draw(generator, 50, require=["seen"], stratify="month", seed=3)
    assert drawn == draw(generator, 50, require=["seen"], stratify="month", seed=3)
    assert drawn != draw(generator, 50, require=["seen"], stratify="month", seed=4)


def test_none_of_it_gives_the_documented_queries(generator: QueryGenerator) -> None:
    plain = draw(QueryGenerator("builtin"), 40, max_land_fraction=0.3)
    assert draw(generator, 40, max_land_fraction=0.3) == plain
    assert draw(generator, 40, max_land_fraction=0.3, require=[], min_valid={}) == plain


def test_evaluation_grids(world: tuple[Path, Coverage], generator: QueryGenerator) -> None:
    def grid(**options: Any) -> list[Query]:
        return generator.generate_eval_queries(
            (-180, 180, -60, 60), 10, RANGE, max_land_fraction=1.0, verbose=False, **options
        )

    every, some = grid(), grid(require=["patch"])
    assert set(some) < set(every)
    assert {day_of(query) for query in some} == {3, 4, 5}
    shares = world[1].valid_share(every, "seen")
    kept = grid(min_valid={"seen": 0.5})
    assert kept == [query for query, share in zip(every, shares, strict=True) if share >= 0.5]
    windowed = grid(windows=[Window("everywhere", -6, 7)], temporal_stride_days=3)
    assert {day_of(query) for query in windowed} == set(range(6, DAYS - 12, 3))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"require": "seen"}, "must be a list"),
        ({"require": ["nothing"]}, "Unknown variables: 'nothing'"),
        ({"min_valid": {"seen": 1.5}}, "from 0 to 1"),
        ({"min_valid": {"nothing": 0.5}}, "'nothing' was not measured"),
        ({"windows": ["seen"]}, "list of oceanarrow.Window"),
        ({"stratify": "year"}, "stratify must be"),
    ],
)
def test_bad_arguments(generator: QueryGenerator, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        draw(generator, 5, **options)


def test_what_is_needed_is_said(world: tuple[Path, Coverage]) -> None:
    plain = QueryGenerator()
    with pytest.raises(InvalidInputError, match=r"QueryGenerator\(..., catalog=dataset\)"):
        draw(plain, 5, require=["seen"])
    with pytest.raises(InvalidInputError, match=r"coverage=oceanarrow.coverage\(dataset, \['seen'"):
        draw(plain, 5, min_valid={"seen": 0.1})
    coarse = coverage(world[0], ["seen"], cell=6, progress=False)
    with pytest.raises(InvalidInputError, match="more than half of a box"):
        draw(QueryGenerator(coverage=coarse), 5, min_valid={"seen": 0.1})
    made = QueryGenerator(catalog=Catalog(world[0]))
    assert len(draw(made, 5, require=["seen"])) == 5
