"""Sea level along tracks, and what the cells of a tile have of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.sample_data.grids import Grid, sample_points
from oceanarrow.sample_data.ocean import OceanState
from oceanarrow.sample_data.orbit import (
    EARTH_RADIUS,
    Orbit,
    Pass,
    latitude_longitude,
)

Array = npt.NDArray[Any]

_KARIN = (10.0, 60.0)
"""Kilometres from nadir that KaRIn sees, to either side."""


@dataclass(frozen=True)
class Track:
    """What one pass saw of the sea.

    Attributes:
        id: the name of the file that it would have come in.
        platform: the satellite.
        start: UTC.
        lat: (points,) degrees.
        lon: (points,) degrees.
        sla: (points,) metres, without noise.
        noise: (points,) metres.
        mdt: (points,) mean dynamic topography, metres.
    """

    id: str
    platform: str
    start: datetime
    lat: Array
    lon: Array
    sla: Array
    noise: Array
    mdt: Array


@dataclass(frozen=True)
class Binned:
    """Means over the cells of a grid.

    Attributes:
        sla: (rows, columns) float32, NaN where nothing was seen.
        noisy: the same with noise.
        mdt: the same of mean dynamic topography.
        count: (rows, columns) int32 observations, 0 where nothing was seen.
        primary: (rows, columns) int16, the place in `tracks` of that with most of them, else -1.
        overlap: (rows, columns) int8, 1 where several tracks were seen.
        tracks: those that a cell has.
    """

    sla: Array
    noisy: Array
    mdt: Array
    count: Array
    primary: Array
    overlap: Array
    tracks: list[Track]


def swath_tracks(state: OceanState, orbit: Orbit, day: date, spacing: float) -> Iterator[Track]:
    """SWOT's: both halves of its swath, a point every `spacing` kilometres."""
    away = np.arange(_KARIN[0], _KARIN[1], spacing)
    across = np.concatenate([-away[::-1], away]) / EARTH_RADIUS
    for half in orbit.passes(day, spacing):
        places = _swath(half, across)
        stamp = _start(day, half).strftime("%Y%m%dT%H%M%S")
        name = f"SYNTHETIC_SWOT_L3_LR_SSH_{half.cycle:03d}_{half.number:03d}_{stamp}.nc"
        yield _track(name, "SWOT", state, day, half, places.reshape(-1, 3), 0.02)


def nadir_tracks(
    state: OceanState, orbits: dict[str, Orbit], day: date, spacing: float
) -> Iterator[Track]:
    """Those of altimeters that look straight down."""
    for platform, orbit in orbits.items():
        file = f"synthetic_{platform.replace('/', '-')}_phy_l3_{day:%Y%m%d}.nc"
        for half in orbit.passes(day, spacing):
            name = f"{file}#{half.number}"
            yield _track(name, platform, state, day, half, half.places, 0.03)


def _track(
    name: str,
    platform: str,
    state: OceanState,
    day: date,
    half: Pass,
    places: Array,
    noise: float,
) -> Track:
    lat, lon = latitude_longitude(places)
    seen = sample_points(state.known.astype(np.float32), state.grid, lat, lon) > 0.99
    lat, lon = lat[seen], lon[seen]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return Track(
        name,
        platform,
        _start(day, half),
        lat,
        lon,
        sample_points(state.sla, state.grid, lat, lon),
        noise * rng.standard_normal(lat.size),
        sample_points(state.mdt, state.grid, lat, lon),
    )


def _start(day: date, half: Pass) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(seconds=round(half.start))


def bin_tracks(tracks: Sequence[Track], grid: Grid) -> Binned:
    """Means over cells whose centres the axes are; a point belongs to the nearest centre."""
    size = grid.lat.size * grid.lon.size
    sums = np.zeros((3, size))
    count = np.zeros(size, np.int32)
    most = np.zeros(size, np.int32)
    primary = np.full(size, -1, np.int16)
    overlap = np.zeros(size, np.int8)
    held: list[Track] = []
    for track in tracks:
        row = _nearest(grid.lat, track.lat)
        column = _nearest(grid.lon, track.lon)
        inside = (row >= 0) & (column >= 0)
        if not inside.any():
            continue
        cells, place = np.unique(row[inside] * grid.lon.size + column[inside], return_inverse=True)
        seen = np.bincount(place).astype(np.int32)
        values = (track.sla, track.sla + track.noise, track.mdt)
        for total, value in zip(sums, values, strict=True):
            total[cells] += np.bincount(place, value[inside])
        overlap[cells] |= (count[cells] > 0).astype(np.int8)
        count[cells] += seen
        first = seen > most[cells]
        most[cells[first]], primary[cells[first]] = seen[first], len(held)
        held.append(track)
    with np.errstate(invalid="ignore"):
        means = (sums / count).astype(np.float32).reshape(3, *grid.shape)
    sla, noisy, mdt = means
    return Binned(
        sla,
        noisy,
        mdt,
        count.reshape(grid.shape),
        primary.reshape(grid.shape),
        overlap.reshape(grid.shape),
        held,
    )


def seen_cells(
    orbit: Orbit, day: date, grid: Grid, reach: float, rising: bool
) -> npt.NDArray[np.bool_]:
    """Which cells passes that rise to the north (or sink) see within `reach` kilometres."""
    seen = np.zeros(grid.shape, np.bool_)
    spacing = max(10.0, 40.0 * grid.step)
    across = np.arange(-reach, reach + spacing, spacing) / EARTH_RADIUS
    for half in orbit.passes(day, spacing):
        if half.rising == rising:
            lat, lon = latitude_longitude(_swath(half, across).reshape(-1, 3))
            row, column = _nearest(grid.lat, lat), _nearest(grid.lon, lon)
            inside = (row >= 0) & (column >= 0)
            seen[row[inside], column[inside]] = True
    return seen


def _swath(half: Pass, across: Array) -> Array:
    """(points, across, 3) unit vectors, `across` radians to the right of a pass."""
    along = np.gradient(half.places, axis=0)
    right = np.cross(along, half.places)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    found: Array = (
        half.places[:, None, :] * np.cos(across)[:, None]
        + right[:, None, :] * np.sin(across)[:, None]
    )
    return found


def _nearest(axis: Array, points: Array) -> Array:
    """The cell of each point, as far as half a cell beyond the outermost centres; -1 elsewhere."""
    edges = np.concatenate(
        [
            [1.5 * axis[0] - 0.5 * axis[1]],
            (axis[1:] + axis[:-1]) / 2,
            [1.5 * axis[-1] - 0.5 * axis[-2]],
        ]
    )
    found = np.searchsorted(edges, points, side="right") - 1
    found[found == axis.size] = -1
    return found
