"""`Stitcher`: maps out of patches."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from oceanarrow.atomic_file import replace_file
from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require
from oceanarrow.orientation import laid_back

if TYPE_CHECKING:
    import xarray

Blend = Literal["hann", "mean"]
Floats = npt.NDArray[np.float64]

_LEAST = 1e-3
"""The weight at the edge of a patch, where that in its middle is 1."""

_TINY = 1e-9
"""Degrees."""

_NEAR = 1e-6
"""Shares of a pixel that an output point may lie off one and still be it."""


class Stitcher:
    """Blends patches into daily maps.

    A pixel lies where the loader put it (`grid="exact"`): on `linspace` over its box, so that
    neighbours share the pixels of their edges. An output point takes the bilinear value of each
    patch that covers it, of the valid pixels among the four around it, weighted by their share and
    by the blend. Where the points lie on pixels, an identity model gives the field back.

    A map is of the last day of a patch's query. Days that are open take memory: 16 bytes a point
    and lead; `flush` ends them.

    Args:
        bbox: `(lon_min, lon_max, lat_min, lat_max)`, degrees; `lon_min > lon_max` crosses the
            antimeridian, and longitudes then run on beyond 180.
        resolution: degrees between points, which begin at the south-western corner.
        lat, lon: the points themselves, ascending, instead.
        blend: `"hann"`: the weight falls from the middle of a patch to its edges as a Hann window,
            to a thousandth; `"mean"`: all the same.
        name: of the field.
        attrs: of the field: `{"units": "m", "standard_name": ...}`.

    Raises:
        InvalidInputError: an argument is wrong.
    """

    def __init__(
        self,
        bbox: tuple[float, float, float, float] | None = None,
        resolution: float | None = None,
        *,
        lat: npt.ArrayLike | None = None,
        lon: npt.ArrayLike | None = None,
        blend: Blend = "hann",
        name: str = "field",
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        if blend not in get_args(Blend):
            raise InvalidInputError(f'blend must be "hann" or "mean", not {blend!r}')
        if (bbox is None) != (resolution is None) or (lat is None) != (lon is None):
            raise InvalidInputError("give bbox and resolution, or lat and lon")
        if (bbox is None) == (lat is None):
            raise InvalidInputError("give bbox and resolution, or lat and lon, not both")
        if bbox is not None and resolution is not None:
            self.lat, self.lon = _points(bbox, resolution)
        else:
            self.lat, self.lon = _ascending("lat", lat), _ascending("lon", lon)
        if self.lat[0] < -90 or self.lat[-1] > 90 or self.lon[-1] - self.lon[0] > 360:
            raise InvalidInputError("lat must lie from -90 to 90, and lon within one turn")
        self._blend = blend
        self._name = name
        self._attrs = dict(attrs or {})
        self._days: dict[int, tuple[Floats, Floats]] = {}
        self._flushed: set[int] = set()
        self._leads: int | None = None

    @property
    def days(self) -> list[str]:
        """The days that are open, ascending."""
        return [iso_day(day) for day in sorted(self._days)]

    def add(self, metadata: Mapping[str, Any], values: Any, mask: Any = None) -> None:
        """Adds the patches of a batch, in any order of batches.

        Args:
            metadata: what `Batch.to_numpy` and `to_torch` give; patches that were flipped or
                turned (`augmentation`) are laid back, rows that only fill a batch up are left out.
            values: (B, H, W), or (B, T, H, W) with a lead each: arrays or tensors of scalars.
            mask: likewise, which are valid; by default those that are not NaN.

        Raises:
            InvalidInputError: shapes do not fit each other or earlier ones, a day was flushed, or
                the metadata are not a batch's.
        """
        values, codes, boxes, days, weights = _batch(metadata, values)
        stacked = values.ndim == 4
        valid = np.isfinite(values)
        if mask is not None:
            given = _array(mask).astype(bool)
            if given.shape != values.shape:
                raise InvalidInputError(
                    f"mask must have the shape of values, {values.shape}, not {given.shape}"
                )
            valid &= given
        leads = values.shape[1] if stacked else 0
        if self._leads is None:
            self._leads = leads
        elif self._leads != leads:
            raise InvalidInputError(
                f"patches had {self._leads or 'no'} leads before, and have {leads or 'none'} now"
            )
        closed = sorted({int(day) for day in days if int(day) in self._flushed})
        if closed:
            raise InvalidInputError(f"{iso_day(closed[0])} was flushed; add all of a day before")
        for row in range(len(values)):
            if weights[row] == 0:
                continue
            planes, there = values[row], valid[row]
            if codes[row]:
                planes, there = laid_back(planes, codes[row]), laid_back(there, codes[row])
            height, width = planes.shape[-2:]
            self._add(
                int(days[row]),
                boxes[row],
                planes.reshape(-1, height, width),
                there.reshape(-1, height, width),
            )

    def _add(
        self,
        day: int,
        box: Floats,
        values: npt.NDArray[Any],
        valid: npt.NDArray[np.bool_],
    ) -> None:
        west, east, south, north = box.tolist()
        wide = east - west + (360.0 if east < west else 0.0)
        rows, y = _inside(self.lat - south, north - south, values.shape[1])
        # A point on the western edge must not come out a turn further east.
        east_of = (self.lon - west + _TINY) % 360.0 - _TINY
        columns, x = _inside(east_of, wide, values.shape[2])
        if not rows.size or not columns.size:
            return
        shape = (values.shape[0], self.lat.size, self.lon.size)
        sums, weights = self._days.setdefault(day, (np.zeros(shape), np.zeros(shape)))
        share = valid.astype(np.float64)
        known = np.where(valid, values, 0.0)
        blend = np.outer(self._weight(y, values.shape[1]), self._weight(x, values.shape[2]))
        place = (slice(None), rows[:, None], columns[None, :])
        sums[place] += blend * _bilinear(known, y, x)
        weights[place] += blend * _bilinear(share, y, x)

    def _weight(self, position: Floats, pixels: int) -> Floats:
        if self._blend == "mean" or pixels == 1:
            return np.ones(position.size)
        window: Floats = np.sin(np.pi * position / (pixels - 1)) ** 2
        return _LEAST + (1 - _LEAST) * window

    def to_xarray(self) -> xarray.Dataset:
        """The open days as an `xarray.Dataset`.

        Returns:
            The field, float32 `(time, lat, lon)`, or `(time, lead, lat, lon)` of patches with
            leads; NaN where no patch had a valid pixel. `weight`, float32 likewise: the sum of the
            blend's weights.

        Raises:
            InvalidInputError: no patch was added.
            ImportError: xarray is not installed.
        """
        if not self._days:
            raise InvalidInputError("no patch lies on this map; add some before")
        return self._dataset(sorted(self._days))

    def flush(self, day: Time, path: str | os.PathLike[str]) -> None:
        """Writes a day as NetCDF, at once, and forgets it.

        Raises:
            InvalidInputError: the day is not open.
            UnwritableError, OSError: it cannot be written; the day stays open.
            ImportError: xarray, h5netcdf or h5py is not installed.
        """
        number = utc_day(day)
        if number not in self._days:
            raise InvalidInputError(
                f"{iso_day(number)} is not open; open are {', '.join(self.days) or 'none'}"
            )
        for module in ("h5netcdf", "h5py"):
            require(module, "Stitcher.flush", extra="xarray")
        dataset = self._dataset([number])
        replace_file(
            Path(path), lambda file: dataset.to_netcdf(file.name, engine="h5netcdf", mode="w")
        )
        del self._days[number]
        self._flushed.add(number)

    def _dataset(self, days: list[int]) -> xarray.Dataset:
        xr = require("xarray", "Stitcher.to_xarray", extra="xarray")
        fields, weights = [], []
        for day in days:
            sums, weight = self._days[day]
            with np.errstate(invalid="ignore", divide="ignore"):
                fields.append((sums / weight).astype(np.float32))
            weights.append(weight.astype(np.float32))
        dims = ("time", "lead", "lat", "lon")
        coordinates: dict[str, Any] = {
            "time": np.array(days, "datetime64[D]").astype("datetime64[ns]"),
            "lat": ("lat", self.lat, {"standard_name": "latitude", "units": "degrees_north"}),
            "lon": ("lon", self.lon, {"standard_name": "longitude", "units": "degrees_east"}),
            "lead": ("lead", np.arange(self._leads or 1), {"long_name": "number of the lead"}),
        }
        made = xr.Dataset(
            {
                self._name: (dims, np.stack(fields), self._attrs),
                "weight": (dims, np.stack(weights), {"long_name": "sum of blending weights"}),
            },
            coordinates,
            {"Conventions": "CF-1.8"},
        )
        dataset: xarray.Dataset = made if self._leads else made.isel(lead=0, drop=True)
        return dataset


def _points(bbox: tuple[float, float, float, float], resolution: float) -> tuple[Floats, Floats]:
    try:
        west, east, south, north = (float(edge) for edge in bbox)
        step = float(resolution)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"bbox must be (lon_min, lon_max, lat_min, lat_max), not {bbox!r}"
        ) from error
    wide = east - west + (360.0 if east < west else 0.0)
    if not (step > 0 and north > south and 0 < wide <= 360):
        raise InvalidInputError(
            f"bbox {bbox!r} with a resolution of {resolution!r} degrees has no points"
        )
    lat = south + step * np.arange(int((north - south) / step + _NEAR) + 1, dtype=np.float64)
    lon = west + step * np.arange(int(wide / step + _NEAR) + 1, dtype=np.float64)
    return lat, lon[lon < west + 360.0 - _NEAR * step]


def _ascending(name: str, given: npt.ArrayLike | None) -> Floats:
    try:
        axis = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name} must be degrees, not {given!r:.80}") from error
    if axis.ndim != 1 or not axis.size or not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
        raise InvalidInputError(f"{name} must be degrees that ascend, not {given!r:.80}")
    return axis


def _array(given: Any) -> npt.NDArray[Any]:
    """An array or a tensor, also one of another device."""
    if hasattr(given, "detach"):
        given = given.detach().cpu()
    return np.asarray(given)


def _batch(
    metadata: Mapping[str, Any], values: Any
) -> tuple[npt.NDArray[Any], list[int], Floats, npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Values, and of each row how it lies, its box, its day, and its weight."""
    array = _array(values)
    if array.ndim not in (3, 4):
        raise InvalidInputError(f"values must be (B, H, W) or (B, T, H, W), not {array.shape}")
    try:
        boxes = np.asarray(_array(metadata["bbox"]), np.float64)
        days = np.asarray(_array(metadata["time_end"]), np.int64)
    except (KeyError, TypeError, IndexError) as error:
        raise InvalidInputError(
            'metadata must be a batch\'s: batch.to_torch()["metadata"]'
        ) from error
    n = len(array)
    codes = _array(metadata.get("augmentation", np.zeros(n, int)))
    weights = _array(metadata.get("sample_weight", np.ones(n)))
    if boxes.shape != (n, 4) or any(one.shape != (n,) for one in (days, codes, weights)):
        raise InvalidInputError(f"values have {n} rows, but the metadata {len(boxes)}")
    return array, codes.astype(int).tolist(), boxes, days, weights


def _inside(offset: Floats, extent: float, pixels: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """The points that lie over a patch, and where between its pixels."""
    last = max(pixels - 1, 1)
    position = offset / extent * last
    near = np.rint(position)
    position = np.where(np.abs(position - near) < _NEAR, near, position)
    there = np.flatnonzero((position >= 0) & (position <= last))
    return there, position[there] if pixels > 1 else np.zeros(there.size)


def _bilinear(planes: npt.NDArray[Any], y: Floats, x: Floats) -> Floats:
    """Values (T, points, points) between the pixels of planes (T, H, W)."""

    def along(values: npt.NDArray[Any], position: Floats, axis: int) -> Floats:
        low = np.minimum(position.astype(np.intp), values.shape[axis] - 1)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        share = (position - low).reshape([-1 if i == axis else 1 for i in range(3)])
        below, above = values.take(low, axis), values.take(high, axis)
        mixed: Floats = below * (1 - share) + above * share
        return mixed

    return along(along(planes.astype(np.float64), y, 1), x, 2)
