"""A small synthetic ocean in OceanTACO's layout: every source's structure, coarsened.

Fields are sums of plane waves on the unit sphere, hence continuous across tile borders, the
antimeridian and the poles; land is a handful of ellipses.  Everything is a function of the day and
the region alone.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import oceanarrow
from oceanarrow.taco import REGIONS, GranuleFile, write_taco

FIRST_DAY = date(2023, 4, 1)
DAYS = [FIRST_DAY + timedelta(days=k) for k in range(4)]
#: On the last day only these sources exist.
LAST_DAY_SOURCES = ("l4_ssh", "l4_sst", "l3_ssh")
#: No swath at all on this day.
DAY_WITHOUT_SWOT = DAYS[1]
#: From this day on l4_sst comes on a coarser grid, without the poles.
DAY_OF_NEW_SST_GRID = DAYS[2]

# (lon, lat, half-width, half-height) in degrees.
_LAND = [
    (20.0, 5.0, 22.0, 32.0),
    (75.0, 52.0, 68.0, 20.0),
    (-100.0, 48.0, 32.0, 22.0),
    (-60.0, -18.0, 16.0, 30.0),
    (134.0, -25.0, 19.0, 12.0),
    (-42.0, 73.0, 16.0, 9.0),
]
_ANTARCTIC_COAST = -74.0
_DAY_FOLDER = r"/(?P<year>\d{4})_(?P<month>\d{2})_(?P<day>\d{2})/"

Values = np.ndarray


@dataclass
class Tile:
    """One file to be: variables on their dimensions, and how each is stored."""

    variables: dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]
    coordinates: dict[str, Any]
    encoding: dict[str, dict[str, Any]] = field(default_factory=dict)


def write_ocean(path: Path, *, container: str = "folder") -> Path:
    """The whole synthetic dataset (about 8 MB) as a TACO folder or ZIP."""
    with tempfile.TemporaryDirectory() as scratch:
        granules = [
            _granule(Path(scratch), day, region, source, SOURCES[source])
            for day in DAYS
            for region in REGIONS
            for source in SOURCES
            if _exists(day, source)
        ]
        return write_taco(path, granules, container=container, id="synthetic_ocean", pad_to=11)


def zip_of(folder: Path, path: Path) -> Path:
    """The same files as a FOLDER dataset's, as a ZIP."""
    files = _files_of(folder)
    return write_taco(path, files, container="zip", id="synthetic_ocean", pad_to=11)


def write_listed(folder: Path, path: Path) -> Path:
    """A catalogue of a FOLDER dataset's gridded files, in the names and units of the package.

    Without l3_sst: its third step is of the next day, and counts there.
    """
    files: dict[str, dict[str, str]] = {}
    units: dict[str, str] = {}
    for variable in oceanarrow.variables().values():
        if variable.supply == "computed" or variable.source == "l3_sst":
            continue
        if variable.geometry == "grid":
            files.setdefault(variable.file, {})[variable.name] = variable.netcdf
            units[variable.name] = variable.unit
    oceanarrow.write_catalog(
        path,
        [
            oceanarrow.Files(
                f"{folder}/DATA/*/*/{file}",
                names,
                units={name: units[name] for name in names},
                # The only ones without time.
                day=_DAY_FOLDER if file == "l3_ssh.nc" else None,
            )
            for file, names in files.items()
        ],
        progress=False,
    )
    return path


def without_indian(folder: Path, path: Path) -> Path:
    """The first day's l4_ssh, l3_swot and SMOS of the six regions beside NORTH and SOUTH_INDIAN."""
    sources = ("l4_ssh", "l3_swot", "l3_sss_smos_asc")
    files = [
        file
        for file in _files_of(folder)
        if file.day == FIRST_DAY.isoformat()
        and file.source in sources
        and not file.region.endswith("_INDIAN")
    ]
    return write_taco(path, files, id="synthetic_ocean_with_a_gap")


def _files_of(folder: Path) -> list[GranuleFile]:
    source = {"l3_sss_asc": "l3_sss_smos_asc", "l3_sss_desc": "l3_sss_smos_desc"}
    return [
        GranuleFile(
            file.parts[-3].replace("_", "-"),
            file.parts[-2],
            source.get(file.stem, file.stem),
            file,
        )
        for file in sorted((folder / "DATA").glob("*/*/*.nc"))
    ]


def write_units(path: Path) -> Path:
    """A tiny dataset whose files say other units: kelvin and cm on day 1, furlong on day 2.

    One region (NORTH_ATLANTIC), l4_sst of 15 degC everywhere and l4_ssh of 0.25 m everywhere.
    """
    lat, lon = _centres(2.0, 0.0, 90.0), _centres(2.0, -90.0, 0.0)
    yx = ("lat", "lon")
    full = np.ones((lat.size, lon.size))
    coordinates = {"lat": lat.astype(np.float32), "lon": lon}
    kelvin = Tile(
        {"analysed_sst": (yx, 288.15 * full, {"units": "kelvin"})},
        coordinates,
        {"analysed_sst": _packed(0.01, 273.15, (20, 20))},
    )
    granules = []
    with tempfile.TemporaryDirectory() as scratch:
        for day, height, unit in ((DAYS[0], 25.0, "cm"), (DAYS[1], 0.25, "furlong")):
            ssh = Tile({"sla": (yx, height * full, {"units": unit})}, coordinates)
            for source, tile in (("l4_sst", kelvin), ("l4_ssh", ssh)):
                file = Path(scratch) / f"{source}_{day}.nc"
                _save(file, tile)
                granules.append(GranuleFile(day, "NORTH_ATLANTIC", source, file))
        return write_taco(path, granules, id="synthetic_units")


def _exists(day: date, source: str) -> bool:
    if day == DAYS[-1]:
        return source in LAST_DAY_SOURCES
    return not (source == "l3_swot" and day == DAY_WITHOUT_SWOT)


def _granule(
    scratch: Path, day: date, region: str, source: str, build: Callable[[date, str], Tile]
) -> GranuleFile:
    tile = build(day, region)
    file = scratch / f"{source}_{region}_{day:%Y%m%d}.nc"
    _save(file, tile)
    lat, lon = (np.asarray(xr.Variable(*_coordinate(tile, name))) for name in ("lat", "lon"))
    box = (float(lon.min()), float(lon.max()), float(lat.min()), float(lat.max()))
    step = float("nan") if source == "argo" else float((lat.max() - lat.min()) / (lat.size - 1))
    return GranuleFile(day, region, source, file, bbox=box, res_deg_lat=step)


def _coordinate(tile: Tile, name: str) -> tuple[tuple[str, ...], Values]:
    value = tile.coordinates[name]
    return (value[0], value[1]) if isinstance(value, tuple) else ((name,), value)


def _save(file: Path, tile: Tile) -> None:
    dataset = xr.Dataset(tile.variables, tile.coordinates, {"Conventions": "CF-1.6"})
    dataset.to_netcdf(file, engine="h5netcdf", encoding=tile.encoding)


# ---- the ocean ----------------------------------------------------------------------------------


def _wave(seed: str, lat: Values, lon: Values, day: float, waves: int = 10) -> Values:
    """A smooth field of about unit variance, on the grid of two axes."""
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    phi, lam = np.radians(lat, dtype=float)[:, None], np.radians(lon, dtype=float)[None, :]
    x, y, z = np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi) + 0 * lam
    total = np.zeros((lat.size, lon.size))
    for number in np.linspace(2.0, 18.0, waves):
        kx, ky, kz = number * rng.standard_normal(3)
        phase, pace = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
        total += np.sin(kx * x + ky * y + kz * z + phase + pace * day)
    return total * np.sqrt(2.0 / waves)


def is_land(lat: Values, lon: Values) -> Values:
    """Whether the cells of two axes are land: bool (lat, lon)."""
    la, lo = np.asarray(lat, float)[:, None], np.asarray(lon, float)[None, :]
    land = la + 0 * lo < _ANTARCTIC_COAST
    for centre_lon, centre_lat, width, height in _LAND:
        away = (lo - centre_lon + 180.0) % 360.0 - 180.0
        land |= (away / width) ** 2 + ((la - centre_lat) / height) ** 2 < 1.0
    return land


def _height(lat: Values, lon: Values, day: float) -> Values:
    return 0.3 * _wave("height", lat, lon, day)


def _temperature(lat: Values, lon: Values, day: float) -> Values:
    return 28.0 * np.cos(np.radians(lat, dtype=float))[:, None] + _wave("warm", lat, lon, day)


def _salinity(lat: Values, lon: Values, day: float) -> Values:
    return 35.0 + 0.8 * _wave("salt", lat, lon, day)


# ---- storage ------------------------------------------------------------------------------------


def _centres(step: float, start: float, stop: float) -> Values:
    """Cell centres of the global grid of this step that lie in [start, stop), as float64."""
    return _within(-180.0 + step / 2 + step * np.arange(round(360 / step)), start, stop)


def _within(axis: Values, start: float, stop: float) -> Values:
    return axis[(axis >= start) & (axis < stop)]


def _packed(scale: float, offset: float, chunks: tuple[int, ...]) -> dict[str, Any]:
    return {
        "dtype": "int16",
        "scale_factor": scale,
        "add_offset": offset,
        "_FillValue": np.int16(-32767),
        "zlib": True,
        "complevel": 5,
        "shuffle": False,
        "chunksizes": chunks,
    }


def _floating(chunks: tuple[int, ...]) -> dict[str, Any]:
    return {
        "dtype": "float32",
        "_FillValue": np.float32(np.nan),
        "zlib": True,
        "complevel": 4,
        "shuffle": False,
        "chunksizes": chunks,
    }


def _wet(values: Values, lat: Values, lon: Values, seen: Values | None = None) -> Values:
    """The values, NaN on land and where nothing was seen."""
    hidden = is_land(lat, lon) if seen is None else is_land(lat, lon) | ~seen
    return np.where(hidden, np.nan, values)


def _noise(source: str, region: str, day: date, shape: tuple[int, ...]) -> Values:
    seed = zlib.crc32(f"{source} {region} {day}".encode())
    return np.random.default_rng(seed).standard_normal(shape)


def _axes(region: str, step: float, reach: float = 90.0) -> tuple[Values, Values]:
    """float32 latitudes and longitudes (widened to float64, as published) of a region."""
    lon_min, lon_max, lat_min, lat_max = REGIONS[region]
    lat = _centres(step, max(lat_min, -reach), min(lat_max, reach)).astype(np.float32)
    return lat, _centres(step, lon_min, lon_max).astype(np.float32).astype(np.float64)


def _age(day: date) -> float:
    return float((day - FIRST_DAY).days)


def _midnight(day: date) -> np.datetime64:
    return np.datetime64(day.isoformat(), "ns")


YX = ("lat", "lon")


# ---- the sources --------------------------------------------------------------------------------


def _l4_ssh(day: date, region: str) -> Tile:
    lat, lon = _axes(region, 1.0)
    noise = 0.02 * _noise("l4_ssh", region, day, (lat.size, lon.size))
    sla = _wet(_height(lat, lon, _age(day)) + noise, lat, lon)
    return Tile(
        {"sla": (YX, sla, {"units": "m"}), "adt": (YX, sla + 0.5, {"units": "m"})},
        {"lat": lat, "lon": lon, "time": _midnight(day)},
        {name: _packed(0.0005, 0.0, (37, 41)) for name in ("sla", "adt")},
    )


def _l4_sst(day: date, region: str) -> Tile:
    new = day >= DAY_OF_NEW_SST_GRID
    lat, lon = _axes(region, 2.0, 80.0) if new else _axes(region, 1.0)
    noise = 0.1 * _noise("l4_sst", region, day, (lat.size, lon.size))
    sst = _wet(_temperature(lat, lon, _age(day)) + noise, lat, lon)
    return Tile(
        {"analysed_sst": (YX, sst, {"units": "degree_Celsius"})},
        {"lat": lat, "lon": lon, "time": _midnight(day) + np.timedelta64(12, "h")},
        {"analysed_sst": _packed(0.001, 20.0, (23, 29))},
    )


def _l4_sss(day: date, region: str) -> Tile:
    lat, lon = _axes(region, 1.2)
    sos = _wet(_salinity(lat, lon, _age(day)), lat, lon)[None]
    return Tile(
        {"sos": (("depth", *YX), sos, {"units": "1e-3"})},
        {"depth": np.zeros(1, np.float32), "lat": lat, "lon": lon, "time": _midnight(day)},
        {"sos": _packed(0.002, 30.0, (1, 30, 30))},
    )


def _l4_wind(day: date, region: str) -> Tile:
    lat, lon = _axes(region, 1.8)
    wind = _wet(7.0 * _wave("wind", lat, lon, 3 * _age(day)), lat, lon)[None]
    # Packed bounds, as CF has them: +-15 m/s of what is there counts.
    bounds = {"valid_min": np.int16(-1500), "valid_max": np.int16(1500)}
    return Tile(
        {"eastward_wind": (("time", *YX), wind, {"units": "m s-1", **bounds})},
        {"time": [_midnight(day)], "lat": lat, "lon": lon},
        {"eastward_wind": _packed(0.01, 0.0, (1, 16, 16))},
    )


def _l3_sst(day: date, region: str) -> Tile:
    """Three steps: two on the day, one at the next midnight, which does not count."""
    lat, lon = _axes(region, 1.5, 80.0)
    base = _temperature(lat, lon, _age(day))
    steps = []
    for k, bias in enumerate((0.0, 0.4, 9.0)):
        clear = _wave(f"cloud{k}", lat, lon, 5 * _age(day)) < 0.3
        steps.append(_wet(base + bias, lat, lon, clear))
    times = [_midnight(day) + np.timedelta64(hours, "h") for hours in (6, 18, 24)]
    name = "adjusted_sea_surface_temperature"
    return Tile(
        {name: (("time", *YX), np.stack(steps), {"units": "degree_Celsius"})},
        {"time": times, "lat": lat, "lon": lon},
        {name: _packed(0.001, 20.0, (1, 20, 31))},
    )


def _smos_axes(region: str) -> tuple[Values, Values]:
    """Equal-area cells: latitudes from 0.7 deg apart at the equator to 8 near the poles."""
    lon_min, lon_max, lat_min, lat_max = REGIONS[region]
    n_lat, n_lon = 164, 233
    sines = -1.0 + (2 * np.arange(n_lat) + 1) / n_lat
    lat = np.degrees(np.arcsin(sines)).astype(np.float32)
    lon = (-180.0 + 360.0 / n_lon * (np.arange(n_lon) + 0.5)).astype(np.float32)
    return _within(lat, lat_min, lat_max), _within(lon.astype(np.float64), lon_min, lon_max)


def _smos(name: str, slope: float) -> Callable[[date, str], Tile]:
    def build(day: date, region: str) -> Tile:
        lat, lon = _smos_axes(region)
        noise = 0.4 * _noise(name, region, day, (lat.size, lon.size))
        track = lon[None, :] + slope * np.radians(lat)[:, None] + 9 * _age(day)
        seen = (track % 25.0 < 14.0) & (np.abs(lat)[:, None] < 75)
        return Tile(
            {
                "Sea_Surface_Salinity": (
                    YX,
                    _wet(_salinity(lat, lon, _age(day)) + noise, lat, lon, seen),
                    {},
                )
            },
            {"lat": lat, "lon": lon, "time": _midnight(day)},
            {"Sea_Surface_Salinity": _packed(0.002, 30.0, (25, 26))},
        )

    return build


def _km_axes(region: str, lat_step: float, lon_step: float) -> tuple[Values, Values]:
    """Each region's own axes from its own corner: the spacing breaks at tile borders."""
    lon_min, lon_max, lat_min, lat_max = REGIONS[region]
    return np.arange(lat_min, lat_max, lat_step), np.arange(lon_min, lon_max, lon_step)


def _swath(lat: Values, lon: Values, day: date, width: float) -> Values:
    """Cells under slanted swaths `width` degrees wide, 12 degrees apart."""
    rise = 0.6 * lat[:, None]
    up = (lon[None, :] + rise + 2.3 * _age(day)) % 12.0 < width
    down = (lon[None, :] - rise + 5.1 + 2.3 * _age(day)) % 12.0 < width
    return (up | down) & (np.abs(lat)[:, None] < 78)


def _along_track(source: str, variable: str, steps: tuple[float, float], width: float):
    def build(day: date, region: str) -> Tile:
        lat, lon = _km_axes(region, *steps)
        shape = (lat.size, lon.size)
        seen = _swath(lat, lon, day, width) & ~is_land(lat, lon)
        height = _height(lat, lon, _age(day)) + 0.01 * _noise(source, region, day, shape)
        tracks = [f"{source}_{day:%Y%m%d}_{k:03d}" for k in range(3)]
        chunks = (shape[0] // 3, shape[1] // 3)
        coordinates: dict[str, Any] = {"lat": lat, "lon": lon, "track": np.arange(3)}
        if source == "l3_swot":
            coordinates["time"] = _midnight(day)
        return Tile(
            {
                variable: (YX, np.where(seen, height, np.nan), {}),
                "n_obs": (YX, seen.astype(np.int32)),
                "track_ids": (("track",), np.array(tracks, dtype=object)),
            },
            coordinates,
            {
                variable: _floating(chunks),
                "n_obs": {"dtype": "int32", "zlib": True, "chunksizes": chunks},
            },
        )

    return build


def _glorys(day: date, region: str) -> Tile:
    lon_min, lon_max, lat_min, lat_max = REGIONS[region]
    lat = _within(-80.0 + 1.25 * np.arange(137), lat_min, lat_max).astype(np.float32)
    lon = _within(-180.0 + 1.25 * np.arange(288), lon_min, lon_max)
    age = _age(day)
    fields = {
        "zos": (_height(lat, lon, age) + 0.4, 0.0005, 0.0),
        "thetao": (_temperature(lat, lon, age), 0.001, 20.0),
        "so": (_salinity(lat, lon, age), 0.002, 30.0),
        "uo": (0.3 * _wave("u", lat, lon, age), 0.001, 0.0),
        "vo": (0.3 * _wave("v", lat, lon, age), 0.001, 0.0),
    }
    return Tile(
        {name: (YX, _wet(values, lat, lon), {}) for name, (values, _, _) in fields.items()},
        {"lat": lat, "lon": lon, "time": _midnight(day) + np.timedelta64(12, "h")},
        {name: _packed(scale, add, (17, 36)) for name, (_, scale, add) in fields.items()},
    )


def _argo(day: date, region: str) -> Tile:
    """Six profiles of a few levels; one of NORTH_ATLANTIC sits at exactly 30 W, 20 N."""
    rng = np.random.default_rng(zlib.crc32(f"argo {region} {day}".encode()))
    lon_min, lon_max, lat_min, lat_max = REGIONS[region]
    lat, lon = rng.uniform(max(lat_min, -65), min(lat_max, 65), 6), rng.uniform(lon_min, lon_max, 6)
    if region == "NORTH_ATLANTIC":
        lat[0], lon[0] = 20.0, -30.0
    profile = np.repeat(np.arange(6), rng.integers(3, 7, 6))
    n = profile.size
    surface = np.array(
        [_temperature(lat[k : k + 1], lon[k : k + 1], _age(day))[0, 0] for k in range(6)]
    )
    pressure = rng.uniform(2.0, 200.0, n)
    temperature = surface[profile] - 0.03 * pressure
    temperature[rng.uniform(size=n) < 0.1] = np.nan
    when = _midnight(day) + (rng.uniform(0, 86_399, 6) * 1e9).astype("timedelta64[ns]")
    when = when.astype("datetime64[s]").astype("datetime64[ns]")[profile]
    along = ("N_POINTS",)
    return Tile(
        {
            "TEMP": (along, temperature, {"units": "degree_Celsius"}),
            "PRES": (along, pressure, {"units": "decibar"}),
            "PSAL": (along, 35.0 + 0.001 * pressure, {}),
            "CYCLE_NUMBER": (along, (profile + 1).astype(np.int64)),
            "PLATFORM_NUMBER": (along, (5_900_000 + profile).astype(np.int64)),
            "DIRECTION": (along, np.array(["A"] * n, dtype=object)),
        },
        {
            "N_POINTS": np.arange(n),
            "TIME": (along, when),
            "time": (along, when),
            "lat": (along, lat[profile]),
            "lon": (along, lon[profile]),
        },
    )


#: How each source's tile of a day and region is made.
SOURCES: dict[str, Callable[[date, str], Tile]] = {
    "l4_ssh": _l4_ssh,
    "l4_sst": _l4_sst,
    "l4_sss": _l4_sss,
    "l4_wind": _l4_wind,
    "l3_sst": _l3_sst,
    "l3_ssh": _along_track("l3_ssh", "sla_filtered", (1.13, 1.59), 2.5),
    "l3_swot": _along_track("l3_swot", "ssha_filtered", (0.45, 0.634), 3.0),
    "l3_sss_smos_asc": _smos("l3_sss_smos_asc", 18.0),
    "l3_sss_smos_desc": _smos("l3_sss_smos_desc", -18.0),
    "glorys": _glorys,
    "argo": _argo,
}
