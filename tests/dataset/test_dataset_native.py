"""Native cells and profiles of the map-style dataset, against xarray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import UnsupportedError
from oceanarrow.taco import REGIONS

DAY = "2023-04-01"
NEXT = "2023-04-02"
FILES = {"l4_ssh": "sla", "l3_swot": "ssha_filtered", "l4_sst": "analysed_sst", "l4_sss": "sos"}


def tile(root: Path, name: str, region: str, day: str = DAY, turn: float = 0.0) -> xr.DataArray:
    """What xarray reads of a file, its longitudes raised by `turn`."""
    path = root / "DATA" / day.replace("-", "_") / region / f"{name}.nc"
    with xr.open_dataset(path, engine="h5netcdf") as granule:
        array = granule[FILES[name]].load()
    array = array.squeeze([dim for dim in array.dims if dim not in ("lat", "lon")], drop=True)
    array = array.drop_vars([name for name in array.coords if name not in ("lat", "lon")])
    return array.assign_coords(lon=array.lon + turn)


def inside(array: xr.DataArray, box: tuple[float, float, float, float]) -> xr.DataArray:
    """The cells whose centres lie in the closed box."""
    west, east, south, north = box
    return array.sel(lat=slice(south, north), lon=slice(west, east))


def native(root: Path, query: Query, name: str, **options: object) -> dict[str, torch.Tensor]:
    dataset = OceanTACODataset(root, [query], [name], [], default_patch_size=None, **options)
    entry = dataset[0]["inputs"][name]
    assert isinstance(entry, dict)
    return entry


def check(entry: dict[str, torch.Tensor], want: xr.DataArray) -> None:
    """Values, masks and axes are those of the cells, in float32."""
    np.testing.assert_array_equal(entry["lats"], want.lat.values.astype(np.float32))
    np.testing.assert_array_equal(entry["lons"], want.lon.values.astype(np.float32))
    valid = np.isfinite(want.values)
    np.testing.assert_array_equal(entry["mask"], valid)
    values = np.where(valid, want.values, 0.0)
    np.testing.assert_allclose(entry["data"], values, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", FILES)
def test_the_cells_of_one_tile(ocean: Path, name: str) -> None:
    box = (-50.3, -40.1, 20.2, 31.7)
    entry = native(ocean, Query(*box, DAY, DAY), name)
    want = inside(tile(ocean, name, "NORTH_ATLANTIC"), box)
    assert want.size > 50 and (name == "l3_swot" or np.isfinite(want).all())
    check(entry, want)


def test_edges_on_cell_centres_belong_to_the_box(ocean: Path) -> None:
    box = (-50.5, -45.5, 20.5, 22.5)
    entry = native(ocean, Query(*box, DAY, DAY), "l4_ssh")
    assert entry["lats"].tolist() == [20.5, 21.5, 22.5]
    assert entry["lons"].tolist() == [-50.5, -49.5, -48.5, -47.5, -46.5, -45.5]
    check(entry, inside(tile(ocean, "l4_ssh", "NORTH_ATLANTIC"), box))


@pytest.mark.parametrize("name", ["l4_ssh", "l3_swot"])
def test_two_tiles_are_one_grid(ocean: Path, name: str) -> None:
    box = (-95.3, -84.9, 6.2, 17.1)
    regions = ("NORTH_PACIFIC_WEST", "NORTH_ATLANTIC")
    joined = xr.concat([tile(ocean, name, region) for region in regions], "lon", join="exact")
    check(native(ocean, Query(*box, DAY, DAY), name), inside(joined, box))
    box = (-35.2, -20.4, -9.5, 8.1)
    if name == "l4_ssh":
        regions = ("SOUTH_ATLANTIC", "NORTH_ATLANTIC")
        joined = xr.concat([tile(ocean, name, region) for region in regions], "lat", join="exact")
        check(native(ocean, Query(*box, DAY, DAY), name), inside(joined, box))


@pytest.mark.parametrize("edges", [(172.3, -168.4), (172.3, 191.6), (-187.7, -168.4)])
def test_the_antimeridian_is_no_border(ocean: Path, edges: tuple[float, float]) -> None:
    parts = [
        tile(ocean, "l4_ssh", "NORTH_PACIFIC_EAST"),
        tile(ocean, "l4_ssh", "NORTH_PACIFIC_WEST", turn=360.0),
    ]
    want = inside(xr.concat(parts, "lon", join="exact"), (172.3, 191.6, 10.0, 20.0))
    assert len(want.lon) == 20
    if edges[0] < -180:
        want = want.assign_coords(lon=want.lon - 360.0)
    check(native(ocean, Query(*edges, 10.0, 20.0, DAY, DAY), "l4_ssh"), want)


def test_a_box_without_a_cell_centre_is_empty(ocean: Path) -> None:
    entry = native(ocean, Query(-60.4, -60.2, 10.1, 10.3, DAY, DAY), "l4_ssh")
    assert tuple(entry["data"].shape) == (0, 0) and len(entry["lats"]) == 0


# ---- days ---------------------------------------------------------------------------------------


def test_days_are_averaged_over_valid_cells(ocean: Path) -> None:
    box = (-50.3, -40.1, 20.2, 31.7)
    days = [inside(tile(ocean, "l3_swot", "NORTH_ATLANTIC", d), box) for d in (DAY, "2023-04-03")]
    # The day between has no file.
    entry = native(ocean, Query(*box, DAY, "2023-04-03"), "l3_swot")
    both = xr.concat(days, "day")
    assert 0 < int(np.isfinite(both).all("day").sum()) < int(np.isfinite(both).any("day").sum())
    check(entry, both.mean("day"))
    check(native(ocean, Query(*box, DAY, "2023-04-03"), "l3_swot", temporal_agg="first"), days[0])
    check(native(ocean, Query(*box, DAY, "2023-04-03"), "l3_swot", temporal_agg="last"), days[1])


def test_stacks_may_differ_in_length(ocean: Path) -> None:
    box = (-50.3, -40.1, 20.2, 31.7)
    queries = [Query(*box, DAY, DAY), Query(*box, DAY, "2023-04-03")]
    for size in (None, (6, 7)):
        dataset = OceanTACODataset(
            ocean, queries, ["l3_swot"], [], default_patch_size=size, temporal_agg="stack"
        )
        one, three = (sample["inputs"]["l3_swot"] for sample in dataset)
        assert one["data"].ndim == three["data"].ndim == 3
        assert (len(one["data"]), len(three["data"])) == (1, 3)
        assert torch.equal(one["data"][0], three["data"][0])
        assert three["mask"][0].any() and three["mask"][2].any()
        assert not three["mask"][1].any() and (three["data"][1] == 0).all()
        if size is None:
            for k, day in ((0, DAY), (2, "2023-04-03")):
                layer = {**three, "data": three["data"][k], "mask": three["mask"][k]}
                check(layer, inside(tile(ocean, "l3_swot", "NORTH_ATLANTIC", day), box))


def test_a_grid_that_changes_needs_a_size(ocean: Path) -> None:
    box = (-50.3, -40.1, 20.2, 31.7)
    query = Query(*box, NEXT, "2023-04-03")
    with pytest.raises(UnsupportedError, match="grid changes between the days") as caught:
        native(ocean, query, "l4_sst")
    for words in ("l4_sst", "2023-04-02..2023-04-03", "give a patch size"):
        assert words in str(caught.value)
    last = tile(ocean, "l4_sst", "NORTH_ATLANTIC", "2023-04-03")
    check(native(ocean, query, "l4_sst", temporal_agg="last"), inside(last, box))


# ---- profiles -----------------------------------------------------------------------------------


def profiles(root: Path, query: Query, days: list[str]) -> dict[str, np.ndarray]:
    """The levels of all files in the closed box, day by day, region by region."""
    west, east = query.lon_min, query.lon_max + (360 if query.lon_min > query.lon_max else 0)
    found = []
    for day in days:
        for region in sorted(REGIONS):
            path = root / "DATA" / day.replace("-", "_") / region / "argo.nc"
            with xr.open_dataset(path, engine="h5netcdf") as granule:
                levels = granule[["TEMP", "PRES", "TIME", "lat", "lon"]].load()
            lon = levels.lon.values
            lon = np.select([lon < west, lon > east], [lon + 360, lon - 360], lon)
            keep = np.isfinite(levels.TEMP.values) & (lon >= west) & (lon <= east)
            keep &= (levels.lat.values >= query.lat_min) & (levels.lat.values <= query.lat_max)
            seconds = levels.TIME.values.astype("datetime64[s]").astype(np.int64)
            columns = (levels.TEMP.values, levels.lat.values, lon, seconds / 86_400)
            found.append([column[keep] for column in (*columns, levels.PRES.values)])
    names = ("data", "lats", "lons", "time", "pressure")
    return dict(zip(names, map(np.concatenate, zip(*found, strict=True)), strict=True))


@pytest.mark.parametrize(
    "box",
    [(-60.0, -20.0, 5.0, 50.0), (-70.0, 60.0, -40.0, 40.0), (150.0, -120.0, -60.0, 60.0),
     (210.0, 340.0, -60.0, 60.0)],
)  # fmt: skip
def test_profiles_are_those_in_box_and_window(
    ocean: Path, box: tuple[float, float, float, float]
) -> None:
    query = Query(*box, DAY, NEXT)
    (sample,) = OceanTACODataset(ocean, [query], ["argo"], [])
    got, want = sample["inputs"]["argo"], profiles(ocean, query, [DAY, NEXT])
    assert len(want["data"]) > 10
    assert {got[name].dtype for name in ("data", "lats", "lons", "pressure")} == {torch.float32}
    assert got["time"].dtype == torch.float64
    for name, column in want.items():
        np.testing.assert_allclose(got[name], column, rtol=1e-6, atol=1e-9)
    assert got["mask"].dtype == torch.bool and bool(got["mask"].all())
    assert sample["metadata"]["shapes"] == {"argo": (len(want["data"]),)}


@pytest.mark.parametrize(
    "box", [(-40.0, -30.0, 10.0, 20.0), (-30.0, -25.0, 20.0, 25.0), (330.0, 335.0, 15.0, 20.0)]
)
def test_a_profile_on_a_corner_counts(ocean: Path, box: tuple[float, ...]) -> None:
    # A profile lies at exactly 30 W, 20 N.
    query = Query(*box, DAY, DAY)
    got = OceanTACODataset(ocean, [query], ["argo"], [])[0]["inputs"]["argo"]
    on_corner = (got["lats"] == 20.0) & (got["lons"] % 360.0 == 330.0)
    assert 2 <= int(on_corner.sum()) <= 6
    np.testing.assert_allclose(got["data"], profiles(ocean, query, [DAY])["data"], rtol=1e-6)


def test_no_level_is_empty_and_no_file_is_none(ocean: Path) -> None:
    box = (-30.5, -30.4, 21.0, 21.1)
    empty, none = OceanTACODataset(
        ocean, [Query(*box, DAY, DAY), Query(*box, "2023-04-04", "2023-04-04")], ["argo"], []
    )
    assert tuple(empty["inputs"]["argo"]["data"].shape) == (0,)
    assert empty["metadata"]["n_files"] == 0
    assert none["inputs"]["argo"] is None and none["metadata"]["shapes"] == {"argo": (0,)}
