"""The outlines of land, for maps."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from oceanarrow.land.bundled import bundled

Outline = tuple[npt.NDArray[np.float64], ...]
"""A polygon: its outer ring, then its holes, each (N, 2) longitude and latitude."""


@cache
def outlines() -> tuple[Outline, ...]:
    """The land polygons, in degrees to a thousandth; rings are closed and free of jumps.

    A ring may leave -180..180 (eastern Siberia). Antarctica's runs down to -90, an edge that is
    no coast.
    """
    numbers = np.frombuffer(bundled("polygons.zlib"), dtype="<i4")
    count = int(numbers[0])
    head = numbers[1 : 1 + 2 * count].reshape(count, 2)
    points = numbers[1 + 2 * count :].reshape(-1, 2) / 1000.0
    points.flags.writeable = False
    rings = np.split(points, np.cumsum(head[:-1, 1]))
    polygons: dict[int, list[npt.NDArray[np.float64]]] = {}
    for polygon, ring in zip(head[:, 0].tolist(), rings, strict=True):
        polygons.setdefault(polygon, []).append(ring)
    return tuple(tuple(rings) for rings in polygons.values())
