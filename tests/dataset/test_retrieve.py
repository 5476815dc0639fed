"""retrieve: the same numbers as xarray finds in the tiles, sliced to the box."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import oceanarrow
from oceanarrow.dataset import retrieve
from oceanarrow.dataset.retrieve import (
    load_bbox_nc,
    load_bbox_swot_nc,
    load_hf_dataset,
    load_multisource_time_series_nc,
    load_region_product_nc,
    load_tile_nc,
    query_files,
)
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidInputError,
    NotFoundError,
    UnsupportedError,
)

DAY = "2023-04-01"
DAY_WITHOUT_SWOT = "2023-04-02"
ATLANTIC = ("NORTH_ATLANTIC",)
# (lon_min, lat_min, lon_max, lat_max)
BOX = (-60.0, 5.0, -20.0, 50.0)
ACROSS = (-35.0, -21.0, 12.0, 33.0)
FOUR = ("NORTH_ATLANTIC", "NORTH_INDIAN", "SOUTH_ATLANTIC", "SOUTH_INDIAN")
DATELINE = (170.0, -20.0, -165.0, 15.0)
PACIFIC = (
    *("NORTH_PACIFIC_EAST", "NORTH_PACIFIC_WEST", "SOUTH_PACIFIC_EAST", "SOUTH_PACIFIC_WEST"),
)
GLOBE = (-180.0, -90.0, 180.0, 90.0)


def by_xarray(
    ocean: Path,
    file: str,
    name: str,
    box: tuple[float, float, float, float],
    regions: Sequence[str],
    day: str = DAY,
) -> xr.DataArray:
    """A variable's cells in a box, by xarray alone."""
    west, south, east, north = box
    tiles = []
    for region in regions:
        path = ocean / "DATA" / day.replace("-", "_") / region / file
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            tile = opened[name].squeeze(drop=True).load()
        tile = tile.drop_vars([c for c in tile.coords if c not in ("lat", "lon")])
        if west > east:
            tile = tile.assign_coords(lon=tile.lon % 360)
        tiles.append(tile.to_dataset(name="values"))
    joined = xr.combine_by_coords(tiles)["values"].sortby("lat").sortby("lon")
    return joined.sel(lat=slice(south, north), lon=slice(west, east + 360 * (west > east)))


def assert_cells(found: xr.DataArray, due: xr.DataArray) -> None:
    lat, lon = found.dims[-2:]
    assert found.shape == due.shape and min(due.shape) > 0 and bool(due.notnull().any())
    np.testing.assert_allclose(found[lat], due.lat, atol=1e-5)
    np.testing.assert_allclose(found[lon], due.lon, atol=1e-5)
    np.testing.assert_allclose(found, due.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("box", "regions"), [(BOX, ATLANTIC), (ACROSS, FOUR), (DATELINE, PACIFIC)])
@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("l4_ssh.nc", ["adt", "sla"]),
        ("l4_sss.nc", ["sos"]),
        ("l3_sss_asc.nc", ["Sea_Surface_Salinity"]),
        ("glorys.nc", ["so", "thetao", "uo", "vo", "zos"]),
    ],
)
def test_boxes(
    ocean: Path,
    box: tuple[float, float, float, float],
    regions: Sequence[str],
    file: str,
    names: list[str],
) -> None:
    found = load_bbox_nc(ocean, DAY, box, file)
    assert found is not None and sorted(found.data_vars) == names
    for name in names:
        assert found[name].dims == ("lat", "lon") and found[name].dtype == np.float32
        assert_cells(found[name], by_xarray(ocean, file, name, box, regions))
    assert found.time.values == np.datetime64(DAY)


def test_names_of_a_source(ocean: Path) -> None:
    dataset = load_hf_dataset(ocean)
    assert DAY in repr(dataset)
    spelled = ["l3_sss_smos_asc", "l3_sss_asc", "l3_sss_asc.nc", " l3_sss_asc "]
    found = [load_bbox_nc(dataset, DAY, BOX, name) for name in spelled]
    for other in found[1:]:
        xr.testing.assert_identical(other, found[0])


@pytest.mark.parametrize("region", ["NORTH_ATLANTIC", "SOUTH_PACIFIC_WEST"])
@pytest.mark.parametrize(
    ("file", "name"),
    [("l4_ssh.nc", "sla"), ("l3_swot.nc", "ssha_filtered"), ("glorys.nc", "thetao")],
)
def test_tiles_are_whole(ocean: Path, region: str, file: str, name: str) -> None:
    found = load_tile_nc(ocean, DAY, region, file)
    assert found is not None
    with xr.open_dataset(ocean / "DATA/2023_04_01" / region / file, engine="h5netcdf") as due:
        assert_cells(found[name], due[name].drop_vars("time", errors="ignore").load())
    again = load_region_product_nc(ocean, DAY, region, file)
    xr.testing.assert_identical(again, found)


def test_an_archive_gives_the_known_variables(ocean: Path, ocean_zip: Path) -> None:
    found = load_bbox_nc(ocean_zip, DAY, ACROSS, "l4_ssh")
    due = load_bbox_nc(ocean, DAY, ACROSS, "l4_ssh")
    assert found is not None and due is not None
    assert list(found.data_vars) == ["sla"]
    xr.testing.assert_identical(found, due[["sla"]])


def test_units(ocean: Path, ocean_units: Path) -> None:
    sst = load_bbox_nc(ocean_units, DAY, BOX, "l4_sst")
    assert sst is not None and sst.analysed_sst.attrs["units"] == "degC"
    np.testing.assert_allclose(sst.analysed_sst, 15.0, atol=0.01)
    swot = load_bbox_nc(ocean, DAY, BOX, "l3_swot")
    assert swot is not None
    assert swot.ssha_filtered.attrs == {"units": "m", "source": "l3_swot"}
    assert "units" not in swot.n_obs.attrs
    ssh = load_bbox_nc(ocean, DAY, BOX, "l4_ssh")
    assert ssh is not None and ssh.adt.attrs["units"] == "m"


def test_several_steps_of_a_day(ocean: Path) -> None:
    found = load_bbox_nc(ocean, DAY, BOX, "l3_sst")
    assert found is not None
    name = "adjusted_sea_surface_temperature"
    with xr.open_dataset(ocean / "DATA/2023_04_01/NORTH_ATLANTIC/l3_sst.nc") as opened:
        due = opened[name].sel(time=DAY, lat=slice(5, 50), lon=slice(-60, -20)).mean("time")
        np.testing.assert_allclose(found[name], due, rtol=1e-5)


def test_swot(ocean: Path) -> None:
    found = load_bbox_swot_nc(ocean, DAY, BOX)
    assert found is not None and sorted(found.data_vars) == ["n_obs", "ssha_filtered"]
    for name in found.data_vars:
        assert_cells(found[name], by_xarray(ocean, "l3_swot.nc", str(name), BOX, ATLANTIC))
    across = load_bbox_swot_nc(ocean, DAY, DATELINE)
    assert across is not None
    assert float(across.lon.min()) >= 170 and float(across.lon.max()) <= 195
    for region, span in (("NORTH_PACIFIC_EAST", (170, 180)), ("NORTH_PACIFIC_WEST", (-180, -165))):
        box = (span[0], 0.0, span[1], 15.0)
        due = by_xarray(ocean, "l3_swot.nc", "ssha_filtered", box, [region])
        lon = due.lon % 360
        mine = across.ssha_filtered.sel(lat=due.lat, lon=lon, method="nearest", tolerance=1e-6)
        np.testing.assert_allclose(mine, due.values, rtol=1e-5)
    assert load_bbox_swot_nc(ocean, DAY_WITHOUT_SWOT, BOX) is None


def test_no_file(ocean: Path, ocean_with_a_gap: Path) -> None:
    assert load_bbox_nc(ocean, "2031-01-01", BOX, "l4_ssh") is None
    assert load_tile_nc(ocean, DAY_WITHOUT_SWOT, "NORTH_ATLANTIC", "l3_swot") is None
    # A source that this dataset lacks, and a place.
    assert load_bbox_nc(ocean_with_a_gap, DAY, BOX, "glorys") is None
    assert load_bbox_nc(ocean_with_a_gap, DAY, (20, 10, 40, 20), "l4_ssh") is None
    # Touching edges do not count.
    assert load_bbox_nc(ocean_with_a_gap, DAY, (0, 10, 40, 20), "l4_ssh") is None


def test_no_cell(ocean: Path) -> None:
    found = load_bbox_nc(ocean, DAY, (-30.4, 10.6, -30.3, 10.7), "l4_ssh")
    assert found is not None and found.sla.shape == (0, 0)


def test_profiles(ocean: Path) -> None:
    found = load_bbox_nc(ocean, DAY, BOX, "argo")
    with xr.open_dataset(ocean / "DATA/2023_04_01/NORTH_ATLANTIC/argo.nc") as opened:
        inside = (opened.lat >= 5) & (opened.lat <= 50) & (opened.lon >= -60) & (opened.lon <= -20)
        due = opened.isel(N_POINTS=np.flatnonzero(inside & opened.TEMP.notnull()))
        assert found is not None and found.TEMP.dims == ("obs",) and due.TEMP.size > 3
        for name in ("TEMP", "PRES", "lat", "lon"):
            np.testing.assert_allclose(found[name], due[name], rtol=1e-6)
        stamps = due.TIME.values.astype("datetime64[s]")
        np.testing.assert_array_equal(found.time.values.astype("datetime64[s]"), stamps)
    assert found.PRES.attrs["units"] == "dbar" and found.TEMP.attrs["units"] == "degC"


def test_point_variables_of_other_points(ocean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["oceanarrow.variables"], "_registered", {})
    oceanarrow.register_variable(
        "argo_salinity", source="argo", file="argo.nc", netcdf="PSAL", unit="", geometry="points"
    )
    found = load_bbox_nc(ocean, DAY, (-90, 0, 0, 90), "argo")
    # Levels without temperature have a salinity.
    assert found is not None and found.PSAL.dims == ("obs_PSAL",) and found.TEMP.dims == ("obs",)
    assert found.sizes["obs_PSAL"] > found.sizes["obs"]
    np.testing.assert_allclose(found.PSAL, 35 + 0.001 * found.PRES_PSAL, rtol=1e-6)
    assert {"lat_PSAL", "lon_PSAL", "time_PSAL"} <= set(found.coords)


def test_other_axes_have_names(ocean: Path, tmp_path: Path) -> None:
    path = tmp_path / "ocean"
    (path / "DATA").mkdir(parents=True)
    shutil.copytree(ocean / "METADATA", path / "METADATA")
    shutil.copy(ocean / "COLLECTION.json", path)
    shutil.copytree(ocean / "DATA/2023_04_01", path / "DATA/2023_04_01")
    file = path / "DATA/2023_04_01/NORTH_ATLANTIC/l4_ssh.nc"
    with xr.open_dataset(file) as opened:
        tile = opened.load()
    coarse = tile.adt[::2, ::3].rename(lat="latitude", lon="longitude")
    coarse.latitude.attrs["units"] = "degrees_north"
    coarse.longitude.attrs["units"] = "degrees_east"
    xr.Dataset({"sla": tile.sla, "adt": coarse, "crs": 1, "bounds": ("nv", [1.0, 2.0])}).to_netcdf(
        file, engine="h5netcdf"
    )
    found = load_tile_nc(path, DAY, "NORTH_ATLANTIC", "l4_ssh")
    assert found is not None and set(found.data_vars) == {"sla", "adt"}
    assert found.adt.dims == ("lat", "lon")
    assert found.sla.dims == ("lat_sla", "lon_sla")
    np.testing.assert_allclose(found.sla, tile.sla, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.adt, coarse, rtol=1e-5, atol=1e-6)


def test_time_series(ocean: Path, tmp_path: Path) -> None:
    found = load_multisource_time_series_nc(
        load_hf_dataset(ocean),
        ["l4_ssh.nc", "l3_swot", "argo", "l4_ssh"],
        DAY,
        "2023-04-04",
        bbox=BOX,
        cache_dir=tmp_path,
    )
    assert list(found) == ["l4_ssh", "l3_swot", "argo"]
    ssh, swot, argo = found.values()
    assert ssh is not None and swot is not None and argo is not None
    assert ssh.sla.dims == ("time", "lat", "lon") and ssh.sizes["time"] == 4
    days = swot.time.values.astype("datetime64[D]").astype(str).tolist()
    assert days == [DAY, "2023-04-03"]
    for source, series, name in (("l4_ssh", ssh, "adt"), ("l3_swot", swot, "ssha_filtered")):
        for i, day in enumerate(series.time.values.astype("datetime64[D]").astype(str)):
            due = by_xarray(ocean, f"{source}.nc", name, BOX, ATLANTIC, day)
            assert_cells(series[name][i], due)
    assert set(np.unique(argo.time.values.astype("datetime64[D]").astype(str))) >= {DAY}
    assert (ssh.attrs["time_start"], ssh.attrs["time_end"]) == (DAY, "2023-04-04")


def test_time_series_of_a_tile(ocean: Path) -> None:
    sources = ["l4_ssh", "l3_swot"]
    found = load_multisource_time_series_nc(
        ocean, sources, DAY_WITHOUT_SWOT, DAY_WITHOUT_SWOT, tile="SOUTH_ATLANTIC"
    )
    assert found["l3_swot"] is None and found["l4_ssh"] is not None
    due = load_tile_nc(ocean, DAY_WITHOUT_SWOT, "SOUTH_ATLANTIC", "l4_ssh")
    xr.testing.assert_identical(found["l4_ssh"].isel(time=0), due)


def test_days_of_different_cells(ocean: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"analysed_sst .* 2023-04-03 as on 2023-04-01"):
        load_multisource_time_series_nc(ocean, ["l4_sst"], DAY, "2023-04-03", bbox=BOX)


def test_query_files(ocean: Path, ocean_zip: Path) -> None:
    found = query_files(load_hf_dataset(ocean), DAY, DATELINE, {"l4_ssh.nc", "glorys"})
    assert set(found["region"]) == set(PACIFIC) and len(found) == 8
    assert set(found["l2:id"]) == {"l4_ssh.nc", "glorys.nc"} and set(found["day"]) == {DAY}
    assert all(Path(path).exists() for path in found["path"]) and found["offset"].isna().all()
    (row,) = query_files(ocean_zip, DAY, BOX, ["l4_ssh.nc"]).to_dict("records")
    with ocean_zip.open("rb") as archive:
        archive.seek(row["offset"])
        assert archive.read(4) == b"\x89HDF" and row["size"] > 1000
    assert query_files(ocean, "2031-01-01", BOX, ["l4_ssh.nc"]).empty
    assert query_files(ocean, DAY, BOX, []).empty


def test_own_catalogues(ocean: Path, tmp_path: Path) -> None:
    pattern = str(ocean / "DATA/2023_04_01/*/l4_ssh.nc")
    path = tmp_path / "ocean.parquet"
    oceanarrow.write_catalog(path, oceanarrow.Files(pattern, {"height": "sla"}))
    found = load_bbox_nc(path, DAY, ACROSS, "height")
    assert found is not None and list(found.data_vars) == ["height"]
    assert_cells(found.height, by_xarray(ocean, "l4_ssh.nc", "sla", ACROSS, FOUR))
    region = next(iter(load_hf_dataset(path).catalog.regions))
    tile = load_tile_nc([path], DAY, region, "height")
    assert tile is not None and tile.height.shape == (90, 90)


@pytest.mark.parametrize(
    ("box", "text"),
    [
        ((10, 20, 30), "lon_min, lat_min, lon_max, lat_max"),
        ("1234", "lon_min, lat_min, lon_max, lat_max"),
        (5, "lon_min, lat_min, lon_max, lat_max"),
        ((0, 50, 10, 40), "lat_min < lat_max"),
        ((0, 40, 10, 40), "lat_min < lat_max"),
        ((0, -100, 10, 40), "-90..90"),
        ((0, float("nan"), 10, 40), "in degrees"),
        ((10, 0, 10, 40), "more than 0 and at most 360"),
        ((-200, 0, 200, 40), "more than 0 and at most 360"),
        ((600, 0, 610, 40), "between -540 and 540"),
    ],
)
def test_bad_boxes(ocean: Path, box: object, text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        load_bbox_nc(ocean, DAY, box, "l4_ssh")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=text):
        query_files(ocean, DAY, box, ["l4_ssh.nc"])  # type: ignore[arg-type]


def test_bad_arguments(ocean: Path, tmp_path: Path) -> None:
    dataset = load_hf_dataset(ocean)
    series = load_multisource_time_series_nc
    with pytest.raises(InvalidInputError, match=r"date: cannot read '2023-13-01'"):
        load_bbox_nc(dataset, "2023-13-01", BOX, "l4_ssh")
    with pytest.raises(InvalidInputError, match=r"'MIDDLE_EARTH'; the dataset has NORTH_ATLANTIC"):
        load_tile_nc(dataset, DAY, "MIDDLE_EARTH", "l4_ssh")
    with pytest.raises(InvalidInputError, match=r"'l4_shs'; the dataset has argo, glorys"):
        load_region_product_nc(dataset, DAY, "NORTH_ATLANTIC", "l4_shs")
    with pytest.raises(InvalidInputError, match=r"unknown data source 'l4_shs.nc'"):
        query_files(dataset, DAY, BOX, {"l4_shs.nc"})
    with pytest.raises(InvalidInputError, match="names, not the text"):
        query_files(dataset, DAY, BOX, "l4_ssh.nc")
    with pytest.raises(InvalidInputError, match="a name such as"):
        load_bbox_nc(dataset, DAY, BOX, " ")
    with pytest.raises(InvalidInputError, match="exactly one"):
        series(dataset, ["l4_ssh"], DAY, DAY)
    with pytest.raises(InvalidInputError, match="exactly one"):
        series(dataset, ["l4_ssh"], DAY, DAY, bbox=BOX, tile="NORTH_ATLANTIC")
    with pytest.raises(InvalidInputError, match="must not lie before"):
        series(dataset, ["l4_ssh"], "2023-04-02", DAY, bbox=BOX)
    with pytest.raises(InvalidInputError, match="list of names"):
        series(dataset, "l4_ssh", DAY, DAY, bbox=BOX)
    with pytest.raises(InvalidInputError, match="unknown data source"):
        series(dataset, ["l4_ssh", "l4_shs"], DAY, DAY, bbox=BOX)
    with pytest.raises(NotFoundError):
        load_hf_dataset(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="empty list"):
        load_hf_dataset([])


def _copy_of_a_day(ocean: Path, path: Path) -> Path:
    for folder in ("METADATA", "DATA/2023_04_01"):
        shutil.copytree(ocean / folder, path / folder)
    shutil.copy(ocean / "COLLECTION.json", path)
    return path


def test_damaged_files(ocean: Path, tmp_path: Path) -> None:
    path = _copy_of_a_day(ocean, tmp_path / "ocean")
    tiles = path / "DATA/2023_04_01"
    (tiles / "NORTH_ATLANTIC/l4_ssh.nc").write_bytes(b"no NetCDF at all" * 100)
    with pytest.raises(CorruptGranuleError, match=r"l4_ssh\.nc"):
        load_bbox_nc(path, DAY, BOX, "l4_ssh")
    (tiles / "NORTH_ATLANTIC/l4_ssh.nc").unlink()
    with pytest.raises(NotFoundError, match=r"l4_ssh\.nc"):
        load_bbox_nc(path, DAY, BOX, "l4_ssh")
    # One tile lacks what the first has.
    with h5py.File(tiles / "SOUTH_INDIAN/glorys.nc", "r+") as file:
        del file["uo"]
    with pytest.raises(NotFoundError, match="variable: uo"):
        load_bbox_nc(path, DAY, ACROSS, "glorys")


def test_only_the_chunks_of_the_box_are_read(ocean: Path, tmp_path: Path) -> None:
    """The rest of the file may be damaged."""
    path = _copy_of_a_day(ocean, tmp_path / "ocean")
    file = path / "DATA/2023_04_01/NORTH_ATLANTIC/l4_ssh.nc"
    with h5py.File(file, "r") as opened:
        chunks = [opened["sla"].id.get_chunk_info(k) for k in range(9)]
        far = next(chunk for chunk in chunks if chunk.chunk_offset == (74, 82))
    with file.open("r+b") as raw:
        raw.seek(far.byte_offset)
        raw.write(b"\xff" * far.size)
    assert load_bbox_nc(path, DAY, (-80, 5, -60, 30), "l4_ssh") is not None
    with pytest.raises(CorruptGranuleError):
        load_tile_nc(path, DAY, "NORTH_ATLANTIC", "l4_ssh")


def test_tiles_that_overlap(ocean: Path, tmp_path: Path) -> None:
    """A region's neighbours would be joined with it, and are not."""
    from oceanarrow.files import Files

    day = ocean / "DATA/2023_04_01"
    with xr.open_dataset(day / "NORTH_ATLANTIC/l4_ssh.nc") as opened:
        opened.isel(lon=slice(20, 70)).to_netcdf(tmp_path / "part.nc", engine="h5netcdf")
    paths = [day / "NORTH_ATLANTIC/l4_ssh.nc", tmp_path / "part.nc"]
    oceanarrow.write_catalog(tmp_path / "c.parquet", Files(paths, {"height": "sla"}))
    with pytest.raises(UnsupportedError, match="overlaps the tile"):
        load_tile_nc(tmp_path / "c.parquet", DAY, "lon -90..0 lat 0..90", "height")
    assert load_bbox_nc(tmp_path / "c.parquet", DAY, BOX, "height") is not None


def test_disk_cache(ocean: Path, tmp_path: Path) -> None:
    plain = load_tile_nc(ocean, DAY, "NORTH_ATLANTIC", "l4_ssh")
    for _ in range(2):
        found = load_tile_nc(ocean, DAY, "NORTH_ATLANTIC", "l4_ssh", tmp_path / "cache")
        xr.testing.assert_identical(found, plain)


def test_without_xarray(ocean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"oceanarrow\[xarray\]"):
        load_bbox_nc(ocean, DAY, BOX, "l4_ssh")


def test_default_address() -> None:
    assert retrieve.HF_DEFAULT_URL.endswith("/resolve/main/")
