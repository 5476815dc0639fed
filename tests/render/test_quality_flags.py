"""Cells count only where a quality variable of their file obeys: `register_variable(valid=)`."""

from __future__ import annotations

import shutil
import sys
import uuid
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import oceanarrow
from oceanarrow.dataset import Query
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidInputError,
    OceanArrowError,
    UnsupportedError,
)

QUERY = Query(-60, -40, 10, 30, "2023-04-01", "2023-04-01")
TILE = "DATA/2023_04_01/NORTH_ATLANTIC/l4_ssh.nc"


@pytest.fixture(scope="module")
def flagged(ocean: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """The dataset with a flag 0 to 7 beside the sea level of a tile, -1 where it is missing."""
    path = shutil.copytree(ocean, tmp_path_factory.mktemp("flags") / "ocean")
    with h5py.File(path / TILE, "r+") as file:
        sla = file["sla"]
        flags = np.arange(sla.size).reshape(sla.shape) % 9 - 1
        made = file.create_dataset("quality", data=flags.astype("i1"), compression="gzip")
        made.attrs["_FillValue"] = np.int8(-1)
        # Names of whole numbers; those of `bits` are of some of their bits.
        made.attrs["flag_values"] = np.arange(4, dtype="i1")
        made.attrs["flag_meanings"] = "zero one two three"
        bits = file.create_dataset("bits", data=flags.astype("i1"), compression="gzip")
        bits.attrs["_FillValue"] = np.int8(-1)
        bits.attrs["flag_masks"] = np.array([1, 2, 4], "i1")
        bits.attrs["flag_meanings"] = "ice land lake"
        both = file.create_dataset("both", data=flags.astype("i1"), compression="gzip")
        both.attrs["_FillValue"] = np.int8(-1)
        both.attrs["flag_masks"] = np.array([1, 6, 6, 6, 6], "i1")
        both.attrs["flag_values"] = np.array([1, 0, 2, 4, 6], "i1")
        both.attrs["flag_meanings"] = "odd none few many all"
        for data in (made, bits, both):
            for ours, theirs in zip(data.dims, sla.dims, strict=True):
                ours.attach_scale(theirs[0])
        lat = file["lat"][...]
    return path, np.squeeze(flags)[:: 1 if lat[0] < lat[-1] else -1]


def register(valid: Any) -> str:
    name = f"flagged_{uuid.uuid4().hex}"
    oceanarrow.register_variable(
        name, source="l4_ssh", file="l4_ssh.nc", netcdf="sla", unit="m", valid=valid
    )
    return name


NAMES: list[tuple[str, Any, Any]] = [
    ("quality", "two", lambda q: q == 2),
    ("quality", {"one", "three"}, lambda q: (q == 1) | (q == 3)),
    ("bits", "land", lambda q: (q >= 0) & ((q & 2) == 2)),
    ("bits", {"ice", "lake"}, lambda q: (q >= 0) & ((q & 5) > 0)),
    ("both", "many", lambda q: (q >= 0) & ((q & 6) == 4)),
    ("both", {"none", "odd"}, lambda q: (q >= 0) & (((q & 6) == 0) | ((q & 1) == 1))),
]


@pytest.mark.parametrize(("flag", "rule", "counts"), NAMES)
@pytest.mark.parametrize("listed", [False, True])
def test_flags_may_be_named(
    flagged: tuple[Path, np.ndarray],
    tmp_path: Path,
    flag: str,
    rule: Any,
    counts: Any,
    listed: bool,
) -> None:
    path, flags = flagged
    if listed:
        files = oceanarrow.Files(path / TILE, {"named": "sla"}, valid={flag: rule})
        oceanarrow.write_catalog(tmp_path / "c.parquet", files, progress=False)
        found = oceanarrow.open_patch(tmp_path / "c.parquet", QUERY, ["named"])["named"]
    else:
        name = register({flag: rule})
        found = oceanarrow.open_patch(path, QUERY, [name])[name]
    plain = oceanarrow.open_patch(path, QUERY, ["l4_ssh"])["l4_ssh"].values[0]
    with h5py.File(path / TILE) as file:
        lat, lon = np.sort(file["lat"][...]), file["lon"][...]
    rows = (lat >= QUERY.lat_min) & (lat <= QUERY.lat_max)
    columns = (lon >= QUERY.lon_min) & (lon <= QUERY.lon_max)
    due = np.isfinite(plain) & counts(flags[np.ix_(rows, columns)])
    assert due.any() and not due.all()
    np.testing.assert_array_equal(np.isfinite(found.values[0]), due)


def test_a_flag_that_no_file_names(flagged: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = flagged
    name = register({"quality": {"one", "eleven"}})
    with pytest.raises(UnsupportedError, match=r"'?eleven.*zero, one, two, three.*l4_ssh\.nc"):
        oceanarrow.open_patch(path, QUERY, [name])
    files = oceanarrow.Files(path / TILE, {"named": "sla"}, valid={"bits": "eleven"})
    with pytest.raises(CorruptGranuleError, match=r"(?s)eleven.*ice, land, lake.*l4_ssh\.nc"):
        oceanarrow.write_catalog(tmp_path / "c.parquet", files)


@pytest.mark.parametrize(
    ("rule", "counts"),
    [
        ((4, 6), lambda q: (q >= 4) & (q <= 6)),
        ((None, 3), lambda q: (q >= 0) & (q <= 3)),
        ((2.5, None), lambda q: q >= 2.5),
        ({1, 5}, lambda q: (q == 1) | (q == 5)),
        (("bits", 6, 4), lambda q: (q >= 0) & ((q & 6) == 4)),
    ],
)
def test_cells_count_where_the_rule_holds(
    flagged: tuple[Path, np.ndarray], rule: Any, counts: Any
) -> None:
    path, flags = flagged
    name = register({"quality": rule})
    found = oceanarrow.open_patch(path, QUERY, [name, "l4_ssh"])
    with h5py.File(path / TILE) as file:
        lat, lon = np.sort(file["lat"][...]), file["lon"][...]
    rows = (lat >= QUERY.lat_min) & (lat <= QUERY.lat_max)
    columns = (lon >= QUERY.lon_min) & (lon <= QUERY.lon_max)
    good = counts(flags[np.ix_(rows, columns)])
    plain, values = found["l4_ssh"].values[0], found[name].values[0]
    due = np.isfinite(plain) & good
    assert due.any() and not due.all()
    np.testing.assert_array_equal(np.isfinite(values), due)
    np.testing.assert_allclose(values[due], plain[due], rtol=1e-6)


def test_rules_are_part_of_the_plan_and_of_the_cost(
    flagged: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def loader(valid: Any) -> oceanarrow.Loader:
        name = "flagged_plan"
        monkeypatch.delitem(sys.modules["oceanarrow.variables"]._registered, name, raising=False)
        oceanarrow.register_variable(
            name, source="l4_ssh", file="l4_ssh.nc", netcdf="sla", unit="m", valid=valid
        )
        return oceanarrow.Loader(flagged[0], [QUERY] * 2, [name], batch_size=2, lanes=1)

    plain, one, same, other = map(
        loader, [None, {"quality": (1, 2)}, {"quality": (1.0, 2.0)}, {"quality": (1, 3)}]
    )
    assert one.plan_id == same.plan_id
    assert len({plain.plan_id, one.plan_id, other.plan_id}) == 3
    assert one.explain().decodes > plain.explain().decodes


def test_a_missing_quality_variable_names_the_file(flagged: tuple[Path, np.ndarray]) -> None:
    name = register({"absent": (0, 1)})
    with pytest.raises(OceanArrowError, match=r"l4_ssh\.nc.*absent"):
        oceanarrow.open_patch(flagged[0], QUERY, [name])


@pytest.mark.parametrize(
    "rule", [(3, 2), (1,), set(), ("bits", 0, 0), ("bits", 2, 1), "", None, {1, "a"}, {""}]
)
def test_bad_rules_are_refused(rule: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"valid\['quality'\] must be"):
        register({"quality": rule})


def test_profiles_have_no_cells() -> None:
    with pytest.raises(InvalidInputError, match="profiles"):
        oceanarrow.register_variable(
            "x_points", source="argo", file="argo.nc", netcdf="TEMP", unit="degC",
            geometry="points", valid={"q": (0, 1)},
        )  # fmt: skip
