"""Normalising values by a mean and a standard deviation, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oceanarrow.exceptions import InvalidInputError, NotFoundError

Pair = tuple[float, float]
Statistics = Mapping[str, Pair]
"""{variable: (mean, std)}, in the variable's unit."""


def read_statistics(source: Statistics | str | os.PathLike[str] | None) -> dict[str, Pair]:
    """The statistics of a mapping or of a JSON file.

    A file holds an object with, for each variable, `[mean, std]` or an object with `mean` and
    `std`, in the unit that the variable is delivered in.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is not JSON of that form, or a standard deviation is not positive.
    """
    if source is None:
        return {}
    entries: Mapping[str, object]
    if isinstance(source, Mapping):
        where, entries = "normalize", {**source}
    else:
        where, entries = os.fspath(source), _read(Path(source))
    return {name: _pair(where, name, entry) for name, entry in entries.items()}


def denormalize(values: Any, mean: float, std: float) -> Any:
    """`values * std + mean`: the inverse of the loader's normalisation, for arrays and tensors."""
    return values * std + mean


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"no statistics file {path}") from error
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"cannot read statistics from {path}: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"{path} holds no object of variables")
    return content


def _pair(where: str, name: str, entry: object) -> Pair:
    if isinstance(entry, Mapping):
        entry = (entry.get("mean"), entry.get("std"))
    try:
        mean, std = (float(number) for number in entry)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"{where}: {name!r} needs (mean, std), or mean and std, not {entry!r}"
        ) from None
    return mean, std
