"""A recipe is made once for each row and gridded variable, whoever looks at it first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from .runs import make

GRIDS = ("l4_sst", "l4_ssh")


def covered(batches: Iterable[Any], variables: Iterable[str] = GRIDS) -> int:
    """How many (row, variable) a file covers."""
    names = tuple(variables)
    return sum(int(batch.to_numpy()["present"][name].sum()) for batch in batches for name in names)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("window", "ahead"),
    [(1, "steps alone"), (5, "windows are decoded ahead"), (1024, "one window is the epoch")],
)
def test_one_recipe_a_row_and_variable(ocean: Path, threads: int, window: int, ahead: str) -> None:
    made = make(ocean, n=240, window=window, threads=threads)
    for epoch in range(2):
        before = made.stats()
        wanted = covered(made)
        after = made.stats()
        assert wanted > 200, ahead
        assert after["recipes"] - before["recipes"] == wanted
        if epoch:
            # Every grid is known by now.
            assert after["files_opened"] == before["files_opened"]


def test_each_file_is_opened_once_for_a_variable(ocean: Path) -> None:
    made = make(ocean, n=240, window=5, threads=3)
    list(made)
    opened = made.stats()["files_opened"]
    again = make(ocean, n=240, window=5, threads=1)
    list(again)
    assert opened == again.stats()["files_opened"] <= 2 * 3 * 8
