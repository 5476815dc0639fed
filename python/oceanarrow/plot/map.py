"""Map panels: axes in degrees, land and coastlines."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow.land import Outline, outlines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LIGHT = {"sea": "#eef1f4", "land": "#d8d4c8", "coast": "#4a4a4a"}
_DARK = {"sea": "#14171f", "land": "#3b3f49", "coast": "#a8adb8"}


@dataclass(frozen=True)
class Frame:
    """The part of the world a panel shows, in degrees; `east` may lie beyond 180.

    Attributes:
        offset: longitude at the axes' 0; cartopy's maps are centred on the frame, so that one
            that crosses the antimeridian is not torn.
    """

    west: float
    east: float
    south: float
    north: float
    offset: float

    @classmethod
    def of_bbox(cls, bbox: tuple[float, ...]) -> Frame:
        """The frame of a query's box; `lon_min > lon_max` crosses the antimeridian."""
        west, east, south, north = bbox
        if west > east:
            east += 360.0
        return cls(west, east, south, north, (west + east) / 2.0 if _has_cartopy() else 0.0)

    @property
    def aspect(self) -> float:
        """Height over width, a degree counting the same both ways."""
        return (self.north - self.south) / (self.east - self.west)

    def x(self, lons: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Longitudes as positions on the axes."""
        return lons - self.offset

    def near(self, lons: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Longitudes moved by whole turns to within 180 degrees of the frame's middle."""
        middle = (self.west + self.east) / 2.0
        return middle + (lons - middle + 180.0) % 360.0 - 180.0

    def text(self) -> str:
        """The box in words."""
        edges = (self.south, self.north, self.west, self.east)
        south, north = (lat_text(round(edge, 1)) for edge in edges[:2])
        if self.east - self.west >= 360.0:
            return f"{south} to {north}, all longitudes"
        west, east = (lon_text(round(edge, 1)) for edge in edges[2:])
        return f"{south} to {north}, {west} to {east}"


def lon_text(lon: float) -> str:
    """`30°W`; longitudes of any turn."""
    lon = (lon + 180.0) % 360.0 - 180.0
    side = "" if lon in (0.0, -180.0) else "W" if lon < 0 else "E"
    return f"{abs(round(lon, 3)):g}°{side}"


def lat_text(lat: float) -> str:
    """`45°N`."""
    return f"{abs(round(lat, 3)):g}°{'' if lat == 0 else 'S' if lat < 0 else 'N'}"


def add_map(figure: Figure, position: tuple[int, int, int], frame: Frame, dark: bool) -> Axes:
    """Axes with ticks in degrees, land filled below the data and coastlines above."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    colours = _DARK if dark else _LIGHT
    projection: dict[str, Any] = {}
    if _has_cartopy():
        crs = import_module("cartopy.crs")
        projection["projection"] = crs.PlateCarree(central_longitude=frame.offset)
    axes: Axes = figure.add_subplot(*position, **projection)
    axes.set_facecolor(colours["sea"])
    for outline in outlines():
        for shift in (-360.0, 0.0, 360.0):
            _add_outline(axes, outline, shift, frame, colours)
    axes.set_xlim(frame.west - frame.offset, frame.east - frame.offset)
    axes.set_ylim(frame.south, frame.north)
    axes.set_aspect("equal")
    wide = frame.east - frame.west > 180.0
    lons = MaxNLocator(6 if wide else 4, steps=[1, 2, 3, 5, 6, 10]).tick_values(
        frame.west, frame.east
    )
    lats = MaxNLocator(5, steps=[1, 2, 3, 5, 6, 10]).tick_values(frame.south, frame.north)
    axes.set_xticks([x - frame.offset for x in lons if frame.west <= x <= frame.east])
    axes.set_yticks([y for y in lats if frame.south <= y <= frame.north])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: lon_text(x + frame.offset)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: lat_text(y)))
    axes.tick_params(labelsize=8)
    return axes


def _add_outline(
    axes: Axes, outline: Outline, shift: float, frame: Frame, colours: dict[str, str]
) -> None:
    """A land polygon moved by `shift` degrees, if it shows in the frame."""
    from matplotlib.collections import LineCollection
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    (west, south), (east, north) = outline[0].min(axis=0), outline[0].max(axis=0)
    beside = west + shift > frame.east or east + shift < frame.west
    if beside or south > frame.north or north < frame.south:
        return
    rings = [np.column_stack([frame.x(ring[:, 0] + shift), ring[:, 1]]) for ring in outline]
    path = Path.make_compound_path(*(Path(ring, closed=True) for ring in rings))
    axes.add_patch(PathPatch(path, facecolor=colours["land"], edgecolor="none", zorder=0.5))
    lines = []
    for ring in rings:
        segments = np.stack([ring[:-1], ring[1:]], axis=1)
        # Antarctica is closed along the pole, which is no coast.
        lines += list(segments[(segments[:, :, 1] > -89.9).all(axis=1)])
    axes.add_collection(
        LineCollection(lines, colors=colours["coast"], linewidths=0.7, zorder=2), autolim=False
    )


def _has_cartopy() -> bool:
    return find_spec("cartopy") is not None
