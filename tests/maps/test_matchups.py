"""Values at points: xarray's interpolation, and the engine's own pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr
from own_files import LAT, LON, catalogue

from oceanarrow import Files, Loader, Window, matchups
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError

DAYS = [f"2020-01-{day:02d}" for day in range(1, 7)]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matchups")
    rng = np.random.default_rng(2)
    axes = {
        "time": np.array(DAYS, "datetime64[ns]"),
        "lat": ("lat", LAT, {"units": "degrees_north"}),
        "lon": ("lon", LON, {"units": "degrees_east"}),
    }
    data = rng.normal(size=(len(DAYS), LAT.size, LON.size))
    holes = np.where(rng.random(data.shape) < 0.2, np.nan, data)
    for name, values in (("full", data), ("holes", holes)):
        variable = (("time", "lat", "lon"), values.astype("f4"), {"units": "m"})
        xr.Dataset({name: variable}, axes).to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    files = [Files(str(folder / f"{name}.nc"), {name: name}) for name in ("full", "holes")]
    return catalogue(folder / "c.parquet", files)


def some_points(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    hours = rng.integers(0, 24 * len(DAYS), n).astype("timedelta64[h]")
    return {
        "time": np.datetime64(DAYS[0], "ns") + hours,
        "lat": rng.uniform(LAT[0], LAT[-1], n),
        "lon": rng.uniform(LON[0], LON[-1], n),
    }


def beside_a_centre(points: dict[str, np.ndarray]) -> np.ndarray:
    near = np.zeros(len(points["lat"]), bool)
    for place in ((points["lat"] - LAT[0]) / 2, (points["lon"] - LON[0]) / 2):
        near |= np.abs(place - np.rint(place)) < 1.01e-3
    return near


def test_against_xarray(own: Path) -> None:
    points = some_points(5000)
    found = matchups(own, points, ["full"], progress=False)
    assert found.column_names == ["time", "lat", "lon", "full", "full_support"]
    grid = xr.load_dataset(own.parent / "full.nc")["full"]
    at = {name: xr.DataArray(points[name], dims="p") for name in ("lat", "lon")}
    day = points["time"].astype("datetime64[D]").astype("datetime64[ns]")
    # Day by day, for xarray would interpolate in time too.
    expected = np.full(5000, np.nan)
    for stamp in np.unique(day):
        rows = day == stamp
        there = {name: axis[rows] for name, axis in at.items()}
        expected[rows] = grid.sel(time=stamp).astype(float).interp(**there).values
    # A point within a thousandth of a cell of a centre takes that cell (reference/identity.md).
    sure = ~beside_a_centre(points)
    np.testing.assert_allclose(found["full"].to_numpy()[sure], expected[sure], atol=2e-6)
    np.testing.assert_allclose(found["full"].to_numpy(), expected, atol=5e-3)
    np.testing.assert_array_equal(found["lat"].to_numpy(), points["lat"])
    assert (found["full_support"].to_numpy() > 0.999).all()


def test_holes_are_left_out_by_their_weight(own: Path) -> None:
    points = some_points(3000, seed=4)
    found = matchups(own, points, ["holes"], min_support=0.3, progress=False)
    grid = xr.load_dataset(own.parent / "holes.nc")["holes"].values
    y, x = (points["lat"] - LAT[0]) / 2, (points["lon"] - LON[0]) / 2
    day = (points["time"] - np.datetime64(DAYS[0])) // np.timedelta64(1, "D")
    sums, weights = np.zeros(3000), np.zeros(3000)
    for dy in (0, 1):
        for dx in (0, 1):
            i, j = np.floor(y).astype(int) + dy, np.floor(x).astype(int) + dx
            weight = np.abs(1 - dy - (y - np.floor(y))) * np.abs(1 - dx - (x - np.floor(x)))
            value = grid[day, np.minimum(i, LAT.size - 1), np.minimum(j, LON.size - 1)]
            good = np.isfinite(value)
            sums += np.where(good, weight * np.nan_to_num(value), 0)
            weights += np.where(good, weight, 0)
    support = found["holes_support"].to_numpy()
    np.testing.assert_allclose(support, weights, atol=2e-3)
    values = found["holes"].to_numpy(zero_copy_only=False)
    sure = np.abs(weights - 0.3) > 2e-3
    np.testing.assert_array_equal(np.isfinite(values)[sure], (weights > 0.3)[sure])
    good = np.isfinite(values)
    plain = good & ~beside_a_centre(points)
    np.testing.assert_allclose(values[plain], (sums / weights)[plain], atol=1e-5)
    assert found["holes"].null_count == (~good).sum() > 0


def test_any_table_in_any_order(own: Path) -> None:
    points = some_points(500, seed=7)
    expected = matchups(own, points, ["full"], progress=False)
    for table in (
        pd.DataFrame(points),
        pa.table(points),
        xr.Dataset({k: ("p", v) for k, v in points.items()}),
    ):
        assert matchups(own, table, ["full"], progress=False).equals(expected)
    turned = {**points, "lon": points["lon"] + 360.0}
    assert matchups(own, turned, ["full"], progress=False)["full"].equals(expected["full"])
    order = np.random.default_rng(0).permutation(500)
    shuffled = matchups(own, {k: v[order] for k, v in points.items()}, ["full"], progress=False)
    assert shuffled["full"].to_pylist() == expected["full"].take(order).to_pylist()
    none = matchups(own, {k: v[:0] for k, v in points.items()}, ["full"], progress=False)
    assert (none.num_rows, none.column_names) == (0, expected.column_names)


def test_windows_and_tiles_and_profiles(ocean: Path) -> None:
    found = matchups(ocean, "argo", ["l4_sst", Window("l4_ssh", 1, name="next")], progress=False)
    assert found.column_names == [
        *("time", "lat", "lon", "argo", "pressure"),
        *("l4_sst", "l4_sst_support", "next", "next_support"),
    ]
    rows = np.flatnonzero(~np.isnan(found["l4_sst"].to_numpy(zero_copy_only=False)))[::7][:20]
    assert rows.size > 5
    for row in rows.tolist():
        told = found.slice(row, 1).to_pylist()[0]
        day = str(told["time"].date())
        # A patch whose corner lies there has the same rule.
        query = Query(told["lon"], told["lon"] + 1, told["lat"], told["lat"] + 1, day, day)
        (batch,) = Loader(
            ocean, [query], ["l4_sst"], batch_size=1, default_patch_size=5, shuffle=False
        )
        assert batch.to_numpy()["inputs"]["l4_sst"][0, 0, 0] == pytest.approx(
            told["l4_sst"], abs=1e-4
        )


def test_mistakes(own: Path, ocean: Path) -> None:
    points = some_points(5)
    for changes, why in [
        ({"time": None}, "'time' is missing"),
        ({"lat": None}, "'lat' is missing"),
        ({"lat": np.array([1.0])}, "of one length"),
        ({"lat": np.array([1.0, 2, 3, 4, 91])}, "1 points are nowhere.*row 4"),
        ({"lon": np.array([1.0, np.nan, 3, 4, 5])}, "nowhere.*row 1"),
        ({"lat": np.array(list("abcde"))}, "points: "),
        ({"time": points["time"] + np.timedelta64(300, "D")}, "5 of 5 points lie outside the days"),
    ]:
        changed = {k: v for k, v in {**points, **changes}.items() if v is not None}
        with pytest.raises(InvalidInputError, match=why):
            matchups(own, changed, ["full"])
    with pytest.raises(InvalidInputError, match="'l4_sst' is gridded"):
        matchups(ocean, "l4_sst", ["l4_ssh"])
    with pytest.raises(InvalidInputError, match="give profiles as points"):
        matchups(ocean, "argo", ["argo"])
    with pytest.raises(InvalidInputError, match="a table with the columns"):
        matchups(own, 3, ["full"])
    undated: Any = matchups(
        own,
        {**points, "time": points["time"] + np.timedelta64(300, "D")},
        ["latitude"],
        progress=False,
    )
    np.testing.assert_allclose(undated["latitude"].to_numpy(), points["lat"], atol=1e-5)
