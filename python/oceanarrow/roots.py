"""Where a dataset lies."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oceanarrow.exceptions import InvalidInputError

TacoPath = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Path or address of a dataset, or several."""

StorageOptions = Mapping[str, Any]
"""How a remote one is reached: `docs/reference/storage_options.md`."""


def dataset_roots(taco_path: TacoPath) -> list[str]:
    """The dataset's addresses, or absolute paths.

    Raises:
        InvalidInputError: there is none.
    """
    paths = [taco_path] if isinstance(taco_path, (str, os.PathLike)) else list(taco_path)
    given = [os.fspath(path) for path in paths]
    if not given:
        raise InvalidInputError("taco_path is an empty list")
    return [root if "://" in root else str(Path(root).absolute()) for root in given]
