"""The files of a day and region, as OceanTACO publishes them: layout, packing and chunks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.sample_data.grids import (
    Grid,
    cell_centres,
    coarse,
    ease2,
    is_land,
    nodes,
    region_grid,
    sample,
    sample_points,
)
from oceanarrow.sample_data.netcdf import (
    LATITUDE,
    LONGITUDE,
    Packing,
    Variable,
    axis,
    scalar_time,
)
from oceanarrow.sample_data.ocean import OceanState
from oceanarrow.sample_data.orbit import Orbit, altimeters, smos
from oceanarrow.sample_data.tracks import (
    Track,
    bin_tracks,
    nadir_tracks,
    seen_cells,
    swath_tracks,
)
from oceanarrow.taco import REGIONS

Array = npt.NDArray[Any]
FileVariables = dict[str, Variable]

YX = ("lat", "lon")
_FILL = -32767
_HEIGHT = Packing("int16", 0.0005, 0.0, _FILL)
_TEMPERATURE = Packing("int16", 0.001, 20.0, _FILL)
_SALINITY = Packing("int16", 0.002, 30.0, _FILL)
_WIND = Packing("int16", 0.01, 0.0, _FILL)
_SPEED = Packing("int16", 0.001, 0.0, _FILL)
_FLOAT = Packing("float32")
_SHORT = Packing("int16", fill=_FILL)
_CELSIUS = "degree_Celsius"
_PROFILES = 40
"""A region and day of the published size; coarser ones have fewer."""


@dataclass
class Day:
    """What all tiles of a day are made of.

    Attributes:
        date: the day.
        state: the ocean.
        scale: how many times grids are coarsened.
        swot: SWOT's orbit.
    """

    date: date
    state: OceanState
    scale: float
    swot: Orbit

    @cached_property
    def swath(self) -> list[Track]:
        """SWOT's tracks."""
        return list(swath_tracks(self.state, self.swot, self.date, 2.0 * self.scale**0.5))

    @cached_property
    def nadir(self) -> list[Track]:
        """The altimeters' tracks."""
        return list(nadir_tracks(self.state, altimeters(), self.date, 7.0))

    def wet(self, values: Array, grid: Grid, seen: Array | None = None) -> Array:
        """A field of the ocean on a grid, NaN on land and where it is not seen."""
        found = sample(values, self.state.grid, grid)
        found[is_land(grid) if seen is None else is_land(grid) | ~seen] = np.nan
        return found

    def noise(self, name: str, shape: tuple[int, ...], size: float) -> Array:
        """White noise of a sensor."""
        rng = np.random.default_rng(zlib.crc32(f"{name} {self.date}".encode()))
        return (size * rng.standard_normal(shape)).astype(np.float32)


def _file(
    grid: Grid,
    day: date,
    hour: int,
    fields: Mapping[str, tuple[Array, Packing, str, tuple[int, int]]],
    axes: str = "float32",
    deflate: int = 5,
    extra: Mapping[str, Mapping[str, Any]] | None = None,
) -> FileVariables:
    """Fields (values, packing, unit, chunks) of a grid; `extra` attributes by name."""
    # Longitudes are float32 that were widened, as in the published files.
    lon = grid.lon.astype(np.float32).astype(np.float64) if axes == "float32" else grid.lon
    found = {
        "lat": axis("lat", grid.lat, axes, LATITUDE),
        "lon": axis("lon", lon, "float64", LONGITUDE),
        "time": scalar_time(day, hour),
    }
    for name, (values, packing, unit, chunks) in fields.items():
        attributes = {"units": unit, "coordinates": "time", **(extra or {}).get(name, {})}
        found[name] = Variable(YX, values, attributes, packing, chunks, deflate)
    return found


def _l4_ssh(day: Day, region: str) -> FileVariables:
    state = day.state
    grid = state.grid.region(region)
    rows, columns = (
        np.isin(a, b) for a, b in ((state.grid.lat, grid.lat), (state.grid.lon, grid.lon))
    )
    part = np.ix_(rows, columns)
    known = state.known[part]

    def field(values: Array) -> Array:
        return np.where(known, values[part], np.nan)

    error = 0.01 + 0.02 * np.abs(day.noise(f"err_sla {region}", grid.shape, 1.0))
    ice = np.where(state.land[part], np.nan, state.ice[part] > 0.5)
    full, half = (90, 90), (45, 90)
    return _file(
        grid,
        day.date,
        0,
        {
            "sla": (field(state.sla), _HEIGHT, "m", full),
            "adt": (field(state.adt), _HEIGHT, "m", full),
            "err_sla": (np.where(known, error, np.nan), _HEIGHT, "m", full),
            "ugos": (field(state.ugos), _FLOAT, "m s-1", half),
            "vgos": (field(state.vgos), _FLOAT, "m s-1", half),
            "ugosa": (field(state.ugosa), _FLOAT, "m s-1", half),
            "vgosa": (field(state.vgosa), _FLOAT, "m s-1", half),
            "flag_ice": (ice, _SHORT, "1", full),
        },
        extra={
            "flag_ice": {"flag_values": np.array([0, 1], np.int16), "flag_meanings": "no_ice ice"}
        },
    )


def _l4_sst(day: Day, region: str) -> FileVariables:
    grid = cell_centres(coarse(1800, day.scale)).region(region)
    land = is_land(grid)
    error = 0.2 + 0.1 * np.abs(day.noise(f"analysis_error {region}", grid.shape, 1.0))
    chunks = (113, 113)
    ice = day.wet(day.state.ice, grid)
    # 1 water, 2 land, 9 water with ice, as GHRSST has it.
    mask = np.where(land, 2.0, np.where(ice > 0, 9.0, 1.0)).astype(np.float32)
    return _file(
        grid,
        day.date,
        12,
        {
            "analysed_sst": (day.wet(day.state.sst, grid), _TEMPERATURE, _CELSIUS, chunks),
            "analysis_error": (np.where(land, np.nan, error), _FLOAT, _CELSIUS, chunks),
            "sea_ice_fraction": (ice, _FLOAT, "1", chunks),
            "mask": (mask, _FLOAT, "1", chunks),
        },
        extra={
            "mask": {
                "flag_masks": np.array([1, 2, 4, 8], np.int8),
                "flag_meanings": "water land lake ice",
            }
        },
    )


def _l4_sss(day: Day, region: str) -> FileVariables:
    grid = cell_centres(coarse(720, day.scale)).region(region)
    salinity = day.wet(day.state.sss, grid)
    # Linear about 10 degrees and 35; good to a kilogram.
    density = 1027 + 0.77 * (salinity - 35) - 0.17 * (day.wet(day.state.sst, grid) - 10)
    error = np.where(np.isnan(salinity), np.nan, 0.2).astype(np.float32)
    fields = {
        "sos": (salinity, _SALINITY, "1e-3", (90, 90)),
        "sos_error": (error, _FLOAT, "1e-3", (45, 90)),
        "dos": (density, _FLOAT, "kg m-3", (45, 90)),
        "dos_error": (error, _FLOAT, "kg m-3", (45, 90)),
        "sea_ice_fraction": (day.wet(day.state.ice, grid), _FLOAT, "1", (45, 90)),
    }
    flat = _file(grid, day.date, 12, fields)
    attributes = {"standard_name": "depth", "units": "m", "positive": "down"}
    found = {"depth": axis("depth", np.zeros(1), "float32", attributes)}
    for name, variable in flat.items():
        if variable.dimensions == YX:
            chunks = (1, *(variable.chunks or ()))
            variable = Variable(
                ("depth", *YX),
                variable.values[None],
                variable.attributes,
                variable.packing,
                chunks,
                variable.deflate,
            )
        found[name] = variable
    return found


def _l4_wind(day: Day, region: str) -> FileVariables:
    grid = cell_centres(coarse(360, day.scale)).region(region)
    return _file(
        grid,
        day.date,
        0,
        {
            "eastward_wind": (day.wet(day.state.wind_u, grid), _WIND, "m s-1", (45, 90)),
            "northward_wind": (day.wet(day.state.wind_v, grid), _WIND, "m s-1", (45, 90)),
        },
    )


def _l3_sst(day: Day, region: str) -> FileVariables:
    grid = cell_centres(coarse(900, day.scale), 80.0).region(region)
    cloud = sample(day.state.cloud, day.state.grid, grid)
    # Thin cloud is seen through, and looks cold; flagged so.
    quality = np.select([cloud < -0.4, cloud < 0.1, cloud < 0.4], [5.0, 4.0, 2.0], 0.0)
    quality = quality.astype(np.float32)
    seen = quality > 0
    bias = np.where(quality == 2, -1.5 * (cloud - 0.1) / 0.3, 0.0).astype(np.float32)
    truth = day.wet(day.state.sst, grid, seen)
    measured = truth + bias + day.noise(f"l3_sst {region}", grid.shape, 0.15)
    hidden = np.isnan(truth)
    quality[hidden] = np.nan
    hours = np.broadcast_to(-grid.lon / 15.0 * 3600.0, grid.shape)
    chunks, half = (100, 113), (50, 113)
    return _file(
        grid,
        day.date,
        12,
        {
            "adjusted_sea_surface_temperature": (measured, _TEMPERATURE, _CELSIUS, chunks),
            "sea_surface_temperature": (measured + 0.1, _TEMPERATURE, _CELSIUS, chunks),
            "bias_to_reference_sst": (np.where(hidden, np.nan, 0.1), _TEMPERATURE, "K", chunks),
            "quality_level": (quality, _FLOAT, "1", half),
            "sst_dtime": (np.where(hidden, np.nan, hours), _FLOAT, "s", half),
            "sources_of_sst": (np.where(hidden, np.nan, 1.0), _SHORT, "1", half),
        },
        extra={
            "quality_level": {
                "flag_values": np.arange(6, dtype=np.int8),
                "flag_meanings": "no_data bad_data worst_quality low_quality acceptable_quality "
                "best_quality",
            }
        },
    )


def _smos(rising: bool) -> Callable[[Day, str], FileVariables]:
    def build(day: Day, region: str) -> FileVariables:
        grid = ease2(coarse(292, day.scale), coarse(347, day.scale)).region(region)
        seen = seen_cells(smos(), day.date, grid, 450.0, rising)
        name = "rising" if rising else "sinking"
        noise = day.noise(f"smos {name} {region}", grid.shape, 0.6)
        salinity = day.wet(day.state.sss, grid, seen) + noise
        error = np.where(np.isnan(salinity), np.nan, 0.6)
        chunks, half = (73, 87), (37, 87)
        hour = 6.0 if rising else 18.0
        return _file(
            grid,
            day.date,
            int(hour),
            {
                "Sea_Surface_Salinity": (salinity, _SALINITY, "1e-3", chunks),
                "Sea_Surface_Salinity_Error": (error, _SALINITY, "1e-3", chunks),
                "Mean_Acq_Time": (np.where(np.isnan(salinity), np.nan, hour), _FLOAT, "h", half),
            },
        )

    return build


def _along_track(
    name: str, kilometres: float, chunks: tuple[int, int], tracks: Callable[[Day], list[Track]]
) -> Callable[[Day, str], FileVariables]:
    def build(day: Day, region: str) -> FileVariables:
        grid = region_grid(region, kilometres * day.scale)
        seen = bin_tracks(tracks(day), grid)
        swath = name == "ssha"
        suffix = (
            ("ssha_filtered", "ssha_unfiltered") if swath else ("sla_filtered", "sla_unfiltered")
        )
        wide = (chunks[0], 2 * chunks[1])
        found = _file(
            grid,
            day.date,
            0,
            {
                suffix[0]: (seen.sla, _FLOAT, "m", chunks),
                suffix[1]: (seen.noisy, _FLOAT, "m", chunks),
                "mdt": (seen.mdt, _FLOAT, "m", chunks),
                "n_obs": (seen.count, Packing("int32", fill=-1), "1", chunks),
                "primary_track": (seen.primary, Packing("int16", fill=-1), "1", wide),
            },
            axes="float64",
            deflate=4,
        )
        flags = {
            "flag_values": np.array([0, 1], np.int8),
            "flag_meanings": "one_track several_tracks",
            "coordinates": "time",
        }
        found["is_overlap"] = Variable(YX, seen.overlap, flags, None, wide, 4)
        found["track"] = Variable(("track",), np.arange(len(seen.tracks)))
        along = ("track",)
        found["track_ids"] = Variable(along, [track.id for track in seen.tracks])
        found["track_times"] = Variable(along, [track.start.isoformat() for track in seen.tracks])
        found["track_platforms"] = Variable(along, [track.platform for track in seen.tracks])
        return found

    return build


def _glorys(day: Day, region: str) -> FileVariables:
    grid = nodes(coarse(1080, day.scale)).region(region)
    state, chunks = day.state, (68, 135)
    # 10 cm/s of the wind's own drift for 10 m/s, 45 degrees to the right in the north.
    right = np.sign(grid.lat)[:, None] / np.sqrt(2)
    u, v = (day.wet(wind, grid) for wind in (state.wind_u, state.wind_v))
    drift = 0.01 * (u / np.sqrt(2) + v * right), 0.01 * (v / np.sqrt(2) - u * right)
    return _file(
        grid,
        day.date,
        12,
        {
            "zos": (day.wet(state.adt, grid), _HEIGHT, "m", chunks),
            "thetao": (day.wet(state.sst, grid), _TEMPERATURE, "degrees_C", chunks),
            "so": (day.wet(state.sss, grid), _SALINITY, "1e-3", chunks),
            "uo": (day.wet(state.ugos, grid) + drift[0], _SPEED, "m s-1", chunks),
            "vo": (day.wet(state.vgos, grid) + drift[1], _SPEED, "m s-1", chunks),
        },
    )


def _argo(day: Day, region: str) -> FileVariables:
    """Profiles down to 2000 dbar, cold below a thermocline."""
    rng = np.random.default_rng(zlib.crc32(f"argo {region} {day.date}".encode()))
    lon_min, lon_max, lat_min, lat_max = REGIONS[region]
    profiles = round(_PROFILES / day.scale**0.5)
    # So many that enough are not on land.
    lon = rng.uniform(lon_min, lon_max, 20 * profiles)
    lat = rng.uniform(max(lat_min, -65.0), min(lat_max, 65.0), 20 * profiles)
    wet = sample_points(day.state.land.astype(np.float32), day.state.grid, lat, lon) < 0.01
    lon, lat = lon[wet][:profiles], lat[wet][:profiles]
    levels = np.concatenate([np.arange(5, 200, 10.0), np.arange(200, 2001, 50.0)])
    sst, sss = (
        sample_points(values, day.state.grid, lat, lon) for values in (day.state.sst, day.state.sss)
    )
    deep = np.exp(-((levels / 400.0) ** 1.2))
    temperature = 3.0 + (sst[:, None] - 3.0) * deep
    salinity = 34.7 + (sss[:, None] - 34.7) * deep
    seconds = np.sort(rng.integers(0, 86_400, lat.size))
    floats = 5_900_000 + rng.permutation(4000)[: lat.size]

    def points(values: Array) -> Array:
        shape = (lat.size, levels.size)
        values = values if values.ndim == 2 else np.broadcast_to(values[:, None], shape)
        return np.ascontiguousarray(values).ravel()

    n, along = lat.size * levels.size, ("N_POINTS",)
    stamps = {"units": f"seconds since {day.date} 00:00:00", "calendar": "proleptic_gregorian"}
    told = {"coordinates": "TIME lat lon time"}

    def real(values: Array, unit: str) -> Variable:
        return Variable(along, points(values), {"units": unit, **told}, Packing("float64"))

    pressure = np.broadcast_to(levels, (lat.size, levels.size))
    return {
        "N_POINTS": Variable(along, np.arange(n)),
        "lat": Variable(along, points(lat), LATITUDE, Packing("float64")),
        "lon": Variable(along, points(lon), LONGITUDE, Packing("float64")),
        "TIME": Variable(along, points(seconds), stamps),
        "time": Variable(along, points(seconds), stamps),
        "PRES": real(pressure, "decibar"),
        "TEMP": real(temperature, _CELSIUS),
        "PSAL": real(salinity, "psu"),
        "PRES_ERROR": real(np.full(lat.size, 2.4), "decibar"),
        "TEMP_ERROR": real(np.full(lat.size, 0.002), _CELSIUS),
        "PSAL_ERROR": real(np.full(lat.size, 0.01), "psu"),
        "PLATFORM_NUMBER": Variable(along, points(floats.astype(np.int64)), told),
        "CYCLE_NUMBER": Variable(
            along, np.full(n, 1 + (day.date - date(2018, 1, 1)).days // 10), told
        ),
        "DIRECTION": Variable(along, ["A"] * n, told),
    }


SOURCES: dict[str, Callable[[Day, str], FileVariables]] = {
    "l4_ssh": _l4_ssh,
    "l4_sst": _l4_sst,
    "l4_sss": _l4_sss,
    "l4_wind": _l4_wind,
    "l3_sst": _l3_sst,
    "l3_sss_smos_asc": _smos(True),
    "l3_sss_smos_desc": _smos(False),
    "l3_swot": _along_track("ssha", 2.0, (157, 111), lambda day: day.swath),
    "l3_ssh": _along_track("sla", 7.0, (90, 64), lambda day: day.nadir),
    "glorys": _glorys,
    "argo": _argo,
}
"""How each source's file of a day and region is made."""
