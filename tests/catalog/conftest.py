"""Fixtures of the catalog tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from containers import Tree, tree, write_folder

from oceanarrow._engine import Catalog


@pytest.fixture
def made() -> Tree:
    """A sound container of 3 dates, 2 regions and 3 files: 18 granules."""
    return tree()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Tree], Path]:
    """Writes a tree as a FOLDER; returns its root."""
    return lambda made: write_folder(tmp_path / "ocean", made)


@pytest.fixture
def opened(folder: Callable[[Tree], Path]) -> Callable[[Tree], Catalog]:
    """Writes a tree as a FOLDER and opens it."""
    return lambda made: Catalog([str(folder(made))])
