"""Servers on this machine, and options that make their faults quick."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oceanarrow._engine import Store

from .fault_server import FaultServer

QUICK: dict[str, Any] = {
    "backoff": 0.01,
    "backoff_max": 0.05,
    "connect_timeout": 2,
    "read_timeout": 0.4,
    "timeout": 3,
    "rate_limit_wait": 5,
    "tries": 4,
}
"""Storage options with small time constants."""

CONTENT = bytes(i * i % 251 for i in range(300_000))


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's own settings stay out of the tests."""
    own = ("HF_", "HUGGING_FACE_", "AWS_", "AZURE_", "GOOGLE_", "SSL_CERT_")
    for name in list(os.environ):
        if name.startswith(own) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    monkeypatch.setenv("OCEANARROW_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    """Serves `file.bin` and `empty.bin`."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    (folder / "empty.bin").write_bytes(b"")
    with FaultServer(folder) as running:
        yield running


def store(roots: list[str] | None = None, **options: Any) -> Store:
    """A store with quick options."""
    return Store(QUICK | options, roots or [])
