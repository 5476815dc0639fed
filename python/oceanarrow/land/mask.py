"""The land mask: 0.25 degree cells, land where a cell's centre is land."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oceanarrow.atomic_file import replace_file
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.land.bundled import bundled

BBox = tuple[float, float, float, float]
"""`(lon_min, lon_max, lat_min, lat_max)`, degrees."""


class LandMask:
    """Land on a global 0.25 degree grid.

    Attributes:
        mask: (720, 1440) bool, True on land; row 0 is centred at -89.875, column 0 at -179.875.
    """

    RESOLUTION = 0.25
    SHAPE = (720, 1440)

    def __init__(self, mask: npt.NDArray[np.bool_]) -> None:
        """A mask of your own; see `builtin` and `from_npy` for others.

        Raises:
            InvalidInputError: `mask` is not (720, 1440) bool.
        """
        if mask.shape != self.SHAPE or mask.dtype != np.bool_:
            raise InvalidInputError(
                f"a land mask must be {self.SHAPE} bool with row 0 at -89.875, "
                f"not {mask.shape} {mask.dtype}"
            )
        self.mask = mask

    @classmethod
    def builtin(cls) -> LandMask:
        """The mask shipped with the package (Natural Earth 1:110m; the Caspian is water)."""
        return _builtin()

    @classmethod
    def from_npy(cls, path: str | os.PathLike[str]) -> LandMask:
        """The mask in a `.npy` file; where there is none, the built-in mask is written there.

        Raises:
            InvalidInputError: the file is no (720, 1440) bool array.
        """
        path = Path(path)
        if not path.exists():
            mask = cls.builtin()
            replace_file(path, lambda file: np.save(file, mask.mask))
            return mask
        try:
            mask_array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InvalidInputError(
                f"{path}: not a readable .npy land mask ({error}); delete it to have it rebuilt"
            ) from error
        if not isinstance(mask_array, np.ndarray):
            raise InvalidInputError(f"{path}: holds several arrays; a land mask is one .npy array")
        try:
            return cls(mask_array)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from error

    def get_land_fraction(self, bbox: BBox) -> float:
        """The share of land cells, 0 to 1, among the cells the box touches.

        A box that runs past 180 degrees is cut off there, unless it crosses by
        `lon_min > lon_max`; one that starts outside [-180, 180) is moved by whole turns first.
        """
        lon_min, lon_max, lat_min, lat_max = bbox
        if not -180.0 <= lon_min < 180.0:
            turns = 360.0 * math.floor((lon_min + 180.0) / 360.0)
            lon_min, lon_max = lon_min - turns, lon_max - turns
        rows = _cells(lat_min + 90.0, lat_max + 90.0, self.SHAPE[0])
        if lon_min <= lon_max:
            cells = self.mask[rows, _cells(lon_min + 180.0, lon_max + 180.0, self.SHAPE[1])]
        else:
            west = self.mask[rows, _cells(lon_min + 180.0, 360.0, self.SHAPE[1])]
            east = self.mask[rows, _cells(0.0, lon_max + 180.0, self.SHAPE[1])]
            cells = np.concatenate([west, east], axis=1)
        return float(cells.mean()) if cells.size else 0.0

    def land_fractions(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """`get_land_fraction` of boxes `(N, 4)` that lie within -180..180; those that cross the
        antimeridian by `lon_min > lon_max`."""
        crossing = boxes[:, 1] < boxes[:, 0]
        # Of those, the part before it and the part behind.
        before, behind = boxes.copy(), boxes[crossing]
        before[crossing, 1], behind[:, 0] = 180.0, -180.0
        land, cells = self._counts(before)
        for counts, more in zip((land, cells), self._counts(behind), strict=True):
            counts[crossing] += more
        shares: npt.NDArray[np.float64] = np.zeros(len(boxes))
        np.divide(land, cells, out=shares, where=cells > 0)
        return shares

    def _counts(
        self, boxes: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Land cells and cells of boxes that cross no antimeridian."""
        sums = np.zeros((self.SHAPE[0] + 1, self.SHAPE[1] + 1), np.int64)
        np.cumsum(np.cumsum(self.mask, axis=0), axis=1, out=sums[1:, 1:])
        low = ((boxes[:, [0, 2]] + [180.0, 90.0]) / self.RESOLUTION).astype(int)
        high = ((boxes[:, [1, 3]] + [180.0, 90.0]) / self.RESOLUTION).astype(int) + 1
        sides = self.SHAPE[::-1]
        (west, south), (east, north) = np.clip(low, 0, sides).T, np.clip(high, 0, sides).T
        land = sums[north, east] - sums[south, east] - sums[north, west] + sums[south, west]
        return land, (north - south) * (east - west)

    def is_ocean(self, bbox: BBox, max_land_fraction: float = 0.3) -> bool:
        """Whether at most this share of the box is land."""
        return self.get_land_fraction(bbox) <= max_land_fraction


@cache
def _builtin() -> LandMask:
    bits = np.frombuffer(bundled("mask-0.25deg.zlib"), dtype=np.uint8)
    mask = np.unpackbits(bits).astype(np.bool_).reshape(LandMask.SHAPE)
    # One array serves the whole process.
    mask.flags.writeable = False
    return LandMask(mask)


def _cells(low: float, high: float, count: int) -> slice:
    """Cells from the one `low` falls in to the one `high` falls in, both included."""
    step = LandMask.RESOLUTION
    return slice(max(0, int(low / step)), max(0, min(count, int(high / step) + 1)))
