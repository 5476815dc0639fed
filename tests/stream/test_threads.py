"""How many threads an engine starts."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

import pytest

from oceanarrow import Loader
from oceanarrow.dataset import Query
from oceanarrow.ranks import local_ranks

CORES = len(os.sched_getaffinity(0))
NAMES = ["LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return lambda **values: [monkeypatch.setenv(name, value) for name, value in values.items()]


def running() -> int:
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # It has just ended.
            names.append((task / "comm").read_text())
    return sum(re.match(r"oceanarrow-\d", name) is not None for name in names)


def starts(expected: int, path, *, stride: int = 1, **options) -> bool:
    """Whether a loader has so many threads; they take a moment to come and to go."""
    asked = [Query(-30, -20, 20, 30, "2023-04-01", "2023-04-01")] * 40
    loader = Loader(path, asked, ["l4_sst"], default_patch_size=(8, 8), **options)
    iteration = loader.iterate(stride=stride)
    next(iteration)
    found = reached(expected)
    iteration.close()
    return found and reached(0)


def reached(expected: int) -> bool:
    deadline = time.monotonic() + 20
    while running() != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    return running() == expected


def test_one_a_core(ocean):
    assert starts(min(CORES, 32), ocean)


def test_as_many_as_asked(ocean, environment):
    environment(LOCAL_WORLD_SIZE="2")
    assert starts(3, ocean, threads=3)


@pytest.mark.parametrize("name", NAMES)
def test_ranks_share_the_cores(ocean, environment, name):
    environment(**{name: "2"})
    assert starts(max(1, min(CORES // 2, 32)), ocean)


def test_workers_share_the_threads(ocean):
    assert starts(3, ocean, threads=6, stride=2)
    assert starts(1, ocean, threads=1, stride=2)


def test_an_odd_environment_is_no_hindrance(environment):
    environment(LOCAL_WORLD_SIZE="many", OMPI_COMM_WORLD_LOCAL_SIZE="4")
    assert local_ranks() == 4
    environment(LOCAL_WORLD_SIZE="0", OMPI_COMM_WORLD_LOCAL_SIZE="")
    assert local_ranks() == 1
