"""Limits and fill values whose type is not the variable's: each is compared in its own type."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oceanarrow._engine import read_window

Array = npt.NDArray[Any]
INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
TYPES = (*INTEGERS, "f4", "f8")


def write(path: Path, raw: Array, attributes: dict[str, Any]) -> None:
    with h5py.File(path, "w") as f:
        for name, n, unit in (
            ("lat", raw.shape[0], "degrees_north"),
            ("lon", raw.shape[1], "degrees_east"),
        ):
            axis = f.create_dataset(name, data=np.arange(n, dtype="f8"))
            axis.attrs["units"] = unit
            axis.make_scale(name)
        v = f.create_dataset("v", data=raw)
        v.attrs.update(attributes)
        v.dims[0].attach_scale(f["lat"])
        v.dims[1].attach_scale(f["lon"])


def exact(number: Any) -> Fraction:
    """A finite number as it is, without rounding."""
    return Fraction(int(number)) if np.dtype(type(number)).kind in "iu" else Fraction(float(number))


def slowly(raw: Array, attributes: dict[str, Any]) -> Array:
    """By the NetCDF Users Guide (attribute conventions), number by number, in exact arithmetic."""
    unsigned = attributes.get("_Unsigned")
    variable = raw.dtype

    def meant(value: Any) -> Any:
        """`_Unsigned` changes what the bits of the variable's own width mean."""
        value = np.asarray(value)[()]
        dtype = np.dtype(type(value))
        if unsigned and dtype.kind in "iu" and dtype.itemsize == variable.itemsize:
            kind = "u" if unsigned == "true" else "i"
            return np.asarray(value).view(f"{kind}{dtype.itemsize}")[()]
        return value

    scale = exact(attributes.get("scale_factor", np.float64(1)))
    offset = exact(attributes.get("add_offset", np.float64(0)))
    is_packed = bool({"scale_factor", "add_offset"} & set(attributes))
    out = np.full(raw.shape, np.nan)
    for index in np.ndindex(raw.shape):
        stored = meant(raw[index])
        if not np.isfinite(stored):
            continue
        number = exact(stored)
        value = number * scale + offset
        valid = True
        for name in ("_FillValue", "missing_value"):
            if name in attributes:
                fill = meant(attributes[name])
                if variable.kind == "f":
                    # A fill value written as a double stands for the float it was rounded to.
                    with np.errstate(over="ignore"):
                        fill = variable.type(fill)
                valid &= not (np.isfinite(fill) and number == exact(fill))
        for name, sign in (("valid_min", 1), ("valid_max", -1)):
            if name not in attributes:
                continue
            limit = meant(attributes[name])
            kind = np.dtype(type(limit))
            wider = variable.kind != "f" or kind.itemsize > variable.itemsize
            if kind.kind == "f" and is_packed and wider:
                # Values; what the limit was rounded from is within half of its last place.
                slack = abs(exact(limit)) * Fraction(float(np.finfo(kind).eps)) / 2
                slack += (abs(exact(limit)) + abs(offset)) * 2 * Fraction(2) ** -52
                slack = min(slack, abs(scale) / 2)
                valid &= sign * (value - exact(limit)) >= -slack
            else:
                if variable.kind == "f":
                    limit = variable.type(limit)
                valid &= sign * (number - exact(limit)) >= 0
        if valid:
            out[index] = float(value)
    return out


def numbers_of(dtype: str) -> st.SearchStrategy[Any]:
    """Numbers of a type, most of them near those that the other types end at."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        near = st.integers(-70_000, 70_000).map(lambda n: n / 8)
        return st.one_of(near, st.floats(-1e6, 1e6, width=32)).map(kind.type)
    info = np.iinfo(kind)
    ends = [end + d for e in INTEGERS for end in _ends(e) for d in (-1, 0, 1)]
    inside = [n for n in ends if info.min <= n <= info.max]
    small = st.integers(max(info.min, -300), min(info.max, 300))
    return st.one_of(st.sampled_from(inside), small).map(kind.type)


def _ends(dtype: str) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


@st.composite
def cases(draw: Any) -> tuple[Array, dict[str, Any]]:
    dtype = draw(st.sampled_from(TYPES))
    raw = draw(st.lists(numbers_of(dtype), min_size=12, max_size=12))
    attributes: dict[str, Any] = {}
    for name in ("_FillValue", "missing_value", "valid_min", "valid_max"):
        if draw(st.booleans()):
            attributes[name] = draw(st.sampled_from(TYPES).flatmap(numbers_of))
    if draw(st.booleans()):
        of_type = st.sampled_from([np.float32, np.float64])
        attributes["scale_factor"] = draw(of_type)(draw(st.sampled_from([0.5, -0.25, 0.01, 3])))
        attributes["add_offset"] = draw(of_type)(draw(st.sampled_from([0, 20, -273.15])))
    if dtype in INTEGERS and draw(st.booleans()):
        attributes["_Unsigned"] = draw(st.sampled_from(["true", "false"]))
    return np.array(raw, dtype).reshape(3, 4), attributes


@given(cases())
def test_each_attribute_is_compared_in_its_own_type(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[Array, dict[str, Any]]
) -> None:
    raw, attributes = case
    path = tmp_path_factory.mktemp("limits") / "file.nc"
    write(path, raw, attributes)
    due = slowly(raw, attributes)
    got = read_window(str(path), "v")["data"]
    np.testing.assert_array_equal(np.isnan(got), np.isnan(due.astype("f4")))
    np.testing.assert_allclose(got, due, rtol=1e-6, atol=1e-4)


RAW = np.array([[-200, -201, 0, 30], [5000, 5001, 31073, 7]], "i2")


@pytest.mark.parametrize(
    ("attributes", "invalid"),
    [
        ({"valid_max": np.int32(65535)}, []),
        ({"missing_value": np.int32(-99999)}, []),
        ({"missing_value": np.int32(31073)}, [31073]),
        ({"valid_max": np.float32(5000.5)}, [5001, 31073]),
        (
            {
                "scale_factor": 0.01,
                "valid_min": np.float32(-2),
                "valid_max": np.float32(50),
            },
            [-201, 5001, 31073],
        ),
        # 30 * 0.1 is a little more than 3: what the limit means is 3.
        ({"scale_factor": 0.1, "valid_max": 3.0}, [5000, 5001, 31073]),
        ({"scale_factor": 0.1, "valid_max": np.float32(0.7)}, [30, 5000, 5001, 31073]),
        ({"scale_factor": 0.01, "valid_max": np.int16(30)}, [5000, 5001, 31073]),
        # Values fall where stored numbers rise.
        ({"scale_factor": -0.01, "valid_min": -50.0}, [5001, 31073]),
        ({"add_offset": 10.0, "valid_min": 10.0}, [-200, -201]),
    ],
)
def test_what_limits_are_about(
    tmp_path: Path, attributes: dict[str, Any], invalid: list[int]
) -> None:
    write(tmp_path / "file.nc", RAW, attributes)
    got = read_window(str(tmp_path / "file.nc"), "v")["data"]
    assert sorted(RAW[np.isnan(got)].tolist()) == sorted(invalid)
