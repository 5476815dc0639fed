"""What a file must read as: by hand in double precision, and by xarray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xarray as xr

Array = npt.NDArray[Any]


def by_hand(path: Path, name: str = "v") -> Array:
    """Decodes all of `name` in float64, in stored order, NaN where invalid."""
    with h5py.File(path) as f:
        raw = f[name][...]
        attrs = {k: v for k, v in f[name].attrs.items() if k in RELEVANT}
    raw = raw.astype(raw.dtype.newbyteorder("="))
    unsigned = attrs.pop("_Unsigned", "")
    if unsigned in ("true", b"true"):
        other = np.dtype(f"u{raw.dtype.itemsize}")
        raw = raw.view(other)
        attrs |= {
            k: np.asarray(attrs[k]).view(other)
            for k in RELEVANT
            if k in attrs and k not in ("scale_factor", "add_offset")
        }
    valid = np.isfinite(raw)
    for key in ("_FillValue", "missing_value"):
        for value in np.ravel(attrs.get(key, [])):
            valid &= raw != np.asarray(value).astype(raw.dtype)
    bounds = np.ravel(attrs.get("valid_range", []))
    low, high = bounds if bounds.size else (attrs.get("valid_min"), attrs.get("valid_max"))
    if low is not None:
        valid &= raw >= np.ravel(low)[0]
    if high is not None:
        valid &= raw <= np.ravel(high)[0]
    scale = float(np.ravel(attrs.get("scale_factor", 1.0))[0])
    offset = float(np.ravel(attrs.get("add_offset", 0.0))[0])
    return np.where(valid, raw.astype("f8") * scale + offset, np.nan)


RELEVANT = (
    "_FillValue",
    "missing_value",
    "valid_range",
    "valid_min",
    "valid_max",
    "scale_factor",
    "add_offset",
    "_Unsigned",
)


def oriented(data: Array, dims: tuple[str, ...], descending: bool) -> dict[str, Array]:
    """The grid(s) on ascending axes: (lat, lon), or (time, lat, lon) if there is a time."""
    order = [d for d in ("time", "depth", "lat", "lon") if d in dims]
    data = data.transpose([dims.index(d) for d in order])
    if "depth" in order:
        data = data.take(0, axis=order.index("depth"))
    return {"grid": data[..., ::-1, :] if descending else data}


def by_xarray(path: Path, name: str = "v") -> Array:
    """All of `name` as xarray decodes it, in stored order."""
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as ds:
        return ds[name].to_numpy().astype("f8")
