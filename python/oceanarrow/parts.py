"""Parts of work: what one of several machines takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require
from oceanarrow.request import check_positive

T = TypeVar("T")

_RETRIES = 4
"""How often a part is run again whose worker has died."""


def check_part(part: tuple[int, int]) -> tuple[int, int]:
    """The number of a part and how many there are.

    Raises:
        InvalidInputError: it is none of them.
    """
    try:
        own, parts = part
        check_positive("part", own, minimum=0)
        check_positive("part", parts)
        if own < parts:
            return int(own), int(parts)
    except (TypeError, ValueError):
        pass
    raise InvalidInputError(f"part must be (i, n) with 0 <= i < n, not {part!r}")


def slice_of(count: int, own: int, parts: int) -> range:
    """The numbers below `count` that a part has: runs, as equal as can be."""
    return range(count * own // parts, count * (own + 1) // parts)


def in_parts(work: Callable[[tuple[int, int]], T], parts: int | None = None) -> list[T]:
    """What `work` makes of each part `(i, n)`, in their order, a task each on one core.

    Raises:
        ImportError: ray is not installed.
        what `work` raises.
    """
    ray_core = require("ray", "ray=True", extra="ray")
    n = parts or tasks_of_cluster()

    def of_part(part: tuple[int, int]) -> T:
        return work(part)

    task = ray_core.remote(num_cpus=1, max_retries=_RETRIES)(of_part)
    waiting = [task.remote((i, n)) for i in range(n)]
    try:
        found: list[T] = ray_core.get(waiting)
    except ray_core.exceptions.RayTaskError as error:
        # The error itself, not one that wraps it.
        raise error.cause from None
    except BaseException:
        for one in waiting:
            ray_core.cancel(one)
        raise
    return found


def tasks_of_cluster(most: int | None = None) -> int:
    """Four tasks a core, so that the last one is not waited for long; at most so many."""
    ray_core = require("ray", "a cluster", extra="ray")
    if not ray_core.is_initialized():
        ray_core.init()
    cores = int(ray_core.cluster_resources().get("CPU", 1))
    return max(1, min(4 * cores, most or 4 * cores))
