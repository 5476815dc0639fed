"""What a sample is: a box and a window of days; and how large the boxes are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.exceptions import InvalidInputError

KM_PER_DEGREE = 111.0
"""Kilometres in a degree of latitude, as the documented queries count them."""

_MIN_COS_LAT = 0.1
_FIELDS = ("lon_min", "lon_max", "lat_min", "lat_max", "time_start", "time_end")


QueryArrays = tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]
"""Edges `(N, 4)` and days `(N, 2)`."""


class GeoSlice(NamedTuple):
    """Slices of a box and window, for `xarray`'s `.sel(**geoslice._asdict())`.

    `time` runs over ISO days, both included with all their hours. Latitude and longitude slices
    ascend; a box that crosses the antimeridian has no single longitude slice on a
    -180..180 axis.
    """

    lon: slice
    lat: slice
    time: slice


@dataclass(frozen=True)
class Query:
    """A box and a window of UTC days: pure data, with no file or connection behind it.

    Edges are degrees; `lon_min > lon_max` crosses the antimeridian. The window is the UTC days
    of `time_start` and `time_end`, both included (a time of day is cut off). What is given is
    kept as it is.
    """

    lon_min: float
    lon_max: float
    lat_min: float
    lat_max: float
    time_start: Time
    time_end: Time

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """`(lon_min, lon_max, lat_min, lat_max)`, degrees."""
        return (self.lon_min, self.lon_max, self.lat_min, self.lat_max)

    def days(self) -> tuple[int, int]:
        """The first and the last day of the window, days since 1970-01-01, both included.

        Raises:
            InvalidInputError: a time is no date, or the window ends before it starts.
        """
        first, last = utc_day(self.time_start), utc_day(self.time_end)
        if first > last:
            raise InvalidInputError(
                f"time_start {self.time_start} must not lie after time_end {self.time_end}"
            )
        return first, last

    def to_geoslice(self) -> GeoSlice:
        """The query as slices `(lon, lat, time)`; see `GeoSlice`."""
        first, last = self.days()
        return GeoSlice(
            lon=slice(self.lon_min, self.lon_max),
            lat=slice(self.lat_min, self.lat_max),
            time=slice(iso_day(first), iso_day(last)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The six fields in order, the times as text: what `from_dict` and JSON understand."""
        return {
            "lon_min": self.lon_min,
            "lon_max": self.lon_max,
            "lat_min": self.lat_min,
            "lat_max": self.lat_max,
            "time_start": str(self.time_start),
            "time_end": str(self.time_end),
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Query:
        """The query of a mapping with the six fields.

        Raises:
            InvalidInputError: a field is missing or unknown.
        """
        if set(d) != set(_FIELDS):
            missing = [name for name in _FIELDS if name not in d]
            unknown = [str(name) for name in d if name not in _FIELDS]
            raise InvalidInputError(
                f"a query has the fields {', '.join(_FIELDS)}; "
                f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
            )
        return cls(**{name: d[name] for name in _FIELDS})


@dataclass(frozen=True)
class PatchSize:
    """The side of a patch: degrees, kilometres, or cells of the grid that queries are snapped to.

    Raises:
        InvalidInputError: `value` is not a positive finite number (of cells, not whole or less than
            2), or `unit` is unknown.
    """

    value: float
    unit: Literal["deg", "km", "cells"] = "deg"

    def __post_init__(self) -> None:
        number = isinstance(self.value, (int, float, np.integer, np.floating))
        if not number or isinstance(self.value, bool) or not 0 < self.value < math.inf:
            raise InvalidInputError(
                f"a patch size must be a positive finite number, not {self.value!r}"
            )
        if self.unit not in ("deg", "km", "cells"):
            raise InvalidInputError(f"a patch size is in 'deg', 'km' or 'cells', not {self.unit!r}")
        if self.unit == "cells" and (self.value < 2 or self.value != int(self.value)):
            raise InvalidInputError(
                f"a patch has a whole number of cells, and at least 2, not {self.value!r}"
            )

    @overload
    def to_degrees(self, center_lat: float = 0.0) -> tuple[float, float]: ...
    @overload
    def to_degrees(
        self, center_lat: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64] | float, float]: ...
    def to_degrees(self, center_lat: Any = 0.0) -> tuple[Any, float]:
        """`(lon_deg, lat_deg)` of a patch centred at `center_lat`, or of several.

        Kilometres become 1/111 degree of latitude each, and of longitude 1/cos(latitude) times
        that, the cosine counted as 0.1 at least. Degrees stay what they are.

        Raises:
            InvalidInputError: the size is in cells, which only a grid knows the size of.
        """
        self._check_measured()
        if self.unit == "deg":
            return (self.value, self.value)
        cos_lat = np.maximum(np.cos(np.radians(center_lat)), _MIN_COS_LAT)
        if np.ndim(cos_lat) == 0:
            cos_lat = float(cos_lat)
        return (self.value / (KM_PER_DEGREE * cos_lat), self.value / KM_PER_DEGREE)

    def to_km(self, center_lat: float = 0.0) -> float:
        """The side in kilometres, along the meridian, which is why `center_lat` does not matter."""
        self._check_measured()
        return self.value if self.unit == "km" else self.value * KM_PER_DEGREE

    def _check_measured(self) -> None:
        if self.unit == "cells":
            raise InvalidInputError(
                f"how large {self} are depends on the grid: give snap=, a variable"
            )

    def __str__(self) -> str:
        return f"{self.value}{self.unit}"


def query_arrays(queries: Iterable[Query]) -> QueryArrays:
    """The queries' edges `(N, 4)` float64 and days `(N, 2)` int32 since 1970-01-01.

    Raises:
        InvalidInputError: one is no query, or its times are no dates.
    """
    boxes, days = [], []
    for i, query in enumerate(queries):
        if not isinstance(query, Query):
            raise InvalidInputError(f"queries[{i}] is not a Query but {type(query).__name__}")
        try:
            days.append(query.days())
            boxes.append([float(edge) for edge in query.bbox])
        except (TypeError, ValueError) as error:
            raise InvalidInputError(f"queries[{i}]: {error}") from error
    return (
        np.asarray(boxes, np.float64).reshape(-1, 4),
        np.asarray(days, np.int32).reshape(-1, 2),
    )


def widened(
    boxes: npt.NDArray[np.float64], degrees: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Boxes `(N, 4)` that reach so many degrees of longitude and latitude further to each side, at
    most around the globe and to the poles."""
    lon, lat = degrees
    width = np.where(boxes[:, 1] < boxes[:, 0], 360.0, 0.0) + boxes[:, 1] - boxes[:, 0]
    whole = width + 2 * lon >= 360.0
    west = np.where(whole, -180.0, boxes[:, 0] - lon)
    east = np.where(whole, 180.0, boxes[:, 0] + width + lon)
    # East of the antimeridian is west of it.
    turn = np.where(west < -180.0, 360.0, 0.0)
    west, east = west + turn, east + turn
    east = np.where((east > 180.0) & ~whole, east - 360.0, east)
    south = np.maximum(boxes[:, 2] - lat, -90.0)
    north = np.minimum(boxes[:, 3] + lat, 90.0)
    return np.column_stack([west, east, south, north])
