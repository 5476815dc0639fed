"""Normalising values by a mean and a standard deviation, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oceanarrow.exceptions import InvalidInputError, NotFoundError

Pair = tuple[float, float]
Statistics = Mapping[str, Pair | None]
"""{variable: (mean, std)}, in the variable's unit; None leaves a variable as it is."""


def read_statistics(
    source: Statistics | str | os.PathLike[str] | None, names: Sequence[tuple[str, str]]
) -> dict[str, Pair | None]:
    """The statistics of a mapping, or of a JSON file for columns, each with its variable's name.

    A file holds an object with, for each variable, `[mean, std]` or an object with `mean` and
    `std`, in the unit that the variable is delivered in, or null to leave it as it is. That of the
    column's own name counts before that of its variable. Other entries are ignored.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is not JSON of that form, or lacks one of the variables.
    """
    if source is None:
        return {}
    if isinstance(source, Mapping):
        return {name: _pair("normalize", name, entry) for name, entry in source.items()}
    where, entries = os.fspath(source), _read(Path(source))
    told = {name: name if name in entries else variable for name, variable in names}
    lacking = [name for name, key in told.items() if key not in entries]
    if lacking:
        raise InvalidInputError(
            f"{where} has no statistics of {', '.join(map(repr, lacking))}; add them, or null to "
            "leave a variable as it is"
        )
    return {name: _pair(where, name, entries[key]) for name, key in told.items()}


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


def _pair(where: str, name: str, entry: object) -> Pair | None:
    if entry is None:
        return None
    if isinstance(entry, Mapping):
        entry = (entry.get("mean"), entry.get("std"))
    try:
        mean, std = (float(number) for number in entry)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"{where}: {name!r} needs (mean, std), or mean and std, not {entry!r}"
        ) from None
    return mean, std
