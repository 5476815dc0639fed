"""`oceanarrow index`: an index of a dataset, so that nobody has to open its granules."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from oceanarrow import _engine
from oceanarrow.cli.storage_options import add_storage_options, storage_options
from oceanarrow.dataset.days import utc_day
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.progress import progress_bar, reporter
from oceanarrow.roots import dataset_roots
from oceanarrow.variables import Variable, dataset_variables, find_variables

_SHOWN = 5
"""Unreadable granules that are named."""

_ANY_DAY = (-(2**31), 2**31 - 1)


def add_parser(commands: Any) -> None:
    """Adds the command to those of the parser."""
    parser = commands.add_parser(
        "index",
        help="make an index of a dataset",
        description="Opens each granule once and writes down what that yields: axes, packing, and "
        "where each chunk lies. Loader(index=...) then reads data at once. The index serves any "
        "copy of the dataset. A run that is broken off leaves nothing behind and starts again.",
    )
    parser.add_argument("taco", nargs="+", help="path or address of the dataset, or of its parts")
    parser.add_argument("-o", "--output", required=True, type=Path, help="such as index.parquet")
    parser.add_argument(
        "--variables", nargs="+", metavar="NAME", help="by default all gridded ones"
    )
    parser.add_argument("--start-date", metavar="YYYY-MM-DD", help="first day; by default all")
    parser.add_argument("--end-date", metavar="YYYY-MM-DD", help="last day; by default all")
    add_storage_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Makes the index.

    Returns:
        The exit status: 0, or 1 if some granules could not be opened and have no entry.
    """
    roots, storage = dataset_roots(options.taco), storage_options(options)
    chosen = _chosen(options.variables, dataset_variables(roots, storage))
    hand_over()
    with progress_bar(None, "granule") as bar:
        made = _engine.write_index(
            roots,
            options.output,
            [
                (variable.source, variable.file, name)
                for variable in chosen
                for name in (variable.netcdf, *(flag for flag, _, _ in variable.valid))
            ],
            days=_days(options.start_date, options.end_date),
            storage_options=storage,
            progress=reporter(bar),
        )
    size = f"{made['bytes'] / 2**20:.1f} MiB" if made["bytes"] > 2**20 else f"{made['bytes']} bytes"
    sys.stdout.write(f"{options.output}: {made['entries']} entries, {size}\n")
    unreadable = made["unreadable"]
    for reason in unreadable[:_SHOWN]:
        sys.stderr.write(f"not indexed: {reason}\n")
    if len(unreadable) > _SHOWN:
        sys.stderr.write(f"not indexed: {len(unreadable) - _SHOWN} more\n")
    return 1 if unreadable else 0


def _chosen(names: list[str] | None, known: dict[str, Variable]) -> list[Variable]:
    found = list(known.values()) if names is None else find_variables(names, known)
    points = [variable.name for variable in found if variable.geometry == "points"]
    if names is not None and points:
        raise InvalidInputError(f"{', '.join(points)}: profiles need no index")
    return [variable for variable in found if variable.geometry == "grid"]


def _days(start: str | None, end: str | None) -> tuple[int, int] | None:
    if start is None and end is None:
        return None
    first = _ANY_DAY[0] if start is None else utc_day(start)
    last = _ANY_DAY[1] if end is None else utc_day(end)
    if first > last:
        raise InvalidInputError(f"--start-date {start} lies after --end-date {end}")
    return first, last
