"""Flips and quarter turns of patches, undone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class _Planes(NamedTuple):
    """Where a component of a vector lies: planes of a column."""

    column: str
    first: int
    planes: int

    def of(self, array: Array) -> Array:
        """Them, (planes, H, W) of a row."""
        found: Array = array.reshape(-1, *array.shape[-2:])[self.first : self.first + self.planes]
        return found


def undone(
    arrays: Mapping[str, tuple[Array, Array, Array | None]], codes: Array, vectors: str | None
) -> dict[str, tuple[Array, Array, Array | None]]:
    """Values, masks and support of gridded columns, (B, ..., H, W), as before flips and turns.

    Args:
        arrays: by column; they are not changed.
        codes: (B,) what was done to each row (`oceanarrow.Augment`).
        vectors: the pairs of components, as the metadata have them.
    """
    made = {
        name: tuple(None if part is None else part.copy() for part in parts)
        for name, parts in arrays.items()
    }
    pairs = [[_Planes(*place) for place in pair] for pair in json.loads(vectors or "[]")]
    for row, code in enumerate(codes.tolist()):
        if code == 0:
            continue
        for parts in made.values():
            for part in parts:
                if part is not None:
                    part[row] = laid_back(part[row], code)
        for east, north in pairs:
            _turn_back(made, row, code, east, north)
    return made  # type: ignore[return-value]


def laid_back(array: Array, code: int) -> Array:
    """Planes (..., H, W) as before what a code of `oceanarrow.Augment` says was done to them."""
    array = np.rot90(array, code >> 2, axes=(-2, -1))
    if code & 2:
        array = array[..., ::-1, :]
    if code & 1:
        array = array[..., ::-1]
    # What is written over must not be read on the way.
    return array.copy()


def _turn_back(
    made: Mapping[str, tuple[Array | None, ...]], row: int, code: int, east: _Planes, north: _Planes
) -> None:
    """Gives components their places and signs."""
    places = zip(made[east.column], made[north.column], strict=True)
    for number, (of_east, of_north) in enumerate(places):
        if of_east is None or of_north is None:
            continue
        u, v = east.of(of_east[row]), north.of(of_north[row])
        old_u, old_v = u.copy(), v.copy()
        for _ in range(code >> 2):
            old_u, old_v = (old_v, -old_u) if number == 0 else (old_v, old_u)
        if number == 0:
            old_u = -old_u if code & 1 else old_u
            old_v = -old_v if code & 2 else old_v
        u[...], v[...] = old_u, old_v
