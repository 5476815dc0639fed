"""Remote datasets are the local ones: same granules, same batches, few round trips."""

from __future__ import annotations

import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from oceanarrow import _engine
from oceanarrow.dataset import OceanTACODataset
from oceanarrow.exceptions import (
    InvalidInputError,
    NotFoundError,
    OceanArrowError,
    TransientIoError,
)

from .conftest import QUICK
from .datasets import QUERIES, VARIABLES, assert_equal, batches, loader, round_trips, write_parts
from .fault_server import FaultServer, RandomFaults, answers, delayed

DELAY = 0.15


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory, ocean: Path, ocean_zip: Path) -> Path:
    """A folder with the dataset as FOLDER, ZIP, parts and TacoCat."""
    folder = tmp_path_factory.mktemp("containers")
    (folder / "ocean").symlink_to(ocean)
    (folder / "ocean.tacozip").symlink_to(ocean_zip)
    (folder / "cat").mkdir()
    write_parts(ocean, folder / "cat")
    return folder


class Links(FaultServer):
    """Follows the links in the folder of containers."""

    def content(self, path: str) -> bytes | None:
        place = self.folder / path.lstrip("/")
        return place.read_bytes() if place.is_file() else None


@pytest.fixture
def server(containers: Path) -> Iterator[FaultServer]:
    with Links(containers) as running:
        yield running


PLACES = {
    "folder": ["ocean"],
    "zip": ["ocean.tacozip"],
    "parts": ["cat/ocean_part0.tacozip", "cat/ocean_part1.tacozip"],
    "cat": ["cat/.tacocat"],
    "beside the cat": ["cat"],
}


@pytest.mark.parametrize(("kind", "trips"), [*zip(PLACES, (1, 2, 2, 2, 3), strict=True)])
def test_every_container_opens_in_few_round_trips(
    server: FaultServer, containers: Path, kind: str, trips: int
) -> None:
    server.rule(delayed(DELAY))
    remote = _engine.Catalog([f"{server.home}/{place}/" for place in PLACES[kind]])
    assert round_trips(server.requests, DELAY) <= trips
    assert len(server.requests) <= {"cat": 6, "beside the cat": 10}.get(kind, 4)
    local = _engine.Catalog([str(containers / place) for place in PLACES[kind]])
    assert remote.days == local.days and remote.regions == local.regions
    prefix = (str(containers), server.home)
    rows = [row | {"path": row["path"].replace(*prefix)} for row in local.granules()]
    assert str(remote.granules()) == str(rows)


@pytest.mark.parametrize("kind", PLACES)
def test_remote_batches_are_the_local_ones(
    server: FaultServer, containers: Path, kind: str
) -> None:
    local = batches(loader([containers / place for place in PLACES[kind]]))
    made = loader([f"{server.home}/{place}" for place in PLACES[kind]])
    assert_equal(batches(made), local)
    stats = made.stats()
    assert stats["requests"] == len(server.requests) and stats["retries"] == 0
    assert stats["network_bytes"] > stats["bytes_read"] > 0


def test_downloads_and_batches_share_their_recipes(server: FaultServer) -> None:
    made = loader(f"{server.home}/ocean", QUERIES * 6, batch_size=3)
    grids = ("l4_ssh", "l3_ssh", "l4_sst")
    covered = sum(int(b.to_numpy()["present"][name].sum()) for b in made for name in grids)
    stats = made.stats()
    assert stats["recipes"] == covered > 60


def test_samples_are_the_local_ones_in_workers_too(server: FaultServer, containers: Path) -> None:
    def dataset(place: object) -> OceanTACODataset:
        return OceanTACODataset(
            place,  # type: ignore[arg-type]
            QUERIES,
            *VARIABLES,
            default_patch_size=(16, 16),
            storage_options=QUICK | {"token": "hunter2"},
        )

    local = dataset(containers / "ocean")
    remote = dataset(f"{server.home}/ocean")
    for i in range(len(QUERIES)):
        assert_equal(remote[i], local[i])
    # Forked workers inherit connections and a runtime whose threads they do not have.
    for context in ("fork", "spawn"):
        workers = DataLoader(
            remote, batch_size=None, num_workers=2, multiprocessing_context=context
        )
        shown = DataLoader(local, batch_size=None)
        for ours, theirs in zip(workers, shown, strict=True):
            assert_equal(ours, theirs)
    assert all(r.headers.get("authorization") == "Bearer hunter2" for r in server.requests)


def test_options_travel_but_are_never_shown(server: FaultServer) -> None:
    made = loader(f"{server.home}/ocean", storage_options={"token": "hunter2"})
    server.requests.clear()
    again = pickle.loads(pickle.dumps(made))
    assert batches(again)
    assert server.requests
    assert all(r.headers["authorization"] == "Bearer hunter2" for r in server.requests)
    assert "hunter2" not in repr(made) + str(made.stats()) + repr(made._engine) + made.plan_id
    server.rule(answers(403))
    with pytest.raises(OceanArrowError) as caught:
        batches(loader(f"{server.home}/ocean", storage_options={"token": "hunter2"}))
    assert "hunter2" not in str(caught.value)


def test_unknown_options_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r'no "tokn"; known are .*token') as caught:
        loader(tmp_path, storage_options={"tokn": "hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InvalidInputError, match=r"\"token\".*is no text"):
        loader(tmp_path, storage_options={"token": b"hunter2"})
    with pytest.raises(InvalidInputError, match="must be a mapping"):
        loader(tmp_path, storage_options={"headers": "X: hunter2"})


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (answers(404), NotFoundError, "no TACO dataset here"),
        (answers(500), TransientIoError, "gave up after 4 tries"),
        (answers(200, {}, b"<!doctype html>"), OceanArrowError, "HTML"),
    ],
)
def test_a_dataset_that_cannot_be_opened_says_why(
    server: FaultServer, fault, error: type[OceanArrowError], message: str
) -> None:
    server.rule(fault)
    with pytest.raises(error, match=message):
        loader(f"{server.home}/ocean")


def test_one_level_that_fails_is_not_a_level_that_is_missing(server: FaultServer) -> None:
    level = lambda request: "level1" in request.path  # noqa: E731
    server.rule(answers(503), level, times=2)
    assert len(_engine.Catalog(f"{server.home}/ocean")) > 0
    server.rules.clear()
    server.rule(answers(404), level)
    with pytest.raises(OceanArrowError, match=r"level1.parquet is missing"):
        _engine.Catalog(f"{server.home}/ocean")


@pytest.mark.full
def test_a_thousand_batches_under_random_faults_are_the_local_ones(containers: Path) -> None:
    check_random_faults(containers, rounds=125)


def test_batches_under_random_faults_are_the_local_ones(containers: Path) -> None:
    check_random_faults(containers, rounds=3)


def check_random_faults(containers: Path, rounds: int) -> None:
    local = loader(containers / "ocean", QUERIES * 3, cache_bytes=0, shuffle=False)
    expected = batches(local)
    faults = RandomFaults(share=0.05, seed=5)
    with Links(containers, random_faults=faults) as server:
        place = f"{server.home}/ocean"
        before, retries = None, 0
        for _ in range(rounds):
            # A new one keeps nothing of what the last one fetched.
            made = loader(
                place,
                QUERIES * 3,
                cache_bytes=0,
                cache_dir=None,
                shuffle=False,
                storage_options={"tries": 8, "timeout": 20},
            )
            assert_equal(batches(made), expected)
            retries += made.stats()["retries"]
            before = before or (_entries("fd"), _entries("task"), _resident())
        assert faults.fired > 2 * rounds
        assert retries > 0
        time.sleep(0.1)
        assert _entries("fd") <= before[0] + 40
        assert _entries("task") <= before[1] + 4
        assert _resident() <= before[2] + (64 << 20)


def _resident() -> int:
    """Bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _entries(kind: str) -> int:
    return sum(1 for _ in Path("/proc/self", kind).iterdir())


INTERRUPTED = """
import os
import sys
from oceanarrow.dataset import OceanTACODataset
from oceanarrow import Loader
from oceanarrow.dataset import Query
query = Query(-50, -30, 20, 35, "2023-04-01", "2023-04-01")
place, kind = sys.argv[1:]
print("ready", flush=True)
try:
    if kind == "open":
        Loader(place, [query], ["l4_ssh"])
    made = OceanTACODataset(place, [query], ["l4_ssh"], [])
    print("opened", flush=True)
    if kind == "sample":
        made[0]
    for batch in Loader(place, [query], ["l4_ssh"], batch_size=1):
        pass
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(0)  # leaves out the interpreter's own end
"""


@pytest.mark.parametrize("kind", ["open", "sample", "stream"])
def test_ctrl_c_stops_within_a_second(server: FaultServer, kind: str) -> None:
    stalls = lambda r: kind == "open" or r.path.endswith(".nc")  # noqa: E731
    server.rule(delayed(30), stalls)
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, f"{server.home}/ocean", kind],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not any(stalls(request) for request in server.requests):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.2)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        said = child.stdout.readlines()[-1]
        took = time.monotonic() - start
    finally:
        child.kill()
        child.wait()
    assert said == "interrupted\n"
    assert took < 1
