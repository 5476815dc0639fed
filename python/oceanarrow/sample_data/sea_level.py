"""Where sea level comes from: real maps, or random waves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.sample_data.grids import cell_centres, is_land
from oceanarrow.sample_data.random_fields import Waves, fill_gaps, low_pass

Array = npt.NDArray[Any]

GRID = cell_centres(360)
"""Of both: 0.25 degrees, longitudes from -180."""

FIRST_DAY = date(2018, 12, 31)
REAL_DAYS = tuple(FIRST_DAY + timedelta(days=n) for n in range(4))
"""The days of the real maps."""


class SeaLevel(Protocol):
    """A source of sea level."""

    real: bool
    mean: Array
    """Mean dynamic topography: (720, 1440), metres."""

    def at(self, day: date) -> tuple[Array, Array]:
        """Absolute dynamic topography of a day without gaps, and where it is known.

        Returns:
            (720, 1440) metres; (720, 1440) bool.
        """
        ...


@dataclass
class SyntheticSeaLevel:
    """Rossby waves of the mesoscale, stronger in some places, on a mean with gyres."""

    real = False

    def __post_init__(self) -> None:
        lat = GRID.lat[:, None]
        gyres = 0.75 * np.exp(-(((np.abs(lat) - 22) / 20) ** 2))
        circumpolar = 1.5 / (1 + np.exp((-lat - 50) / 3.5)) - 0.9
        wide = 0.12 * Waves("mean dynamic topography", 180, 15, 90).at(0)
        self.mean = (gyres + circumpolar + np.repeat(np.repeat(wide, 4, 0), 4, 1)).astype(
            np.float32
        )
        self.mean = low_pass(self.mean, 1.5).astype(np.float32)
        energy = np.clip(Waves("eddy energy", 720, 12, 60).at(0), 0, 2.5)
        self._strength = (0.05 + 0.09 * energy) * np.clip((80 - np.abs(lat)) / 20, 0, 1)
        self._strength = self._strength.astype(np.float32)
        self._land = is_land(GRID)

    def at(self, day: date) -> tuple[Array, Array]:
        """See `SeaLevel`."""
        age = (day - FIRST_DAY).days
        eddies = Waves("eddies", 720, 2.0, 10.0, 0.25, 60.0, 4.0).at(age)
        wide = Waves("wide sea level", 720, 15.0, 60.0, 0.5, 120.0).at(age)
        return self.mean + self._strength * eddies + np.float32(0.03) * wide, ~self._land


@dataclass
class RealSeaLevel:
    """Maps that were downloaded: their gaps are filled, what is known is kept as it is."""

    maps: dict[date, Array]
    real = True

    def __post_init__(self) -> None:
        self._filled = {day: fill_gaps(values) for day, values in self.maps.items()}
        every = sum(self._filled.values()) / len(self._filled)
        # Four days have no mean of their own: what is wide stands for it.
        self.mean = low_pass(np.asarray(every), 4.0).astype(np.float32)

    def at(self, day: date) -> tuple[Array, Array]:
        """See `SeaLevel`.

        Raises:
            InvalidInputError: there is no map of the day.
        """
        if day not in self.maps:
            raise InvalidInputError(
                f"real sea level is of {REAL_DAYS[0]} to {REAL_DAYS[-1]}, not {day}; other days "
                "need --synthetic (synthetic=True)"
            )
        return self._filled[day].astype(np.float32), np.isfinite(self.maps[day])
