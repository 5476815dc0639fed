"""What cannot work is refused, or warned of, when a loader is made."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import pytest

import oceanarrow
from oceanarrow import Loader
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import InvalidInputError, OutOfMemoryError

BOX = (-70.0, -40.0, -30.0, 20.0)


def query(first: str = "2023-04-01", last: str | None = None) -> Query:
    return Query(*BOX, first, last or first)


def loader(path: Path, queries: list[Query], **options) -> Loader:
    options = {"batch_size": 4, "default_patch_size": (8, 8), "threads": 1} | options
    return Loader(path, queries, ["l4_sst"], ["l4_ssh"], **options)


# ---- memory -------------------------------------------------------------------------------------


def test_batches_must_fit_the_memory(ocean: Path) -> None:
    # 8 x 8 pixels of 5 bytes, two variables, 4 rows: 2,560 bytes a batch and what describes it.
    with pytest.raises(OutOfMemoryError, match="memory_limit_bytes leaves") as caught:
        loader(ocean, [query()] * 8, memory_limit_bytes=2_000, prefetch_bytes=1)
    assert isinstance(caught.value, MemoryError)
    made = loader(ocean, [query()] * 8, memory_limit_bytes=100_000, prefetch_bytes=1)
    assert len(list(made)) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"default_patch_size": (16384, 16384), "batch_size": 4096}, OutOfMemoryError),
        ({"default_patch_size": (2**31, 2**31)}, InvalidInputError),
        ({"batch_size": 2**40}, InvalidInputError),
        ({"memory_limit_bytes": 0}, InvalidInputError),
        ({"default_patch_size": (0, 4)}, InvalidInputError),
        ({"default_patch_size": (-1, 4)}, InvalidInputError),
    ],
)
def test_sizes_beyond_reason_are_refused_at_once(ocean: Path, options, error) -> None:
    with pytest.raises(error):
        loader(ocean, [query()] * 4096, **options)


def test_a_window_of_a_million_days_is_refused(ocean: Path) -> None:
    ages = [query("1970-01-01", "4700-01-01")] * 4
    with pytest.raises((OutOfMemoryError, InvalidInputError)):
        loader(ocean, ages, temporal_agg="stack", default_patch_size=(256, 256))


def test_a_sample_must_fit_the_memory(ocean: Path) -> None:
    made = OceanTACODataset(
        ocean, [query()], ["l4_sst"], [], default_patch_size=(64, 64), memory_limit_bytes=1_000
    )
    with pytest.raises(OutOfMemoryError, match="a sample needs"):
        made[0]


# ---- days ---------------------------------------------------------------------------------------


def test_queries_without_a_day_are_warned_of(ocean: Path) -> None:
    sound, late = query(), query("2031-04-01", "2031-04-03")
    with pytest.warns(UserWarning, match="1 of 2 queries.*2023-04-01 to 2023-04-04.*queries.1."):
        loader(ocean, [sound, late], batch_size=1)
    with pytest.warns(UserWarning, match="2 of 2 queries"):
        OceanTACODataset(ocean, [late, late], ["l4_sst"], [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A window that begins before the dataset does has days in it.
        loader(ocean, [sound, query("2023-03-01", "2023-04-01")], batch_size=1)


# ---- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "l4_ssh_mask",
        "x_present",
        "x_support",
        "x_lat",
        "x_lon",
        "x_time",
        "x_pressure",
        "query",
        "lat_min",
        "status",
        "sample_weight",
        "augmentation",
        "coriolis",
        "latitude",
    ],
)
def test_names_of_columns_are_reserved(name: str) -> None:
    with pytest.raises(InvalidInputError, match="reserved"):
        oceanarrow.register_variable(name, source="s", file="f.nc", netcdf="v", unit="1")
    known = oceanarrow.variables().get(name)
    assert known is None or known.supply == "computed"


def test_every_column_of_a_batch_is_reserved_or_a_variables(ocean: Path) -> None:
    made = Loader(
        ocean, [query()] * 4, ["l4_sst", "argo"], batch_size=4, support=True, grid="crop",
        default_patch_size=(8, 8),
    )  # fmt: skip
    for name in set(made._engine.column_names) - {"l4_sst", "argo"}:
        with pytest.raises(InvalidInputError):
            oceanarrow.register_variable(name, source="s", file="f.nc", netcdf="v", unit="1")


def test_queries_has_the_references_names() -> None:
    module = importlib.import_module("oceanarrow.dataset.queries")
    assert {"Query", "PatchSize", "QueryGenerator", "LandMask"} <= set(module.__all__)
    assert module.Query is Query
