"""Packages that only some uses need."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(module: str, purpose: str, extra: str) -> Any:
    """The module, imported.

    Args:
        module: its name, such as `"pyarrow.parquet"`.
        purpose: what needs it, as the subject of "... needs".
        extra: the extra of oceanarrow that installs it.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f'{purpose} needs {package}: pip install "oceanarrow[{extra}]"', name=package
        ) from error
