"""What cannot be read is refused with the file, the variable and the reason; nothing panics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from oceanarrow._engine import read_points, read_window
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InternalError,
    InvalidInputError,
    NotFoundError,
    OceanArrowError,
    UnsupportedError,
)

from .writers import WRITERS, Spec, raw_values, write


def grid_file(path: Path, **variables: Any) -> Path:
    """A 3 x 4 grid with the given (data, create options, attributes) variables."""
    with h5py.File(path, "w") as f:
        f["lat"], f["lon"] = [1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]
        for name, (data, options, attrs) in variables.items():
            f.create_dataset(name, data=data, **options)
            f[name].attrs.update(attrs)
    return path


def test_stale_limits_of_an_axis_are_not_heeded(tmp_path: Path) -> None:
    """An axis shifted from 0..360 to -180..180 often still states its old valid range."""
    path = grid_file(tmp_path / "g.nc", v=(np.ones((3, 4)), {}, {"valid_max": 0.5}))
    with h5py.File(path, "a") as f:
        f["lon"].attrs.update({"valid_min": 2.5, "valid_max": 359.875})
        f["lat"].attrs["valid_range"] = [5.0, 6.0]
    found = read_window(str(path), "v")
    np.testing.assert_array_equal(found["lon"], [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(found["lat"], [1.0, 2.0, 3.0])
    assert np.isnan(found["data"]).all(), "those of the data are heeded"


def test_missing_file_and_variable(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere\.nc"):
        read_window(str(tmp_path / "nowhere.nc"), "v")
    path = grid_file(tmp_path / "g.nc", v=(np.zeros((3, 4)), {}, {}))
    with pytest.raises(NotFoundError, match="variable: absent"):
        read_window(str(path), "absent")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89HDF", b"not a granule" * 99, b"CDF\x03" + bytes(99), b"CDF\x01" + b"\xff" * 99],
)
def test_no_netcdf(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.nc").write_bytes(content)
    with pytest.raises(CorruptGranuleError, match=r"g\.nc"):
        read_window(str(tmp_path / "g.nc"), "v")


def test_unread_types_and_dimensions(tmp_path: Path) -> None:
    data = np.zeros((3, 4))
    cases: dict[str, tuple[Any, str]] = {
        "half": ((data.astype("f2"), {}, {}), "float"),
        "boolean": ((data.astype(bool), {}, {}), "enum"),
        "text": ((np.full((3, 4), b"x"), {}, {}), "string"),
        "words": ((np.full((3, 4), "x", object), {"dtype": h5py.string_dtype()}, {}), "read"),
        "level": ((np.zeros((5, 3, 4)), {}, {}), "dimension 0 of length 5"),
        "line": ((np.zeros(3), {}, {}), "longitude"),
        "unit": ((data, {}, {"units": "furlong"}), "furlong.*degC"),
    }
    path = grid_file(tmp_path / "g.nc", **{k: v for k, (v, _) in cases.items()})
    for name, (_, message) in cases.items():
        with pytest.raises(UnsupportedError, match=f"(?s){message}.*g.nc.*variable: {name}"):
            read_window(str(path), name, "degC")


def test_curvilinear_and_ambiguous_grids(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "curved.nc", "w") as nc:
        nc.createDimension("y", 3)
        nc.createDimension("x", 4)
        for name in ("lat", "lon", "v"):
            nc.createVariable(name, "f4", ("y", "x"))[:] = 1.0
    with pytest.raises(UnsupportedError, match="two-dimensional"):
        read_window(str(tmp_path / "curved.nc"), "v")
    with h5py.File(tmp_path / "square.h5", "w") as f:
        f["v"], f["lat"], f["lon"] = np.zeros((3, 3)), [1.0, 2, 3], [1.0, 2, 3]
    with pytest.raises(UnsupportedError, match="several dimensions"):
        read_window(str(tmp_path / "square.h5"), "v")


@pytest.mark.parametrize(
    "lat", [[1.0, np.nan, 3.0], [1.0, 1.0, 2.0], [1.0, 3.0, 2.0]], ids=["nan", "repeated", "mixed"]
)
def test_broken_axes(tmp_path: Path, lat: list[float]) -> None:
    path = grid_file(tmp_path / "g.nc", v=(np.zeros((3, 4)), {}, {}))
    with h5py.File(path, "r+") as f:
        f["lat"][...] = lat
    with pytest.raises(CorruptGranuleError, match="latitude axis"):
        read_window(str(path), "v")


def test_windows_outside_the_grid(tmp_path: Path) -> None:
    path = grid_file(tmp_path / "g.nc", v=(np.zeros((3, 4)), {}, {}))
    for rows in ((0, 4), (2, 1), (2**40, 2**41)):
        with pytest.raises(InvalidInputError):
            read_window(str(path), "v", rows=rows)
    assert read_window(str(path), "v", rows=(3, 3))["data"].shape == (0, 4)


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "g.nc"
    data = np.arange(12, dtype="i4").reshape(3, 4)
    grid_file(path, v=(data, {"fletcher32": True, "chunks": (3, 4)}, {}))
    with h5py.File(path) as f:
        offset = f["v"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptGranuleError, match=r"checksum.*g\.nc.*variable: v"):
        read_window(str(path), "v")


def test_a_truncated_file_is_damage(tmp_path: Path) -> None:
    for writer in WRITERS:
        spec = Spec(writer, filters=("shuffle", "deflate"), sizes=(200, 300), chunks=(50, 60))
        path = tmp_path / f"{writer}.nc"
        write(path, spec, raw_values(spec, np.random.default_rng(4)))
        whole = path.read_bytes()
        for keep in (0.02, 0.3, 0.6, 0.95):
            path.write_bytes(whole[: int(len(whole) * keep)])
            with pytest.raises(CorruptGranuleError, match=writer):
                read_window(str(path), "v")


def test_a_huge_claim_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "g.nc"
    with h5py.File(path, "w") as f:
        f["lat"], f["lon"] = np.arange(70000.0) / 1e3, np.arange(60000.0) / 1e3
        f.create_dataset("v", (70000, 60000), "f8", chunks=(30000, 30000), compression="gzip")
    with pytest.raises(OceanArrowError, match="exceeds"):
        read_window(str(path), "v", rows=(0, 2), cols=(0, 2))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", ["chunked", "contiguous"])
def test_random_damage_never_panics(tmp_path: Path, writer: str, kind: str) -> None:
    rng = np.random.default_rng(5)
    chunked = kind == "chunked" or writer == "h5netcdf"
    spec = Spec(
        writer,
        dims=("time", "lat", "lon"),
        steps=3,
        chunks=(1, 7, 11) if chunked else "contiguous",
        filters=("shuffle", "deflate", "fletcher32") if chunked else (),
        attrs={"scale_factor": 0.1, "_FillValue": np.int16(-1), "units": "m"},
        extra_attrs=12,
        vlen_text=True,
    )
    path = tmp_path / "g.nc"
    write(path, spec, raw_values(spec, rng))
    whole = np.frombuffer(path.read_bytes(), "u1")
    damaged = 0
    for _ in range(150):
        content = whole.copy()
        count = rng.integers(1, 9)
        content[rng.integers(0, len(content), count)] = rng.integers(0, 256, count)
        path.write_bytes(content.tobytes())
        for read in (
            lambda: read_window(str(path), "v", "m", day=19000),
            lambda: read_points(str(path), "lat"),
        ):
            try:
                read()
            except InternalError:
                raise
            except OceanArrowError as error:
                damaged += "g.nc" in str(error)
    assert damaged > 0
