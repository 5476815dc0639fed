"""Bakes the land mask and the coastline polygons that the package ships (see README.md).

The source's rings jump by 360 degrees where they cross the antimeridian, and Antarctica's ring
goes round the pole without enclosing it, so each ring is first unwrapped into a continuous curve,
and one that does not come back to its start is closed along the 90th parallel south.
"""

from __future__ import annotations

import json
import sys
import zlib
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.float64]
"""(N, 2) longitude and latitude; the last vertex repeats the first."""

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "land-110m.json"
TARGET = HERE.parent / "python" / "oceanarrow" / "land" / "data"
STEP = 0.25
ROWS, COLUMNS = 720, 1440
# Unwrapped rings may leave -180..180 by a turn on either side.
TURNS = (-1, 0, 1)


def read_polygons(path: Path) -> list[list[Ring]]:
    """The land polygons of a TopoJSON file: outer ring, then holes, each unwrapped and closed."""
    topology = json.loads(path.read_text(encoding="utf-8"))
    scale, translate = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(arc, axis=0) * scale + translate for arc in topology["arcs"]]
    polygons: list[Any] = []
    for geometry in topology["objects"]["land"]["geometries"]:
        polygons += geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    return [in_one_turn([unwrap(join(arcs, ring)) for ring in polygon]) for polygon in polygons]


def join(arcs: list[Ring], indices: list[int]) -> Ring:
    """The ring made of these arcs; `~i` is arc i backwards. Neighbours share a vertex."""
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def unwrap(ring: Ring) -> Ring:
    """The ring as a continuous closed curve in the plane."""
    lon = np.unwrap(ring[:, 0], period=360.0)
    curve = np.column_stack([lon, ring[:, 1]])
    if abs(lon[-1] - lon[0]) < 180.0:
        curve[-1] = curve[0]
        return curve
    # Round the south pole.
    return np.vstack([curve, [lon[-1], -90.0], [lon[0], -90.0], curve[0]])


def in_one_turn(rings: list[Ring]) -> list[Ring]:
    """The rings moved by whole turns: the outer one's middle into -180..180, the holes into it."""
    middles = [(ring[:, 0].min() + ring[:, 0].max()) / 2.0 for ring in rings]
    outer = middles[0] - 360.0 * round(middles[0] / 360.0)
    shifts = [360.0 * round((outer - middle) / 360.0) for middle in middles]
    return [ring + np.array([shift, 0.0]) for ring, shift in zip(rings, shifts, strict=True)]


def rasterise(polygons: list[list[Ring]]) -> npt.NDArray[np.bool_]:
    """Which cell centres lie inside by the even-odd rule: (720, 1440), row 0 the southernmost.

    The polygons are disjoint, so the rule holds for all rings together.
    """
    lats = -90.0 + STEP * (np.arange(ROWS) + 0.5)
    width = COLUMNS * len(TURNS)
    west = -180.0 + 360.0 * TURNS[0]
    crossings = np.zeros((ROWS, width + 1), dtype=np.int64)
    for ring in chain.from_iterable(polygons):
        for (x0, y0), (x1, y1) in pairwise(ring):
            rows = np.flatnonzero((lats >= min(y0, y1)) & (lats < max(y0, y1)))
            x = x0 + (lats[rows] - y0) * ((x1 - x0) / (y1 - y0)) if rows.size else lats[rows]
            # Every centre east of the crossing changes sides.
            first = np.ceil((x - west) / STEP - 0.5).astype(np.int64)
            np.add.at(crossings, (rows, np.clip(first, 0, width)), 1)
    inside = np.cumsum(crossings, axis=1)[:, :width] % 2 == 1
    mask: npt.NDArray[np.bool_] = inside.reshape(ROWS, len(TURNS), COLUMNS).any(axis=1)
    return mask


def mask_bytes(polygons: list[list[Ring]]) -> bytes:
    """The mask as packed bits, row by row from the south-west corner."""
    return np.packbits(rasterise(polygons)).tobytes()


def polygon_bytes(polygons: list[list[Ring]]) -> bytes:
    """Little-endian int32: ring count, then (polygon, vertices) per ring, then millidegrees."""
    rings = [(i, ring) for i, polygon in enumerate(polygons) for ring in polygon]
    head = [len(rings), *(x for i, ring in rings for x in (i, len(ring)))]
    points = np.concatenate([ring for _, ring in rings])
    thousandths = np.rint(points * 1000.0).ravel()
    return np.concatenate([head, thousandths]).astype("<i4").tobytes()


def bake() -> dict[str, bytes]:
    """File names and contents before compression, from the committed source alone."""
    polygons = read_polygons(SOURCE)
    return {
        "mask-0.25deg.zlib": mask_bytes(polygons),
        "polygons.zlib": polygon_bytes(polygons),
    }


def main() -> int:
    """Writes the files into the package."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, content in bake().items():
        (TARGET / name).write_bytes(zlib.compress(content, 9))
        print(f"{name}: {(TARGET / name).stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
