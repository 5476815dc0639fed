"""Where satellites fly: ground tracks of a day, cut into passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.sample_data.sea_level import FIRST_DAY

Array = npt.NDArray[Any]

EARTH_RADIUS = 6371.0
"""Kilometres."""
_SPEED = 6.6
"""Kilometres a second that the ground track passes, roughly."""
_DAY = 86_400


@dataclass(frozen=True)
class Pass:
    """Half a revolution, from one turn of latitude to the next, or what a day has of it.

    Attributes:
        cycle: of the orbit, from 1.
        number: within the cycle, from 1.
        start: seconds of the day.
        places: (points, 3) unit vectors to the ground track.
    """

    cycle: int
    number: int
    start: float
    places: Array

    @property
    def rising(self) -> bool:
        """Whether it goes north."""
        return bool(self.places[-1, 2] > self.places[0, 2])


@dataclass(frozen=True)
class Orbit:
    """An orbit that repeats.

    Attributes:
        seconds: since the start of the cycle, ascending, over at least one cycle.
        places: (times, 3) unit vectors to the ground track.
        cycle: seconds.
    """

    seconds: Array
    places: Array
    cycle: float

    @classmethod
    def circular(
        cls, revolutions: int, nodal_days: int, inclination: float, days: float, east: float = 0.0
    ) -> Orbit:
        """A circular orbit.

        Args:
            revolutions: in a cycle.
            nodal_days: turns of the Earth beneath the orbit's plane in a cycle.
            inclination: degrees.
            days: of a cycle.
            east: longitude of the first ascending node.
        """
        seconds = np.linspace(0.0, days * _DAY, revolutions * 200 + 1)
        phase = 2 * np.pi * revolutions * seconds / seconds[-1]
        tilt = np.radians(inclination)
        lat = np.arcsin(np.sin(tilt) * np.sin(phase))
        turned = np.radians(east) - 2 * np.pi * nodal_days * seconds / seconds[-1]
        lon = np.arctan2(np.cos(tilt) * np.sin(phase), np.cos(phase)) + turned
        return cls(seconds, _vectors(lat, lon), seconds[-1])

    @classmethod
    def of_ephemeris(cls, ephemeris: Array, days: float) -> Orbit:
        """Of (seconds, longitude, latitude) of a cycle of so many days."""
        seconds, lon, lat = ephemeris.T
        return cls(seconds, _vectors(np.radians(lat), np.radians(lon)), days * _DAY)

    def passes(self, day: date, spacing: float) -> Iterator[Pass]:
        """The passes of a day, a point every `spacing` kilometres or so."""
        clock = np.arange(0.0, _DAY, spacing / _SPEED)
        age = (day - FIRST_DAY).days * _DAY + clock
        cycle, since = np.floor_divide(age, self.cycle).astype(int), age % self.cycle
        places = np.stack(
            [np.interp(since, self.seconds, column) for column in self.places.T], axis=1
        )
        places /= np.linalg.norm(places, axis=1, keepdims=True)
        numbers = np.searchsorted(self._turns(), since) + 1
        cuts = np.flatnonzero(np.diff(numbers)) + 1
        for piece in np.split(np.arange(clock.size), cuts):
            if piece.size > 2:
                first = piece[0]
                yield Pass(int(cycle[first]) + 1, int(numbers[first]), clock[first], places[piece])

    def _turns(self) -> Array:
        """When latitude turns."""
        rises = np.diff(self.places[:, 2]) > 0
        found: Array = self.seconds[1:-1][rises[1:] != rises[:-1]]
        return found


def swot(ephemeris: Array | None) -> Orbit:
    """SWOT's science orbit: the ephemeris, or a circular one of its published elements.

    JPL D-61923: 292 revolutions in 20.86455 days (21 nodal days) at 77.6 degrees.
    """
    days = 20.86455
    if ephemeris is not None:
        return Orbit.of_ephemeris(ephemeris, days)
    return Orbit.circular(292, 21, 77.6, days)


@cache
def altimeters() -> dict[str, Orbit]:
    """Circular orbits of the repeat periods and inclinations that missions have published."""
    return {
        "Sentinel-6A": Orbit.circular(127, 10, 66.04, 9.9156),
        "Sentinel-3A": Orbit.circular(385, 27, 98.65, 27.0),
        "Sentinel-3B": Orbit.circular(385, 27, 98.65, 27.0, 180.0),
        "SARAL/AltiKa": Orbit.circular(501, 35, 98.55, 35.0, 90.0),
    }


@cache
def smos() -> Orbit:
    """Likewise."""
    return Orbit.circular(2144, 149, 98.44, 149.0)


def _vectors(lat: Array, lon: Array) -> Array:
    found: Array = np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1
    )
    return found


def latitude_longitude(places: Array) -> tuple[Array, Array]:
    """Degrees, -180..180, of unit vectors along the last axis."""
    lat = np.degrees(np.arcsin(np.clip(places[..., 2], -1, 1)))
    return lat, np.degrees(np.arctan2(places[..., 1], places[..., 0]))
