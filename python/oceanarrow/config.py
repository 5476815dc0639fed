"""What a loader was made with, as JSON: everything but the data and the machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from oceanarrow.augment import Augment
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.json_file import given_or_read
from oceanarrow.normalization import read_statistics
from oceanarrow.variables import Variable, parse_variables, variables_to_json
from oceanarrow.window import Asked, Channels, Column, Window, with_others

CONFIG_FORMAT = 1
"""Goes up when an older release could not read what is written."""

RENDERING = (
    "input_variables",
    "target_variables",
    "default_patch_size",
    "patch_sizes",
    "temporal_agg",
    "resample",
    "grid",
    "min_support",
    "fill_value",
    "normalize",
    "anomaly",
    "joint",
    "augment",
    "on_error",
    "support",
)
"""Arguments of a loader that decide its rows."""

ROLES = ("input_variables", "target_variables")

ORDER = ("lanes", "window", "weights", "shuffle", "seed", "tail")
"""Arguments that decide in which batches they come, besides the size of these."""


def listed(asked: Iterable[Asked] | Channels) -> Iterable[Asked] | Channels:
    """The same, and it may be gone through more than once."""
    if isinstance(asked, Mapping):
        return {
            name: members if isinstance(members, str | Window) else list(members)
            for name, members in asked.items()
        }
    return asked if isinstance(asked, str | Window) else list(asked)


def config_of(
    given: Mapping[str, Any], columns: Sequence[Column], global_batch_size: int
) -> dict[str, Any]:
    """The config of a loader of these arguments and columns."""
    config = {n: _plain(given[n]) for n in (*RENDERING, *ORDER) if n != "normalize"}
    for role in ROLES:
        config[role] = _told(given[role])
    statistics = read_statistics(given["normalize"], columns)
    config["normalize"] = {name: pair and list(pair) for name, pair in statistics.items()} or None
    used = {column.of: column for column in with_others(columns)}
    return {
        "format": CONFIG_FORMAT,
        **config,
        "global_batch_size": global_batch_size,
        "variables": variables_to_json({name: _definition(c) for name, c in used.items()}),
    }


def reordered(
    config: Mapping[str, Any], given: Mapping[str, Any], global_batch_size: int
) -> dict[str, Any]:
    """A config with the order and the augmentation of other arguments."""
    other = {name: _plain(given[name]) for name in (*ORDER, "augment")}
    return {**config, **other, "global_batch_size": global_batch_size}


def read_config(config: Mapping[str, Any] | str | os.PathLike[str]) -> dict[str, Any]:
    """The arguments of a loader out of its config, or of a JSON file of it, and `variables`, the
    definitions of the variables that they name.

    Raises:
        InvalidInputError: it is no config, or one of a later release.
        NotFoundError: there is no such file.
    """
    where, told = given_or_read(config, "config")
    if told.get("format") != CONFIG_FORMAT:
        raise InvalidInputError(
            f"{where} is no config of a loader of this release (Loader.config() makes one)"
        )
    missing = {*RENDERING, *ORDER, "global_batch_size", "variables"} - set(told)
    if missing:
        raise InvalidInputError(f"{where} lacks {', '.join(sorted(missing))}")
    arguments = {name: value for name, value in told.items() if name != "format"}
    try:
        for role in ROLES:
            arguments[role] = _asked(arguments[role])
        arguments["joint"] = [(u, v) for u, v in arguments["joint"]]
        arguments["fill_value"] = _numbers(arguments["fill_value"])
        if arguments["augment"] is not None:
            augment = dict(arguments["augment"])
            augment["vectors"] = [(u, v) for u, v in augment["vectors"]]
            arguments["augment"] = Augment(**augment)
        arguments["variables"] = parse_variables(arguments["variables"])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InvalidInputError(f"{where} is damaged: {error}") from error
    return arguments


def _definition(column: Column) -> Variable:
    own = {field.name: getattr(column, field.name) for field in fields(Variable)}
    return Variable(**{**own, "name": column.of})


def _plain(value: Any) -> Any:
    """An argument as JSON has it."""
    match value:
        case Window():
            told = {field.name: getattr(value, field.name) for field in fields(Window)}
            return {name: _plain(part) for name, part in told.items() if part is not None}
        case Augment():
            return {name: _plain(part) for name, part in asdict(value).items()}
        case Mapping():
            return {str(name): _plain(part) for name, part in value.items()}
        case np.ndarray() | np.generic():
            return value.tolist()
        case float() if math.isnan(value):
            # JSON has no such number.
            return "nan"
        case str() | bool() | int() | float() | None:
            return value
        case os.PathLike():
            return os.fspath(value)
        case _:
            return [_plain(part) for part in value]


def _numbers(told: Any) -> Any:
    """Numbers, some of which were told as text."""
    if isinstance(told, Mapping):
        return {name: _numbers(part) for name, part in told.items()}
    return float(told)


def _told(asked: Any) -> Any:
    """Variables as JSON has them; tensors as a list, because JSON's objects have no order."""
    if not isinstance(asked, Mapping):
        return _plain(asked)
    return [{"tensor": name, "of": _plain(members)} for name, members in asked.items()]


def _asked(told: Any) -> Any:
    """Variables as they were asked for."""
    if isinstance(told, str):
        return told
    if isinstance(told, Mapping):
        return Window(**told)
    tensors = [part for part in told if isinstance(part, Mapping) and "tensor" in part]
    if tensors:
        return {str(part["tensor"]): _asked(part["of"]) for part in told}
    return [_asked(part) for part in told]
