"""Point data equal what h5py reads, decoded by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from oceanarrow._engine import read_points
from oceanarrow.exceptions import UnsupportedError

N = 500


def columns(rng: np.random.Generator) -> dict[str, Any]:
    temp = rng.normal(10, 5, N)
    temp[::7] = np.nan
    lat = rng.uniform(-60, 60, N)
    lat[3] = np.nan
    return {
        "TEMP": temp,
        "PRES": rng.uniform(0, 2000, N),
        "lat": lat,
        "lon": rng.uniform(-180, 180, N),
        "TIME": rng.integers(0, 10**9, N),
    }


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunks": (64,)}])
def test_levels_with_value_position_and_time(
    tmp_path: Path, libver: str, options: dict[str, Any]
) -> None:
    data = columns(np.random.default_rng(3))
    path = tmp_path / "argo.nc"
    with h5py.File(path, "w", libver=libver) as f:
        for name, values in data.items():
            f.create_dataset(name, data=values, **options)
        f["TIME"].attrs["units"] = "seconds since 2000-01-01 00:00:00"
        f["TIME"].attrs["calendar"] = "proleptic_gregorian"
        f["time"] = np.int64(5)
        f["DIRECTION"] = ["A"] * N
        f["TEMP"].attrs["units"] = "degC"
        f["PRES"].attrs["units"] = "hPa"
    got = read_points(str(path), "TEMP", "K")
    keep = np.isfinite(data["TEMP"]) & np.isfinite(data["lat"])
    assert 0 < keep.sum() < N
    np.testing.assert_array_equal(got["values"], (data["TEMP"] + 273.15)[keep].astype("f4"))
    np.testing.assert_array_equal(got["lat"], data["lat"][keep])
    np.testing.assert_array_equal(got["lon"], data["lon"][keep])
    np.testing.assert_allclose(got["time"], (10957 + data["TIME"] / 86400)[keep], rtol=1e-14)
    np.testing.assert_allclose(got["pressure"], (data["PRES"] * 0.01)[keep], rtol=1e-7)


def test_packed_points_without_pressure(tmp_path: Path) -> None:
    path = tmp_path / "argo.nc"
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("obs", 4)
        for name, units, values in (
            ("latitude", "degrees_north", [1, 2, 3, 4]),
            ("longitude", "degrees_east", [5, 6, 7, 8]),
            ("JULD", "days since 1950-01-01 00:00:00 UTC", [0, 1, 2, 9999]),
        ):
            v = nc.createVariable(name, "f8", ("obs",), fill_value=9999.0)
            v.units = units
            v[:] = values
        v = nc.createVariable("TEMP", "i2", ("obs",), fill_value=-1)
        v.scale_factor = 0.5
        v.set_auto_maskandscale(False)
        v[:] = [10, -1, 30, 40]
    got = read_points(str(path), "TEMP", "degC")
    np.testing.assert_array_equal(got["values"], np.array([5, 15], "f4"))
    np.testing.assert_array_equal(got["time"], [-7305.0, -7303.0])
    assert np.isnan(got["pressure"]).all()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "argo.nc"
    with h5py.File(path, "w") as f:
        f["TEMP"] = np.zeros(5)
        f["lat"] = np.zeros(5)
        f["lon"] = np.zeros(4)
        f["profile"] = np.zeros((5, 2))
    with pytest.raises(UnsupportedError, match="longitude of length 5"):
        read_points(str(path), "TEMP")
    with pytest.raises(UnsupportedError, match=r"\[5, 2\]"):
        read_points(str(path), "profile")
