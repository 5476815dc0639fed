"""`oceanarrow download` from a server, interrupted in every way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from remote.fault_server import FaultServer, Request, answers, delayed
from remote.hub import COMMITS, Hub

from oceanarrow import Catalog, download
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidInputError,
    NotFoundError,
    TransientIoError,
)

from .conftest import QUERIES, VARIABLES
from .same import assert_equal, batches
from .test_download import files_of, needed

QUICK = {"backoff": 0.01, "backoff_max": 0.05, "tries": 3}


def is_granule(request: Request) -> bool:
    return request.path.endswith(".nc")


@pytest.fixture
def server(ocean: Path) -> Iterator[FaultServer]:
    """Serves the folder around the dataset."""
    with FaultServer(ocean.parent) as running:
        yield running


@pytest.fixture
def start(
    server: FaultServer, ocean: Path, query_file: Path, tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the command, to `tmp_path / "copy"`."""
    running = []
    command = [sys.executable, "-m", "oceanarrow", "download", f"{server.home}/{ocean.name}"]
    command += ["--queries", str(query_file), "-o", str(tmp_path / "copy")]
    command += ["--variables", *VARIABLES]

    def started() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True))
        return running[-1]

    yield started
    for process in running:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def slow_after(server: FaultServer, fast: int, seconds: float) -> None:
    """Bodies of granules come at once, then only after some seconds."""
    bodies = 0

    def late(request: Request) -> bool:
        nonlocal bodies
        if not is_granule(request) or request.range is None or request.range[1] in (0, None):
            return False
        bodies += 1
        return bodies > fast

    server.rule(delayed(seconds), late)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_remote_dataset_is_copied(
    kind: str, server: FaultServer, ocean: Path, ocean_zip: Path, tmp_path: Path
) -> None:
    place = f"{server.home}/{(ocean if kind == 'folder' else ocean_zip).name}"
    summary = download(place, QUERIES, VARIABLES, tmp_path / "copy", storage_options=QUICK)
    wanted = {path: (ocean / "DATA" / path).read_bytes() for path in needed(ocean)}
    assert files_of(tmp_path / "copy") == wanted
    assert summary.total.bytes == sum(map(len, wanted.values()))
    assert_equal(batches(tmp_path / "copy"), batches(ocean))
    if kind == "folder":
        asked = [request.path for request in server.requests if is_granule(request)]
        assert len(asked) == 2 * len(wanted), "its size, then its bytes"
    else:
        assert len(server.requests) <= len(wanted) + 4, "the sizes are in the catalog"


def test_a_killed_download_goes_on(
    start: Callable[[], subprocess.Popen[str]], server: FaultServer, ocean: Path, tmp_path: Path
) -> None:
    slow_after(server, fast=5, seconds=60)
    target = tmp_path / "copy"
    process = start()
    wait_for(lambda: len(list(target.rglob("*.nc"))) >= 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = set(files_of(target))
    assert 4 <= len(there) < len(needed(ocean))
    with pytest.raises(NotFoundError):
        Catalog(target)
    server.clear()
    assert start().wait(60) == 0
    asked = {"/".join(r.path.split("/")[-3:]) for r in server.requests if is_granule(r)}
    assert asked == needed(ocean) - there
    assert len([r for r in server.requests if is_granule(r)]) == len(asked), "sizes are known"
    assert_equal(batches(target), batches(ocean))
    assert not list(target.rglob("*.part"))


def test_ctrl_c_stops_at_once_and_says_how_to_go_on(
    start: Callable[[], subprocess.Popen[str]], server: FaultServer, ocean: Path, tmp_path: Path
) -> None:
    slow_after(server, fast=2, seconds=60)
    process = start()
    wait_for(lambda: len(list((tmp_path / "copy").rglob("*.nc"))) >= 2)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - asked < 2
    assert process.returncode == 130
    assert "run the same command again" in err and "Traceback" not in err
    assert "complete" not in out
    assert not (tmp_path / "copy/COLLECTION.json").exists()
    server.clear()
    assert start().wait(60) == 0
    assert_equal(batches(tmp_path / "copy"), batches(ocean))


def test_a_server_that_fails_leaves_what_has_come(
    server: FaultServer, ocean: Path, tmp_path: Path
) -> None:
    target = tmp_path / "copy"
    failing = sorted(needed(ocean))[-1]
    broken = server.rule(
        answers(503), lambda r: r.path.endswith(failing) and (r.range or (0, 0))[1] != 0
    )
    with pytest.raises(TransientIoError, match=failing):
        download(f"{server.home}/{ocean.name}", QUERIES, VARIABLES, target, storage_options=QUICK)
    server.rules.remove(broken)
    done = download(
        f"{server.home}/{ocean.name}", QUERIES, VARIABLES, target, storage_options=QUICK
    )
    assert done.fetched.files >= 1
    assert_equal(batches(target), batches(ocean))


def test_a_file_that_changed_is_noticed(ocean: Path, tmp_path: Path) -> None:
    """Between the two runs the server's file grows."""
    with FaultServer(ocean.parent) as server:
        grown = sorted(needed(ocean))[0]
        target = tmp_path / "copy"
        download(f"{server.home}/{ocean.name}", QUERIES, VARIABLES, target)
        (target / "DATA" / grown).unlink()
        original = server.content

        def content(path: str) -> bytes | None:
            found = original(path)
            return found + b"more" if found is not None and path.endswith(grown) else found

        server.content = content  # type: ignore[method-assign]
        with pytest.raises(CorruptGranuleError, match="the dataset has changed"):
            download(f"{server.home}/{ocean.name}", QUERIES, VARIABLES, target)


def test_a_branch_is_downloaded_at_one_commit(ocean: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    with Hub(ocean) as hub:
        download(hub.root, QUERIES, VARIABLES, target, storage_options=QUICK)
        granules = [r for r in hub.requests if is_granule(r) and r.origin == "home"]
        assert all(f"/resolve/{COMMITS[0]}/" in request.path for request in granules)
        assert len(granules) == len(needed(ocean)), "a signed address serves both requests"
        hub.commit = COMMITS[1]
        with pytest.raises(InvalidInputError, match=f"{COMMITS[0]}, not of .*{COMMITS[1]}"):
            download(hub.root, QUERIES, VARIABLES, target, storage_options=QUICK)
        pinned = hub.root.replace("/main", f"/{COMMITS[0]}")
        done = download(pinned, QUERIES, VARIABLES, target, storage_options=QUICK)
        assert done.fetched.files == 0
    assert_equal(batches(target), batches(ocean))
