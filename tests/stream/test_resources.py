"""Waiting leaves Python to others, and batches leave nothing behind."""

from __future__ import annotations

import gc
import os
import re
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from oceanarrow import Loader
from oceanarrow.dataset import Query
from oceanarrow.exceptions import CancelledError

from . import runs


class Clock:
    """A thread that counts milliseconds, as far as it is let."""

    def __init__(self) -> None:
        self.ticks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            time.sleep(0.001)
            self.ticks += 1

    def __enter__(self) -> Clock:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def during(self, work) -> tuple[int, float]:
        """Ticks while `work` runs, and the seconds that it took."""
        ticks, start = self.ticks, time.perf_counter()
        work()
        return self.ticks - ticks, time.perf_counter() - start


def _share_of_the_tick_rate(work, pause: float, pairs: int) -> float:
    """The rate during some work, as a share of that while sleeping; by turns, as machines vary."""
    with Clock() as clock:
        turns = [
            (clock.during(lambda: time.sleep(pause)), clock.during(work)) for _ in range(pairs)
        ]
    (idle, asleep), (ticks, busy) = (
        (sum(count for count, _ in side), sum(seconds for _, seconds in side))
        for side in zip(*turns, strict=True)
    )
    if busy < 0.01 * pairs:
        return 0.0  # too short to tell
    return ticks / busy / (idle / asleep)


def test_waiting_for_a_batch_leaves_python_to_other_threads(ocean):
    held = _share_of_the_tick_rate(lambda: sum(range(5_000_000)), 0.1, 3)
    assert held < 0.5, "the clock sees that the GIL is held"
    asked = [Query(-180, 180, -80, 80, "2023-04-01", "2023-04-03")] * 400
    loader = Loader(
        ocean, asked, ["l4_sst", "l3_swot", "l4_sss"], ["l4_ssh"],
        batch_size=2, default_patch_size=(512, 512), threads=1,
    )  # fmt: skip
    shares = []
    for _ in range(3):
        batches = iter(loader)
        next(batches)  # opens the files
        start = time.perf_counter()
        for _ in range(6):
            next(batches)
        # The engine is behind now and never idle, so that both halves have the same processors.
        half = (time.perf_counter() - start) / 12
        shares.append(_share_of_the_tick_rate(partial(next, batches), half, 16))
        batches.close()
        if shares[-1] >= 0.9:
            return
    pytest.fail(f"the background thread kept {shares} of its rate")


def resident() -> int:
    """Bytes of memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("batches", [1_000, pytest.param(10_000, marks=pytest.mark.full)])
def test_memory_threads_and_files_stay_flat(ocean, batches):
    loader = runs.make(
        ocean, 60, inputs=("l4_sst", "argo"), global_batch_size=3, threads=2, support=True
    )
    kept = None
    seen, sizes = 0, []
    while seen < batches:
        for batch in loader:
            kept = batch.to_torch()
            batch.to_numpy()
            seen += 1
            if seen % (batches // 10) == 0:
                gc.collect()
                sizes.append(resident())
    assert kept is not None
    growth = sizes[-1] - sizes[2]
    assert growth < 4 * 2**20, f"resident bytes at each tenth: {sizes}"
    stats = loader.stats()
    assert stats["samples"] >= 3 * batches
    assert _settles(lambda: _named_threads() == 0), "the threads of ended epochs are gone"
    files = _open_files()
    for _ in range(20):
        next(iter(loader))
    assert _open_files() <= files


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _named_threads() -> int:
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    # Those of the network and of the disk cache belong to the process and the engine.
    return sum(re.match(r"oceanarrow-\d", name) is not None for name in names)


def _settles(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_an_iteration_that_was_left_stops_its_threads(ocean):
    loader = runs.make(ocean, 60, global_batch_size=1, threads=2)
    running = [iter(loader) for _ in range(3)]
    for batches in running:
        next(batches)
    assert _named_threads() >= 2
    running[0].close()
    assert len(list(running[1])) == 59, "the others go on"
    loader.close()
    assert list(running[2]) == []
    del running, batches
    gc.collect()
    assert _settles(lambda: _named_threads() == 0)


def test_another_thread_closes_a_loader_that_is_waited_for(ocean):
    """Threads that move batches to a device wait for them; the main thread ends them."""
    asked = [Query(-180, 180, -80, 80, "2023-04-01", "2023-04-03")] * 640
    loader = Loader(
        ocean, asked, ["l4_sst", "l3_swot", "l4_sss"], batch_size=16,
        default_patch_size=(1024, 1024), threads=1, prefetch_bytes=1,
    )  # fmt: skip
    ended: list[object] = []
    taken: list[object] = []

    def consume() -> None:
        try:
            taken.extend(loader)
            ended.append("whole")
        except BaseException as error:
            ended.append(error)

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    # Threads begin before the loader knows of the iteration.
    assert _settles(lambda: _named_threads() == 1 and bool(loader._streams))
    loader.close()
    consumer.join(timeout=30)
    assert [type(end) for end in ended] == [CancelledError]
    assert loader.epoch == 0
    assert loader.state_dict()["lane_offset"] == len(taken) < 40
