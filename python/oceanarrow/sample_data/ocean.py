"""One ocean under all sensors: fields of a day that belong together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.sample_data.grids import Grid, cell_centres, coarse, is_land, regrid
from oceanarrow.sample_data.random_fields import Waves, low_pass
from oceanarrow.sample_data.sea_level import FIRST_DAY, GRID, SeaLevel

Array = npt.NDArray[Any]

GRAVITY = 9.81
"""m s-2."""
EARTH_RATE = 7.2921e-5
"""rad s-1."""
DEGREE = 111_194.93
"""Metres a degree of latitude on a sphere of 6371 km."""
EQUATORIAL = 5.0
"""Degrees from the equator within which currents are computed with this latitude's f."""

_COARSE = cell_centres(90)  # 1 degree: of what has no mesoscale of its own
_FREEZING = -1.8


@dataclass(frozen=True)
class OceanState:
    """Fields of a day on one global grid, (rows, columns) float32 each, without gaps.

    Attributes:
        grid: that of the sea level maps.
        adt: absolute dynamic topography, m.
        mdt: mean dynamic topography, m; `adt - sla`.
        sla: sea level anomaly, m.
        known: bool, where sea level is known.
        land: bool.
        ugos: eastward geostrophic velocity of `adt`, m s-1.
        vgos: northward.
        ugosa: eastward geostrophic velocity of `sla`, m s-1.
        vgosa: northward.
        sst: degrees Celsius.
        sss: practical salinity.
        ice: sea ice area fraction.
        wind_u: eastward wind, m s-1.
        wind_v: northward.
        cloud: no unit, above 0.1 where it is cloudy.
    """

    grid: Grid
    adt: Array
    mdt: Array
    sla: Array
    known: Array
    land: Array
    ugos: Array
    vgos: Array
    ugosa: Array
    vgosa: Array
    sst: Array
    sss: Array
    ice: Array
    wind_u: Array
    wind_v: Array
    cloud: Array


class Ocean:
    """An ocean; the same whatever the scale, but for what a coarser grid averages away."""

    def __init__(self, sea_level: SeaLevel, scale: float) -> None:
        """Of a source of sea level, on its published 0.125 degree grid coarsened `scale` times."""
        self.sea_level = sea_level
        self.grid = cell_centres(coarse(720, scale))
        self.mdt = regrid(sea_level.mean, GRID, self.grid)
        self.land = is_land(self.grid)

    def at(self, day: date) -> OceanState:
        """The ocean of a day."""
        height, known = self.sea_level.at(day)
        adt = regrid(height, GRID, self.grid)
        sla = adt - self.mdt
        sst, ice = self._surface_temperature(day, sla)
        wind_u, wind_v = self.wind(day)
        fraction = regrid(known.astype(np.float32), GRID, self.grid)
        known = (fraction > 0.5) & ~self.land
        if not self.sea_level.real:
            known &= ice < 0.5  # altimeters do not see the sea under ice
        return OceanState(
            self.grid,
            adt,
            self.mdt,
            sla,
            known,
            self.land,
            *geostrophic(adt, self.grid),
            *geostrophic(sla, self.grid),
            sst,
            self._salinity(day, sla),
            ice,
            wind_u,
            wind_v,
            self._noise("cloud", day, 4, 40, -6.0, 4.0),
        )

    def climatology(self, day: date) -> Array:
        """Temperature without eddies or weather, degrees Celsius: (rows, columns)."""
        zonal = np.maximum(_zonal_temperature(self.grid.lat, day), _FREEZING)
        return np.broadcast_to(zonal[:, None], self.grid.shape).astype(np.float32)

    def wind(self, day: date) -> tuple[Array, Array]:
        """Trades, westerlies and weather that travels east: eastward and northward, m s-1."""
        lat = self.grid.lat[:, None]
        mean = -5 * np.exp(-(((np.abs(lat) - 12) / 11) ** 2))
        mean = mean + 7 * np.exp(-(((np.abs(lat) - 48) / 13) ** 2))
        weather = 1.5 + 3.5 * np.clip(np.abs(lat) / 45, 0, 1)
        u, v = (self._noise(name, day, 8, 50, -8.0, 6.0) for name in ("wind u", "wind v"))
        return (mean + weather * u).astype(np.float32), (weather * v).astype(np.float32)

    def elevation(self) -> Array:
        """Height of the bottom, m: negative below sea, falling off the coasts."""
        land = np.where(is_land(GRID), 1.0, 0.0).astype(np.float32)
        # The share of land around says how far the coast is.
        near = regrid(low_pass(land, 2.5), GRID, self.grid)
        ridges = self._noise("ridges", FIRST_DAY, 4, 60, 0.0, np.inf)
        sea = -4800 + 4700 * np.clip(2.2 * near, 0, 1) ** 0.7 + 350 * ridges * (near < 0.02)
        land_height = 30 + 1200 * np.clip(near, 0, 1) ** 2 * (1 + 0.3 * ridges)
        return np.where(self.land, land_height, np.minimum(sea, -10)).astype(np.float32)

    def _surface_temperature(self, day: date, sla: Array) -> tuple[Array, Array]:
        warm = _zonal_temperature(self.grid.lat, day)[:, None]
        weather = 0.8 * self._noise("sst", day, 6, 60, 0.1, 60.0)
        # Highs of sea level are warm: 1 degree for 20 cm, less where everything is cold.
        eddies = 5.0 * sla * np.clip((warm + 2) / 15, 0, 1)
        raw = warm + weather + eddies
        ice = np.clip((-0.4 - raw) / 0.9, 0, 1)
        return np.maximum(raw, _FREEZING).astype(np.float32), ice.astype(np.float32)

    def _salinity(self, day: date, sla: Array) -> Array:
        lat = np.abs(self.grid.lat)[:, None]
        subtropics = 34.5 + 1.8 * np.exp(-(((lat - 25) / 13) ** 2))
        polar = -1.2 / (1 + np.exp((62 - lat) / 4))
        wide = 0.35 * self._noise("sss", day, 8, 90, 0.1, 150.0)
        return (subtropics + polar + wide + 0.8 * sla).astype(np.float32)

    def _noise(
        self, name: str, day: date, shortest: float, longest: float, westward: float, period: float
    ) -> Array:
        waves = Waves(name, 180, shortest, longest, westward, period)
        return regrid(waves.at((day - FIRST_DAY).days), _COARSE, self.grid)


def geostrophic(height: Array, grid: Grid) -> tuple[Array, Array]:
    """Geostrophic currents by centred differences over two cells.

    u = -g/f dh/dy, v = g/f dh/dx (Gill 1982, section 7.6), with f of `EQUATORIAL` degrees nearer
    to the equator, where the balance does not hold.

    Args:
        height: (rows, columns) metres, on a global grid.
        grid: its axes.

    Returns:
        Eastward and northward velocity: (rows, columns) m s-1 float32.
    """
    away = np.maximum(np.abs(grid.lat), EQUATORIAL) * np.where(grid.lat < 0, -1, 1)
    gravity_over_f = (GRAVITY / (2 * EARTH_RATE * np.sin(np.radians(away))))[:, None]
    metres = grid.step * DEGREE
    north = np.gradient(height, metres, axis=0)
    east = (np.roll(height, -1, axis=1) - np.roll(height, 1, axis=1)) / 2
    east = east / (metres * np.cos(np.radians(grid.lat)))[:, None]
    return (
        (-gravity_over_f * north).astype(np.float32),
        (gravity_over_f * east).astype(np.float32),
    )


def _zonal_temperature(lat: Array, day: date) -> Array:
    """Warm at the thermal equator, which follows the sun two months late; degrees Celsius."""
    season = np.cos(2 * np.pi * (day.timetuple().tm_yday - 235) / 365.25)
    away = np.abs(lat - 5.0 * season)
    found: Array = 30.0 * np.exp(-((away / 44.0) ** 2.6)) - 1.7
    return found
