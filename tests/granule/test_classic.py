"""Files of the classic formats (NetCDF-3, CDF-5) give what scipy and the netCDF library read."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import netcdf_file

from oceanarrow import Files, write_catalog
from oceanarrow._engine import read_points, read_window
from oceanarrow.exceptions import CorruptGranuleError

Array = np.ndarray[Any, Any]

WRITERS = ("scipy-1", "scipy-2", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")
TYPES = ("i1", "i2", "i4", "f4", "f8")
NEW_TYPES = ("u1", "u2", "u4", "i8", "u8")
"""Those of CDF-5 alone."""

UNITS = {
    "time": "days since 1970-01-01",
    "lat": "degrees_north",
    "lon": "degrees_east",
    "depth": "m",
}


@dataclass(frozen=True)
class Made:
    """A file: `v` of these dimensions among other variables.

    Attributes:
        dims: of `v`, in stored order.
        lengths: of all dimensions.
        records: whether more may be added along the first.
        others: types of variables that lie between and behind, along the first dimension or not.
    """

    writer: str
    dtype: str
    dims: tuple[str, ...]
    lengths: dict[str, int]
    records: bool
    others: tuple[tuple[str, bool], ...]
    seed: int


@st.composite
def made(draw: st.DrawFn) -> Made:
    """Any."""
    writer = draw(st.sampled_from(WRITERS))
    types = TYPES + (NEW_TYPES if writer == "NETCDF3_64BIT_DATA" else ())
    further = draw(st.sampled_from([(), ("time",), ("time", "depth"), ("depth",)]))
    return Made(
        writer=writer,
        dtype=draw(st.sampled_from(types)),
        dims=tuple(draw(st.permutations(["lat", "lon", *further]))),
        lengths={
            "time": draw(st.integers(1, 4)),
            "depth": 1,
            "lat": draw(st.integers(2, 7)),
            "lon": draw(st.integers(2, 9)),
        },
        records=draw(st.booleans()),
        others=tuple(draw(st.lists(st.tuples(st.sampled_from(types), st.booleans()), max_size=3))),
        seed=draw(st.integers(0, 2**16)),
    )


def write(path: Path, spec: Made) -> None:
    rng = np.random.default_rng(spec.seed)
    if spec.writer.startswith("scipy"):
        file = netcdf_file(path, "w", version=int(spec.writer[-1]))
    else:
        file = netCDF4.Dataset(path, "w", format=spec.writer)
        file.set_auto_mask(False)
        file.set_auto_scale(False)
    first = spec.dims[0]
    for name in spec.dims:
        free = spec.records and name == first
        file.createDimension(name, None if free else spec.lengths[name])

    def numbers(dtype: str, shape: tuple[int, ...]) -> Array:
        if dtype[0] == "f":
            return rng.normal(0, 100, shape).astype(dtype)
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)

    def add(name: str, dtype: str, dims: tuple[str, ...], values: Array, **attributes: Any) -> None:
        variable = file.createVariable(name, dtype, dims)
        for key, value in attributes.items():
            setattr(variable, key, value)
        variable[:] = values

    values = numbers(spec.dtype, tuple(spec.lengths[name] for name in spec.dims))
    file.history = "x" * int(rng.integers(0, 30000))
    axes = {
        "time": 19000.0 + np.arange(spec.lengths["time"]),
        "lat": np.linspace(-40, 35, spec.lengths["lat"])[:: 1 if rng.integers(2) else -1],
        "lon": 20 + 0.25 * np.arange(spec.lengths["lon"]),
        "depth": np.array([0.5]),
    }
    add("v", spec.dtype, spec.dims, values, units="m", scale_factor=0.5)
    for n, (dtype, along) in enumerate(spec.others):
        dims = (first,) if along else (spec.dims[-1],)
        add(f"other{n}", dtype, dims, numbers(dtype, (spec.lengths[dims[0]],)))
    for name in spec.dims:
        add(name, "f4" if name == "lat" else "f8", (name,), axes[name], units=UNITS[name])
    file.close()


def by_scipy(path: Path) -> dict[str, Array]:
    with netcdf_file(path, mmap=False) as file:
        return {name: np.array(v[...]) for name, v in file.variables.items()}


def by_netcdf(path: Path) -> dict[str, Array]:
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return {name: np.array(v[...]) for name, v in file.variables.items()}


@given(made())
def test_values_are_those_of_other_readers(spec: Made) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "x.nc")
        write(path, spec)
        found = by_netcdf(path)
        if spec.writer != "NETCDF3_64BIT_DATA":
            same = by_scipy(path)
            assert found.keys() == same.keys()
            for name, values in found.items():
                np.testing.assert_array_equal(values, same[name])
        order = [name for name in ("time", "depth", "lat", "lon") if name in spec.dims]
        values = found["v"].transpose([spec.dims.index(name) for name in order]).astype("f8") * 0.5
        if "depth" in order:
            values = values.take(0, axis=order.index("depth"))
        if found["lat"][0] > found["lat"][-1]:
            values = values[..., ::-1, :]
        if "time" not in spec.dims:
            values = values[np.newaxis]
        for step, due in enumerate(values):
            got = read_window(str(path), "v", day=19000 + step)
            np.testing.assert_array_equal(got["data"], due.astype("f4"))
            np.testing.assert_array_equal(got["lat"], np.sort(found["lat"]).astype("f8"))
            np.testing.assert_array_equal(got["lon"], found["lon"])
            part = read_window(str(path), "v", day=19000 + step, rows=(1, 2), cols=(0, 2))
            np.testing.assert_array_equal(part["data"], due[1:2, 0:2].astype("f4"))


def test_a_large_record_is_read_in_blocks(tmp_path: Path) -> None:
    """Of two records of 2.4 MB each, a window takes its own rows."""
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as file:
        file.createDimension("time", None)
        for name, n in (("lat", 600), ("lon", 1000)):
            file.createDimension(name, n)
            axis = file.createVariable(name, "f8", (name,))
            axis.units, axis[:] = UNITS[name], np.linspace(0, 80, n)
        time = file.createVariable("time", "i4", ("time",))
        time.units = UNITS["time"]
        v = file.createVariable("v", "f4", ("time", "lat", "lon"))
        values = np.arange(1_200_000, dtype="f4").reshape(2, 600, 1000)
        time[:], v[:] = [19000, 19001], values
    got = read_window(str(path), "v", day=19001, rows=(300, 310), cols=(5, 25))
    np.testing.assert_array_equal(got["data"], values[1, 300:310, 5:25])
    assert got["stats"]["bytes_read"] < 400_000


def test_points(tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("N_POINTS", None)
        columns = {
            "LATITUDE": ("f8", [10.0, 11.0, 12.0], "degree_north"),
            "LONGITUDE": ("f8", [-30.0, -31.0, -32.0], "degree_east"),
            "TIME": ("f8", [19000.25, 19000.5, 19000.75], UNITS["time"]),
            "PRES": ("f4", [5.0, 10.0, 15.0], "decibar"),
            "TEMP": ("f4", [20.5, 99999.0, 18.25], "degree_Celsius"),
        }
        for name, (dtype, values, units) in columns.items():
            column = file.createVariable(name, dtype, ("N_POINTS",), fill_value=99999.0)
            column.units, column[:] = units, np.array(values)
    got = read_points(str(path), "TEMP")
    np.testing.assert_array_equal(got["values"], np.array([20.5, 18.25], "f4"))
    np.testing.assert_array_equal(got["lat"], [10.0, 12.0])
    np.testing.assert_array_equal(got["time"], [19000.25, 19000.75])
    np.testing.assert_array_equal(got["pressure"], np.array([5.0, 15.0], "f4"))


def profile(path: Path) -> None:
    """A float's profile as its data centre delivers it, made up."""
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        for name, n in (("STRING4", 4), ("DATE_TIME", 14), ("N_PROF", 2), ("N_LEVELS", 5)):
            file.createDimension(name, n)
        file.createDimension("N_HISTORY", None)
        for name, dims in (
            ("FORMAT_VERSION", ("STRING4",)),
            ("REFERENCE_DATE_TIME", ("DATE_TIME",)),
            ("DIRECTION", ("N_PROF",)),
            ("HISTORY_STEP", ("N_HISTORY", "N_PROF", "STRING4")),
        ):
            file.createVariable(name, "S1", dims, fill_value=b" ")
        for name, unit, standard in (
            ("JULD", "days since 1950-01-01 00:00:00 UTC", "time"),
            ("LATITUDE", "degree_north", "latitude"),
            ("LONGITUDE", "degree_east", "longitude"),
        ):
            column = file.createVariable(name, "f8", ("N_PROF",), fill_value=99999.0)
            column.units, column.standard_name, column[:] = unit, standard, np.array([10.0, 11.0])
        for name, unit in (("PRES", "decibar"), ("TEMP", "degree_Celsius")):
            v = file.createVariable(name, "f4", ("N_PROF", "N_LEVELS"), fill_value=99999.0)
            v.units, v[:] = unit, np.arange(10.0).reshape(2, 5)


def test_profiles_are_no_grid(tmp_path: Path) -> None:
    profile(tmp_path / "x.nc")
    for variables in ({"t": "TEMP"}, None):
        with pytest.raises(CorruptGranuleError, match=r"(?s)profiles or a track.*x\.nc"):
            write_catalog(tmp_path / "c.parquet", Files(tmp_path / "x.nc", variables))


@pytest.mark.parametrize("size", [2, 40, 200, -1])
def test_a_file_that_is_cut_off(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.nc"
    lengths = {"time": 1, "depth": 1, "lat": 3, "lon": 4}
    write(path, Made("scipy-1", "i4", ("lat", "lon"), lengths, False, (), 1))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptGranuleError, match=r"(cut off|ends within|no NetCDF|not a NetCDF)"):
        read_window(str(path), "v")
