"""Patches of a grid's own cells: bit for bit what the files say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from own_files import catalogue, write

from oceanarrow import Files, Loader
from oceanarrow.dataset import PatchSize, Query, QueryGenerator
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.catalog import Catalog

DAY = "2023-04-01"
DATES = (DAY, DAY)


def _rendered(path: Path, query: Query, name: str, **options: Any) -> tuple[Any, Any]:
    (batch,) = Loader(path, [query], [name], batch_size=1, **options)
    tree = batch.to_numpy()
    return tree["inputs"][name][0], tree["masks"][name][0]


def _unpacked(file: Path, netcdf: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values as float32 (NaN invalid), latitudes and longitudes, by the numbers that are stored."""
    with h5netcdf.File(file, "r") as opened:
        variable = opened.variables[netcdf]
        stored = np.asarray(variable[...]).reshape(variable.shape[-2:])
        fill = variable.attrs.get("_FillValue")
        values = stored.astype(np.float64)
        if fill is not None:
            values[stored == np.asarray(fill).ravel()[0]] = np.nan
        scale = np.asarray(variable.attrs.get("scale_factor", 1.0), np.float64).ravel()[0]
        offset = np.asarray(variable.attrs.get("add_offset", 0.0), np.float64).ravel()[0]
        lat, lon = (
            np.asarray(opened.variables[d][...], np.float64) for d in variable.dimensions[-2:]
        )
    return (values * scale + offset).astype(np.float32), lat, lon


def _globe(catalog: Catalog, name: str) -> np.ndarray:
    """All tiles of a day on one array."""
    grid, variable = catalog.grid(name), catalog.variables[name]
    whole = np.full((grid.lat.count, grid.lon.count), np.nan, np.float32)
    for granule in catalog.granules():
        if granule["day"] != DAY or granule["file"] != variable.file:
            continue
        if granule["source"] != variable.source:
            continue
        values, lat, lon = _unpacked(Path(granule["path"]), variable.netcdf)
        rows = np.round((lat - grid.lat.first) / grid.lat.step).astype(int)
        columns = np.round((lon - grid.lon.first) / grid.lon.step).astype(int)
        whole[np.ix_(rows, columns)] = values
    return whole


@pytest.mark.parametrize("name", ["l4_ssh", "l4_sss", "glorys_ssh"])
def test_cells_of_tiles_across_seams_and_the_antimeridian(ocean: Path, name: str) -> None:
    generator = QueryGenerator(catalog=ocean)
    assert generator.catalog is not None
    grid, due = generator.catalog.grid(name), _globe(generator.catalog, name)
    assert grid.wraps
    queries = [
        query
        for region in [(-180, 180, -90, 90), (178, 180, -50, 50)]
        for query in generator.generate_training_queries(
            30, PatchSize(9, "cells"), DATES, region, snap=name, seed=5, verbose=False
        )
    ]
    crossing = seams = 0
    for query in queries:
        values, mask = _rendered(ocean, query, name, default_patch_size=(9, 9), min_support=1.0)
        row = round((query.lat_min - grid.lat.first) / grid.lat.step)
        column = round((query.lon_min - grid.lon.first) / grid.lon.step)
        columns = (column + np.arange(9)) % grid.lon.count
        cells = due[row : row + 9][:, columns]
        np.testing.assert_array_equal(mask, ~np.isnan(cells))
        np.testing.assert_array_equal(values, np.nan_to_num(cells, nan=0.0))
        crossing += query.lon_min > query.lon_max
        seams += query.lat_min < 0 < query.lat_max
    assert len(queries) == 60 and crossing >= 20 and seams >= 2


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "lat": draw(
            st.sampled_from([(-89.875, 0.25, 720), (-45.2, 0.1, 900), (10.0, 1 / 12, 500)])
        ),
        "lon": draw(st.sampled_from([(-179.875, 0.25, 1440), (0.0, 1 / 12, 700), (0.5, 1.0, 360)])),
        "north_first": draw(st.booleans()),
        "packed": draw(st.booleans()),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "size": draw(st.integers(2, 40)),
        "seed": draw(st.integers(0, 10**6)),
    }


@settings(max_examples=25, deadline=None)
@given(layout=layouts(), resample=st.sampled_from(["bilinear", "nearest", "auto", "area"]))
def test_cells_of_drawn_layouts(
    tmp_path_factory: pytest.TempPathFactory, layout: dict[str, Any], resample: str
) -> None:
    folder = tmp_path_factory.mktemp("layout")
    axes = [first + step * np.arange(n) for first, step, n in (layout["lat"], layout["lon"])]
    lat, lon = (axis.astype(layout["dtype"]) for axis in axes)
    rng = np.random.default_rng(layout["seed"])
    field = rng.normal(size=(lat.size, lon.size)).astype(np.float32)
    field[rng.random(field.shape) < 0.2] = np.nan
    if layout["north_first"]:
        lat = lat[::-1]
    data = xr.Dataset(
        {"sla": (("time", "lat", "lon"), field[None], {"units": "m"})},
        {
            "time": np.array([DAY], "datetime64[ns]"),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )
    packing = {"dtype": "int16", "scale_factor": 0.001, "add_offset": 0.25, "_FillValue": -32768}
    encoding = {"sla": packing if layout["packed"] else {"_FillValue": np.float32(9e20)}}
    data.to_netcdf(folder / "a.nc", engine="h5netcdf", encoding=encoding)
    path = catalogue(folder / "a.parquet", Files(str(folder / "a.nc"), {"sla": "sla"}))
    due, lats, lons = _unpacked(folder / "a.nc", "sla")
    if layout["north_first"]:
        due, lats = due[::-1], lats[::-1]
    size = layout["size"]
    generator = QueryGenerator(catalog=path)
    queries = generator.generate_training_queries(
        3, PatchSize(size, "cells"), DATES, (-180, 180, -90, 90), snap="sla", verbose=False,
        seed=layout["seed"],
    )  # fmt: skip
    for query in queries:
        values, mask = _rendered(
            path, query, "sla", default_patch_size=(size, size), resample=resample
        )
        row = int(np.abs(lats - query.lat_min).argmin())
        column = int(np.abs((lons - query.lon_min + 180) % 360 - 180).argmin())
        cells = due[row : row + size][:, (column + np.arange(size)) % lons.size]
        np.testing.assert_array_equal(mask, ~np.isnan(cells))
        np.testing.assert_array_equal(values, np.nan_to_num(cells, nan=0.0))


def test_evaluation_patches_lie_side_by_side(ocean: Path) -> None:
    generator = QueryGenerator(catalog=ocean)
    queries = generator.generate_eval_queries(
        (-20.0, 20.0, -15.2, 15.2), PatchSize(8, "cells"), DATES, snap="l4_ssh", verbose=False
    )
    # Centres at half degrees: 40 columns make five patches, 30 rows four, the last moved inwards.
    west = sorted({query.lon_min for query in queries})
    south = sorted({query.lat_min for query in queries})
    assert west == [-19.5, -11.5, -3.5, 4.5, 12.5]
    assert south == [-14.5, -6.5, 1.5, 7.5]
    assert all(q.lon_max - q.lon_min == 7.0 == q.lat_max - q.lat_min for q in queries)
    half = generator.generate_eval_queries(
        (170.0, 190.0, 0.0, 8.0), PatchSize(8, "cells"), DATES, 0.5, snap="l4_ssh", verbose=False
    )
    assert [q.lon_min for q in half] == [170.5, 174.5, 178.5, -177.5]


def test_other_sizes_become_whole_cells(ocean: Path) -> None:
    generator = QueryGenerator(catalog=ocean)
    options: Any = {"date_range": DATES, "snap": "l4_ssh", "verbose": False}
    for query in generator.generate_training_queries(20, 5.2, **options):
        assert query.lat_max - query.lat_min == 5.0 == (query.lon_max - query.lon_min) % 360
        assert query.lat_min % 1 == 0.5
    for query in generator.generate_training_queries(20, PatchSize(555, "km"), **options):
        middle = (query.lat_min + query.lat_max) / 2
        width = 5.0 / np.cos(np.radians(middle))
        assert abs((query.lon_max - query.lon_min) % 360 - width) <= 0.6
        assert query.lat_max - query.lat_min == 5.0


def test_the_pole_is_not_cut(ocean: Path) -> None:
    queries = QueryGenerator(catalog=ocean).generate_training_queries(
        50, PatchSize(20, "cells"), DATES, (-180, 180, 80, 90), snap="l4_ssh", verbose=False
    )
    assert {query.lat_max for query in queries} <= {87.5, 88.5, 89.5}
    assert all(query.lat_max - query.lat_min == 19.0 for query in queries)


def test_land_and_overlap_across_the_antimeridian(ocean: Path) -> None:
    """Each box is held against the mask by itself, and against the others."""
    generator = QueryGenerator("builtin", catalog=ocean)
    assert generator.land_mask is not None
    options: Any = {"snap": "l4_ssh", "verbose": False, "oversample_factor": 20}
    queries = [
        query
        for region in ((170, 180, 55, 70), (-180, -170, 55, 70))
        for query in generator.generate_training_queries(
            12, PatchSize(6, "cells"), DATES, region, max_land_fraction=0.4,
            max_spatial_overlap=0.3, **options,
        )
    ]  # fmt: skip
    boxes = np.array([query.bbox for query in queries])
    crossing = boxes[:, 1] < boxes[:, 0]
    assert crossing.sum() >= 4
    shares = [generator.land_mask.get_land_fraction(query.bbox) for query in queries]
    np.testing.assert_allclose(generator.land_mask.land_fractions(boxes), shares)
    assert max(shares) <= 0.4
    assert max(np.array(shares)[crossing]) > 0
    for first in (queries[:12], queries[12:]):
        for i, a in enumerate(first):
            for b in first[:i]:
                assert _overlap(a, b) <= 0.3


def _overlap(a: Query, b: Query) -> float:
    """Intersection over union, cell by cell."""

    def cells(query: Query) -> set[tuple[float, float]]:
        width = (query.lon_max - query.lon_min) % 360
        lons = (query.lon_min + np.arange(0, width, 0.125) + 0.0625) % 360
        lats = np.arange(query.lat_min, query.lat_max, 0.125) + 0.0625
        return {(lon, lat) for lon in lons.tolist() for lat in lats.tolist()}

    one, other = cells(a), cells(b)
    return len(one & other) / len(one | other)


def test_the_same_seed_gives_the_same(ocean: Path) -> None:
    made = [
        QueryGenerator(catalog=ocean).generate_training_queries(
            10, PatchSize(8, "cells"), DATES, snap="l4_ssh", verbose=False, seed=3
        )
        for _ in range(2)
    ]
    assert made[0] == made[1]


def test_mistakes(ocean: Path, tmp_path: Path) -> None:
    cells = PatchSize(8, "cells")

    def train(generator: QueryGenerator, size: Any, **options: Any) -> Any:
        return generator.generate_training_queries(2, size, DATES, verbose=False, **options)

    generator = QueryGenerator(catalog=ocean)
    with pytest.raises(InvalidInputError, match="needs snap="):
        train(generator, cells)
    with pytest.raises(InvalidInputError, match="catalog=dataset"):
        train(QueryGenerator(), cells, snap="l4_ssh")
    with pytest.raises(InvalidInputError, match="nothing"):
        train(generator, cells, snap="nothing")
    with pytest.raises(InvalidInputError, match="latitude are not equally far apart"):
        train(generator, cells, snap="l3_sss_smos_asc")
    with pytest.raises(InvalidInputError, match="no cells of its own"):
        train(generator, cells, snap="argo")
    with pytest.raises(InvalidInputError, match="does not fit"):
        train(generator, PatchSize(200, "cells"), snap="l4_ssh")
    for size in (1, 2.5):
        with pytest.raises(InvalidInputError, match="whole number of cells"):
            PatchSize(size, "cells")
    with pytest.raises(InvalidInputError, match="depends on the grid"):
        cells.to_degrees(0.0)
    write(tmp_path / "a.nc", [1.0], [DAY])
    listed = catalogue(tmp_path / "a.parquet", Files(str(tmp_path / "a.nc"), {"sla": "sla"}))
    with pytest.warns(UserWarning, match="8 x 8 cells fits"):
        made = QueryGenerator(catalog=listed).generate_eval_queries(
            (0.0, 9.0, -9.0, 9.0), cells, DATES, snap="sla", verbose=False
        )
    assert made == []
