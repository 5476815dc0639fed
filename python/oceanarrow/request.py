"""From what a user asks for to the engine's plan: everything is checked here, before any read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.cache_directory import (
    DEFAULT_DISK_CACHE_BYTES,
    CacheDirectory,
    choose_cache_directory,
)
from oceanarrow.dataset.query import QueryArrays
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.land.bundled import bundled
from oceanarrow.normalization import Normalize, read_statistics
from oceanarrow.roots import StorageOptions, TacoPath, dataset_roots
from oceanarrow.subset.covered import check_covered
from oceanarrow.variables import dataset_variables
from oceanarrow.window import (
    Asked,
    Channels,
    Column,
    Joint,
    TemporalAgg,
    columns_of,
    with_others,
)

T = TypeVar("T")
PatchShape = tuple[int, int]
Resample = Literal["bilinear", "area", "nearest", "auto"]
Grid = Literal["exact", "crop"]
OnError = Literal["raise", "mask"]
Rules = dict[str, Any]
"""How one variable is rendered, by the name of the argument."""

DEFAULT_CACHE_BYTES = 512 * 2**20
"""Budget of the cache of decoded chunks, unless the caller names one."""


@dataclass(frozen=True)
class Rendering:
    """How variables are rendered; each is one value for all, or a mapping by column or variable.

    Variables that a mapping leaves out take the default. `docs/understand/semantics.md` has the
    rules.
    `normalize` is by variable, and variables it leaves out keep their unit; or it is a file of
    statistics, which names every variable.
    """

    temporal_agg: TemporalAgg | Mapping[str, TemporalAgg] = "mean"
    resample: Resample | Mapping[str, Resample] = "bilinear"
    grid: Grid | Mapping[str, Grid] = "exact"
    min_support: float | Mapping[str, float] = 0.01
    fill_value: float | Mapping[str, float] = 0.0
    normalize: Normalize = None

    def of(self, columns: Sequence[Column]) -> list[tuple[Rules, list[Rules]]]:
        """The values for each column, and for each of its `others`: what it is an anomaly from is
        rendered by the same method, and none is normalised."""
        every = list(with_others(columns))
        values = {
            field.name: per_variable(
                field.name, getattr(self, field.name), every, default=field.default
            )
            for field in fields(self)
            if field.name != "normalize"
        }
        values["temporal_agg"] = [
            common if column.temporal_agg is None else column.temporal_agg
            for column, common in zip(every, values["temporal_agg"], strict=True)
        ]
        statistics = read_statistics(self.normalize, columns)
        values["normalize"] = per_variable("normalize", statistics, every, default=None)
        each = iter([{name: v[i] for name, v in values.items()} for i in range(len(every))])
        rules = []
        for column in columns:
            own = next(each)
            others = [{**next(each), "normalize": None} for _ in column.others]
            if column.minus is not None:
                others[-1] = {**own, "normalize": None}
            rules.append((own, others))
        return rules


class Augmented(NamedTuple):
    """What the engine needs to know of an augmentation, and the boxes with all that it may read."""

    plan: dict[str, Any]
    widened: QueryArrays


def open_engine(
    taco_path: TacoPath,
    queries: QueryArrays,
    inputs: Sequence[Column],
    targets: Sequence[Column],
    shapes: Sequence[PatchShape | None],
    rendering: Rendering,
    *,
    on_error: OnError = "raise",
    cache_bytes: int | None = None,
    cache_dir: CacheDirectory = "auto",
    disk_cache_bytes: int | None = None,
    index: str | os.PathLike[str] | None = None,
    support: bool = False,
    storage_options: StorageOptions | None = None,
    memory_limit_bytes: int | None = None,
    augmented: Augmented | None = None,
) -> _engine.Engine:
    """Opens the catalog and plans.

    Raises:
        InvalidInputError: a query or option is wrong, or `cache_dir` or `index` is something else.
        NotFoundError, InvalidDatasetError: there is no sound dataset at `taco_path`, or it is a
            download that does not cover the queries.
        AccessDeniedError, TransientIoError: its server refuses, or cannot be reached.
    """
    wanted = distinct(inputs, targets)
    requests = requests_of(inputs, targets, shapes, rendering)
    if cache_bytes is None:
        cache_bytes = DEFAULT_CACHE_BYTES
    check_positive("cache_bytes", cache_bytes, minimum=0)
    if disk_cache_bytes is None:
        disk_cache_bytes = DEFAULT_DISK_CACHE_BYTES
    check_positive("disk_cache_bytes", disk_cache_bytes)
    if memory_limit_bytes is not None:
        check_positive("memory_limit_bytes", memory_limit_bytes)
    roots = dataset_roots(taco_path)
    check_covered(roots, *(queries if augmented is None else augmented.widened), wanted)
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
            land=bundled("polygons.zlib") if _needs_land(wanted) else None,
            augment=None if augmented is None else augmented.plan,
        )
    finally:
        hand_over()
    dated = [column for column in wanted if column.supply == "daily"]
    for window in dict.fromkeys((column.first, column.last) for column in dated):
        _warn_of_days(engine.days(), queries[1], window)
    return engine


def requests_of(
    inputs: Sequence[Column],
    targets: Sequence[Column],
    shapes: Sequence[PatchShape | None],
    rendering: Rendering,
) -> list[_engine.Request]:
    """What the engine is asked for, a request a column."""
    wanted = distinct(inputs, targets)

    def request(
        column: Column,
        rules: Rules,
        shape: PatchShape | None,
        masks: Sequence[tuple[_engine.Request, bool]] = (),
        minus: _engine.Request | None = None,
    ) -> _engine.Request:
        return _engine.Request(
            name=column.name,
            source=column.source,
            file=column.file,
            netcdf=column.netcdf,
            unit=column.unit,
            geometry=column.geometry,
            is_input=column in inputs,
            is_target=column in targets,
            shape=shape,
            select=column.select,
            valid=column.valid,
            days=(column.first, column.last),
            masks=list(masks),
            supply=column.supply,
            minus=minus,
            tensor=column.tensor,
            holdout=column.holdout,
            **rules,
        )

    requests = []
    for column, shape, (own, rules) in zip(wanted, shapes, rendering.of(wanted), strict=True):
        others = [request(*other, shape) for other in zip(column.others, rules, strict=True)]
        minus = others.pop() if column.minus is not None else None
        # The first of `joint` is the other component, which lies on the same cells.
        partner = int(column.where is not None) if column.joint else None
        masks = [(other, i == partner) for i, other in enumerate(others)]
        requests.append(request(column, own, shape, masks, minus))
    return requests


def _needs_land(columns: Sequence[Column]) -> bool:
    return any(column.of == "land_fraction" for column in with_others(columns))


def _warn_of_days(
    there: npt.NDArray[np.int32], asked: npt.NDArray[np.int32], window: tuple[int, int]
) -> None:
    """Warns of queries of which no day of a window exists in the dataset."""
    first, last = asked[:, 0] + window[0], asked[:, 1] + window[1]
    without = np.searchsorted(there, first) == np.searchsorted(there, last, side="right")
    count = int(without.sum())
    if not count:
        return
    example = int(np.flatnonzero(without)[0])
    there_is = (
        f"which has {_day(there[0])} to {_day(there[-1])}" if there.size else "which is empty"
    )
    of = "" if window == (0, 0) else f" for the window from {window[0]:+} to {window[1]:+} days"
    warnings.warn(
        f"{count} of {len(asked)} queries have no day in the dataset{of}, {there_is}; the first is "
        f"queries[{example}], {_day(first[example])} to {_day(last[example])}",
        stacklevel=4,
    )


def _day(day: np.int32) -> str:
    return str(np.datetime64(int(day), "D"))


def choose_variables(
    input_variables: Iterable[Asked] | Channels,
    target_variables: Iterable[Asked] | Channels,
    taco_path: TacoPath,
    storage_options: StorageOptions | None,
    anomaly: Mapping[str, str] | None = None,
    joint: Joint = (),
    *,
    channels: bool = False,
) -> tuple[list[Column], list[Column]]:
    """The columns of both roles, as the dataset's catalogues or the registry know the variables;
    `channels` allows them to be those of one tensor.

    Raises:
        InvalidInputError: a variable is unknown, a column is asked for twice in a role or differs
            between them, or there is none at all.
        InvalidDatasetError, NotFoundError: as `dataset_variables`.
    """
    known = dataset_variables(dataset_roots(taco_path), storage_options)
    inputs, targets = columns_of(
        {"input_variables": input_variables, "target_variables": target_variables},
        known,
        anomaly,
        joint,
    )
    if not inputs and not targets:
        raise InvalidInputError("name at least one input or target variable")
    if not channels and any(isinstance(v, Mapping) for v in (input_variables, target_variables)):
        raise InvalidInputError(
            "tensors of channels are made by oceanarrow.Loader and what is built upon it; name the "
            "variables in a list here"
        )
    as_input = _by_tensor(inputs)
    for name, columns in _by_tensor(targets).items():
        if as_input.get(name, columns) != columns:
            raise InvalidInputError(
                f"{name!r} is an input and a target on other days, under another mask or of other "
                "channels; give one of them a name of its own: Window(..., name=)"
            )
    _warn_of_tracks(inputs, targets)
    return inputs, targets


def _warn_of_tracks(inputs: Sequence[Column], targets: Sequence[Column]) -> None:
    """Warns of inputs that show tracks which a target holds out."""
    for target in targets:
        if target.holdout is None or not target.holdout[1]:
            continue
        tracks, _, seed = target.holdout
        for column in inputs:
            same_file = (column.source, column.file) == (target.source, target.file)
            named = isinstance(tracks, tuple) and any(
                column.source.rpartition("_")[2].lower() == name.lower() for name in tracks
            )
            if (same_file and column.holdout != (tracks, False, seed)) or (named and not same_file):
                warnings.warn(
                    f"{column.name!r} shows the tracks that {target.name!r} holds out",
                    stacklevel=4,
                )


def _by_tensor(columns: Iterable[Column]) -> dict[str, list[Column]]:
    """What each tensor of a batch, by name, is made of."""
    tensors: dict[str, list[Column]] = {}
    for column in columns:
        tensors.setdefault(column.tensor or column.name, []).append(column)
    return tensors


def distinct(inputs: Sequence[Column], targets: Sequence[Column]) -> list[Column]:
    """Inputs, then the targets that are not inputs too."""
    return [*inputs, *(column for column in targets if column not in inputs)]


def patch_shapes(
    columns: Sequence[Column],
    default_patch_size: PatchShape | None,
    patch_sizes: Mapping[str, PatchShape] | None,
) -> list[PatchShape | None]:
    """The pixels `(H, W)` of each column.

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
    _check_names("patch_sizes", given, columns)
    return [_of(given, column, default) for column in columns]


def per_variable(
    argument: str, value: T | Mapping[str, T], columns: Sequence[Column], default: T
) -> list[T]:
    """One value for each column out of a single value or a mapping by column or variable."""
    if isinstance(value, Mapping):
        _check_names(argument, value, columns)
        return [_of(value, column, default) for column in columns]
    return [value] * len(columns)


def _of(values: Mapping[str, T], column: Column, default: T) -> T:
    """A column's value: under its own name, else its variable's or tensor's, else the default."""
    names = [column.name, column.of, *([] if column.tensor is None else [column.tensor])]
    return next((values[name] for name in names if name in values), default)


def check_positive(argument: str, value: object, minimum: int = 1) -> None:
    """Raises `InvalidInputError` unless `value` is a whole number of at least `minimum`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or int(value) < minimum:  # type: ignore[call-overload]
        raise InvalidInputError(
            f"{argument} must be a whole number of at least {minimum}, not {value!r}"
        )


def _check_names(argument: str, given: Mapping[str, object], columns: Sequence[Column]) -> None:
    asked = ((column.name, column.of, column.tensor) for column in columns)
    names = [name for name in dict.fromkeys(n for names in asked for n in names) if name]
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


def _local_path(argument: str, path: str | os.PathLike[str]) -> Path:
    if "://" in os.fspath(path):
        raise InvalidInputError(f"{argument} must be a local file: download it first")
    return Path(path).absolute()
