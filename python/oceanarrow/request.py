"""From what a user asks for to the engine's plan: everything is checked here, before any read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.cache_directory import (
    DEFAULT_DISK_CACHE_BYTES,
    CacheDirectory,
    choose_cache_directory,
)
from oceanarrow.dataset.query import Query
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.normalization import Statistics, read_statistics
from oceanarrow.subset.covered import check_covered
from oceanarrow.variables import Variable, dataset_variables, find_variables

T = TypeVar("T")
TacoPath = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
PatchShape = tuple[int, int]
Resample = Literal["bilinear", "area", "nearest", "auto"]
Grid = Literal["exact", "crop"]
TemporalAgg = Literal["mean", "first", "last", "stack"]
OnError = Literal["raise", "mask"]
StorageOptions = Mapping[str, Any]
QueryArrays = tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]

DEFAULT_CACHE_BYTES = 512 * 2**20
"""Budget of the cache of decoded chunks, unless the caller names one."""


@dataclass(frozen=True)
class Rendering:
    """How variables are rendered; each is one value for all, or a mapping by variable.

    Variables that a mapping leaves out take the default. `docs/semantics.md` has the rules.
    `normalize` is by variable, and variables it leaves out keep their unit; or it is a file of
    statistics, which names every variable.
    """

    temporal_agg: TemporalAgg | Mapping[str, TemporalAgg] = "mean"
    resample: Resample | Mapping[str, Resample] = "bilinear"
    grid: Grid | Mapping[str, Grid] = "exact"
    min_support: float | Mapping[str, float] = 0.01
    fill_value: float | Mapping[str, float] = 0.0
    normalize: Statistics | str | os.PathLike[str] | None = None

    def of(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The values for each of `names`."""
        columns = {
            field.name: per_variable(
                field.name, getattr(self, field.name), names, default=field.default
            )
            for field in fields(self)
            if field.name != "normalize"
        }
        statistics = read_statistics(self.normalize, names)
        columns["normalize"] = per_variable("normalize", statistics, names, default=None)
        return [{name: column[i] for name, column in columns.items()} for i in range(len(names))]


def open_engine(
    taco_path: TacoPath,
    queries: QueryArrays,
    inputs: Sequence[Variable],
    targets: Sequence[Variable],
    shapes: Mapping[str, PatchShape | None],
    rendering: Rendering,
    *,
    on_error: OnError,
    cache_bytes: int | None,
    cache_dir: CacheDirectory,
    disk_cache_bytes: int | None,
    index: str | os.PathLike[str] | None = None,
    support: bool = False,
    storage_options: StorageOptions | None = None,
    memory_limit_bytes: int | None = None,
) -> _engine.Engine:
    """Opens the catalog and plans.

    Raises:
        InvalidInputError: a query or option is wrong, or `cache_dir` or `index` is something else.
        NotFoundError, InvalidDatasetError: there is no sound dataset at `taco_path`, or it is a
            download that does not cover the queries.
        AccessDeniedError, TransientIoError: its server refuses, or cannot be reached.
    """
    wanted = distinct(inputs, targets)
    names = [variable.name for variable in wanted]
    requests = [
        _engine.Request(
            name=variable.name,
            source=variable.source,
            file=variable.file,
            netcdf=variable.netcdf,
            unit=variable.unit,
            geometry=variable.geometry,
            is_input=variable in inputs,
            is_target=variable in targets,
            shape=shapes[variable.name],
            select=variable.select,
            valid=variable.valid,
            **rules,
        )
        for variable, rules in zip(wanted, rendering.of(names), strict=True)
    ]
    if cache_bytes is None:
        cache_bytes = DEFAULT_CACHE_BYTES
    check_positive("cache_bytes", cache_bytes, minimum=0)
    if disk_cache_bytes is None:
        disk_cache_bytes = DEFAULT_DISK_CACHE_BYTES
    check_positive("disk_cache_bytes", disk_cache_bytes)
    if memory_limit_bytes is not None:
        check_positive("memory_limit_bytes", memory_limit_bytes)
    roots = dataset_roots(taco_path)
    check_covered(roots, *queries)
    path = choose_cache_directory(cache_dir, roots)
    hand_over()
    try:
        engine = _engine.Engine.open(
            roots,
            *queries,
            requests,
            on_error=on_error,
            support=support,
            cache_bytes=cache_bytes,
            disk_cache=None if path is None else (path, disk_cache_bytes),
            memory_limit=memory_limit_bytes,
            index=None if index is None else str(_local_path("index", index)),
            storage_options=storage_options,
        )
    finally:
        hand_over()
    _warn_of_days(engine.days(), queries[1])
    return engine


def _warn_of_days(there: npt.NDArray[np.int32], asked: npt.NDArray[np.int32]) -> None:
    """Warns of queries of which no day exists in the dataset."""
    first, last = asked[:, 0], asked[:, 1]
    without = np.searchsorted(there, first) == np.searchsorted(there, last, side="right")
    count = int(without.sum())
    if not count:
        return
    example = int(np.flatnonzero(without)[0])
    there_is = (
        f"which has {_day(there[0])} to {_day(there[-1])}" if there.size else "which is empty"
    )
    warnings.warn(
        f"{count} of {len(asked)} queries have no day in the dataset, {there_is}; the first is "
        f"queries[{example}], {_day(first[example])} to {_day(last[example])}",
        stacklevel=4,
    )


def _day(day: np.int32) -> str:
    return str(np.datetime64(int(day), "D"))


def choose_variables(
    input_variables: Iterable[str],
    target_variables: Iterable[str],
    taco_path: TacoPath,
    storage_options: StorageOptions | None,
) -> tuple[list[Variable], list[Variable]]:
    """The variables of both roles, as the dataset's catalogues or the registry know them.

    Raises:
        InvalidInputError: one is unknown, given twice in a role, or there is none at all.
        InvalidDatasetError, NotFoundError: as `dataset_variables`.
    """
    roles = []
    for argument, given in (
        ("input_variables", input_variables),
        ("target_variables", target_variables),
    ):
        if isinstance(given, str):
            raise InvalidInputError(f"{argument} must be a list of names, not the text {given!r}")
        names = list(given)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidInputError(f"{argument} names {', '.join(twice)} more than once")
        roles.append(names)
    known = dataset_variables(dataset_roots(taco_path), storage_options)
    find_variables([*roles[0], *roles[1]], known)
    if not any(roles):
        raise InvalidInputError("name at least one input or target variable")
    return find_variables(roles[0], known), find_variables(roles[1], known)


def distinct(inputs: Sequence[Variable], targets: Sequence[Variable]) -> list[Variable]:
    """Inputs, then the targets that are not inputs too."""
    return [*inputs, *(variable for variable in targets if variable not in inputs)]


def patch_shapes(
    names: Sequence[str],
    default_patch_size: PatchShape | None,
    patch_sizes: Mapping[str, PatchShape] | None,
) -> dict[str, PatchShape | None]:
    """The pixels `(H, W)` of each variable.

    Raises:
        InvalidInputError: a size is not two positive whole numbers, or for an unknown variable.
    """
    default = None
    if default_patch_size is not None:
        default = _patch_shape("default_patch_size", default_patch_size)
    given = {
        name: _patch_shape(f"patch_sizes[{name!r}]", size)
        for name, size in (patch_sizes or {}).items()
    }
    _check_names("patch_sizes", given, names)
    return {name: given.get(name, default) for name in names}


def per_variable(
    argument: str, value: T | Mapping[str, T], names: Sequence[str], default: T
) -> list[T]:
    """One value for each of `names` out of a single value or a mapping."""
    if isinstance(value, Mapping):
        _check_names(argument, value, names)
        return [value.get(name, default) for name in names]
    return [value] * len(names)


def check_positive(argument: str, value: object, minimum: int = 1) -> None:
    """Raises `InvalidInputError` unless `value` is a whole number of at least `minimum`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or int(value) < minimum:  # type: ignore[call-overload]
        raise InvalidInputError(
            f"{argument} must be a whole number of at least {minimum}, not {value!r}"
        )


def _check_names(argument: str, given: Mapping[str, object], names: Sequence[str]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InvalidInputError(
            f"{argument} names {', '.join(map(repr, unknown))}, which is not among the variables "
            f"asked for: {', '.join(names)}"
        )


def _patch_shape(argument: str, size: object) -> PatchShape:
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool):
        size = (size, size)
    if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2:
        raise InvalidInputError(f"{argument} must be (H, W), not {size!r}")
    for side in size:
        check_positive(argument, side)
    return int(size[0]), int(size[1])


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


def _local_path(argument: str, path: str | os.PathLike[str]) -> Path:
    if "://" in os.fspath(path):
        raise InvalidInputError(f"{argument} must be a local file: download it first")
    return Path(path).absolute()


def query_arrays(queries: Iterable[Query]) -> QueryArrays:
    """The queries' edges `(N, 4)` float64 and days `(N, 2)` int32 since 1970-01-01.

    Raises:
        InvalidInputError: one is no query, or its times are no dates.
    """
    boxes, days = [], []
    for i, query in enumerate(queries):
        if not isinstance(query, Query):
            raise InvalidInputError(f"queries[{i}] is not a Query but {type(query).__name__}")
        try:
            days.append(query.days())
            boxes.append([float(edge) for edge in query.bbox])
        except (TypeError, ValueError) as error:
            raise InvalidInputError(f"queries[{i}]: {error}") from error
    return (
        np.asarray(boxes, np.float64).reshape(-1, 4),
        np.asarray(days, np.int32).reshape(-1, 2),
    )
