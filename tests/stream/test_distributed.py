"""Two processes of torch.distributed make the same number of steps and meet at each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from . import runs

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="torch has no gloo",
)

PROGRAM = Path(__file__).with_name("distributed.py")
N, EPOCHS = 65, 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_ranks(path, world_size: int, tail: str) -> list[dict]:
    """What each rank printed; a hang is a failure after two minutes."""
    port = str(free_port())
    # torch.distributed knows better than an environment from elsewhere.
    environment = os.environ | {"RANK": "5", "WORLD_SIZE": "12", "OMP_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            [sys.executable, PROGRAM, path, port, str(rank), str(world_size), tail],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(world_size)
    ]
    try:
        outputs = [child.communicate(timeout=120)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0] * world_size
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.mark.parametrize(
    ("world_size", "tail"),
    [
        (2, "pad"),
        pytest.param(2, "drop", marks=pytest.mark.full),
        pytest.param(3, "pad", marks=pytest.mark.full),
    ],
)
def test_ranks_meet_at_every_step(ocean, world_size, tail):
    ranks = run_ranks(ocean, world_size, tail)
    assert [rank["place"] for rank in ranks] == [
        [r, world_size, "torch.distributed"] for r in range(world_size)
    ]
    steps = N // 12 if tail == "drop" else -(-N // 12)
    assert [[len(epoch) for epoch in rank["epochs"]] for rank in ranks] == (
        [[steps] * EPOCHS] * world_size
    )
    assert all(rank["sums"] == ranks[0]["sums"] for rank in ranks)
    assert {count for count, _ in ranks[0]["sums"]} == {float(world_size)}
    weights = sum(weight for _, weight in ranks[0]["sums"])
    assert weights == EPOCHS * (N // 12 * 12 if tail == "drop" else N)
    alone = runs.make(ocean, N, tail=tail)
    for epoch in range(EPOCHS):
        joined = [
            [row for part in parts for row in part]
            for parts in zip(*(rank["epochs"][epoch] for rank in ranks), strict=True)
        ]
        assert joined == runs.steps(alone)
