"""Datasets the tests share."""

from __future__ import annotations

import fcntl
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import synthetic
from hypothesis import HealthCheck, settings

# One fixture value serves many examples; reading tiles the first time is slow.
_LENIENT = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("quick", max_examples=60, derandomize=True, **_LENIENT)
settings.register_profile("full", max_examples=1000, print_blob=True, **_LENIENT)


def pytest_configure(config: pytest.Config) -> None:
    # A shell that starts us in the background ignores Ctrl-C for all that we start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "peer: compares with another project's reader")
    if config.getoption("--hypothesis-profile", default=None) is None:
        settings.load_profile("quick")


@pytest.fixture(scope="module", autouse=True)
def registry() -> Iterator[None]:
    """Variables that a module registers are gone after it: other datasets' files lack them."""
    # The package exports a function of the module's name.
    registered = sys.modules["oceanarrow.variables"].__dict__["_registered"]
    before = dict(registered)
    yield
    registered.clear()
    registered.update(before)


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
def ocean_listed(tmp_path_factory: pytest.TempPathFactory, ocean: Path) -> Path:
    """A catalogue of the synthetic dataset's gridded files, by the built-in names."""
    return _once(
        tmp_path_factory, "ocean.parquet", lambda path: synthetic.write_listed(ocean, path)
    )


@pytest.fixture(scope="session", params=["container", "catalogue"])
def dataset(request: pytest.FixtureRequest, ocean: Path, ocean_listed: Path) -> Path:
    """What gives the same batches: the dataset, and a catalogue of its files."""
    return ocean if request.param == "container" else ocean_listed


@pytest.fixture(scope="session")
def ocean_zip(tmp_path_factory: pytest.TempPathFactory, ocean: Path) -> Path:
    """The same files as one TACO ZIP."""
    return _once(tmp_path_factory, "ocean.tacozip", lambda path: synthetic.zip_of(ocean, path))


@pytest.fixture(scope="session")
def ocean_units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny dataset whose files say kelvin, cm and furlong."""
    return _once(tmp_path_factory, "ocean_units", synthetic.write_units)


@pytest.fixture(scope="session")
def ocean_with_a_gap(tmp_path_factory: pytest.TempPathFactory, ocean: Path) -> Path:
    """The first day of some sources, without the two tiles between 0 and 90 E."""
    return _once(tmp_path_factory, "ocean_gap", lambda path: synthetic.without_indian(ocean, path))
