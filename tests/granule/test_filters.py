"""Every filter that is read, as other writers apply it: the numbers are those that h5py reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import netCDF4
import numpy as np
import pytest

from oceanarrow import _engine
from oceanarrow.exceptions import UnsupportedError

#: As `h5py.File.create_dataset` takes them.
FILTERS: dict[str, dict[str, Any]] = {
    "lzf": {"compression": "lzf"},
    "lzf and shuffle": {"compression": "lzf", "shuffle": True},
    "szip": {"compression": "szip"},
    "szip of entropy coding": {"compression": "szip", "compression_opts": ("ec", 16)},
    "scaleoffset": {"scaleoffset": 0},
    "zstd": hdf5plugin.Zstd(clevel=5),
    "zstd and shuffle": {**hdf5plugin.Zstd(), "shuffle": True},
    "lz4": hdf5plugin.LZ4(),
    "lz4 in small blocks": hdf5plugin.LZ4(nbytes=500),
    "bitshuffle alone": hdf5plugin.Bitshuffle(cname="none"),
    "bitshuffle and lz4": hdf5plugin.Bitshuffle(cname="lz4"),
    "bitshuffle and zstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "bitshuffle in small blocks": hdf5plugin.Bitshuffle(nelems=64, cname="lz4"),
    "zstd and fletcher32": {**hdf5plugin.Zstd(), "fletcher32": True},
}
DTYPES = ["i1", "u2", "<i2", ">i2", "<i4", "<f4", ">f4", "<f8"]
#: Rows, columns, and a chunk of them; the last leaves less than eight elements over.
SHAPES = [(64, 96, (32, 48)), (41, 37, (19, 37)), (5, 7, (5, 7))]


def field(rows: int, columns: int, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """A smooth field and noise, in the range of the type."""
    y, x = np.mgrid[:rows, :columns]
    values = 50 * np.sin(y / 9) * np.cos(x / 7) + rng.normal(0, 2, (rows, columns))
    if np.dtype(dtype).kind == "u":
        values = values + 60
    return values.clip(-120, 120).astype(dtype)


def write(path: Path, data: np.ndarray, chunk: tuple[int, int], options: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, n, units in (
            ("lat", data.shape[0], "degrees_north"),
            ("lon", data.shape[1], "degrees_east"),
        ):
            file[name] = np.linspace(10, 50, n)
            file[name].attrs["units"] = units
            file[name].make_scale(name)
        made = file.create_dataset("v", data=data, chunks=chunk, **options)
        for dim, name in zip(made.dims, ("lat", "lon"), strict=True):
            dim.attach_scale(file[name])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FILTERS)
def test_numbers_are_those_of_h5py(name: str, dtype: str, tmp_path: Path) -> None:
    options = FILTERS[name]
    if name == "scaleoffset" and np.dtype(dtype).kind == "f":
        # Of floats, so many decimal digits are kept.
        options = {"scaleoffset": 2}
    rng = np.random.default_rng(7)
    for i, (rows, columns, chunk) in enumerate(SHAPES):
        path = tmp_path / f"{i}.nc"
        try:
            write(path, field(rows, columns, dtype, rng), chunk, dict(options))
        except (ValueError, RuntimeError) as error:
            pytest.skip(f"h5py does not write this: {error}")
        with h5py.File(path) as file:
            due = file["v"][...].astype("f4")
        found = _engine.read_window(str(path), "v")
        np.testing.assert_array_equal(found["data"], due)


@pytest.mark.parametrize("compression", ["zlib", "zstd", "szip"])
def test_what_netcdf4_writes(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    data = field(60, 80, "i2", np.random.default_rng(1))
    with netCDF4.Dataset(path, "w") as file:
        for name, n, units in (("lat", 60, "degrees_north"), ("lon", 80, "degrees_east")):
            file.createDimension(name, n)
            axis = file.createVariable(name, "f8", (name,))
            axis[:], axis.units = np.linspace(0, 50, n), units
        try:
            made = file.createVariable("v", "i2", ("lat", "lon"), compression=compression)
        except (ValueError, RuntimeError) as error:
            pytest.skip(f"this netCDF4 has no {compression}: {error}")
        made.set_auto_maskandscale(False)
        made[:] = data
    found = _engine.read_window(str(path), "v")
    np.testing.assert_array_equal(found["data"], data)


@pytest.mark.parametrize(
    ("number", "name"),
    [(32001, "blosc"), (32026, "blosc2"), (307, "bzip2"), (32013, "zfp"), (9999, "unknown")],
)
def test_others_are_named_with_the_remedy(number: int, name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    data = field(8, 8, "i2", np.random.default_rng(0))
    write(path, data, (8, 8), {**hdf5plugin.Zstd()})
    # The pipeline of a header without checksum says another filter's number.
    content, zstd = path.read_bytes(), (32015).to_bytes(2, "little")
    at = content.index(zstd)
    assert content.count(zstd) == 1
    path.write_bytes(content[:at] + number.to_bytes(2, "little") + content[at + 2 :])
    with pytest.raises(UnsupportedError) as caught:
        _engine.read_window(str(path), "v")
    said = str(caught.value)
    assert f"({number}) is not read" in said and "nccopy" in said and str(path) in said
    assert name in said or number == 9999
