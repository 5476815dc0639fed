"""Processes that are killed with SIGKILL, at any moment, go on as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from . import runs, trainer

PROGRAM = Path(trainer.__file__)
WORLDS = [1, 2, 3, 4, 6]
SEEDS = [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(3, 20))]


@pytest.fixture(scope="module")
def whole(ocean):
    """The rows of each step of the uninterrupted run."""
    stream = runs.make(ocean, trainer.N, tail="pad")
    return [step for _ in range(trainer.EPOCHS) for step in runs.steps(stream)]


def lines(log: Path) -> list[dict]:
    """What was written whole: a kill may cut the last line."""
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().split("\n")[:-1]]


def train(path, logs: list[Path], threads: int, state: str, kill_after: int) -> None:
    """One process a rank; all are killed when each has written some steps."""
    children = [
        subprocess.Popen(
            [sys.executable, PROGRAM, path, log, str(rank), str(len(logs)), str(threads), state]
        )
        for rank, log in enumerate(logs)
    ]
    deadline = time.monotonic() + 60
    while min(len(lines(log)) for log in logs) < kill_after:
        assert None in [child.poll() for child in children], "the processes ended too early"
        assert time.monotonic() < deadline, "the processes hang"
        time.sleep(0.001)
    for child in children:
        child.send_signal(signal.SIGKILL)
    assert {child.wait(timeout=30) for child in children} <= {-signal.SIGKILL, 0}


def saved(logs: list[Path]) -> list[tuple[list[str], str]]:
    """The rows of the steps that all ranks have written, and the state after each."""
    steps = []
    for ranks in zip(*map(lines, logs), strict=False):
        cursors = {line["cursor"] for line in ranks}
        assert len(cursors) == 1, "the state is the same on all ranks"
        steps.append(([row for line in ranks for row in line["rows"]], cursors.pop()))
    return steps


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_run_goes_on_elsewhere(ocean, tmp_path, whole, seed):
    chance = random.Random(seed)
    rows: list[list[str]] = []
    state = ""
    kills = 0
    while len(rows) < len(whole) and kills < 2:
        world_size = chance.choice(WORLDS[:3])
        logs = [tmp_path / f"{kills}-{rank}.jsonl" for rank in range(world_size)]
        left = len(whole) - len(rows)
        train(ocean, logs, chance.choice([1, 2]), state, chance.randint(1, max(1, left // 2)))
        for step, cursor in saved(logs):
            rows.append(step)
            state = cursor
        kills += 1
        assert rows == whole[: len(rows)]
    epoch = json.loads(state)["epoch"]
    ranks = [trainer.loader(ocean, r, 6, 2, state) for r in range(6)]
    for _ in range(epoch, trainer.EPOCHS):
        rows += runs.joined(ranks)
    assert rows == whole


@pytest.mark.full
def test_a_worker_that_is_killed_is_an_error_and_not_a_hang(ocean):
    """torch notices; the state of the last batch goes on."""
    from torch.utils.data import DataLoader, get_worker_info

    from oceanarrow.torch import OceanTACOIterableDataset

    class Dying(OceanTACOIterableDataset):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if number == 1 and get_worker_info() is not None:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

    options = runs.options(tail="pad")
    expected = runs.steps(runs.make(ocean, trainer.N, tail="pad"))
    data = Dying(ocean, runs.asked(trainer.N), runs.INPUTS, runs.TARGETS, **options)
    trained = []
    loader = DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context="fork")
    with pytest.raises(RuntimeError, match=r"killed|exited unexpectedly"):
        trained.extend(loader)  # what arrives before the error stays in the list
    resumed = OceanTACOIterableDataset(
        ocean, runs.asked(trainer.N), runs.INPUTS, runs.TARGETS, **options
    )
    if trained:
        resumed.load_state_dict(trained[-1]["metadata"]["cursor"])
    assert runs.steps(trained) + runs.steps(resumed) == expected
