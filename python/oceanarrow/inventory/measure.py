"""`coverage`: counts what there is in the files."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.inventory.coverage import Coverage, DayCounts, Measured
from oceanarrow.progress import progress_bar
from oceanarrow.request import Rendering, open_engine
from oceanarrow.roots import StorageOptions, TacoPath
from oceanarrow.variables import find_variables
from oceanarrow.window import Column, plain

_TASKS = 16
"""(variable, day)s that are counted between two looks at the progress bar."""

_SHOWN = 3
"""Unreadable days that a warning names."""


def coverage(
    taco_path: TacoPath,
    variables: Iterable[str],
    *,
    cell: float = 2.0,
    days: tuple[Time, Time] | None = None,
    output: str | os.PathLike[str] | None = None,
    storage_options: StorageOptions | None = None,
    progress: bool = True,
) -> Coverage:
    """Counts, for each variable, day and coarse cell, the cells of the source and the valid ones.

    Every file is read once, on all cores. What a year takes as a file and in memory,
    `benchmarks/coverage.py` says.

    Args:
        taco_path: a dataset, or a list of several.
        variables: their names.
        cell: side of the coarse cells, 0.1 to 45 degrees; at most half of a patch, for patches to
            be chosen by it.
        days: first and last day; by default all.
        output: a Parquet file; where it is one of such cells already, what it has of files that
            have not changed since is taken from it.
        storage_options: for a remote dataset; see `docs/reference/storage_options.md`.
        progress: a bar on a terminal.

    Returns:
        The counts. Days that cannot be read count as days without a file, with a `UserWarning`;
        they are tried again when `output` is updated.

    Raises:
        InvalidInputError: an argument is wrong.
        NotFoundError, InvalidDatasetError: as `Loader`; the latter also where `output` is another
            file.
        UnwritableError, OSError: `output` cannot be written.
    """
    if not 0.1 <= cell <= 45:
        raise InvalidInputError(f"cell must be from 0.1 to 45 degrees, not {cell!r}")
    catalog = Catalog(taco_path, storage_options=storage_options)
    known = catalog.variables
    names = [variables] if isinstance(variables, str) else list(dict.fromkeys(variables))
    if not names:
        raise InvalidInputError("name at least one variable")
    columns = [plain(variable) for variable in find_variables(names, known)]
    looked_at = _days(catalog, days)
    known_counts = _known(output, float(cell))
    box = Query(-180, 180, -90, 90, iso_day(looked_at[0]), iso_day(looked_at[-1]))
    engine = open_engine(
        taco_path,
        query_arrays([box]),
        columns,
        [],
        [None] * len(columns),
        Rendering(),
        on_error="raise",
        cache_bytes=None,
        cache_dir="auto",
        disk_cache_bytes=None,
        storage_options=storage_options,
    )
    states = [
        [None if state is None else _digest(state, column) for state in found]
        for column, found in zip(columns, engine.states(looked_at), strict=True)
    ]
    counted: dict[tuple[int, int], DayCounts] = {}
    tasks = []
    for i, column in enumerate(columns):
        before = known_counts.get(column.name, {})
        for day, state in zip(looked_at, states[i], strict=True):
            found = before.get(day)
            if found is not None and found[0] == state:
                counted[i, day] = found
            elif state is not None:
                tasks.append((i, day, state))
    unreadable = []
    with progress_bar(len(tasks), "day", shown=progress) as bar:
        for start in range(0, len(tasks), _TASKS):
            part = tasks[start : start + _TASKS]
            hand_over()
            results = engine.coverage([(i, day) for i, day, _ in part], float(cell))
            for (i, day, state), result in zip(part, results, strict=True):
                if isinstance(result, Exception):
                    unreadable.append(f"{columns[i].name} on {iso_day(day)}: {result}")
                else:
                    counted[i, day] = DayCounts.of(state, *result)
            if bar is not None:
                bar.update(len(part))
    hand_over()
    made = Coverage(
        float(cell),
        np.array(looked_at, np.int32),
        {
            column.name: Measured.of([counted.get((i, day)) for day in looked_at])
            for i, column in enumerate(columns)
        },
    )
    if output is not None:
        made.save(output)
    if unreadable:
        more = f"; and {len(unreadable) - _SHOWN} more" if len(unreadable) > _SHOWN else ""
        warnings.warn(
            f"{len(unreadable)} days could not be read, and count as days without a file: "
            f"{'; '.join(unreadable[:_SHOWN])}{more}",
            stacklevel=2,
        )
    return made


def _days(catalog: Catalog, days: tuple[Time, Time] | None) -> list[int]:
    there = catalog.days
    if days is None:
        if there is None:
            raise InvalidInputError("the dataset has no granule; say which days with days=")
        first, last = utc_day(there.first), utc_day(there.last)
    else:
        try:
            first, last = map(utc_day, days)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(f"days must be (first, last), not {days!r}") from error
    if first > last:
        raise InvalidInputError(f"days: {iso_day(first)} lies after {iso_day(last)}")
    return list(range(first, last + 1))


def _known(output: str | os.PathLike[str] | None, cell: float) -> dict[str, dict[int, DayCounts]]:
    """What a file has already, by variable and day."""
    if output is None or not Path(output).exists():
        return {}
    before = Coverage.load(output)
    if before.cell != cell:
        raise InvalidInputError(
            f"{os.fspath(output)} has cells of {before.cell:g} degrees; give cell={before.cell:g}, "
            "or another output"
        )
    found: dict[str, dict[int, DayCounts]] = {}
    for name, measured in before.measured.items():
        days = ((day, measured.day(i)) for i, day in enumerate(before.days.tolist()))
        found[name] = {day: counts for day, counts in days if counts is not None}
    return found


def _digest(state: str, column: Column) -> str:
    """Of a day's files and of what is read of them."""
    meaning = (column.source, column.file, column.netcdf, column.valid, column.select)
    text = f"{state}\n{meaning!r}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
