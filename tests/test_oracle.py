"""The oracle against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
import pytest
import xarray as xr
from oracle import Query

NAN = float("nan")
DAY = "2023-04-01"
NEXT = "2023-04-02"


def put(
    root: Path,
    region: str,
    lat: list[float],
    lon: list[float],
    values: object,
    *,
    day: str = DAY,
    file: str = "l4_ssh.nc",
    name: str = "sla",
    times: list[str] | None = None,
    **attributes: object,
) -> Path:
    """Write one tile of plain float64 values."""
    path = root / "DATA" / day.replace("-", "_") / region / file
    path.parent.mkdir(parents=True, exist_ok=True)
    dims = ("lat", "lon") if times is None else ("time", "lat", "lon")
    array = xr.DataArray(np.array(values, float), dims=dims, attrs=attributes)
    coordinates = {"lat": lat, "lon": lon}
    if times is not None:
        coordinates["time"] = np.array(times, "datetime64[ns]")
    xr.Dataset({name: array}, coordinates).to_netcdf(path, engine="h5netcdf")
    return path


def ask(lon_min: float, lon_max: float, lat_min: float, lat_max: float, end: str = DAY) -> Query:
    return Query(lon_min, lon_max, lat_min, lat_max, DAY, end)


def columns(lat: list[float], row: list[float]) -> list[list[float]]:
    """The same row at every latitude."""
    return [row] * len(lat)


def test_bilinear_leaves_invalid_neighbours_out(tmp_path: Path) -> None:
    put(tmp_path, "NORTH_INDIAN", [10, 11], [20, 21], [[1, 2], [3, NAN]])
    query = ask(20, 21, 10, 11)
    got = oracle.render(tmp_path, query, "l4_ssh", (3, 3))
    want = [[1, 1.5, 2], [2, 2, 2], [3, 3, 0]]
    np.testing.assert_allclose(got.data, want)
    np.testing.assert_allclose(got.support, [[1, 1, 1], [1, 0.75, 0.5], [1, 0.5, 0]])
    assert got.mask.tolist() == [[True] * 3, [True] * 3, [True, True, False]]
    strict = oracle.render(tmp_path, query, "l4_ssh", (3, 3), min_support=0.6, fill_value=-9)
    assert strict.data[1].tolist() == [2, 2, -9] and not strict.mask[2, 1]


def test_descending_latitudes_are_turned(tmp_path: Path) -> None:
    put(tmp_path, "NORTH_INDIAN", [11, 10], [20, 21], [[3, 3], [1, 1]])
    got = oracle.render(tmp_path, ask(20, 21, 10, 11), "l4_ssh", (3, 1))
    assert got.data[:, 0].tolist() == [1, 2, 3]


def test_edges_reach_half_a_cell(tmp_path: Path) -> None:
    put(tmp_path, "NORTH_INDIAN", [10, 11], [20, 21, 23], columns([10, 11], [1, 2, 4]))
    got = oracle.render(tmp_path, ask(19.25, 24.25, 10, 11), "l4_ssh", (1, 11))
    # Points every 0.5: the west edge reaches to 19.5, the east edge to 24.
    assert got.lons.tolist() == np.arange(19.25, 24.3, 0.5).tolist()
    want = [0, 1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4, 4, 0]
    np.testing.assert_allclose(got.data[0], want, rtol=1e-6)
    assert got.mask[0].tolist() == [False, *[True] * 9, False]


def test_nothing_shows_where_tiles_meet(tmp_path: Path) -> None:
    west = put(tmp_path, "NORTH_ATLANTIC", [10, 11], [-1.5, -0.5], columns([1, 1], [1, 2]))
    east = put(tmp_path, "NORTH_INDIAN", [10, 11], [0.5, 1.5], columns([1, 1], [4, 5]))
    both = oracle.render(tmp_path, ask(-1, 1, 10, 11), "l4_ssh", (2, 3))
    assert both.data[0].tolist() == [1.5, 3, 4.5] and both.files == {west, east}
    inside = oracle.render(tmp_path, ask(0, 1, 10, 11), "l4_ssh", (2, 2))
    assert inside.data[0].tolist() == [3, 4.5] and inside.files == {west, east}
    away = oracle.render(tmp_path, ask(0.75, 1.25, 10, 11), "l4_ssh", (2, 2))
    assert away.files == away.files_at_most == {east}
    on_cell = oracle.render(tmp_path, ask(0.5, 1, 10, 11), "l4_ssh", (2, 2))
    assert on_cell.files == {east} and on_cell.files_at_most == {west, east}


def test_a_neighbour_alone_does_not_make_it_present(tmp_path: Path) -> None:
    put(tmp_path, "NORTH_ATLANTIC", [10, 11], [-1.5, -0.5], columns([1, 1], [1, 2]))
    got = oracle.render(tmp_path, ask(0, 1, 10, 11), "l4_ssh", (2, 2), fill_value=7)
    assert not got.present and not got.mask.any() and (got.data == 7).all() and not got.files


def test_cells_of_two_tiles_are_averaged(tmp_path: Path) -> None:
    put(tmp_path, "NORTH_ATLANTIC", [10, 11], [-1, 0], [[1, 2], [1, NAN]])
    put(tmp_path, "NORTH_INDIAN", [10, 11], [0.0004, 1], [[4, 5], [6, 7]])
    got = oracle.render(tmp_path, ask(-1, 1, 10, 11), "l4_ssh", (2, 3))
    np.testing.assert_allclose(got.data, [[1, 3, 5], [1, 6, 7]], rtol=1e-3)


@pytest.mark.parametrize("edges", [(178, 182), (178, -178), (-182, -178)])
def test_the_antimeridian_has_three_spellings(tmp_path: Path, edges: tuple[float, float]) -> None:
    put(tmp_path, "NORTH_PACIFIC_EAST", [10, 11], [178.5, 179.5], columns([1, 1], [1, 2]))
    put(tmp_path, "NORTH_PACIFIC_WEST", [10, 11], [-179.5, -178.5], columns([1, 1], [3, 4]))
    got = oracle.render(tmp_path, ask(*edges, 10, 11), "l4_ssh", (1, 5))
    assert got.data[0].tolist() == [1, 1.5, 2.5, 3.5, 4]
    assert got.lons.tolist() == list(range(edges[0], edges[0] + 5))


def test_nothing_is_interpolated_across_a_gap(tmp_path: Path) -> None:
    lon = [10, 11, 12, 20, 21, 22]
    put(tmp_path, "NORTH_INDIAN", [10, 11], lon, columns([1, 1], [1, 2, 3, 4, 5, 6]))
    got = oracle.render(tmp_path, ask(11.5, 20.5, 10, 11), "l4_ssh", (1, 19))
    want = {11.5: 2.5, 12.0: 3, 12.5: 3, 19.5: 4, 20.0: 4, 20.5: 4.5}
    for x, value, valid in zip(got.lons, got.data[0], got.mask[0], strict=True):
        assert valid == (x in want)
        assert value == want.get(x, 0)


def test_twice_the_spacing_is_no_gap(tmp_path: Path) -> None:
    put(tmp_path, "NORTH_INDIAN", [10, 11], [10, 11, 13, 14], columns([1, 1], [1, 2, 4, 5]))
    got = oracle.render(tmp_path, ask(10, 14, 10, 11), "l4_ssh", (1, 5))
    assert got.data[0].tolist() == [1, 2, 3, 4, 5]


def test_nearest_takes_the_lower_of_two(tmp_path: Path) -> None:
    put(tmp_path, "NORTH_INDIAN", [10, 11], [20, 21, 22], columns([1, 1], [1, 2, NAN]))
    got = oracle.render(tmp_path, ask(20, 22, 10, 11), "l4_ssh", (1, 9), resample="nearest")
    assert got.data[0].tolist() == [1, 1, 1, 2, 2, 2, 2, 0, 0]
    assert got.support[0].tolist() == [1] * 7 + [0, 0]


def test_area_takes_the_cells_of_half_open_footprints(tmp_path: Path) -> None:
    values = [[1, 2, 4, NAN], [3, NAN, 6, NAN]]
    put(tmp_path, "NORTH_INDIAN", [10, 11], [20, 21, 22, 23], values)
    # Columns at 20, 22, 24: footprints [20, 21), [21, 23), [23, 24]; the row's is the whole side.
    got = oracle.render(tmp_path, ask(20, 24, 10, 11), "l4_ssh", (1, 3), resample="area")
    assert got.data[0].tolist() == [2, 4, 0]
    assert got.support[0].tolist() == [1, 0.75, 0] and not got.mask[0, 2]
    # Columns at 20, 20.5, 21: [20, 20.25), [20.25, 20.75) without a cell, [20.75, 21].
    fine = oracle.render(tmp_path, ask(20, 21, 10, 11), "l4_ssh", (1, 3), resample="area")
    assert fine.data[0].tolist() == [2, 1.5, 2]


def test_auto_shrinks_only_where_both_axes_shrink(tmp_path: Path) -> None:
    lat, lon = [10, 11, 12], [20, 21, 22]
    put(tmp_path, "NORTH_INDIAN", lat, lon, [[0, 0, 0], [0, 9, 0], [0, 0, 0]])
    query = ask(20, 22, 10, 12)
    both = oracle.render(tmp_path, query, "l4_ssh", (2, 2), resample="auto")
    np.testing.assert_allclose(both.data, [[0, 0], [0, 9 / 4]])
    one = oracle.render(tmp_path, query, "l4_ssh", (2, 3), resample="auto")
    assert one.data.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_days_are_put_together(tmp_path: Path) -> None:
    lat, lon = [10, 11], [20, 21]
    for day, row in ((DAY, [1, NAN]), ("2023-04-03", [3, 6])):
        put(tmp_path, "NORTH_INDIAN", lat, lon, columns(lat, row), day=day)
    query = ask(20, 21, 10, 11, end="2023-04-04")
    got = {
        how: oracle.render(tmp_path, query, "l4_ssh", (1, 2), temporal_agg=how)
        for how in ("mean", "first", "last", "stack")
    }
    assert got["mean"].data.tolist() == [[2, 6]] and len(got["mean"].files) == 2
    assert got["first"].data.tolist() == [[1, 0]] and len(got["first"].files) == 1
    assert got["last"].data.tolist() == [[3, 6]]
    assert got["stack"].data.tolist() == [[[1, 0]], [[0, 0]], [[3, 6]], [[0, 0]]]
    assert got["stack"].mask[:, 0, 0].tolist() == [True, False, True, False]


def test_only_the_steps_of_the_day_count(tmp_path: Path) -> None:
    times = ["2023-04-01T06:00", "2023-04-01T23:59", "2023-04-02T00:00"]
    steps = [[[1, NAN]] * 2, [[3, 4]] * 2, [[100, 100]] * 2]
    put(tmp_path, "NORTH_INDIAN", [10, 11], [20, 21], steps, times=times)
    got = oracle.render(tmp_path, ask(20, 21, 10, 11), "l4_ssh", (1, 2))
    assert got.data.tolist() == [[2, 4]]
    single = [[[5, 5], [5, 5]]]
    put(tmp_path, "NORTH_INDIAN", [10, 11], [20, 21], single, times=["2020-01-01"], day=NEXT)
    query = Query(20, 21, 10, 11, NEXT, NEXT)
    assert oracle.render(tmp_path, query, "l4_ssh", (1, 2)).data.tolist() == [[5, 5]]


def test_crop_stretches_the_cells_inside(tmp_path: Path) -> None:
    lat, lon = [10, 11], [19, 20, 21, 22, 23, 24]
    path = put(tmp_path, "NORTH_INDIAN", lat, lon, [[9, 1, 2, 3, NAN, 9], [9, 3, 4, 5, 7, 9]])
    query = ask(20, 23, 10, 11)
    area = oracle.render(tmp_path, query, "l4_ssh", (1, 2), grid="crop", resample="area")
    np.testing.assert_allclose(area.data, [[2.5, 5]])
    assert area.lats.tolist() == [10.5] and area.lons.tolist() == [20.5, 22.5]
    assert area.support.tolist() == [[1, 0.75]] and area.files == {path}
    line = oracle.render(tmp_path, ask(20, 21, 10, 11), "l4_ssh", (2, 4), grid="crop")
    np.testing.assert_allclose(line.data, [[1, 1.25, 1.75, 2], [3, 3.25, 3.75, 4]])
    assert line.lons.tolist() == [20, 20.25, 20.75, 21] and line.lats.tolist() == [10, 11]
    nothing = oracle.render(tmp_path, ask(20.2, 20.8, 10, 11), "l4_ssh", (2, 2), grid="crop")
    assert nothing.present and not nothing.mask.any() and not nothing.files


def test_units_and_valid_bounds_come_from_the_file(tmp_path: Path) -> None:
    lat, lon = [10, 11], [20, 21]
    put(tmp_path, "NORTH_INDIAN", lat, lon, [[50, 150]] * 2, units="cm", valid_max=100.0)
    heights = oracle.render(tmp_path, ask(20, 21, 10, 11), "l4_ssh", (1, 2))
    assert heights.data.tolist() == [[0.5, 0]] and heights.mask.tolist() == [[True, False]]
    kelvin = {"file": "l4_sst.nc", "name": "analysed_sst", "units": "K"}
    put(tmp_path, "NORTH_INDIAN", lat, lon, [[273.15, 283.15]] * 2, **kelvin)
    warmth = oracle.render(tmp_path, ask(20, 21, 10, 11), "l4_sst", (1, 2))
    np.testing.assert_allclose(warmth.data, [[0, 10]], atol=1e-5)


def test_points_count_inside_the_closed_box(tmp_path: Path) -> None:
    path = tmp_path / "DATA/2023_04_01/NORTH_PACIFIC_WEST/argo.nc"
    path.parent.mkdir(parents=True)
    along = ("N_POINTS",)
    when = np.datetime64("2023-04-01T12:00", "ns") + np.zeros(5, "timedelta64[ns]")
    when[4] = np.datetime64("2023-04-02T00:00")
    xr.Dataset(
        {"TEMP": (along, [1.0, 2.0, NAN, 4.0, 5.0]), "PRES": (along, [10.0, 20, 30, 40, 50])},
        {
            "lat": (along, [10.0, 11, 10, 12, 10]),
            "lon": (along, [-178.0, -177, -178, -178, -178]),
            "time": (along, when),
        },
    ).to_netcdf(path, engine="h5netcdf")
    got = oracle.render_points(tmp_path, ask(178, -177, 10, 11))
    assert got.data.tolist() == [1, 2] and got.lons.tolist() == [182, 183]
    assert got.pressure.tolist() == [10, 20] and got.files == {path}
    empty = oracle.render_points(tmp_path, ask(-170, -160, 10, 11))
    assert empty.present and empty.data.size == 0 and not empty.files
    assert not oracle.render_points(tmp_path, ask(20, 30, 10, 11)).present


def test_smooth_fields_come_back(ocean: Path) -> None:
    """A whole-globe rendering of a smooth source is near the function it was made of."""
    synthetic = pytest.importorskip("synthetic")
    query = Query(0, 360, -60, 60, DAY, DAY)
    got = oracle.render(ocean, query, "glorys_sss", (25, 41))
    truth = synthetic._salinity(got.lats, got.lons, 0.0)
    sea = got.mask & (got.support > 0.999)
    assert sea.mean() > 0.6
    assert np.abs(got.data - truth)[sea].max() < 0.05
