"""The tiles of a day on one grid, for the oracle."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from oracle_files import Tile

# How far beside the box a turn of the circle is looked at: far more than any rule needs.
_MARGIN = 30.0
# Centres closer than this share of a cell are one.
SAME_CELL = 1e-3

Stretch = tuple[np.ndarray, slice]
#: A file at a turn of the circle, named by its westernmost longitude there.
Far = tuple[Path, float]


@dataclass
class Mosaic:
    """The tiles of a day on one grid. ``covers`` says where each tile's rows and columns went."""

    lat: np.ndarray
    lon: np.ndarray
    values: np.ndarray
    covers: list[tuple[Path, list[int], list[int]]]
    far: set[Far]
    used: np.ndarray = field(init=False)
    touched: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.used = np.zeros(self.values.shape, bool)
        self.touched = np.zeros(self.values.shape, bool)

    def files(self, cells: np.ndarray) -> set[Path]:
        return {path for path, rows, cols in self.covers if cells[np.ix_(rows, cols)].any()}


def _stretch(axis: np.ndarray, low: float, high: float, beyond: int) -> Stretch:
    """The cells of an axis in [low, high] and a few beyond on each side."""
    first = int((axis < low).sum())
    after = int((axis <= high).sum())
    return axis, slice(max(first - beyond, 0), min(after + beyond, axis.size))


def _is_far(stretch: Stretch, low: float, high: float, beyond: int) -> bool:
    """Whether no cell lies as close to [low, high] as that many cells are wide."""
    axis, part = stretch
    away = beyond * np.diff(axis).max(initial=0.0)
    return not ((axis[part] >= low - away) & (axis[part] <= high + away)).any()


def _joined(stretches: Sequence[Stretch]) -> tuple[np.ndarray, list[list[int]]]:
    """The union of stretches of axes, and where each one's cells went."""
    entries = []
    for which, (axis, part) in enumerate(stretches):
        for k in range(part.start, part.stop):
            around = [abs(axis[j] - axis[k]) for j in (k - 1, k + 1) if 0 <= j < len(axis)]
            entries.append((float(axis[k]), min(around, default=np.inf), which))
    entries.sort(key=lambda entry: entry[0])
    union: list[float] = []
    cell = np.inf
    places: list[list[int]] = [[] for _ in stretches]
    for value, size, which in entries:
        smaller = min(cell, size)
        tolerance = SAME_CELL * smaller if np.isfinite(smaller) else 0.0
        if not union or (value - union[-1] > 0 and value - union[-1] >= tolerance):
            union.append(value)
            cell = size
        cell = min(cell, size)
        places[which].append(len(union) - 1)
    return np.array(union), places


def build_mosaic(
    tiles: Sequence[Tile],
    box: tuple[float, float, float, float],
    beyond: int,
    without: Collection[Far],
) -> Mosaic:
    """Join tiles, each at every turn of the circle that comes near the box.

    Of each tile count the cells in `box` (west, east, south, north) and `beyond` on each side. Far
    tiles, whose cells all lie farther from the box than `beyond` of them, may be left out.
    """
    west, east, south, north = box
    copies: list[tuple[Tile, Stretch, Stretch]] = []
    far = set()
    for tile in tiles:
        rows = _stretch(tile.lat, south, north, beyond)
        for axis in (tile.lon + turn for turn in range(-1440, 1441, 360)):
            if axis[-1] >= west - _MARGIN and axis[0] <= east + _MARGIN:
                cols = _stretch(axis, west, east, beyond)
                if _is_far(rows, south, north, beyond) or _is_far(cols, west, east, beyond):
                    far.add((tile.path, float(axis[0])))
                if (tile.path, float(axis[0])) not in without:
                    copies.append((tile, rows, cols))
    # A tile without a row (or column) there has no cell there.
    near = [copy for copy in copies if all(part.start < part.stop for _, part in copy[1:])]
    lat, row_places = _joined([rows for _, rows, _ in near])
    lon, col_places = _joined([cols for _, _, cols in near])
    total, count = np.zeros((lat.size, lon.size)), np.zeros((lat.size, lon.size))
    covers = []
    for (tile, *parts), rows, cols in zip(near, row_places, col_places, strict=True):
        values = tile.values[parts[0][1], parts[1][1]]
        block = np.ix_(rows, cols)
        valid = np.isfinite(values)
        total[block] += np.where(valid, values, 0.0)
        count[block] += valid
        covers.append((tile.path, rows, cols))
    with np.errstate(invalid="ignore"):
        return Mosaic(lat, lon, total / count, covers, far)
