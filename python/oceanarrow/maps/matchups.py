"""`matchups`: gridded variables where and when something was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.days import iso_day, utc_day
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.epochs import Epochs
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.optional import require
from oceanarrow.order_options import order_options
from oceanarrow.progress import progress_bar
from oceanarrow.ranks import Place
from oceanarrow.request import OnError, Rendering, choose_variables, distinct, open_engine
from oceanarrow.roots import StorageOptions, TacoPath
from oceanarrow.variables import find_variables
from oceanarrow.window import Asked, plain

if TYPE_CHECKING:
    import pyarrow

_BATCH = 4096
"""Points that are read together."""

_SIDE = 1e-6
"""Degrees of the box of a point, whose south-western corner it is."""

_EPOCH = np.datetime64("1970-01-01", "ns")


def matchups(
    taco_path: TacoPath,
    points: Any,
    variables: Iterable[Asked],
    *,
    min_support: float = 0.01,
    on_error: OnError = "raise",
    threads: int | None = None,
    cache_bytes: int | None = None,
    storage_options: StorageOptions | None = None,
    progress: bool = True,
) -> pyarrow.Table:
    """The values of gridded variables at points, bilinear between valid cells.

    Args:
        taco_path: a dataset, or a list of several.
        points: a table with the columns `time`, `lat` and `lon` (Arrow, pandas, a dict of arrays):
            dates or times in UTC, degrees. Or the name of a point variable of the dataset, such as
            `"argo"`: all its levels, whose values and pressures are in the table too.
        variables: names of gridded variables, or `Window`s; a point's day is the query's.
        min_support: a value with less valid weight than this share is null.
        on_error: `"raise"`, or `"mask"`: null where a file cannot be read.
        threads, cache_bytes, storage_options: as of `Loader`.
        progress: a bar on a terminal.

    Returns:
        An Arrow table in the order of the points: `time` (timestamp in UTC), `lat`, `lon`, then of
        each variable its value (float32, null where invalid) and `<name>_support`, the valid share
        of the weight behind it. They are read in the order of days.

    Raises:
        InvalidInputError: a column is missing, a point lies on no day of the dataset or off the
            globe, or a variable has profiles.
        ImportError: pyarrow is not installed.
        otherwise as `Loader`.
    """
    pa = require("pyarrow", "matchups", extra="taco")
    extra: dict[str, npt.NDArray[Any]] = {}
    if isinstance(points, str):
        times, lat, lon, extra = _measured(taco_path, points, storage_options)
    else:
        times, lat, lon = _columns(points)
    columns = distinct(*choose_variables(variables, (), taco_path, storage_options))
    profiles = [column.name for column in columns if column.geometry == "points"]
    if profiles:
        raise InvalidInputError(
            f"{', '.join(map(repr, profiles))}: matchups are of gridded variables; give profiles "
            "as points"
        )
    days = np.floor((times - _EPOCH) / np.timedelta64(1, "D")).astype(np.int32)
    if any(column.supply == "daily" for column in columns):
        _check_days(taco_path, storage_options, days)
    # Neighbours in time and space share what is decoded.
    order = np.lexsort((np.floor(lon / 10), np.floor(lat / 10), days))
    queries = _boxes(lat[order], lon[order]), np.stack([days[order]] * 2, axis=1)
    found = {column.name: np.zeros(len(lat), np.float32) for column in columns}
    supports = {column.name: np.zeros(len(lat), np.float32) for column in columns}
    if len(lat):
        engine = open_engine(
            taco_path,
            queries,
            columns,
            [],
            [(1, 1)] * len(columns),
            Rendering("mean", "bilinear", "exact", min_support),
            on_error=on_error,
            cache_bytes=cache_bytes,
            support=True,
            storage_options=storage_options,
        )
        in_list_order = order_options(_BATCH, 1, 1, None, None, "partial", 0)
        batches = Epochs(engine, queries, in_list_order, Place(0, 1, "here"), threads, None)
        start = 0
        with progress_bar(len(lat), "point", shown=progress) as bar:
            for batch in batches:
                place = order[start : start + len(batch)]
                for column in columns:
                    name = column.name
                    valid = batch[f"{name}_mask"].numpy().reshape(-1).astype(bool)
                    supports[name][place] = batch[f"{name}_support"].numpy().reshape(-1)
                    values = batch[name].numpy().reshape(-1)
                    found[name][place] = np.where(valid, values, np.nan)
                start += len(batch)
                if bar is not None:
                    bar.update(len(batch))
    table: dict[str, Any] = {"time": pa.array(times, pa.timestamp("ns", "UTC"))}
    table |= {"lat": lat, "lon": lon, **extra}
    for column in columns:
        values = found[column.name]
        table[column.name] = pa.array(values, pa.float32(), mask=np.isnan(values))
        table[f"{column.name}_support"] = supports[column.name]
    made: pyarrow.Table = pa.table(table)
    return made


def _boxes(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of which the points are the south-western corners."""
    west = (lon + 180.0) % 360.0 - 180.0
    south = np.minimum(lat, 90.0 - _SIDE)
    return np.column_stack([west, west + _SIDE, south, south + _SIDE])


def _columns(
    points: Any,
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Times, latitudes and longitudes of a table."""
    found: list[npt.NDArray[Any]] = []
    for name in ("time", "lat", "lon"):
        try:
            column = points[name]
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise InvalidInputError(
                f"points must be a table with the columns time, lat and lon; {name!r} is missing"
            ) from error
        # Arrow's columns come in pieces.
        column = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
        found.append(column)
    try:
        times = np.asarray(found[0]).astype("datetime64[ns]")
        lat, lon = (np.asarray(column, np.float64) for column in found[1:])
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"points: {error}") from error
    if times.ndim != 1 or not times.shape == lat.shape == lon.shape:
        raise InvalidInputError("points: time, lat and lon must be columns of one length")
    wrong = ~np.isfinite(lat) | ~np.isfinite(lon) | (np.abs(lat) > 90) | np.isnat(times)
    wrong |= np.abs(lon) > 540
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(
            f"{int(wrong.sum())} points are nowhere on the globe, or at no time; the first is row "
            f"{first}: {times[first]}, lat {lat[first]}, lon {lon[first]}"
        )
    return times, lat, lon


def _check_days(
    taco_path: TacoPath, storage_options: StorageOptions | None, days: npt.NDArray[np.int32]
) -> None:
    there = Catalog(taco_path, storage_options=storage_options).days
    if there is None:
        raise InvalidInputError("the dataset has no granule")
    first, last = utc_day(there.first), utc_day(there.last)
    outside = (days < first) | (days > last)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InvalidInputError(
            f"{int(outside.sum())} of {len(days)} points lie outside the days of the dataset, "
            f"{there.first} to {there.last}; the first is row {row}, {iso_day(int(days[row]))}"
        )


def _measured(
    taco_path: TacoPath, name: str, storage_options: StorageOptions | None
) -> tuple[Any, Any, Any, dict[str, npt.NDArray[Any]]]:
    """All levels of a point variable of a dataset."""
    catalog = Catalog(taco_path, storage_options=storage_options)
    (variable,) = find_variables([name], catalog.variables)
    if variable.geometry != "points":
        raise InvalidInputError(
            f"{name!r} is gridded; points are a table, or the name of a variable of profiles"
        )
    days = [iso_day(day) for day in sorted(set(catalog.days_of(variable).tolist()))]
    if not days:
        raise InvalidInputError(f"the dataset has no file of {name!r}")
    engine = open_engine(
        taco_path,
        query_arrays([Query(-180, 180, -90, 90, day, day) for day in days]),
        [plain(variable)],
        [],
        [None],
        Rendering(),
        cache_bytes=0,
        cache_dir=None,
        storage_options=storage_options,
    )
    rows = [engine.sample(i, [None])[0][0] for i in range(len(days))]
    parts: Mapping[int, list[npt.NDArray[Any]]] = {
        i: [row[i] for row in rows if row is not None] for i in range(5)
    }
    values, lat, lon, time, pressure = (
        np.concatenate(part) if (part := parts[i]) else np.empty(0) for i in range(5)
    )
    times = _EPOCH + np.rint(time * 86400e9).astype("timedelta64[ns]")
    told = {name: values.astype(np.float32), "pressure": pressure.astype(np.float32)}
    return times, lat.astype(np.float64), lon.astype(np.float64), told
