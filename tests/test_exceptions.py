"""The engine's error kinds and the Python exceptions are one list."""

from __future__ import annotations

from oceanarrow import _engine, exceptions


def test_each_kind_has_its_class() -> None:
    classes = [getattr(exceptions, name) for name in exceptions.__all__]
    kinds = [c.kind for c in classes if c is not exceptions.OceanArrowError]
    assert sorted(kinds) == sorted(_engine.error_kinds())
    assert all(issubclass(c, exceptions.OceanArrowError) for c in classes)
