"""On Ray, with two cores: the bytes and digits of one machine, whoever dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from same_bytes import contents

from oceanarrow import Loader, Statistics, materialize, materialize_finish, statistics
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError, NotFoundError

DAYS = [f"2023-04-{day:02d}" for day in range(1, 5)]
QUERIES = [
    Query(-70 + 2 * i % 60, -50 + 2 * i % 60, -30, -10, DAYS[i % 4], DAYS[i % 4]) for i in range(90)
]
BASE: dict[str, Any] = {"default_patch_size": (8, 8), "batch_size": 4, "seed": 2}


def loader(path: Path, **options: Any) -> Loader:
    return Loader(path, QUERIES, ["l4_sst", "argo"], ["l4_ssh"], **{**BASE, **options})


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    # No reports, and no token in the home folder.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    ray.init(
        num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False
    )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    yield ray
    ray.shutdown()


def workers() -> list[int]:
    """The processes that run our tasks now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if title.startswith(("ray::of_part", "ray::ReadPatches")):
            found.append(int(path.parent.name))
    return found


class Killer(threading.Thread):
    """Kills one worker that runs a task, once something has begun."""

    def __init__(self, begun: Any) -> None:
        super().__init__(daemon=True)
        self.begun, self.killed = begun, 0

    def run(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and not self.killed:
            if self.begun():
                for pid in workers()[:1]:
                    os.kill(pid, signal.SIGKILL)
                    self.killed += 1
            time.sleep(0.01)


def test_blocks_are_the_batches(ray: Any, ocean: Path) -> None:
    from oceanarrow.ray import read_patches

    local = loader(ocean, tail="pad")
    local.set_epoch(1)
    rows = {"l4_sst": [], "query": [], "argo": []}  # type: dict[str, list[Any]]
    for batch in local:
        rows["l4_sst"].append(batch["l4_sst"].numpy().copy())
        rows["query"].append(batch["query"].numpy().copy())
        rows["argo"] += batch.native.offsets("argo")[1:]
    dataset = read_patches(loader(ocean, tail="pad"), epoch=1, parallelism=5)
    assert dataset.count() == 92
    got = list(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    np.testing.assert_array_equal(
        np.concatenate([table["query"].to_numpy() for table in got]), np.concatenate(rows["query"])
    )
    values = [chunk.to_numpy_ndarray() for table in got for chunk in table["l4_sst"].chunks]
    np.testing.assert_array_equal(np.concatenate(values), np.concatenate(rows["l4_sst"]))
    numbers = dataset.select_columns(["l4_sst", "l4_sst_mask"])
    tensors = [batch["l4_sst"] for batch in numbers.iter_torch_batches(batch_size=10)]
    assert tensors[0].shape == (10, 8, 8)
    np.testing.assert_array_equal(
        np.concatenate([tensor.numpy() for tensor in tensors]), np.concatenate(rows["l4_sst"])
    )
    short = read_patches(loader(ocean, shuffle=False, tail="partial"))
    assert short.count() == 90
    again = read_patches(loader(ocean, tail="pad").config(), ocean, QUERIES, epoch=1, threads=1)
    assert again.select_columns(["query"]).take(7) == dataset.select_columns(["query"]).take(7)


def test_numbers_and_sets_are_those_of_one_machine(ray: Any, ocean: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"variables": ["l4_sst", "argo"], "by": "day", "progress": False}
    alone = statistics(ocean, QUERIES, **asked)
    assert statistics(ocean, QUERIES, ray=True, **asked) == alone
    parts = [statistics(ocean, QUERIES, part=(i, 4), **asked) for i in range(4)]
    assert Statistics.merge(parts) == alone
    materialize(loader(ocean), tmp_path / "alone", shard_rows=7)
    for part in (2, 0, 3, 1):
        materialize(loader(ocean), tmp_path / "parts", shard_rows=7, part=(part, 4))
    materialize_finish(tmp_path / "parts")
    killer = Killer(lambda: list((tmp_path / "ray").glob("shard-*.json")))
    killer.start()
    materialize(loader(ocean), tmp_path / "ray", shard_rows=7, ray=True)
    killer.join(timeout=1)
    whole = contents(tmp_path / "alone")
    assert contents(tmp_path / "parts") == whole
    made = contents(tmp_path / "ray")
    assert {name: made[name] for name in whole} == whole


def test_a_worker_killed_in_the_middle_of_a_read(ray: Any, ocean: Path) -> None:
    from oceanarrow.ray import read_patches

    expected = np.concatenate([batch["query"].numpy() for batch in loader(ocean, tail="pad")])
    killer = Killer(lambda: True)
    dataset = read_patches(loader(ocean, tail="pad"), parallelism=8)
    killer.start()
    got = [table["query"].to_numpy() for table in dataset.iter_batches(batch_format="pyarrow")]
    killer.join(timeout=1)
    assert killer.killed
    np.testing.assert_array_equal(np.concatenate(got), expected)


def test_errors_are_their_own(ray: Any, ocean: Path, tmp_path: Path) -> None:
    from oceanarrow.ray import read_patches

    gone = loader(ocean)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="holds something else"):
        materialize(gone, tmp_path, ray=True)
    with pytest.raises(NotFoundError):
        statistics(tmp_path / "none", QUERIES, ["l4_sst"], ray=True)
    for call in (
        lambda: materialize(gone, tmp_path / "s", ray=True, part=(0, 2)),
        lambda: statistics(ocean, QUERIES, ["l4_sst"], ray=True, part=(0, 2)),
    ):
        with pytest.raises(InvalidInputError, match="leave part out"):
            call()
    with pytest.raises(InvalidInputError, match="give taco_path and queries"):
        read_patches(gone.config())
    with pytest.raises(InvalidInputError, match="has its dataset"):
        read_patches(gone, ocean, QUERIES)
    with pytest.raises(InvalidInputError, match="no last step"):
        read_patches(loader(ocean, tail="continue"))
