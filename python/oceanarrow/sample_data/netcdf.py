"""NetCDF-4 files, written with h5py alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.optional import require

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Packing:
    """How real numbers are stored: `stored * scale + offset`, `fill` where there is none.

    Attributes:
        dtype: the stored type, `"int16"` say.
        scale: `scale_factor`; None stores the numbers themselves.
        offset: `add_offset`.
        fill: `_FillValue`.
    """

    dtype: str
    scale: float | None = None
    offset: float = 0.0
    fill: float = np.nan

    def pack(self, values: Array) -> Array:
        """The stored numbers; values beyond the type's range are clipped to it."""
        if self.scale is None:
            kind = np.dtype(self.dtype)
            if kind.kind == "f":
                return values.astype(kind)
            return np.where(np.isfinite(values), values, self.fill).astype(kind)
        limits = np.iinfo(self.dtype)
        # float64: int32 has more digits than float32 holds.
        counts = np.rint((values.astype(np.float64) - self.offset) / self.scale)
        counts = np.clip(counts, limits.min + 2, limits.max)
        return np.where(np.isnan(counts), self.fill, counts).astype(self.dtype)

    def attributes(self) -> dict[str, Any]:
        """The attributes that say how to unpack."""
        found: dict[str, Any] = {"_FillValue": np.array([self.fill], self.dtype)}
        if self.scale is not None:
            found["scale_factor"] = np.array([self.scale])
            found["add_offset"] = np.array([self.offset])
        return found


@dataclass(frozen=True)
class Variable:
    """A variable of a file to be.

    Attributes:
        dimensions: their names.
        values: real numbers if there is a packing, otherwise what is stored.
        attributes: besides those of the packing.
        packing: how `values` are stored.
        chunks: the shape of chunks, cut to that of the values; None stores contiguously.
        deflate: the level; 0 for none.
    """

    dimensions: tuple[str, ...]
    values: Any
    attributes: Mapping[str, Any] = field(default_factory=dict)
    packing: Packing | None = None
    chunks: tuple[int, ...] | None = None
    deflate: int = 0


def write_netcdf(
    path: Path, variables: Mapping[str, Variable], attributes: Mapping[str, Any]
) -> None:
    """Writes a file. A variable named as its only dimension is that dimension's axis.

    Args:
        path: where to.
        variables: by name; axes before what lies on them.
        attributes: of the file.

    Raises:
        ImportError: h5py is not installed.
    """
    h5py = require("h5py", "sample data", "sample")
    # Creation order is tracked, as NetCDF-4 has it.
    with h5py.File(path, "w", track_order=True) as file:
        file.attrs.update({"Conventions": "CF-1.6", **attributes})
        scales: dict[str, Any] = {}
        for name, variable in variables.items():
            data = _create(h5py, file, name, variable)
            if variable.dimensions == (name,):
                data.make_scale(name)
                data.attrs["_Netcdf4Dimid"] = np.int32(len(scales))
                scales[name] = data
                continue
            for axis, dimension in zip(data.dims, variable.dimensions, strict=True):
                axis.attach_scale(scales[dimension])


def _create(h5py: Any, file: Any, name: str, variable: Variable) -> Any:
    values = variable.values if variable.packing is None else variable.packing.pack(variable.values)
    options: dict[str, Any] = {}
    if variable.chunks is not None and np.size(values):
        options["chunks"] = tuple(map(min, variable.chunks, np.shape(values)))
        if variable.deflate:
            options |= {"compression": "gzip", "compression_opts": variable.deflate}
    if isinstance(values, list):
        options["dtype"] = h5py.string_dtype()
    data = file.create_dataset(name, data=values, track_order=True, **options)
    if variable.packing is not None:
        data.attrs.update(variable.packing.attributes())
    data.attrs.update(variable.attributes)
    return data


def axis(
    name: str, values: Array, dtype: str = "float64", attributes: Mapping[str, Any] | None = None
) -> Variable:
    """A coordinate axis `name` of real numbers."""
    return Variable((name,), values, dict(attributes or {}), Packing(dtype))


LATITUDE = {"standard_name": "latitude", "units": "degrees_north"}
LONGITUDE = {"standard_name": "longitude", "units": "degrees_east"}


def scalar_time(day: date, hour: int) -> Variable:
    """Time as the published tiles have it: no dimension, zero days since itself."""
    attributes = {
        "standard_name": "time",
        "units": f"days since {day} {hour:02d}:00:00",
        "calendar": "proleptic_gregorian",
    }
    return Variable((), np.int64(0), attributes)


def time_axis(days: Sequence[date], hour: int = 0) -> Variable:
    """A dimension `time` of dates."""
    epoch = date(1950, 1, 1)
    values = np.array([(day - epoch).days + hour / 24 for day in days])
    attributes = {
        "standard_name": "time",
        "units": f"days since {epoch} 00:00:00",
        "calendar": "proleptic_gregorian",
        "axis": "T",
    }
    return Variable(("time",), values, attributes)
