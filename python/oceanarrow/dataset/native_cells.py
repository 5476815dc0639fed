"""The files' own cells and points in a box, as an xarray dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow.cache_directory import CacheDirectory
from oceanarrow.dataset.days import iso_day
from oceanarrow.dataset.opened_dataset import OpenedDataset
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.events import hand_over
from oceanarrow.exceptions import UnsupportedError
from oceanarrow.request import Rendering, open_engine
from oceanarrow.variables import Variable
from oceanarrow.window import plain

if TYPE_CHECKING:
    import xarray

Array = npt.NDArray[Any]
Column = tuple[Array, ...]


def read_native(
    dataset: OpenedDataset,
    query: Query,
    days: Sequence[int] | None,
    variables: Sequence[Variable],
    cache_dir: CacheDirectory,
) -> xarray.Dataset:
    """The cells in a query's box, and the points in its box and window.

    Args:
        dataset: what to read.
        query: where and when.
        days: the days of the window to stack along `time`, since 1970-01-01, ascending; None for
            the only day of the window, which then has no dimension.
        variables: what to read.
        cache_dir: as in `oceanarrow.Loader`.

    Raises:
        UnsupportedError: the cells of a variable are not the same on all the days.
        otherwise as `oceanarrow.open_patch`.
    """
    from oceanarrow.xarray import Patch

    stacked = days is not None
    chosen = list(query.days()[:1]) if days is None else list(days)
    patch = Patch(query, chosen)
    grids = [variable for variable in variables if variable.geometry == "grid"]
    points = [variable for variable in variables if variable.geometry == "points"]
    daily = [Query(*query.bbox, iso_day(day), iso_day(day)) for day in chosen]
    stacks: dict[str, _Stack] = {}
    for i, columns in enumerate(_samples(dataset, daily, grids, cache_dir)):
        for variable, column in zip(grids, columns, strict=True):
            if column is not None:
                stack = stacks.setdefault(variable.name, _Stack(variable.name, chosen, column))
                stack.put(i, column)
    for variable in grids:
        if variable.name in stacks:
            column = stacks[variable.name].column(stacked)
            patch.add_grid(variable, column, stacked, _told(variable))
    for columns in _samples(dataset, [query], points, cache_dir):
        for variable, column in zip(points, columns, strict=True):
            if column is not None:
                patch.add_observations(variable, column, _told(variable))
    found = patch.dataset()
    for variable in grids:
        if variable.name in found and not variable.unit:
            del found[variable.name].attrs["units"]
    if not stacked and stacks and "time" not in found.coords:
        moment = np.datetime64(chosen[0], "D").astype("datetime64[ns]")
        found = found.assign_coords(time=((), moment, {"standard_name": "time"}))
    return found


def _told(variable: Variable) -> dict[str, Any]:
    return {"source": variable.source, "normalize": None}


def _samples(
    dataset: OpenedDataset,
    queries: Sequence[Query],
    variables: Sequence[Variable],
    cache_dir: CacheDirectory,
) -> Iterator[list[Column | None]]:
    """A column for each variable, query by query."""
    if not variables:
        return
    engine = open_engine(
        dataset.roots,
        query_arrays(queries),
        list(map(plain, variables)),
        [],
        [None] * len(variables),
        Rendering("first", fill_value=float("nan")),
        on_error="raise",
        cache_bytes=None,
        cache_dir=cache_dir,
        disk_cache_bytes=None,
        storage_options=dataset.storage_options,
    )
    for i in range(len(queries)):
        try:
            columns, _ = engine.sample(i, [None] * len(variables))
        finally:
            hand_over()
        yield columns


class _Stack:
    """The cells of a variable, day by day, on the axes of the first."""

    def __init__(self, name: str, days: Sequence[int], first: Column) -> None:
        data, _, self._lat, self._lon = first
        self._name = name
        self._days = days
        self._first: int | None = None
        self._data = np.empty((len(days), *data.shape), np.float32)
        self._mask = np.zeros(self._data.shape, np.uint8)

    def put(self, i: int, column: Column) -> None:
        """The cells of the `i`-th day."""
        data, mask, lat, lon = column
        if self._first is None:
            self._first = i
        if not (np.array_equal(lat, self._lat) and np.array_equal(lon, self._lon)):
            raise UnsupportedError(
                f"the cells of {self._name} are not the same on {iso_day(self._days[i])} as on "
                f"{iso_day(self._days[self._first])}; read the days apart, or give open_patch a "
                "shape"
            )
        self._data[i], self._mask[i] = data, mask

    def column(self, stacked: bool) -> Column:
        """All days, or the only one."""
        data, mask = (self._data, self._mask) if stacked else (self._data[0], self._mask[0])
        return data, mask, self._lat, self._lon
