"""Progress bars on terminals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

from oceanarrow.events import hand_over


def progress_bar(
    total: int | None, unit: str, shown: bool = True, **options: Any
) -> AbstractContextManager[Any]:
    """A bar that shows on a terminal once it takes a while; None inside where there is none.

    It is tqdm's, if that is installed; `options` are passed on to it.
    """
    if not shown:
        return nullcontext()
    try:
        tqdm: Any = import_module("tqdm")
    except ImportError:
        return nullcontext()
    # disable=None: silent unless standard error is a terminal.
    bar: AbstractContextManager[Any] = tqdm.tqdm(
        total=total, unit=unit, delay=1.0, disable=None, **options
    )
    return bar


def reporter(bar: Any) -> Callable[[int, int], None]:
    """What long work of the engine calls with how many of how many are done."""

    def report(done: int, total: int) -> None:
        hand_over()
        if bar is not None:
            bar.total = total
            bar.update(done - bar.n)

    return report
