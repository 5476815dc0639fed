"""Coverage against counts of the files by NumPy, and its shares against sums cell by cell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oceanarrow
from oceanarrow import Catalog, Coverage, Files, coverage, write_catalog
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidDatasetError, InvalidInputError, NotFoundError

FIRST = np.datetime64("2021-03-01")
DAYS = 4


def field(path: Path, lat: np.ndarray, lon: np.ndarray, values: np.ndarray, first: int) -> None:
    import xarray as xr

    quality = (np.arange(values.size).reshape(values.shape) % 3).astype("i1")
    time = (FIRST + first).astype("datetime64[ns]") + np.arange(len(values)) * np.timedelta64(
        1, "D"
    )
    dims = ("time", "lat", "lon")
    xr.Dataset(
        {"v": (dims, values, {"units": "m"}), "quality": (dims, quality)},
        {
            "time": time,
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    ).to_netcdf(path, engine="h5netcdf")


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A global file on 0..360 of the first two days, a regional one of the last; none on the third.
    Both have gaps. Also where their cells lie: day, latitudes, longitudes, valid."""
    folder = tmp_path_factory.mktemp("listed")
    rng = np.random.default_rng(4)
    lat, lon = np.arange(-90, 90.1, 1.5), np.arange(0, 360, 1.25)
    values = rng.normal(size=(2, lat.size, lon.size)).astype("f4")
    values[rng.random(values.shape) < 0.4] = np.nan
    field(folder / "a.nc", lat, lon, values, 0)
    near, far = np.linspace(-9.9, 31.7, 53), np.linspace(170.2, 189.9, 31)
    more = rng.normal(size=(1, near.size, far.size)).astype("f4")
    more[rng.random(more.shape) < 0.7] = np.nan
    field(folder / "b.nc", near, far, more, 3)
    files = folder / "?.nc"
    write_catalog(
        folder / "c.parquet",
        [Files(files, {"v": "v"}), Files(files, {"good": "v"}, valid={"quality": {1, 2}})],
        progress=False,
    )
    parts = [(day, lat, lon, np.isfinite(values[day])) for day in range(2)]
    return folder / "c.parquet", [*parts, (3, near, far, np.isfinite(more[0]))]


def counted(parts: list[Any], day: int, cell: float) -> np.ndarray:
    """Cells and valid cells of a day by coarse cell: (2, rows, columns)."""
    rows, columns = int(np.ceil(180 / cell)), int(np.ceil(360 / cell))
    found = np.zeros((2, rows, columns), int)
    for of, lat, lon, valid in parts:
        if of != day:
            continue
        i = np.minimum(((lat + 90) / cell).astype(int), rows - 1)
        j = np.minimum(((lon + 180) % 360 / cell).astype(int), columns - 1)
        np.add.at(found[0], (i[:, None], j[None, :]), 1)
        np.add.at(found[1], (i[:, None], j[None, :]), valid)
    return found


@pytest.mark.parametrize("cell", [2.0, 7.0, 45.0])
def test_counts_are_those_of_the_files(listed: tuple[Path, list[Any]], cell: float) -> None:
    path, parts = listed
    found = coverage(path, ["v"], cell=cell, progress=False)
    assert found.days.tolist() == (FIRST + np.arange(DAYS)).astype(int).tolist()
    for day in range(DAYS):
        counts = found.counts("v", str(FIRST + day))
        if day == 2:
            assert counts is None
            continue
        assert counts is not None
        np.testing.assert_array_equal(np.array(counts), counted(parts, day, cell))


def test_quality_rules_count(listed: tuple[Path, list[Any]]) -> None:
    path, parts = listed
    found = coverage(path, ["v", "good"], progress=False)
    flagged = [
        (day, lat, lon, valid & (np.arange(valid.size).reshape(valid.shape) % 3 != 0))
        for day, lat, lon, valid in (parts[0], parts[2])
    ]
    for day, part in zip((0, 3), flagged, strict=True):
        counts = found.counts("good", str(FIRST + day))
        np.testing.assert_array_equal(np.array(counts), counted([part], day, 2.0))


def test_tiles_and_profiles(ocean: Path) -> None:
    """Of a container: the cells of all tiles, each once; levels of profiles where they lie."""
    day = "2023-04-01"
    found = coverage(ocean, ["l4_ssh", "l3_swot", "argo"], cell=10.0, days=(day, day))
    for name, file, variable in (
        ("l4_ssh", "l4_ssh.nc", "sla"),
        ("l3_swot", "l3_swot.nc", "ssha_filtered"),
    ):
        files = sorted(ocean.glob(f"DATA/2023_04_01/*/{file}"))
        cells = valid = 0
        for path in files:
            with h5py.File(path) as opened:
                key = variable if variable in opened else None
                assert key is not None, list(opened)
                stored = opened[key]
                fill = stored.attrs.get("_FillValue", np.nan)
                raw = stored[()]
                cells += raw.size
                valid += int((np.isfinite(raw) & (raw != fill)).sum())
        counts = found.counts(name, day)
        assert counts is not None and (counts[0].sum(), counts[1].sum()) == (cells, valid)
    profile = oceanarrow.open_patch(ocean, Query(-180, 180, -90, 90, day, day), ["argo"])
    counts = found.counts("argo", day)
    assert counts is not None and counts[0].sum() == counts[1].sum() == profile["argo"].size > 0


BOXES = st.tuples(
    st.floats(-180, 179), st.floats(15, 200), st.floats(-90, 70), st.floats(15, 60),
    st.integers(0, DAYS - 1), st.integers(0, DAYS - 1),
)  # fmt: skip


@given(st.lists(BOXES, min_size=1, max_size=5))
def test_shares_are_sums_of_cells_by_their_part_inside(
    listed: tuple[Path, list[Any]], boxes: list[tuple[float, float, float, float, int, int]]
) -> None:
    path, parts = listed
    cell = 7.0
    found = coverage(path, ["v"], cell=cell, progress=False)
    queries, due = [], []
    for west, width, south, height, a, b in boxes:
        north, east = min(90.0, south + height), west + width
        if north - south < 14:
            south = north - 14
        days = sorted((a, b))
        turned = east - 360 if east > 180 else east
        queries.append(
            Query(west, turned, south, north, str(FIRST + days[0]), str(FIRST + days[1]))
        )
        edges = np.append(np.arange(0, 360, cell), 360.0)
        up = np.append(np.arange(0, 180, cell), 180.0)

        def inside(edges: np.ndarray, low: float, high: float) -> np.ndarray:
            overlap = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
            return np.clip(overlap, 0, None) / np.diff(edges)

        across = inside(edges, west + 180, east + 180) + inside(edges, west - 180, east - 180)
        weight = inside(up, south + 90, north + 90)[:, None] * across
        counts = sum(counted(parts, day, cell) for day in range(days[0], days[1] + 1))
        cells, valid = (counts * weight).sum(axis=(1, 2))
        due.append(valid / cells if cells else 0.0)
    np.testing.assert_allclose(found.valid_share(queries, "v"), due, rtol=1e-9, atol=1e-12)


def test_what_was_not_measured_is_an_error(listed: tuple[Path, list[Any]]) -> None:
    path, _ = listed
    found = coverage(path, ["v"], days=("2021-03-01", "2021-03-02"), progress=False)
    with pytest.raises(InvalidInputError, match=r"'good' was not measured; .*coverage\("):
        found.valid_share(Query(0, 9, 0, 9, "2021-03-01", "2021-03-01"), "good")
    with pytest.raises(InvalidInputError, match="'v' was not measured on 2021-03-03"):
        found.valid_share(Query(0, 9, 0, 9, "2021-03-02", "2021-03-03"), "v")
    with pytest.raises(InvalidInputError, match=r"more than half of a box of 3 .*cell=0.75"):
        found.valid_share(Query(0, 3, 0, 9, "2021-03-01", "2021-03-01"), "v")
    with pytest.raises(InvalidInputError, match="Unknown variables: 'w'"):
        coverage(path, ["w"])
    for wrong in (0.01, 90, float("nan")):
        with pytest.raises(InvalidInputError, match="cell must be"):
            coverage(path, ["v"], cell=wrong)


def test_a_file_of_it_is_read_back(listed: tuple[Path, list[Any]], tmp_path: Path) -> None:
    path, _ = listed
    made = coverage(path, ["v", "good"], output=tmp_path / "c.parquet", progress=False)
    found = Coverage.load(tmp_path / "c.parquet")
    assert (found.cell, found.variables) == (2.0, ["v", "good"])
    for name in found.variables:
        for day in made.days.tolist():
            due, counts = made.counts(name, day), found.counts(name, day)
            assert (due is None) == (counts is None)
            if due is not None:
                np.testing.assert_array_equal(np.array(counts), np.array(due))
    tree = found.to_xarray()
    assert tree["valid"].sel(variable="v").isnull().all(("lat", "lon")).values.tolist() == [
        False, False, True, False,
    ]  # fmt: skip
    counts = made.counts("v", "2021-03-01")
    assert counts is not None
    np.testing.assert_array_equal(tree["valid"].sel(variable="v")[0], counts[1])
    assert "v" in repr(found) and "3 days with a file" in repr(found)


def test_an_update_reads_only_what_is_new(ocean: Path, tmp_path: Path) -> None:
    import shutil

    copy, output = tmp_path / "ocean", tmp_path / "c.parquet"
    shutil.copytree(ocean, copy)
    made = coverage(copy, ["l4_ssh"], output=output, progress=False)
    day, path = "2023-04-02", sorted(copy.glob("DATA/2023_04_02/*/l4_ssh.nc"))[0]
    before = path.stat()
    broken = bytearray(path.read_bytes())
    broken[len(broken) // 3 :] = bytes(len(broken) - len(broken) // 3)
    path.write_bytes(broken)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    kept = coverage(copy, ["l4_ssh"], output=output, progress=False)
    np.testing.assert_array_equal(kept.counts("l4_ssh", day), made.counts("l4_ssh", day))
    os.utime(path)
    with pytest.warns(UserWarning, match=rf"1 days could not be read.*l4_ssh on {day}"):
        found = coverage(copy, ["l4_ssh"], output=output, progress=False)
    assert found.counts("l4_ssh", day) is None
    shutil.copy2(ocean / path.relative_to(copy), path)
    mended = coverage(copy, ["l4_ssh"], output=output, progress=False)
    np.testing.assert_array_equal(mended.counts("l4_ssh", day), made.counts("l4_ssh", day))


def test_files_that_are_no_coverage(listed: tuple[Path, list[Any]], tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, _ = listed
    with pytest.raises(NotFoundError, match="no such file"):
        Coverage.load(tmp_path / "none.parquet")
    with pytest.raises(InvalidDatasetError, match="no coverage that oceanarrow wrote"):
        coverage(path, ["v"], output=path, progress=False)
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(InvalidDatasetError, match="no coverage"):
        Coverage.load(tmp_path / "text.parquet")
    newer = pa.table({"a": [1]}).replace_schema_metadata(
        {"oceanarrow.coverage": '{"version": 99, "cell": 2}'}
    )
    pq.write_table(newer, tmp_path / "newer.parquet")
    with pytest.raises(InvalidDatasetError, match="version 99"):
        Coverage.load(tmp_path / "newer.parquet")
    coverage(path, ["v"], cell=9, output=tmp_path / "nine.parquet", progress=False)
    with pytest.raises(InvalidInputError, match="cells of 9 degrees; give cell=9"):
        coverage(path, ["v"], cell=3, output=tmp_path / "nine.parquet", progress=False)


def test_a_catalog_for_people(ocean: Path, listed: tuple[Path, list[Any]]) -> None:
    catalog = Catalog(listed[0])
    assert catalog.days == ("2021-03-01", "2021-03-04", ["2021-03-03"])
    assert set(catalog.variables) == {"v", "good"}
    text = repr(catalog)
    assert "2021-03-01 to 2021-03-04, without 2021-03-03" in text and len(text.splitlines()) <= 12
    container = Catalog(ocean)
    table = container.to_arrow()
    rows, due = table.to_pylist(), container.granules()
    assert len(rows) == len(container) == len(due) > 50
    for row, granule in zip(rows, due, strict=True):
        assert str(row["day"]) == granule["day"]
        for key in ("region", "source", "file", "path", "offset", "size"):
            assert row[key] == granule[key]
        box = (row["lon_min"], row["lon_max"], row["lat_min"], row["lat_max"])
        assert box == container.regions[granule["region"]]
    assert all(len(line) <= 100 for line in repr(container).splitlines()[1:])
