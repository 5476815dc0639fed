"""What cannot be listed or opened: a typed error that names the file and what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_files import LAT, LON, catalogue, means, plane, write

from oceanarrow import Catalog, Files, write_catalog
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidDatasetError,
    InvalidInputError,
    NotFoundError,
)

DAY = "2021-03-01"


def test_nothing_matches(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no file matches '.*/x/\*\*/\*\.nc'"):
        write_catalog(tmp_path / "c.parquet", Files(f"{tmp_path}/x/**/*.nc", {"ssh": "sla"}))
    with pytest.raises(InvalidInputError, match="empty list"):
        write_catalog(tmp_path / "c.parquet", Files([], {"ssh": "sla"}))
    with pytest.raises(InvalidInputError, match=r"no file matches"):
        write_catalog(tmp_path / "c.parquet", Files(tmp_path / "gone.nc", {"ssh": "sla"}))


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"is a folder; name its files, such as .*\*\.nc"):
        write_catalog(tmp_path / "c.parquet", Files(tmp_path, {"ssh": "sla"}))


def test_no_netcdf(tmp_path: Path) -> None:
    write(tmp_path / "good.nc", [1], [DAY])
    (tmp_path / "empty.nc").touch()
    (tmp_path / "text.nc").write_text("not a NetCDF file\n" * 100)
    (tmp_path / "cut.nc").write_bytes((tmp_path / "good.nc").read_bytes()[:3000])
    files = Files(f"{tmp_path}/*.nc", {"ssh": "sla"})
    with pytest.raises(CorruptGranuleError) as caught:
        write_catalog(tmp_path / "c.parquet", files)
    said = str(caught.value)
    assert "3 of 4 files cannot be listed" in said and 'on_error="skip"' in said
    assert all(f"{name}.nc" in said for name in ("empty", "text", "cut")) and "good.nc" not in said
    assert not (tmp_path / "c.parquet").exists()
    skipped = write_catalog(tmp_path / "c.parquet", files, on_error="skip")
    assert len(skipped) == 3 and means(tmp_path / "c.parquet", "ssh", [DAY]) == [1]


def test_all_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "text.nc").write_text("not a NetCDF file\n" * 100)
    with pytest.raises(CorruptGranuleError, match=r"(?s)1 of 1 files cannot be listed.*text\.nc"):
        write_catalog(tmp_path / "c.parquet", Files(tmp_path / "text.nc"), on_error="skip")


def test_a_variable_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [1], [DAY])
    with pytest.raises(CorruptGranuleError, match=r"(?s)adt.*a\.nc"):
        write_catalog(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "adt"}))
    files = Files(tmp_path / "a.nc", {"ssh": "sla"}, valid={"quality": (1, None)})
    with pytest.raises(CorruptGranuleError, match=r"(?s)quality.*a\.nc"):
        write_catalog(tmp_path / "c.parquet", files)


def with_depth(path: Path, depths: list[float]) -> Path:
    return _write_4d(path, np.array(depths))


def _write_4d(path: Path, depths: np.ndarray) -> Path:
    import xarray as xr

    data = np.stack([plane(10 * n) for n in range(depths.size)])[None]
    dataset = xr.Dataset(
        {"t": (("time", "depth", "lat", "lon"), data, {"units": "degC"})},
        {
            "time": np.array([DAY], "datetime64[ns]"),
            "depth": depths,
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", LON, {"units": "degrees_east"}),
        },
    )
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize(
    ("select", "text"),
    [
        ({"depth": 500.0}, "depth 500 is further than half a step from the nearest place, 100"),
        ({"depth": [0.0, -9.0]}, "depth -9 is further than half a step"),
        ({"depth": ("index", 3)}, "index 3|position 3"),
        (None, "select.*depth|depth.*select"),
        ({"height": 2.0}, "depth"),
    ],
)
def test_levels_outside(tmp_path: Path, select: Any, text: str) -> None:
    path = with_depth(tmp_path / "a.nc", [0.0, 10.0, 100.0])
    with pytest.raises(CorruptGranuleError, match=rf"(?s)({text}).*a\.nc"):
        write_catalog(tmp_path / "c.parquet", Files(path, {"t": "t"}, select=select))


def test_levels(tmp_path: Path) -> None:
    path = with_depth(tmp_path / "a.nc", [0.0, 10.0, 100.0])
    for place, value in ((9.0, 10), (("index", 2), 20), (54.9, 10), (55.1, 20)):
        files = Files(path, {"t": "t"}, select={"depth": place})
        assert means(catalogue(tmp_path / "c.parquet", files), "t", [DAY]) == [value]


def test_flags_on_another_grid(tmp_path: Path) -> None:
    coarse = (("time", "lat2", "lon2"), np.ones((1, 3, 4), np.int8), {})
    write(tmp_path / "a.nc", [1], [DAY], extra={"quality": coarse})
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        for name, unit, n in (("lat2", "degrees_north", 3), ("lon2", "degrees_east", 4)):
            del file[name]
            file[name] = np.arange(float(n))
            file[name].attrs["units"] = unit
            file[name].make_scale(name)
        for place, name in ((1, "lat2"), (2, "lon2")):
            file["quality"].dims[place].attach_scale(file[name])
    files = Files(tmp_path / "a.nc", {"ssh": "sla"}, valid={"quality": (1, None)})
    with pytest.raises(CorruptGranuleError, match=r"(?s)quality.*other axes.*a\.nc"):
        write_catalog(tmp_path / "c.parquet", files)


def test_two_dimensional_coordinates(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        for name, unit in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
            file[name] = np.zeros((4, 5))
            file[name].attrs["units"] = unit
        file["ssh"] = np.zeros((4, 5))
        file["ssh"].attrs["coordinates"] = "latitude longitude"
    with pytest.raises(CorruptGranuleError, match=r"(?s)(two-dimensional|2-D|1-D).*a\.nc"):
        write_catalog(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "ssh"}, day=DAY))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"variables": {}}, "variables is empty"),
        ({"variables": {"a b": "sla"}}, "a b"),
        ({"variables": {"latitude": "sla"}}, "latitude"),
        ({"variables": {"x_mask": "sla"}}, "x_mask"),
        ({"variables": {"ssh": "sla"}, "units": {"sst": "K"}}, "sst, which is no variable here"),
        ({"variables": {"ssh": "sla"}, "span": "8"}, 'span must be "month" or days'),
        ({"variables": {"ssh": "sla"}, "span": "0D"}, 'span must be "month" or days'),
        ({"variables": {"ssh": "sla"}, "day": "(?P<year>"}, "regular expression"),
        ({"variables": {"ssh": "sla"}, "day": "tomorrow"}, "year, month and day"),
        ({"variables": {"ssh": "sla"}, "day_offset": 1.5}, "day_offset must be a whole number"),
        ({"variables": {"ssh": "sla"}, "priority": 2**40}, "priority must be a whole number"),
        ({"variables": {"ssh": "sla"}, "select": {"z": "top"}}, r"select\['z'\]"),
        ({"variables": {"ssh": "sla"}, "select": {"z": []}}, r"select\['z'\]"),
        ({"variables": {"ssh": "sla"}, "select": {"z": float("nan")}}, r"select\['z'\]"),
        ({"variables": {"ssh": "sla"}, "select": {"z": ("index", -1)}}, r"select\['z'\]"),
        ({"variables": {"ssh": "sla"}, "select": {"z": [1], "w": [2]}}, "one dimension only"),
        ({"variables": {"ssh": "sla"}, "valid": {"q": (4, 1)}}, "q"),
        ({"variables": {"ssh": "sla"}, "valid": {"q": set()}}, "q"),
        ({"variables": {"ssh": "sla"}, "valid": {"q": ""}}, "q"),
        ({"variables": {"ssh": "sla"}, "valid": {"q": {1, "good"}}}, "q"),
    ],
)
def test_arguments_are_checked_where_they_are_given(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        Files("*.nc", **options)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.pq", r"ends in \.parquet"),
        ("c.index.parquet", r"not in \.index\.parquet"),
        ("s3://bucket/c.parquet", "written to a local file"),
        ("folder.parquet", "is a folder"),
    ],
)
def test_where_it_is_written(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "folder.parquet").mkdir()
    file = write(tmp_path / "a.nc", [1], [DAY])
    target = name if "://" in name else tmp_path / name
    with pytest.raises(InvalidInputError, match=text):
        write_catalog(target, Files(file, {"ssh": "sla"}))


# ---- catalogues that are not as they should be --------------------------------------------------


def edited(
    path: Path, target: Path, column: str | None = None, value: Any = None, **keys: str
) -> Path:
    """A copy with other values in a column, or other keys."""
    table = pq.read_table(path)
    if column is not None:
        at = table.column_names.index(column)
        field = table.schema.field(column)
        table = table.set_column(at, field, pa.array([value] * table.num_rows, field.type))
    metadata = dict(pq.read_metadata(path).metadata)
    metadata.pop(b"ARROW:schema", None)
    metadata |= {f"oceanarrow.{key}".encode(): text.encode() for key, text in keys.items()}
    pq.write_table(table.replace_schema_metadata(metadata), target)
    return target


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = write(tmp_path / "files/a.nc", [1], [DAY])
    return catalogue(tmp_path / "c.parquet", Files(file, {"ssh": "sla"}))


def test_an_edited_copy_opens(good: Path) -> None:
    assert means(edited(good, good.parent / "d.parquet"), "ssh", [DAY]) == [1]


def test_a_newer_format(good: Path) -> None:
    path = edited(good, good.parent / "d.parquet", catalog="2")
    with pytest.raises(InvalidDatasetError, match=r"(?s)version|format.*newer.*d\.parquet"):
        Catalog(path)


def test_other_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "d.parquet")
    with pytest.raises(InvalidDatasetError, match=r"(?s)no catalogue.*d\.parquet"):
        Catalog(tmp_path / "d.parquet")
    (tmp_path / "e.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(InvalidDatasetError, match=r"e\.parquet"):
        Catalog(tmp_path / "e.parquet")
    with pytest.raises(NotFoundError, match=r"f\.parquet"):
        Catalog(tmp_path / "f.parquet")


@pytest.mark.parametrize("path", ["../files/a.nc", "files/../../a.nc", "a/..", "..\\a.nc"])
def test_paths_that_lead_out(good: Path, path: str) -> None:
    bad = edited(good, good.parent / "d.parquet", "path", path)
    with pytest.raises(InvalidDatasetError, match=r"(?s)\.\..*d\.parquet"):
        Catalog(bad)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("size", -1),
        ("first_step", -1),
        ("n_steps", 0),
        ("group", 7),
        ("day", 2**40),
        ("lat_max", 91.5),
        ("lat_min", float("nan")),
        ("lon_min", float("inf")),
        ("path", ""),
    ],
)
def test_numbers_that_cannot_be(good: Path, column: str, value: Any) -> None:
    bad = edited(good, good.parent / "d.parquet", column, value)
    with pytest.raises(InvalidDatasetError, match=r"d\.parquet"):
        means(bad, "ssh", [DAY])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"ssh": 1}', '{"ssh": {"netcdf": "sla"}}', '{"a b": {}}', "null"]
)
def test_variables_that_cannot_be(good: Path, text: str) -> None:
    bad = edited(good, good.parent / "d.parquet", **{"catalog.variables": text})
    with pytest.raises(InvalidDatasetError, match=r"d\.parquet"):
        means(bad, "ssh", [DAY])


def test_a_step_beyond_the_file(good: Path) -> None:
    bad = edited(good, good.parent / "d.parquet", "first_step", 5)
    with pytest.raises(CorruptGranuleError, match=r"(?s)time step 5.*a\.nc"):
        means(bad, "ssh", [DAY])


@pytest.mark.parametrize("evidence", [b"", b"\xff" * 40, b"x" * 17])
def test_evidence_that_proves_nothing(good: Path, evidence: bytes) -> None:
    """It is asked for where a file's time has changed."""
    bad = edited(good, good.parent / "d.parquet", "evidence", evidence)
    assert means(bad, "ssh", [DAY]) == [1]
    os.utime(good.parent / "files/a.nc", (1e9, 1e9))
    with pytest.raises((CorruptGranuleError, InvalidDatasetError), match=r"a\.nc|d\.parquet"):
        means(bad, "ssh", [DAY])


def test_a_broken_index_costs_time_alone(good: Path) -> None:
    (good.parent / "c.index.parquet").write_bytes(b"PAR1 and nothing more")
    assert means(good, "ssh", [DAY]) == [1]
    said = json.loads(pq.read_metadata(good).metadata[b"oceanarrow.catalog.variables"])
    assert list(said) == ["ssh"]
