"""Small NetCDF4/HDF5 files in every dress that the engine must read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import netCDF4
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

WRITERS = ("netCDF4", "h5netcdf", "h5py-earliest", "h5py-latest")


@dataclass(frozen=True)
class Spec:
    """One file: who writes it, how it is stored, and what it holds.

    `dims` are in stored order, out of lat, lon, time and depth. `attrs` are the packing attributes
    of the variable `v`; `chunks` is None for the writer's default, a tuple, "contiguous" or
    "compact".
    """

    writer: str
    dtype: str = "<i2"
    dims: tuple[str, ...] = ("lat", "lon")
    sizes: tuple[int, int] = (23, 37)
    steps: int = 0
    chunks: Any = (7, 11)
    filters: tuple[str, ...] = ()
    descending: bool = False
    lon_kind: str = "pm180"
    lat_dtype: str = "f4"
    attrs: dict[str, Any] = field(default_factory=dict)
    extra_attrs: int = 0
    unlimited: bool = False
    sparse: bool = False
    fill: Any = None
    vlen_text: bool = False


def axes(spec: Spec) -> dict[str, Array]:
    """The stored coordinate values."""
    h, w = spec.sizes
    lat = np.linspace(-40.0, 35.0, h).astype(spec.lat_dtype)
    step = 360.0 / w if spec.lon_kind != "regional" else 0.25
    if spec.lon_kind == "0-360":
        lon = np.arange(w) * step
    elif spec.lon_kind == "wrapped":
        lon = (np.arange(w) * step + 180.0) % 360.0 - 180.0
        lon = np.where(np.arange(w) * step < 180.0, np.arange(w) * step, lon)
    elif spec.lon_kind == "regional":
        lon = 20.0 + np.arange(w) * step
    else:
        lon = -180.0 + np.arange(w) * step
    return {
        "lat": lat[::-1].copy() if spec.descending else lat,
        "lon": lon,
        "time": (19000 + np.arange(max(spec.steps, 1)) / 2).astype("f8"),
        "depth": np.array([0.5], "f4"),
    }


def raw_values(spec: Spec, rng: np.random.Generator) -> Array:
    """The stored numbers of `v`, in stored dimension order."""
    lengths = {"lat": spec.sizes[0], "lon": spec.sizes[1], "time": spec.steps, "depth": 1}
    shape = tuple(lengths[d] for d in spec.dims)
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        raw = rng.normal(5.0, 30.0, shape).astype(dtype)
        raw[rng.random(shape) < 0.1] = np.nan
    else:
        info = np.iinfo(dtype)
        low, high = max(info.min, -30000), min(info.max, 30000)
        raw = rng.integers(low, high, shape, endpoint=True).astype(dtype)
    for name in ("_FillValue", "missing_value"):
        for value in np.atleast_1d(spec.attrs.get(name, [])):
            raw[rng.random(shape) < 0.1] = value
    return raw


def write(path: Path, spec: Spec, raw: Array) -> None:
    """Writes `raw` as the variable `v` with its coordinates."""
    if spec.writer == "netCDF4":
        _write_netcdf4(path, spec, raw)
    elif spec.writer == "h5netcdf":
        _write_h5netcdf(path, spec, raw)
    else:
        _write_h5py(path, spec, raw)


def _coordinate_attrs(name: str) -> dict[str, str]:
    return {
        "lat": {"units": "degrees_north", "standard_name": "latitude"},
        "lon": {"units": "degrees_east"},
        "time": {"units": "days since 1970-01-01", "calendar": "standard"},
        "depth": {"units": "m"},
    }[name]


def _all_attrs(spec: Spec) -> dict[str, Any]:
    return spec.attrs | {f"note_{i:03d}": f"text {i}" for i in range(spec.extra_attrs)}


def _parts(spec: Spec, raw: Array) -> Any:
    """What of `raw` to write: all, or only a corner, so that some chunks are never allocated."""
    if not spec.sparse:
        return np.s_[...]
    return tuple(slice(0, max(1, n // 3)) for n in raw.shape)


def _write_netcdf4(path: Path, spec: Spec, raw: Array) -> None:
    with netCDF4.Dataset(path, "w", format="NETCDF4") as nc:
        coords = axes(spec)
        for name in spec.dims:
            free = spec.unlimited and name == spec.dims[0]
            nc.createDimension(name, None if free else len(coords[name]))
        for name in spec.dims:
            axis = nc.createVariable(name, coords[name].dtype, (name,))
            axis.setncatts(_coordinate_attrs(name))
            axis[:] = coords[name]
        storage: dict[str, Any] = {}
        if spec.chunks == "contiguous":
            storage["contiguous"] = True
        elif spec.chunks is not None:
            storage["chunksizes"] = spec.chunks
        attrs = _all_attrs(spec)
        fill = attrs.pop("_FillValue", None)
        dtype = np.dtype(spec.dtype)
        v = nc.createVariable(
            "v",
            dtype.newbyteorder("="),
            spec.dims,
            endian={">": "big", "<": "little"}.get(dtype.byteorder, "native"),
            zlib="deflate" in spec.filters,
            shuffle="shuffle" in spec.filters,
            fletcher32="fletcher32" in spec.filters,
            fill_value=fill,
            **storage,
        )
        v.set_auto_maskandscale(False)
        if spec.vlen_text:
            v.setncattr_string("comment", "variable-length")
        v.setncatts(attrs)
        part = _parts(spec, raw)
        v[part] = raw[part]
        if spec.vlen_text:
            names = nc.createVariable("names", str, ("lat",))
            names[:] = np.array([f"row {i}" for i in range(spec.sizes[0])], object)


def _filter_options(spec: Spec) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "deflate" in spec.filters:
        options |= {"compression": "gzip", "compression_opts": 4}
    if "shuffle" in spec.filters:
        options["shuffle"] = True
    if "fletcher32" in spec.filters:
        options["fletcher32"] = True
    return options


def _write_h5netcdf(path: Path, spec: Spec, raw: Array) -> None:
    with h5netcdf.File(path, "w") as f:
        coords = axes(spec)
        for name in spec.dims:
            free = spec.unlimited and name == spec.dims[0]
            f.dimensions[name] = None if free else len(coords[name])
            if free:
                f.resize_dimension(name, len(coords[name]))
        for name in spec.dims:
            axis = f.create_variable(name, (name,), coords[name].dtype)
            axis[...] = coords[name]
            axis.attrs.update(_coordinate_attrs(name))
        chunks = None if isinstance(spec.chunks, str) else spec.chunks
        v = f.create_variable(
            "v",
            spec.dims,
            np.dtype(spec.dtype),
            chunks=chunks,
            fillvalue=spec.fill,
            **_filter_options(spec),
        )
        for name, value in _all_attrs(spec).items():
            v.attrs[name] = value
        part = _parts(spec, raw)
        v[part] = raw[part]
        if spec.vlen_text:
            names = f.create_variable("names", ("lat",), h5py.string_dtype())
            names[...] = np.array([f"row {i}" for i in range(spec.sizes[0])], object)


def _write_h5py(path: Path, spec: Spec, raw: Array) -> None:
    libver = spec.writer.removeprefix("h5py-")
    with h5py.File(path, "w", libver=libver) as f:
        coords = axes(spec)
        for name in spec.dims:
            f[name] = coords[name]
            f[name].make_scale(name)
            for key, value in _coordinate_attrs(name).items():
                f[name].attrs[key] = value
        part = _parts(spec, raw)
        if spec.chunks == "compact":
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            create.set_layout(h5py.h5d.COMPACT)
            space = h5py.h5s.create_simple(raw.shape)
            file_type = h5py.h5t.py_create(np.dtype(spec.dtype))
            h5py.h5d.create(f.id, b"v", file_type, space, create)
            v = f["v"]
        else:
            options = _filter_options(spec)
            if spec.chunks != "contiguous":
                options["chunks"] = spec.chunks
            if spec.unlimited:
                options["maxshape"] = (None, *raw.shape[1:])
            v = f.create_dataset("v", raw.shape, spec.dtype, fillvalue=spec.fill, **options)
        for dim, name in enumerate(spec.dims):
            v.dims[dim].attach_scale(f[name])
        for key, value in _all_attrs(spec).items():
            v.attrs[key] = value
        v[part] = raw[part]
        if spec.vlen_text:
            f["names"] = [f"row {i}" for i in range(spec.sizes[0])]
            f["names"].dims[0].attach_scale(f["lat"])
