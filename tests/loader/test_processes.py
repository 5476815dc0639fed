"""Forks, workers and Ctrl-C."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from oceanarrow import Loader
from oceanarrow.dataset import OceanTACODataset, Query, collate_ocean_samples
from oceanarrow.exceptions import InvalidInputError
from torch.utils.data import DataLoader

QUERIES = [Query(-60 + i, -40 + i, 10, 30, "2023-04-01", "2023-04-01") for i in range(6)]


def dataset(path) -> OceanTACODataset:
    return OceanTACODataset(
        path, QUERIES, ["l4_sst", "argo"], ["l4_ssh"], default_patch_size=(8, 9)
    )


def batches(data, **options):
    return [
        batch["targets"]["l4_ssh"]
        for batch in DataLoader(data, batch_size=2, collate_fn=collate_ocean_samples, **options)
    ]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_deliver_what_the_main_process_does(ocean, method):
    data = dataset(ocean)
    expected = batches(data)  # the parent's caches and locks are warm when it forks
    got = batches(data, num_workers=2, multiprocessing_context=method)
    assert len(got) == 3
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_workers_never_touch_the_catalog(ocean, tmp_path):
    import shutil

    path = tmp_path / "ocean"
    shutil.copytree(ocean, path)
    data = dataset(path)
    expected = data[1]["targets"]["l4_ssh"]["data"]
    shutil.rmtree(path / "METADATA")
    (path / "COLLECTION.json").unlink()
    restored = pickle.loads(pickle.dumps(data))
    assert torch.equal(restored[1]["targets"]["l4_ssh"]["data"], expected)


def test_a_running_loader_says_no_in_a_forked_child(ocean):
    loader = Loader(ocean, QUERIES, ["l4_sst"], batch_size=1, default_patch_size=(8, 8))
    running = iter(loader)
    next(running)
    child = os.fork()
    if child == 0:
        try:
            next(running)
        except InvalidInputError as error:
            os._exit(0 if "forked" in str(error) else 2)
        except BaseException:
            os._exit(3)
        os._exit(4)
    assert _exit_code(child) == 0
    assert len(list(running)) == 5, "the parent goes on"


def test_a_forked_child_can_iterate_anew(ocean):
    loader = Loader(ocean, QUERIES, ["l4_sst"], batch_size=1, default_patch_size=(8, 8))
    running = iter(loader)
    next(running)
    child = os.fork()
    if child == 0:
        os._exit(0 if len(list(loader)) == 6 else 1)
    assert _exit_code(child) == 0
    assert len(list(running)) == 5


def _exit_code(child: int, seconds: float = 30.0) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


def test_ctrl_c_stops_at_once(ocean):
    program = textwrap.dedent(f"""
        from oceanarrow import Loader
        from oceanarrow.dataset import Query
        queries = [Query(-180, 180, -90, 90, "2023-04-01", "2023-04-03")] * 64
        loader = Loader({str(ocean)!r}, queries, ["l4_sst", "l3_swot"], batch_size=64,
                        default_patch_size=(2048, 2048))
        print("ready", flush=True)
        for batch in loader:
            pass
    """)
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    _, error = child.communicate(timeout=30)
    assert "KeyboardInterrupt" in error
    assert child.returncode != 0
