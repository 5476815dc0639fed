"""What a stretch of work took: time, processor, memory, bytes."""

import os
import time
from pathlib import Path


class Stopwatch:
    """Wall and CPU seconds of this process, all its threads, and the bytes it read, in a `with`."""

    def __enter__(self) -> "Stopwatch":
        self._read = bytes_read()
        self._wall, self._cpu = time.perf_counter(), _processor_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cpu = _processor_time() - self._cpu
        self.read = bytes_read() - self._read


def _processor_time() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def bytes_read() -> int:
    """Bytes that this process has asked the system for; what is mapped does not count."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))


def resident() -> int:
    """Bytes of memory that this process has in use."""
    return _memory("VmRSS")


def peak() -> int:
    """The most that it ever had."""
    return _memory("VmHWM")


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))
