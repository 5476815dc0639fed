"""Axes of the published grids, and fields brought from one grid to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.land import LandMask
from oceanarrow.taco import REGIONS

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Grid:
    """A grid of two axes, degrees, ascending.

    Attributes:
        lat: (rows,) float64.
        lon: (columns,) float64.
    """

    lat: Array
    lon: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.lat.size, self.lon.size

    @property
    def step(self) -> float:
        """The mean step of latitude, degrees."""
        return float((self.lat[-1] - self.lat[0]) / (self.lat.size - 1))

    def region(self, name: str) -> Grid:
        """The part in an OceanTACO region, its upper borders left out."""
        lon_min, lon_max, lat_min, lat_max = REGIONS[name]
        # Sums of steps miss a border by rounding errors.
        rows = (self.lat >= lat_min - 1e-9) & (self.lat < lat_max - 1e-9)
        columns = (self.lon >= lon_min - 1e-9) & (self.lon < lon_max - 1e-9)
        return Grid(self.lat[rows], self.lon[columns])


def coarse(cells: int, scale: float) -> int:
    """How many cells stand for `cells` of a grid coarsened `scale` times: at least 2."""
    return max(2, round(cells / scale))


def cell_centres(cells: int, reach: float = 90.0) -> Grid:
    """The global grid of cell centres with so many cells in 90 degrees, within ±`reach`."""
    step = 90.0 / cells
    lat = -90.0 + step * (np.arange(2 * cells) + 0.5)
    return Grid(lat[np.abs(lat) < reach], -180.0 + step * (np.arange(4 * cells) + 0.5))


def nodes(cells: int) -> Grid:
    """GLORYS12's kind of grid: nodes from 80 S and 180 W, with so many steps in 90 degrees."""
    step = 90.0 / cells
    lat = -80.0 + step * np.arange(int(np.ceil(170.0 / step)))
    return Grid(lat[lat < 90.0 - 1e-9], -180.0 + step * np.arange(4 * cells))


def ease2(rows: int, columns: int) -> Grid:
    """Cell centres of the EASE-Grid 2.0 global (cylindrical equal-area) projection.

    Brodzik et al. 2012 (doi:10.3390/ijgi1010032): WGS 84, true scale at 30 degrees, 7307375.92 m
    from the equator to the upper edge. Latitudes by the series of Snyder 1987, equation 3-18.

    Args:
        rows: from the equator to the edge; 292 of the 25 km grid.
        columns: in 90 degrees; 347 of the 25 km grid.
    """
    radius, e2, edge = 6378137.0, 0.00669437999014, 7307375.92
    e = np.sqrt(e2)
    sine = 0.5  # of the true-scale latitude
    scale = np.sqrt(1 - sine**2) / np.sqrt(1 - e2 * sine**2)
    q = 1 - (1 - e2) / (2 * e) * np.log((1 - e) / (1 + e))
    y = edge * ((np.arange(2 * rows) + 0.5) / rows - 1.0)
    beta = np.arcsin(2 * y * scale / (radius * q))
    phi = (
        beta
        + (e2 / 3 + 31 * e2**2 / 180 + 517 * e2**3 / 5040) * np.sin(2 * beta)
        + (23 * e2**2 / 360 + 251 * e2**3 / 3780) * np.sin(4 * beta)
        + (761 * e2**3 / 45360) * np.sin(6 * beta)
    )
    lon = -180.0 + 90.0 / columns * (np.arange(4 * columns) + 0.5)
    return Grid(np.degrees(phi), lon)


def region_grid(region: str, kilometres: float) -> Grid:
    """The published L3 altimetry grid: a region's own, from its corner, of equal kilometres.

    A kilometre is 0.0089985 degrees of latitude and 0.012683 of longitude, as in the tiles: that
    is right at 45 degrees.
    """
    lon_min, lon_max, lat_min, lat_max = REGIONS[region]
    return Grid(
        np.arange(lat_min, lat_max, 0.0089985 * kilometres),
        np.arange(lon_min, lon_max, 0.012683 * kilometres),
    )


def is_land(grid: Grid) -> npt.NDArray[np.bool_]:
    """Which cells' centres are land: (rows, columns)."""
    mask = LandMask.builtin().mask
    rows = np.clip(((grid.lat + 90.0) * 4).astype(int), 0, mask.shape[0] - 1)
    columns = ((grid.lon + 180.0) * 4).astype(int) % mask.shape[1]
    return mask[np.ix_(rows, columns)]


def sample(values: Array, source: Grid, target: Grid) -> Array:
    """Bilinear interpolation of a global regular grid's values; poleward of it, the last row's.

    Returns:
        (target rows, target columns) float32.
    """
    row, low = _places(target.lat, source.lat)
    column, west = _places(target.lon, source.lon, wrap=True)
    values = values.astype(np.float32, copy=False)
    low, west = low.astype(np.float32)[:, None], west.astype(np.float32)
    rows = values[row] * (1 - low) + values[row + 1] * low
    found: Array = rows[:, column] * (1 - west)
    found += rows[:, (column + 1) % source.lon.size] * west
    return found


def sample_points(values: Array, source: Grid, lat: Array, lon: Array) -> Array:
    """The same at points: (points,) float64."""
    row, low = _places(lat, source.lat)
    column, west = _places(lon, source.lon, wrap=True)
    east = (column + 1) % source.lon.size
    upper = values[row + 1, column] * (1 - west) + values[row + 1, east] * west
    lower = values[row, column] * (1 - west) + values[row, east] * west
    found: Array = lower * (1 - low) + upper * low
    return found


def nearest(values: Array, source: Grid, target: Grid) -> Array:
    """The value of the source cell that a target cell's centre lies in."""
    row, low = _places(target.lat, source.lat)
    column, west = _places(target.lon, source.lon, wrap=True)
    found: Array = values[np.ix_(row + (low >= 0.5), (column + (west >= 0.5)) % source.lon.size)]
    return found


def regrid(values: Array, source: Grid, target: Grid) -> Array:
    """Means over the target's cells where these are larger, else bilinear: both cell centres."""
    if target.step <= source.step * 1.001:
        return sample(values, source, target)
    rows = _overlaps(source.lat.size, target.lat.size)
    columns = _overlaps(source.lon.size, target.lon.size)
    found: Array = (rows @ values @ columns.T).astype(np.float32)
    return found


def _places(points: Array, axis: Array, wrap: bool = False) -> tuple[Array, Array]:
    """Of each point the position before it, and how far it is on the way to the next, 0 to 1."""
    place = (points - axis[0]) / (axis[1] - axis[0])
    place = place % axis.size if wrap else np.clip(place, 0, axis.size - 1)
    index = np.floor(place).astype(int)
    index = index % axis.size if wrap else np.minimum(index, axis.size - 2)
    return index, place - index


def _overlaps(source: int, target: int) -> Array:
    """Which share of each target cell each source cell is; both divide the same length evenly."""
    low = np.arange(target)[:, None] * (source / target)
    cells = np.arange(source)[None, :]
    shared = np.minimum(low + source / target, cells + 1) - np.maximum(low, cells)
    shares: Array = (np.clip(shared, 0.0, None) * (target / source)).astype(np.float32)
    return shares
