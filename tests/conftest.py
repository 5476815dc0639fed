"""Datasets the tests share."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "peer: compares with another project's reader")


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """Make a dataset once a test run, however many workers run it."""
    base = factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    target = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return target if target.exists() else make(target)


@pytest.fixture(scope="session")
def ocean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic dataset as a TACO folder."""
    return _once(tmp_path_factory, "ocean", synthetic.write_ocean)


@pytest.fixture(scope="session")
def ocean_zip(tmp_path_factory: pytest.TempPathFactory, ocean: Path) -> Path:
    """The same files as one TACO ZIP."""
    return _once(tmp_path_factory, "ocean.tacozip", lambda path: synthetic.zip_of(ocean, path))


@pytest.fixture(scope="session")
def ocean_units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny dataset whose files say kelvin, cm and furlong."""
    return _once(tmp_path_factory, "ocean_units", synthetic.write_units)
