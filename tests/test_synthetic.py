"""The synthetic dataset has the structure the other tests rely on."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import synthetic
import xarray as xr


def _open(ocean: Path, day: str, region: str, name: str) -> xr.Dataset:
    return xr.open_dataset(ocean / "DATA" / day / region / name, engine="h5netcdf")


def test_it_is_small_and_has_the_gaps(ocean: Path) -> None:
    files = sorted((ocean / "DATA").glob("*/*/*.nc"))
    assert sum(file.stat().st_size for file in files) < 10e6
    by_day = {
        day: {f.name for f in files if f.parts[-3] == day} for day in {f.parts[-3] for f in files}
    }
    assert sorted(by_day) == ["2023_04_01", "2023_04_02", "2023_04_03", "2023_04_04"]
    assert len(by_day["2023_04_01"]) == 11
    assert by_day["2023_04_01"] - by_day["2023_04_02"] == {"l3_swot.nc"}
    assert by_day["2023_04_04"] == {"l4_ssh.nc", "l4_sst.nc", "l3_ssh.nc"}


def test_the_grid_of_l4_sst_changes(ocean: Path) -> None:
    before = _open(ocean, "2023_04_02", "SOUTH_INDIAN", "l4_sst.nc")
    after = _open(ocean, "2023_04_03", "SOUTH_INDIAN", "l4_sst.nc")
    assert before["lat"].values[[0, -1]].tolist() == [-89.5, -0.5]
    assert after["lat"].values[[0, -1]].tolist() == [-79.0, -1.0]


def test_storage_is_like_the_published_files(ocean: Path) -> None:
    with h5py.File(ocean / "DATA/2023_04_01/SOUTH_ATLANTIC/glorys.nc") as file:
        zos = file["zos"]
        assert (zos.dtype, zos.compression, zos.shuffle) == (np.int16, "gzip", False)
        assert zos.chunks[0] < zos.shape[0] and zos.chunks[1] < zos.shape[1]
        assert (file["lat"].dtype, file["lon"].dtype) == (np.float32, np.float64)
        assert file["lat"][0] == -80 and file["lon"][0] == -90
    with h5py.File(ocean / "DATA/2023_04_01/NORTH_ATLANTIC/l3_swot.nc") as file:
        values = file["ssha_filtered"][...]
        assert values.dtype == np.float32 and 0.1 < np.isfinite(values).mean() < 0.9


def test_fields_run_on_across_borders(ocean: Path) -> None:
    east = _open(ocean, "2023_04_01", "NORTH_PACIFIC_EAST", "l4_sss.nc")["sos"][0, :, -1]
    west = _open(ocean, "2023_04_01", "NORTH_PACIFIC_WEST", "l4_sss.nc")["sos"][0, :, 0]
    step = np.abs(east.values - west.values)
    assert np.nanmax(step) < 0.3 and np.isfinite(step).sum() > 40


def test_zip_holds_the_same_files(ocean: Path, ocean_zip: Path) -> None:
    with zipfile.ZipFile(ocean_zip) as archive:
        for file in sorted((ocean / "DATA").glob("*/*/*.nc")):
            assert archive.read(file.relative_to(ocean).as_posix()) == file.read_bytes()


def test_tiles_are_made_the_same_way_twice() -> None:
    for build in synthetic.SOURCES.values():
        first, second = (build(synthetic.DAYS[0], "NORTH_INDIAN") for _ in range(2))
        for name, (_, values, *_) in first.variables.items():
            np.testing.assert_array_equal(values, second.variables[name][1])


def test_units_say_what_they_are(ocean_units: Path) -> None:
    sst = _open(ocean_units, "2023_04_01", "NORTH_ATLANTIC", "l4_sst.nc")["analysed_sst"]
    assert sst.attrs["units"] == "kelvin"
    np.testing.assert_allclose(sst.values, 288.15)
