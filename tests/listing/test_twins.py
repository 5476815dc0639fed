"""Synthetic twins of files that data centres deliver: the same types, packing, chunks, attributes.

Each is what one public file looks like, byte by byte but for the numbers: a DUACS sea-level map, a
GHRSST analysis, a radiometer's winds with two passes a day, and a file with an odd time unit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from own_files import catalogue

from oceanarrow import Files, open_patch, write_catalog
from oceanarrow.dataset import Query
from oceanarrow.exceptions import CorruptGranuleError

Attributes = dict[str, Any]


def _variable(
    file: h5py.File,
    name: str,
    dims: tuple[str, ...],
    stored: np.ndarray,
    chunks: tuple[int, ...],
    level: int,
    shuffle: bool,
    attributes: Attributes,
) -> None:
    options = {"compression": "gzip", "compression_opts": level, "shuffle": shuffle}
    data = file.create_dataset(name, data=stored, chunks=chunks, **options)
    for key, value in attributes.items():
        # As the netCDF library writes numbers: arrays of one.
        data.attrs[key] = np.bytes_(value) if isinstance(value, str) else np.atleast_1d(value)
    if dims == (name,):
        data.make_scale(name)
        return
    for axis, dim in zip(data.dims, dims, strict=True):
        axis.attach_scale(file[dim])


def sea_level(path: Path) -> None:
    """int32 of 1e-4 m in chunks of 50 x 50 that don't fit the 56 x 120 cells."""
    rng = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file.create_dataset("crs", data=np.int32(-2147483647))
        time: Attributes = {"axis": "T", "calendar": "gregorian", "standard_name": "time"}
        time["units"] = "days since 1950-01-01 00:00:00"
        _variable(file, "time", ("time",), np.float32([24294]), (1,), 1, True, time)
        for name, first, n, unit in (
            ("latitude", 40.0625, 56, "degrees_north"),
            ("longitude", 27.0625, 120, "degrees_east"),
        ):
            values = (first + 0.125 * np.arange(n)).astype(np.float32)
            told: Attributes = {
                "standard_name": name,
                "units": unit,
                "bounds": f"{name[:3]}_bnds",
                "valid_min": values[0],
                "valid_max": values[-1],
            }
            _variable(file, name, (name,), values, (50,), 1, True, told)
        dims = ("time", "latitude", "longitude")
        for name, unit in (("sla", "m"), ("ugos", "m/s")):
            stored = rng.integers(-8000, 8000, (1, 56, 120)).astype(np.int32)
            stored[rng.uniform(size=stored.shape) < 0.4] = -2147483647
            told = {
                "_FillValue": np.int32(-2147483647),
                "coordinates": "longitude latitude",
                "grid_mapping": "crs",
                "scale_factor": 1e-4,
                "ancillary_variables": "err",
                "units": unit,
            }
            _variable(file, name, dims, stored, (1, 50, 50), 1, True, told)


def temperature(path: Path) -> None:
    """int16 of a float32 0.01 K in one chunk; a mask whose valid range is empty."""
    rng = np.random.default_rng(2)
    with h5py.File(path, "w") as file:
        time: Attributes = {"axis": "T", "calendar": "Gregorian", "standard_name": "time"}
        time["units"] = "seconds since 1981-01-01 00:00:00"
        _variable(file, "time", ("time",), np.int32([1120694400]), (1,), 9, True, time)
        for name, first, n, unit in (
            ("lat", 38.7708, 240, "degrees_north"),
            ("lon", 26.3958, 384, "degrees_east"),
        ):
            values = (first + 0.041666 * np.arange(n)).astype(np.float32)
            _variable(file, name, (name,), values, (n,), 9, True, {"units": unit, "axis": "XY"})
        dims, shape = ("time", "lat", "lon"), (1, 240, 384)
        kelvin: Attributes = {
            "units": "kelvin",
            "_FillValue": np.int16(-32768),
            "add_offset": np.float32(273.15),
            "scale_factor": np.float32(0.01),
            "valid_min": np.int16(-300),
            "valid_max": np.int16(4500),
        }
        stored = rng.integers(-400, 4600, shape).astype(np.int16)
        stored[rng.uniform(size=shape) < 0.3] = -32768
        _variable(file, "analysed_sst", dims, stored, shape, 9, True, kelvin)
        ice: Attributes = {"_FillValue": np.int8(-128), "scale_factor": np.float32(0.01)}
        ice |= {"add_offset": np.float32(0), "valid_min": np.int8(0), "valid_max": np.int8(100)}
        percent = rng.integers(-5, 105, shape).astype(np.int8)
        _variable(file, "sea_ice_fraction", dims, percent, shape, 9, True, ice | {"units": "1"})


def winds(path: Path) -> None:
    """Two passes on 330..345 E; 251 to 255 are no speeds, which the valid range alone says."""
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        time: Attributes = {"axis": "T", "units": "hours since 2020-01-02T00:00:00Z"}
        _variable(file, "time", ("time",), np.int16([1, 2]), (2,), 4, False, time)
        for name, first, unit in (
            ("latitude", 45.125, "degrees_north"),
            ("longitude", 330.125, "degrees_east"),
        ):
            values = (first + 0.25 * np.arange(61)).astype(np.float32)
            told: Attributes = {"units": unit, "valid_range": np.array([-89.875, 359.875])}
            _variable(file, name, (name,), values, (61,), 4, False, told)
        stored = rng.integers(0, 256, (2, 61, 61)).astype(np.int16)
        told = {
            "units": "m/s",
            "valid_range": np.array([0.0, 50.0], np.float32),
            "flag_values": np.array([251, 252, 253, 254, 255], np.int16),
            "flag_meanings": "rain sea_ice bad_data no_observations land_mass",
            "scale_factor": np.float32(0.2),
            "add_offset": np.float32(0.0),
        }
        dims = ("time", "latitude", "longitude")
        _variable(file, "wind_speed", dims, stored, (2, 61, 61), 4, False, told)


def month(path: Path) -> None:
    """float64 on three by four cells, north first, `days since Jan 1, 2000`."""
    with h5py.File(path, "w") as file:
        time: Attributes = {"units": "days since Jan 1, 2000"}
        days = np.arange(31, 59, dtype=np.int32)
        _variable(file, "time", ("time",), days, (28,), 6, True, time)
        for name, values, unit in (
            ("lat", [41.0, 40.0, 39.0], "degrees_north"),
            ("lon", [-109.0, -107.0, -105.0, -103.0], "degrees_east"),
        ):
            axis = np.array(values, np.float32)
            _variable(file, name, (name,), axis, axis.shape, 6, True, {"units": unit})
        numbers = 3100.0 + np.arange(28 * 12).reshape(28, 3, 4)
        _variable(
            file, "T", ("time", "lat", "lon"), numbers, (28, 3, 4), 6, True, {"units": "degC"}
        )


def _winds_that_count(speed: xr.DataArray) -> xr.DataArray:
    return speed.where((speed >= 0) & (speed <= 50)).mean("time")


def _kelvin_in_range(sst: xr.DataArray) -> xr.DataArray:
    return sst.where((sst > 270.145) & (sst < 318.155))[0] - 273.15


CASES: dict[str, tuple[Callable[[Path], None], str, str, str, Callable[[xr.DataArray], Any]]] = {
    "sea level": (sea_level, "sla", "2016-07-07", "m", lambda v: v[0]),
    "current": (sea_level, "ugos", "2016-07-07", "m s-1", lambda v: v[0]),
    "temperature": (temperature, "analysed_sst", "2016-07-07", "degC", _kelvin_in_range),
    "ice": (
        temperature,
        "sea_ice_fraction",
        "2016-07-07",
        "1",
        lambda v: v.where((v > -0.005) & (v < 1.005))[0],
    ),
    "winds": (winds, "wind_speed", "2020-01-02", "m s-1", _winds_that_count),
}


@pytest.mark.parametrize("case", CASES)
def test_native_cells_are_those_of_xarray(tmp_path: Path, case: str) -> None:
    write, name, day, unit, due = CASES[case]
    write(tmp_path / "file.nc")
    path = catalogue(
        tmp_path / "c.parquet", Files(tmp_path / "file.nc", {"v": name}, units={"v": unit})
    )
    with xr.open_dataset(tmp_path / "file.nc", decode_times=False, engine="h5netcdf") as opened:
        wanted = due(opened[name].astype(np.float64)).load()
    lat, lon = wanted.dims
    wanted = wanted.sortby(lat)
    turned = (wanted[lon].values + 180) % 360 - 180
    margin = 0.01
    south, north = float(wanted[lat].min()) - margin, float(wanted[lat].max()) + margin
    query = Query(turned.min() - margin, turned.max() + margin, south, north, day, day)
    found = open_patch(path, query, ["v"]).v.squeeze("time")
    assert found.shape == wanted.shape and found.attrs["units"] == unit
    np.testing.assert_allclose(found[found.dims[0]], wanted[lat], atol=1e-4)
    np.testing.assert_allclose(
        found.values, wanted.values, rtol=1e-6, atol=5e-5
    )  # float32 kelvin there
    assert 0.3 < np.isfinite(found.values).mean() <= 1


def test_an_odd_time_unit_says_how_to_mend_it(tmp_path: Path) -> None:
    month(tmp_path / "file.nc")
    with pytest.raises(
        CorruptGranuleError, match=r"(?s)'?days since Jan 1, 2000.*ncatted.*file\.nc"
    ):
        write_catalog(tmp_path / "c.parquet", Files(tmp_path / "file.nc", {"v": "T"}))
    with h5py.File(tmp_path / "file.nc", "r+") as file:
        file["time"].attrs["units"] = "days since 2000-01-01"
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "file.nc", {"v": "T"}))
    found = open_patch(path, Query(-109.5, -104.5, 39.5, 41.5, "2000-02-03", "2000-02-03"), ["v"])
    np.testing.assert_array_equal(found.v.squeeze(), [[3128, 3129, 3130], [3124, 3125, 3126]])
