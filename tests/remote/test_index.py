"""With an index, the first touch of a remote granule costs exactly the bytes of its chunks.

Where no ETag tells its state, also those that opening read when it was indexed, once.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

from oceanarrow import Loader
from oceanarrow.cli import main

from .conftest import QUICK
from .datasets import QUERIES, assert_equal, batches
from .fault_server import FaultServer, delayed

VARIABLES = {"l4_ssh.nc": "sla", "l3_ssh.nc": "sla_filtered", "l4_sst.nc": "analysed_sst"}


@pytest.fixture
def server(ocean: Path) -> Iterator[FaultServer]:
    with FaultServer(ocean.parent) as running:
        yield running


def made(place: object, **options: object) -> Loader:
    return Loader(
        place,  # type: ignore[arg-type]
        QUERIES,
        ["l4_ssh", "l3_ssh"],
        ["l4_sst"],
        batch_size=2,
        default_patch_size=(16, 16),
        storage_options=QUICK,
        **options,  # type: ignore[arg-type]
    )


def chunk_edges(file: Path) -> tuple[set[int], set[int]]:
    """Where chunks of the variable start and end in the file."""
    with h5py.File(file) as opened:
        chunks = opened[VARIABLES[file.name]].id
        found = [chunks.get_chunk_info(i) for i in range(chunks.get_num_chunks())]
    starts = {chunk.byte_offset for chunk in found}
    return starts, {chunk.byte_offset + chunk.size for chunk in found}


@pytest.mark.parametrize("made_of", ["local", "remote"])
def test_only_chunks_are_asked_for(
    server: FaultServer, ocean: Path, tmp_path: Path, made_of: str
) -> None:
    place, index = f"{server.home}/{ocean.name}", tmp_path / "index.parquet"
    source = place if made_of == "remote" else str(ocean)
    command = ["index", source, "-o", str(index), "--storage-option", "tries=2"]
    # Other tests of this process register variables of their own.
    assert main([*command, "--variables", "l4_ssh", "l3_ssh", "l4_sst"]) == 0
    server.requests.clear()
    indexed = made(place, index=index)
    assert_equal(batches(indexed), batches(made(ocean)))
    stats = indexed.stats()
    assert stats["files_opened"] == 0 and stats["index_hits"] > 10
    granules = [request for request in server.requests if request.path.endswith(".nc")]
    assert granules
    if made_of == "local":
        proofs = [r for r in granules if r.range is not None and r.range[0] == 0]
        assert len({r.path for r in proofs}) == len(proofs) == stats["index_hits"]
        granules = [r for r in granules if r not in proofs]
    for request in granules:
        starts, ends = chunk_edges(ocean.parent / request.path.lstrip("/"))
        assert request.range is not None and request.range[1] is not None
        assert request.range[0] in starts and request.range[1] + 1 in ends
    server.requests.clear()
    batches(made(place))
    without = [request for request in server.requests if request.path.endswith(".nc")]
    assert len(without) > 1.3 * len(granules)


def test_ctrl_c_stops_the_command_and_leaves_nothing(
    server: FaultServer, ocean: Path, tmp_path: Path
) -> None:
    stalls = lambda request: request.path.endswith(".nc")  # noqa: E731
    server.rule(delayed(30), stalls)
    output = tmp_path / "out" / "index.parquet"
    command = ["index", f"{server.home}/{ocean.name}", "-o", str(output)]
    child = subprocess.Popen([sys.executable, "-m", "oceanarrow", *command])
    try:
        deadline = time.monotonic() + 60
        while not any(stalls(request) for request in server.requests):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.2)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 130
        assert time.monotonic() - start < 3
    finally:
        child.kill()
    assert list(output.parent.iterdir()) == []


def test_ctrl_c_ends_a_prediction_that_waits_for_a_server(server: FaultServer, ocean: Path) -> None:
    stalls = lambda request: request.path.endswith(".nc")  # noqa: E731
    server.rule(delayed(30), stalls)
    program = f"""
from oceanarrow import Loader
from oceanarrow.dataset import Query
query = Query(-60, -40, 5, 30, "2023-04-01", "2023-04-02")
loader = Loader("{server.home}/{ocean.name}", [query] * 4, ["l4_ssh"], batch_size=2, cache_dir=None)
try:
    loader.explain()
except KeyboardInterrupt:
    print("interrupted")
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 60
        while not any(stalls(request) for request in server.requests):
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.05)
        time.sleep(0.2)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=20)[0] == "interrupted\n"
        assert time.monotonic() - start < 3
