"""Normalising values by a mean and a standard deviation, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.json_file import read_json
from oceanarrow.summary import Statistics, Summary
from oceanarrow.window import Column

Pair = tuple[float, float]

Normalize: TypeAlias = (
    Mapping[str, Pair | None] | Mapping[str, Summary] | str | os.PathLike[str] | None
)
"""{variable: (mean, std)}, in the variable's unit, where None leaves a variable as it is;
`Statistics`; or a file of either."""


def read_statistics(source: Normalize, columns: Sequence[Column]) -> dict[str, Pair | None]:
    """The statistics of a mapping; or those of columns out of `Statistics` or a JSON file.

    A file holds an object with, for each variable, `[mean, std]` or an object with `mean` and
    `std`, in the unit that the variable is delivered in, or null to leave it as it is. That of the
    column's own name counts before that of its variable. Other entries are ignored.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is not JSON of that form, lacks one of the variables, has no mean of
            one because it was never valid, or was made of other units or anomalies.
    """
    if source is None:
        return {}
    if isinstance(source, Mapping) and not isinstance(source, Statistics):
        return {name: _pair("normalize", name, entry) for name, entry in source.items()}
    if isinstance(source, Mapping):
        where, entries = "normalize", dict[str, Any](source)
    else:
        where, entries = os.fspath(source), read_json(source, "statistics file")
    told = {column: column.name if column.name in entries else column.of for column in columns}
    lacking = [column.name for column, key in told.items() if key not in entries]
    if lacking:
        raise InvalidInputError(
            f"{where} has no statistics of {', '.join(map(repr, lacking))}; add them, or null to "
            "leave a variable as it is"
        )
    for column, key in told.items():
        _check_alike(where, column, entries[key])
    return {column.name: _pair(where, column.name, entries[key]) for column, key in told.items()}


def denormalize(values: Any, mean: float, std: float) -> Any:
    """`values * std + mean`: the inverse of the loader's normalisation, for arrays and tensors."""
    return values * std + mean


def _check_alike(where: str, column: Column, entry: object) -> None:
    """Whether numbers that say of what they are are of this."""
    if isinstance(entry, Summary):
        entry = {"unit": entry.unit, "anomaly": entry.anomaly}
    if not isinstance(entry, Mapping) or "unit" not in entry:
        return
    own = {"unit": column.unit, "anomaly": None if column.minus is None else column.minus.of}
    for what, value in own.items():
        if entry.get(what) != value:
            raise InvalidInputError(
                f"{where}: the statistics of {column.name!r} have {what} {entry.get(what)!r}, but "
                f"the loader has {value!r}; make them with the same variables and anomaly="
            )


def _pair(where: str, name: str, entry: object) -> Pair | None:
    if entry is None:
        return None
    if isinstance(entry, Summary):
        entry = (entry.mean, entry.std)
    elif isinstance(entry, Mapping):
        entry = (entry.get("mean"), entry.get("std"))
    if entry == (None, None):
        raise InvalidInputError(
            f"{where}: {name!r} has no mean: it was never valid where the statistics were made; "
            "give null to leave it as it is, or leave the variable out"
        )
    try:
        mean, std = (float(number) for number in entry)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"{where}: {name!r} needs (mean, std), or mean and std, not {entry!r}"
        ) from None
    return mean, std
