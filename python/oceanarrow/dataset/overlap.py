"""Which accepted boxes a candidate box overlaps too much."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BBox = tuple[float, float, float, float]


class OverlapIndex:
    """Accepted boxes with their windows, all of `window_days` days, searched by start day.

    Boxes lie in blocks of `window_days` start days, so that a candidate meets only its own block
    and the neighbours, and there all boxes at once.
    """

    def __init__(self, window_days: int, max_overlap: float) -> None:
        self._window = window_days
        self._max_overlap = max_overlap
        self._blocks: dict[int, _Block] = {}

    def rejects(self, bbox: BBox, start: int) -> bool:
        """Whether an accepted box with a day in common has an IoU above the limit with `bbox`."""
        first = (start - self._window + 1) // self._window
        last = (start + self._window - 1) // self._window
        return any(
            self._blocks[block].max_iou(bbox, start, self._window) > self._max_overlap
            for block in range(first, last + 1)
            if block in self._blocks
        )

    def add(self, bbox: BBox, start: int) -> None:
        """Accepts a box whose window starts on day `start`."""
        self._blocks.setdefault(start // self._window, _Block()).append(bbox, start)


class _Block:
    """Growing columns: lon_min, lon_max, lat_min, lat_max, area, start day.

    The eastern edge of a box that crosses the antimeridian lies beyond 180.
    """

    def __init__(self) -> None:
        self._columns: npt.NDArray[np.float64] = np.empty((6, 16))
        self._count = 0
        self._crossed = False

    def append(self, bbox: BBox, start: int) -> None:
        if self._count == self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.empty_like(self._columns)], axis=1)
        lon_min, lon_max, lat_min, lat_max = _unrolled(bbox)
        self._crossed |= lon_max > 180.0
        area = (lon_max - lon_min) * (lat_max - lat_min)
        self._columns[:, self._count] = (lon_min, lon_max, lat_min, lat_max, area, start)
        self._count += 1

    def max_iou(self, bbox: BBox, start: int, window: int) -> float:
        lon_min, lon_max, lat_min, lat_max = _unrolled(bbox)
        west, east, south, north, areas, starts = self._columns[:, : self._count]
        turns = (0.0, -360.0, 360.0) if self._crossed or lon_max > 180.0 else (0.0,)
        width = np.maximum.reduce(
            [np.minimum(lon_max + t, east) - np.maximum(lon_min + t, west) for t in turns]
        )
        height = np.minimum(lat_max, north) - np.maximum(lat_min, south)
        meets = (width > 0) & (height > 0) & (np.abs(starts - start) < window)
        if not meets.any():
            return 0.0
        shared = width[meets] * height[meets]
        area = (lon_max - lon_min) * (lat_max - lat_min)
        return float((shared / (area + areas[meets] - shared)).max())


def _unrolled(bbox: BBox) -> BBox:
    lon_min, lon_max, lat_min, lat_max = bbox
    return lon_min, lon_max + 360.0 if lon_max < lon_min else lon_max, lat_min, lat_max
