"""What cannot work is refused, or warned of, when a loader is made."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import oceanarrow
from oceanarrow import Loader
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import (
    CancelledError,
    InvalidInputError,
    OceanArrowError,
    OutOfMemoryError,
)

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
    assert name not in oceanarrow.variables()


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


# ---- statistics ---------------------------------------------------------------------------------


def test_a_file_of_statistics_names_each_variable(ocean: Path, tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    entries: dict[str, object] = {"l4_sst": [10.0, 2.0], "not_asked_for": [0.0, 1.0]}
    file.write_text(json.dumps(entries))
    with pytest.raises(InvalidInputError, match=r"s\.json has no statistics of 'l4_ssh'"):
        loader(ocean, [query()] * 4, normalize=file)
    file.write_text(json.dumps(entries | {"l4_ssh": None}))
    (scaled,) = loader(ocean, [query()] * 4, normalize=file)
    (plain,) = loader(ocean, [query()] * 4)
    mask = plain.to_numpy()["masks"]["l4_sst"]
    assert mask.any()
    np.testing.assert_allclose(
        scaled.to_numpy()["inputs"]["l4_sst"][mask],
        (plain.to_numpy()["inputs"]["l4_sst"][mask] - 10.0) / 2.0,
        rtol=1e-5,
        atol=1e-5,
    )
    np.testing.assert_array_equal(
        scaled.to_numpy()["targets"]["l4_ssh"], plain.to_numpy()["targets"]["l4_ssh"]
    )


# ---- closing, forking, shapes -------------------------------------------------------------------


def test_a_stream_that_another_thread_closes_is_cancelled(ocean: Path) -> None:
    made = loader(ocean, [query()] * 400, batch_size=1, tail="continue")
    seen: list[BaseException] = []

    def consume() -> None:
        try:
            for _ in made:
                time.sleep(0.001)
        except OceanArrowError as error:
            seen.append(error)

    thread = threading.Thread(target=consume)
    thread.start()
    time.sleep(0.2)
    made.close()
    thread.join(20)
    assert not thread.is_alive()
    assert [type(error) for error in seen] == [CancelledError]


def test_an_end_that_was_reached_stays_one(ocean: Path) -> None:
    made = loader(ocean, [query()] * 8)
    batches = iter(made)
    assert len(list(batches)) == 2
    made.close()
    assert list(batches) == []


FORK = """
import os, signal, sys, tempfile
import oceanarrow
from oceanarrow.dataset import OceanTACODataset, Query
box = Query(-70.0, -40.0, -30.0, 20.0, "2023-04-01", "2023-04-01")
kind, way = sys.argv[2:]
cache = tempfile.mkdtemp() + "/cache"
if kind == "dataset":
    made = OceanTACODataset(sys.argv[1], [box] * 8, ["l4_sst"], [], cache_dir=cache)
    made[0]
else:
    made = oceanarrow.Loader(sys.argv[1], [box] * 64, ["l4_sst"], batch_size=4, cache_dir=cache,
                             default_patch_size=(16, 16))
    batches = iter(made)
    next(batches)
    if kind == "stream":
        made = batches
if (pid := os.fork()) == 0:
    signal.alarm(20)
    if way == "del":
        del made
    sys.exit(0)
print("child", os.waitpid(pid, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("kind", ["loader", "stream", "dataset"])
@pytest.mark.parametrize("way", ["del", "exit"])
def test_a_forked_child_that_drops_what_it_inherited_ends_at_once(
    ocean: Path, kind: str, way: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FORK, str(ocean), kind, way],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    # Threads of the parent run on; the child prints nothing and ends well.
    assert (ran.returncode, ran.stdout.strip(), ran.stderr.strip()) == (0, "child 0", "")


def test_shapes_are_tuples(ocean: Path) -> None:
    (batch,) = loader(ocean, [query()] * 4)
    assert batch["l4_sst"].shape == (4, 8, 8)
    assert isinstance(batch["l4_sst"].shape, tuple)
