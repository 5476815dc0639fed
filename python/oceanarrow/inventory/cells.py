"""Where the cells of a variable lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oceanarrow.dataset.days import iso_day
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.dataset.regular_grid import RegularGrid
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.request import Rendering, open_engine
from oceanarrow.roots import StorageOptions
from oceanarrow.variables import Variable, find_variables
from oceanarrow.window import plain

_ALL_DAYS = (-700_000, 700_000)
"""Beyond all that there are data of, days since 1970-01-01."""


def read_grid(
    roots: Sequence[str],
    name: str,
    known: Mapping[str, Variable],
    storage_options: StorageOptions | None,
) -> RegularGrid:
    """The grid of a gridded variable on the first day that has a file of it, out of metadata.

    Raises:
        InvalidInputError: there is no such variable, it has no cells, or not at equal steps.
    """
    (variable,) = find_variables([name], known)
    if variable.geometry != "grid":
        raise InvalidInputError(f"snap={name!r}: it has no cells of its own")
    every = Query(-180, 180, -90, 90, *map(iso_day, _ALL_DAYS))
    engine = open_engine(
        list(roots),
        query_arrays([every]),
        [plain(variable)],
        [],
        [None],
        Rendering(),
        on_error="raise",
        cache_bytes=0,
        cache_dir=None,
        disk_cache_bytes=None,
        storage_options=storage_options,
    )
    try:
        axes = engine.axes(0)
    finally:
        hand_over()
    if not axes:
        raise InvalidInputError(f"snap={name!r}: the dataset has no file of it")
    return RegularGrid.through(name, axes)
