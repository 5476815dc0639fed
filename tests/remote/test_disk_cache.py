"""What was read of a remote dataset is kept on the disk: asked for once, and there offline."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

from oceanarrow import Loader
from oceanarrow.exceptions import OceanArrowError

from .conftest import QUICK
from .datasets import QUERIES, assert_equal, batches
from .fault_server import FaultServer
from .hub import Hub


def made(place: object, **options: object) -> Loader:
    storage = QUICK | options.pop("storage", {})  # type: ignore[operator]
    return Loader(
        place,  # type: ignore[arg-type]
        QUERIES,
        ["l4_ssh", "l3_swot", "argo"],
        ["l4_sst"],
        batch_size=2,
        default_patch_size=(16, 16),
        shuffle=False,
        storage_options=storage,
        **options,  # type: ignore[arg-type]
    )


def epoch(loader: Loader) -> list[object]:
    """The batches of an epoch, when all that was read has reached the disk."""
    found = batches(loader)
    written = -1
    while written != (written := loader.stats()["disk_bytes_written"]):
        time.sleep(0.2)
    return found


@pytest.fixture
def server(ocean: Path) -> Iterator[FaultServer]:
    with FaultServer(ocean.parent) as running:
        yield running


@pytest.fixture
def hub(ocean: Path) -> Iterator[Hub]:
    with Hub(ocean) as running:
        yield running


def test_a_second_process_asks_only_whether_the_metadata_still_hold(
    server: FaultServer, ocean: Path
) -> None:
    place = f"{server.home}/{ocean.name}"
    expected = batches(made(ocean))
    assert_equal(epoch(made(place)), expected)
    first = len(server.requests)
    server.clear()
    again = made(place)
    assert_equal(epoch(again), expected)
    stats = again.stats()
    assert stats["disk_blocks_read"] > 0 and stats["index_hits"] > 0
    # The metadata files, and those of the points, whose versions are asked for.
    assert len(server.requests) < first / 3
    assert not any(r.path.endswith(("l4_ssh.nc", "l3_swot.nc")) for r in server.requests)


def test_what_was_seen_is_there_without_a_network(server: FaultServer, ocean: Path) -> None:
    place = f"{server.home}/{ocean.name}"
    expected = epoch(made(place))
    server.clear()
    offline = made(place, storage={"offline": True})
    assert_equal(batches(offline), expected)
    assert offline.stats()["requests"] == 0 and not server.requests


def test_a_hub_is_asked_for_its_commit_alone_and_offline_for_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = epoch(made(hub.root))
    hub.clear()
    assert_equal(epoch(made(hub.root)), expected)
    assert [request.path for request in hub.requests] == ["/api/datasets/ns/ocean/revision/main"]
    hub.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert_equal(batches(made(hub.root)), expected)
    assert not hub.requests


def test_offline_without_a_cache_says_so(server: FaultServer, ocean: Path) -> None:
    with pytest.raises(OceanArrowError, match="offline"):
        made(f"{server.home}/{ocean.name}", storage={"offline": True})


def test_a_dataset_whose_metadata_changed_is_read_anew(ocean: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "ocean"
    shutil.copytree(ocean, copy)
    with FaultServer(copy.parent) as server:
        place = f"{server.home}/ocean"
        epoch(made(place))
        for file in copy.rglob("l4_ssh.nc"):
            with h5py.File(file, "r+") as opened:
                opened["sla"][...] += 1
        collection = copy / "COLLECTION.json"
        collection.write_text(collection.read_text() + " ")
        expected = batches(made(copy))
        again = made(place)
        assert_equal(batches(again), expected)
        assert again.stats()["files_opened"] > 0
