"""The grid of a variable, where its cells are equally far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.query import PatchSize
from oceanarrow.exceptions import InvalidInputError

_OFF = 1e-3
"""The share of a cell that a centre may miss its place by; pixels count as on it as far."""

Boxes = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Axis = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """Cell centres along an axis: `first + i * step`, `count` of them, degrees."""

    first: float
    step: float
    count: int

    def whole(self, extent: npt.ArrayLike) -> Counts:
        """The cells from whose first to whose last centre it is about so far, at least 2."""
        cells = np.round(np.asarray(extent, np.float64) / self.step).astype(np.int64) + 1
        return np.maximum(cells, 2)


@dataclass(frozen=True)
class RegularGrid:
    """Cells at equal steps.

    Attributes:
        lat: centres from south to north.
        lon: centres from west to east.
    """

    lat: Line
    lon: Line

    @classmethod
    def through(cls, name: str, axes: Sequence[tuple[Axis, Axis]]) -> RegularGrid:
        """The grid of a variable whose files have these latitudes and longitudes.

        Raises:
            InvalidInputError: they are not equally far apart.
        """
        lat = _line(name, "latitude", [lat for lat, _ in axes])
        lon = _line(name, "longitude", [lon for _, lon in axes])
        return cls(lat, lon)

    @property
    def wraps(self) -> bool:
        """Whether the last cell of a row has the first for its neighbour."""
        return abs(self.lon.count * self.lon.step - 360.0) <= _OFF * self.lon.step

    def cells(self, size: PatchSize, lats: npt.ArrayLike = 0.0) -> tuple[Counts, Counts]:
        """Columns and rows of patches of that size, centred at these latitudes."""
        if size.unit == "cells":
            columns = rows = np.full(np.shape(lats), int(size.value))
        else:
            width, height = size.to_degrees(np.asarray(lats, np.float64))
            rows = np.broadcast_to(self.lat.whole(height), np.shape(lats))
            columns = np.broadcast_to(self.lon.whole(width), np.shape(lats))
        if (rows > self.lat.count).any() or (columns > self.lon.count).any():
            raise InvalidInputError(
                f"a patch of {size} does not fit {self.lat.count} x {self.lon.count} cells"
            )
        return columns, rows

    def boxes(self, columns: Counts, rows: Counts, west: Counts, south: Counts) -> Boxes:
        """Boxes `(N, 4)` from the centres of the cells at the south-west to the opposite ones;
        moved inwards where there are no such cells."""
        if self.wraps:
            west = west % self.lon.count
        else:
            west = np.clip(west, 0, self.lon.count - columns)
        south = np.clip(south, 0, self.lat.count - rows)
        lon_min = self.lon.first + west * self.lon.step
        lon_min = np.where(lon_min >= 180.0, lon_min - 360.0, lon_min)
        lon_max = lon_min + (columns - 1) * self.lon.step
        lon_max = np.where(lon_max > 180.0, lon_max - 360.0, lon_max)
        lat_min = self.lat.first + south * self.lat.step
        return np.column_stack([lon_min, lon_max, lat_min, lat_min + (rows - 1) * self.lat.step])

    def around(
        self, size: PatchSize, lons: npt.NDArray[np.float64], lats: npt.NDArray[np.float64]
    ) -> Boxes:
        """Boxes of that size whose centres are about there."""
        columns, rows = self.cells(size, lats)
        west = (lons - self.lon.first) / self.lon.step - (columns - 1) / 2
        south = (lats - self.lat.first) / self.lat.step - (rows - 1) / 2
        return self.boxes(columns, rows, _nearest(west), _nearest(south))

    def starts(
        self, line: Line, low: float, high: float, cells: int, overlap: float
    ) -> npt.NDArray[np.int64]:
        """The first cells of patches that cover the centres in `low..high`; the last one may be
        moved inwards."""
        first = int(np.ceil((low - line.first) / line.step - _OFF))
        last = int(np.floor((high - line.first) / line.step + _OFF))
        if line is self.lat or not self.wraps:
            first, last = max(first, 0), min(last, line.count - 1)
        stride = max(1, round(cells * (1 - overlap)))
        starts = np.arange(first, last - cells + 2, stride, dtype=np.int64)
        if starts.size and starts[-1] + cells <= last:
            starts = np.append(starts, last - cells + 1)
        return starts


def _nearest(index: npt.NDArray[np.float64]) -> Counts:
    return np.floor(index + 0.5).astype(np.int64)


def _line(name: str, what: str, axes: Sequence[Axis]) -> Line:
    """One line through the centres of all tiles."""
    first = min(float(axis[0]) for axis in axes)
    last = max(float(axis[-1]) for axis in axes)
    longest = max(axes, key=len)
    if longest.size < 2:
        raise InvalidInputError(f"snap={name!r}: its {what} has a single cell")
    step = (longest[-1] - longest[0]) / (longest.size - 1)
    count = round((last - first) / step) + 1
    # The further apart, the better known.
    step = (last - first) / (count - 1)
    for axis in axes:
        places = (axis - first) / step
        if np.abs(places - np.round(places)).max() > _OFF or (np.diff(places) > 1.5).any():
            raise InvalidInputError(
                f"snap={name!r}: the cells of its {what} are not equally far apart; snap to "
                "another variable, or leave it out and let the boxes be interpolated"
            )
    return Line(first, float(step), count)
