"""What a NetCDF file says, read plainly for the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr


@dataclass
class Tile:
    """One file's cells of a day: latitudes ascending, values NaN where invalid."""

    path: Path
    lat: np.ndarray
    lon: np.ndarray
    values: np.ndarray


@lru_cache(maxsize=4096)
def read_tile(path: Path, name: str, day: date) -> Tile:
    with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as packed:
        array = xr.decode_cf(packed)[name].astype(np.float64)
        raw, attributes = packed[name].values, packed[name].attrs
        array = array.where(_allowed(raw, attributes))
        if "time" in array.dims:
            array = _steps_of_day(array, day)
        array = array.squeeze([d for d in array.dims if d not in ("lat", "lon")], drop=True)
        array = array.sortby("lat").sortby("lon").transpose("lat", "lon")
        values = _to_registry_unit(array.values, str(attributes.get("units", "")))
        lat, lon = (array[axis].values.astype(np.float64) for axis in ("lat", "lon"))
    return Tile(path, lat, lon, values)


def _allowed(raw: np.ndarray, attributes: dict) -> np.ndarray:
    """Where the packed values lie in valid_min, valid_max and valid_range."""
    low, high = attributes.get("valid_range", (None, None))
    low, high = attributes.get("valid_min", low), attributes.get("valid_max", high)
    fine = np.ones(raw.shape, bool)
    if low is not None:
        fine &= raw >= low
    if high is not None:
        fine &= raw <= high
    return fine


def _steps_of_day(array: xr.DataArray, day: date) -> xr.DataArray:
    if array.sizes["time"] == 1:
        return array.isel(time=0)
    on_day = array["time"].values.astype("datetime64[D]") == np.datetime64(day.isoformat())
    return array.isel(time=np.flatnonzero(on_day)).mean("time", skipna=True)


def _to_registry_unit(values: np.ndarray, unit: str) -> np.ndarray:
    if unit in ("K", "kelvin"):
        return values - 273.15
    return values / 100 if unit == "cm" else values


@lru_cache(maxsize=4096)
def read_points(path: Path, name: str) -> tuple[np.ndarray, ...]:
    with xr.open_dataset(path, engine="h5netcdf") as granule:
        return tuple(granule[column].values for column in (name, "lat", "lon", "time", "PRES"))
