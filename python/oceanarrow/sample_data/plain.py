"""The same ocean as the plain files that data centres deliver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.sample_data.grids import Grid, cell_centres, coarse, is_land, sample
from oceanarrow.sample_data.netcdf import (
    LATITUDE,
    LONGITUDE,
    Packing,
    Variable,
    axis,
    time_axis,
    write_netcdf,
)
from oceanarrow.sample_data.ocean import Ocean
from oceanarrow.sample_data.tiles import Day

Array = npt.NDArray[Any]

DEPTHS = (0.494025, 47.37369, 318.1274)
"""Metres; three of GLORYS12's."""
_WIND_DAYS = 60
_TYX = ("time", "latitude", "longitude")
_KELVIN = Packing("int16", 0.01, 273.15, -32768)


def day_files(day: Day, folder: Path) -> Iterator[Path]:
    """Writes a day's global files; yields each once it is there."""
    yield _sea_level(day, folder / "ssh" / f"ssh_{day.date:%Y%m%d}.nc")
    name = f"{day.date:%Y%m%d}090000-SYNTHETIC-L4_GHRSST-SSTfnd-GLOB-v02.0-fv01.0.nc"
    yield _ghrsst(day, folder / "ghrsst" / name)
    yield _model(day, folder / "model" / f"model_{day.date:%Y%m%d}.nc")


def other_files(ocean: Ocean, start: date, scale: float, folder: Path) -> Iterator[Path]:
    """Writes the files that are of no single day; yields each once it is there."""
    yield _wind(ocean, start, scale, folder / f"wind_{start:%Y%m%d}_{_WIND_DAYS}_days.nc")
    yield _bathymetry(ocean, folder / "bathymetry.nc")
    yield _climatology(ocean, scale, folder / "sst_climatology.nc")


def _sea_level(day: Day, path: Path) -> Path:
    """0..360 degrees, integers of 32 bits, as Copernicus Marine's sea level."""
    grid = _from_greenwich(cell_centres(coarse(360, day.scale)))
    state = day.state
    known = sample(state.known.astype(np.float32), state.grid, grid) > 0.5
    packing = Packing("int32", 1e-4, 0.0, -2147483647)
    fields = {
        "sla": (state.sla, "m"),
        "adt": (state.adt, "m"),
        "ugos": (state.ugos, "m/s"),
        "vgos": (state.vgos, "m/s"),
    }
    content = _axes(grid, [day.date], 0)
    for name, (values, unit) in fields.items():
        seen = np.where(known, sample(values, state.grid, grid), np.nan)[None]
        content[name] = Variable(_TYX, seen, {"units": unit}, packing, (1, 50, 50), 4)
    return _write(path, content)


def _ghrsst(day: Day, path: Path) -> Path:
    """Kelvin, with quality levels and ice."""
    grid = cell_centres(coarse(900, day.scale))
    state = day.state
    cloud = sample(state.cloud, state.grid, grid)
    land = is_land(grid)
    quality = np.select([land, cloud < -0.4, cloud < 0.1, cloud < 0.4], [0, 5, 4, 3], 2)
    ice = np.where(land, np.nan, sample(state.ice, state.grid, grid))
    # What lies under clouds is guessed by the analysis, a little cold.
    guess = np.where(quality < 4, -1.0, 0.0)
    kelvin = np.where(land, np.nan, sample(state.sst, state.grid, grid) + guess + 273.15)
    levels = {
        "flag_values": np.arange(6, dtype=np.int8),
        "flag_meanings": "no_data bad_data worst_quality low_quality acceptable_quality "
        "best_quality",
    }
    chunks = (1, 120, 180)
    dims = ("time", "lat", "lon")
    content = _axes(grid, [day.date], 9, ("lat", "lon"))
    content |= {
        "analysed_sst": Variable(dims, kelvin[None], {"units": "kelvin"}, _KELVIN, chunks, 4),
        "sea_ice_fraction": Variable(
            dims, ice[None], {"units": "1"}, Packing("int8", 0.01, 0.0, -128), chunks, 4
        ),
        "quality_level": Variable(
            dims, quality[None], {"units": "1", **levels}, Packing("int8", fill=-128), chunks, 4
        ),
    }
    return _write(path, content)


def _model(day: Day, path: Path) -> Path:
    """Temperature at several depths."""
    grid = cell_centres(coarse(360, day.scale))
    surface = day.wet(day.state.sst, grid)
    deep = np.exp(-((np.array(DEPTHS) / 400.0) ** 1.2))[:, None, None].astype(np.float32)
    values = (3.0 + (surface - 3.0) * deep)[None]
    content = _axes(grid, [day.date], 12)
    depth = {"standard_name": "depth", "units": "m", "positive": "down", "axis": "Z"}
    content["depth"] = axis("depth", np.array(DEPTHS), "float32", depth)
    content["thetao"] = Variable(
        ("time", "depth", "latitude", "longitude"),
        values,
        {"units": "degrees_C", "standard_name": "sea_water_potential_temperature"},
        Packing("int16", 0.001, 20.0, -32767),
        (1, 1, 120, 180),
        4,
    )
    return _write(path, content)


def _wind(ocean: Ocean, start: date, scale: float, path: Path) -> Path:
    """Many days in one file, a chunk each."""
    grid = cell_centres(coarse(360, scale))
    days = [start + timedelta(days=n) for n in range(_WIND_DAYS)]
    shape = (_WIND_DAYS, *grid.shape)
    both = np.empty((2, *shape), np.float32)
    for n, day in enumerate(days):
        for part, values in zip(both, ocean.wind(day), strict=True):
            part[n] = sample(values, ocean.grid, grid)
    content = _axes(grid, days, 0)
    for name, values in zip(("eastward_wind", "northward_wind"), both, strict=True):
        content[name] = Variable(
            _TYX,
            values,
            {"units": "m s-1", "standard_name": name},
            Packing("int16", 0.01, 0.0, -32767),
            (1, *grid.shape),
            4,
        )
    return _write(path, content)


def _bathymetry(ocean: Ocean, path: Path) -> Path:
    """Without time."""
    content = _axes(ocean.grid, None, 0)
    content["elevation"] = Variable(
        ("latitude", "longitude"),
        ocean.elevation(),
        {"units": "m", "standard_name": "surface_altitude"},
        _WHOLE_METRES,
        (180, 360),
        4,
    )
    return _write(path, content)


_WHOLE_METRES = Packing("int16", 1.0, 0.0, -32767)


def _climatology(ocean: Ocean, scale: float, path: Path) -> Path:
    """Twelve months, as CF section 7.4 has climatologies."""
    grid = cell_centres(coarse(90, scale))
    months = [date(2018, month, 15) for month in range(1, 13)]
    values = np.stack([sample(ocean.climatology(day), ocean.grid, grid) for day in months])
    content = _axes(grid, months, 0)
    bounds = np.array(
        [[_since_1950(2018, month), _since_1950(2018, month + 1)] for month in range(1, 13)]
    )
    stamps = content["time"]
    content["time"] = Variable(
        stamps.dimensions, stamps.values, {**stamps.attributes, "climatology": "climatology_bounds"}
    )
    content["nv"] = Variable(("nv",), np.arange(2))
    content["climatology_bounds"] = Variable(("time", "nv"), bounds)
    content["sst"] = Variable(
        _TYX,
        np.where(is_land(grid), np.nan, values),
        {
            "units": "degree_Celsius",
            "cell_methods": "time: mean within years time: mean over years",
        },
        Packing("float32"),
        (1, *grid.shape),
        4,
    )
    return _write(path, content)


def _since_1950(year: int, month: int) -> float:
    first = date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
    return float((first - date(1950, 1, 1)).days)


def _from_greenwich(grid: Grid) -> Grid:
    return Grid(grid.lat, np.sort(grid.lon % 360.0))


def _axes(
    grid: Grid,
    days: list[date] | None,
    hour: int,
    names: tuple[str, str] = ("latitude", "longitude"),
) -> dict[str, Variable]:
    found = {} if days is None else {"time": time_axis(days, hour)}
    found[names[0]] = axis(names[0], grid.lat, "float32", {**LATITUDE, "axis": "Y"})
    found[names[1]] = axis(names[1], grid.lon, "float32", {**LONGITUDE, "axis": "X"})
    return found


def _write(path: Path, content: dict[str, Variable]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_netcdf(path, content, {"title": "oceanarrow sample data, synthetic but for adt"})
    return path
