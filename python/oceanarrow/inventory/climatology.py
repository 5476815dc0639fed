"""`climatology`: the mean course of the year, of a dataset's own cells."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.atomic_file import replace_file
from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidDatasetError, InvalidInputError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.optional import require
from oceanarrow.progress import progress_bar
from oceanarrow.request import Rendering, open_engine
from oceanarrow.roots import StorageOptions, TacoPath
from oceanarrow.variables import Variable, find_variables
from oceanarrow.window import plain

By = Literal["month", "day_of_year"]
DayRange = tuple[Time, Time]
Axis = npt.NDArray[np.float64]

_BLOCK_BYTES = 512 * 2**20
"""Sums and counts that a thread holds at once."""

_CHUNK = 512
"""Rows and columns of a chunk of the output at most."""

_SAME = 1e-3
"""Centres closer than this share of a cell are one."""


def climatology(
    taco_path: TacoPath,
    variables: str | Iterable[str],
    output: str | os.PathLike[str],
    *,
    by: By = "month",
    days: DayRange | Iterable[Query | DayRange] | None = None,
    smooth: int | None = None,
    storage_options: StorageOptions | None = None,
    progress: bool = True,
) -> None:
    """Writes the mean of each month, or of each day of the year, as NetCDF.

    Each file is read once, cell by cell and without interpolation, by quality rules if the
    variable has some. `Files(output, {new name: name}, cycle=by)` lists the result, and
    `Loader(anomaly=)` takes it from the days. Give `days` the training part: a climatology that
    knows the test days leaks them, which `find_leaks(output, test_queries)` tells.

    Args:
        taco_path: a dataset, or a list of several.
        variables: their names; gridded ones on one grid.
        output: the file. It has `<name>` and `<name>_count` (days that were valid), both
            `(time, lat, lon)`, and the days that it is made of.
        by: `"month"` (12 steps), or `"day_of_year"` (366, or 365 if no day is of a leap year).
        days: the first and the last day; or queries, or such pairs, whose days are taken; by
            default all.
        smooth: an odd number of days, of `by="day_of_year"`: each day's mean is one of all values
            of the days around it, on the circle of the year.
        storage_options: for a remote dataset; see `docs/reference/storage_options.md`.
        progress: a bar on a terminal.

    Raises:
        InvalidInputError: an argument is wrong, or the variables lie on different grids.
        InvalidDatasetError: the cells of a variable lie elsewhere on some day, which it names.
        UnwritableError, OSError: `output` cannot be written.
        ImportError: h5py is not installed.
        otherwise as `Loader`.
    """
    h5py = require("h5py", "climatology", extra="sample")
    if by not in ("month", "day_of_year"):
        raise InvalidInputError(f'by must be "month" or "day_of_year", not {by!r}')
    half = _half(by, smooth)
    catalog = Catalog(taco_path, storage_options=storage_options)
    names = [variables] if isinstance(variables, str) else list(dict.fromkeys(variables))
    if not names:
        raise InvalidInputError("name at least one variable")
    chosen = find_variables(names, catalog.variables)
    for variable in chosen:
        if variable.geometry == "points" or variable.supply != "daily" or variable.levels:
            raise InvalidInputError(
                f"{variable.name!r}: a climatology is of gridded variables of days, of one level"
            )
    wanted = _wanted(catalog, days)
    passes = [_Pass(taco_path, catalog, v, wanted, by, half, storage_options) for v in chosen]
    first = passes[0]
    for other in passes[1:]:
        if not (_alike(first.lat, other.lat) and _alike(first.lon, other.lon)):
            raise InvalidInputError(
                f"{first.variable.name!r} and {other.variable.name!r} lie on different grids; "
                "write a file each"
            )
    with progress_bar(sum(p.samples for p in passes), "day", shown=progress) as bar:

        def write(file: Any) -> None:
            # HDF5 writes to a path of its own faster than through Python's file.
            with h5py.File(file.name, "w", track_order=True) as opened:
                _write(h5py, opened, passes, wanted, by, smooth, bar)

        replace_file(Path(output), write)


def climatology_queries(path: str | os.PathLike[str]) -> list[Query]:
    """What a climatology was made of: a query for each run of days, of all that its grid covers.

    Raises:
        InvalidDatasetError: the file is no climatology that `climatology` wrote.
    """
    h5py = require("h5py", "climatology", extra="sample")
    try:
        with h5py.File(path, "r") as opened:
            days = np.asarray(opened["day"][...], np.int64)
            west, east, south, north = map(float, opened.attrs["oceanarrow_extent"])
    except (OSError, KeyError, ValueError) as error:
        raise InvalidDatasetError(
            f"{os.fspath(path)} is no file of oceanarrow.climatology: {error}"
        ) from error
    breaks = np.flatnonzero(np.diff(days) != 1)
    firsts, lasts = days[np.r_[0, breaks + 1]], days[np.r_[breaks, len(days) - 1]]
    return [
        Query(west, east, south, north, iso_day(a), iso_day(b))
        for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True)
    ]


def _half(by: By, smooth: int | None) -> int:
    """The days to either side that a day's mean is made of, too."""
    if smooth is None:
        return 0
    given: object = smooth
    whole = isinstance(given, (int, np.integer)) and not isinstance(given, bool)
    if by != "day_of_year" or not whole or smooth % 2 == 0 or not 1 <= smooth <= 183:
        raise InvalidInputError(
            'smooth is an odd number of days, 1 to 183, of by="day_of_year", not '
            f"{smooth!r} of {by!r}"
        )
    return int(smooth) // 2


def _wanted(
    catalog: Catalog, days: DayRange | Iterable[Query | DayRange] | None
) -> npt.NDArray[np.int64]:
    """The days that are asked for, ascending."""
    if days is None:
        there = catalog.days
        if there is None:
            raise InvalidInputError("the dataset has no granule")
        days = (there.first, there.last)
    one = isinstance(days, tuple) and not any(isinstance(day, Query | tuple) for day in days)
    spans: list[Any] = [days] if one else list(days)
    found: set[int] = set()
    for span in spans:
        try:
            first, last = span.days() if isinstance(span, Query) else map(utc_day, span)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"days must be (first, last), queries, or a list of such pairs, not {span!r}"
            ) from error
        if first > last:
            raise InvalidInputError(f"days: {iso_day(first)} lies after {iso_day(last)}")
        found.update(range(first, last + 1))
    return np.array(sorted(found), np.int64)


@dataclass(frozen=True)
class _Block:
    """Cells that one thread goes through day by day: rows and columns of the grid."""

    rows: slice
    columns: slice
    box: tuple[float, float, float, float]


class _Pass:
    """One variable's way through its days."""

    def __init__(
        self,
        taco_path: TacoPath,
        catalog: Catalog,
        variable: Variable,
        wanted: npt.NDArray[np.int64],
        by: By,
        half: int,
        storage_options: StorageOptions | None,
    ) -> None:
        self.variable = variable
        self._catalog = catalog
        self._half = half
        there = np.intersect1d(catalog.days_of(variable).astype(np.int64), wanted)
        if not there.size:
            raise InvalidInputError(f"the dataset has no file of {variable.name!r} on these days")
        self.days = there
        self.places, self.count = _places(there, by), _steps(wanted, by)
        # Set where the others are no longer wanted: after an error, or Ctrl-C.
        self.stopped = threading.Event()

        def opened(queries: Sequence[Query]) -> _engine.Engine:
            return open_engine(
                taco_path,
                query_arrays(queries),
                [plain(variable)],
                [],
                [None],
                Rendering("first", fill_value=0.0),
                on_error="raise",
                cache_bytes=0,
                cache_dir=None,
                disk_cache_bytes=None,
                storage_options=storage_options,
            )

        first = iso_day(int(there[0]))
        try:
            axes = opened([Query(-180, 180, -90, 90, first, first)]).axes(0)
        finally:
            hand_over()
        self.lat = _joined([lat for lat, _ in axes])
        self.lon = _joined([_turned(lon) for _, lon in axes])
        self.blocks = list(self._blocks(axes))
        texts = [iso_day(day) for day in there.tolist()]
        self._engine = opened([Query(*b.box, t, t) for b in self.blocks for t in texts])

    @property
    def samples(self) -> int:
        """How many days of blocks are read."""
        return len(self.blocks) * len(self.days)

    def _blocks(self, axes: Sequence[tuple[Axis, Axis]]) -> Iterator[_Block]:
        """The files of a day, cut where their sums would take too much memory."""
        for lat, lon in axes:
            rows = np.searchsorted(self.lat, lat[[0, -1]] - _SAME * _cell(self.lat))
            columns = np.searchsorted(self.lon, _turned(lon)[[0, -1]] - _SAME * _cell(self.lon))
            width = int(columns[1] - columns[0] + 1)
            height = max(1, _BLOCK_BYTES // (self.count * width * 12))
            for start in range(int(rows[0]), int(rows[1]) + 1, height):
                end = min(start + height - 1, int(rows[1]))
                # A little beyond the outer centres, so that they lie inside.
                up, across = _SAME * _cell(self.lat), _SAME * _cell(self.lon)
                south, north = self.lat[start] - up, self.lat[end] + up
                west, east = self.lon[columns[0]] - across, self.lon[columns[1]] + across
                south, north = max(-90.0, float(south)), min(90.0, float(north))
                box = (float(west), float(east), south, north)
                cells = slice(int(columns[0]), int(columns[1]) + 1)
                yield _Block(slice(start, end + 1), cells, box)

    def of_block(
        self, number: int, tick: Callable[[], None]
    ) -> dict[int, tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]:
        """Means and counts (rows, columns) of the steps of a block that have any."""
        block = self.blocks[number]
        lat, lon = self.lat[block.rows], self.lon[block.columns]
        sums = np.zeros((self.count, lat.size, lon.size))
        counts = np.zeros(sums.shape, np.int32)
        for i, place in enumerate(self.places.tolist()):
            if self.stopped.is_set():
                return {}
            self._add(number, i, (lat, lon), sums[place], counts[place])
            tick()
        if self._half:
            sums, counts = _around(sums, self._half), _around(counts, self._half)
        made = {}
        for step in range(self.count) if self._half else np.unique(self.places).tolist():
            if counts[step].any():
                with np.errstate(invalid="ignore", divide="ignore"):
                    mean = (sums[step] / counts[step]).astype(np.float32)
                made[step] = mean, counts[step]
        return made

    def _add(
        self,
        number: int,
        i: int,
        axes: tuple[Axis, Axis],
        sums: npt.NDArray[np.float64],
        counts: npt.NDArray[np.int32],
    ) -> None:
        """Adds a day of a block. Its arrays are gone on return, and the next day takes their place:
        fresh memory costs more than the sums."""
        columns, _ = self._engine.sample(number * len(self.days) + i, [None])
        if columns[0] is None:
            return
        data, mask, lats, lons = columns[0]
        lat, lon = axes
        if not (_alike(lat, lats) and _alike(lon, _turned(lons, lon[0]))):
            first, day = (iso_day(int(self.days[n])) for n in (0, i))
            raise InvalidDatasetError(
                f"{self.variable.name!r} has other cells on {day} than on {first}, the first day; "
                f"choose days of one grid with days=; the files of {day} begin with "
                f"{self._first_file(int(self.days[i]))}"
            )
        # Not any(), which is slower on bytes than the sums are.
        if mask.size and mask.max():
            sums += data
            counts += mask

    def _first_file(self, day: int) -> str:
        columns = self._catalog.columns
        rows = np.flatnonzero(self._catalog.rows_of(self.variable) & (columns["day"] == day))
        return str(columns["path"][int(rows[0])]) if rows.size else "none"


def _around(values: npt.NDArray[Any], half: int) -> npt.NDArray[Any]:
    """Sums over so many steps to either side, on the circle."""
    padded = np.concatenate([values[-half:], values, values[:half]])
    sums = np.cumsum(padded, axis=0, dtype=values.dtype)
    width = 2 * half + 1
    sums[width:] -= sums[:-width].copy()
    return sums[width - 1 :]


def _places(days: npt.NDArray[np.int64], by: By) -> npt.NDArray[np.int64]:
    """The step of each day."""
    stamps = days.astype("datetime64[D]")
    if by == "month":
        return stamps.astype("datetime64[M]").astype(np.int64) % 12
    numbers: npt.NDArray[np.int64] = (stamps - stamps.astype("datetime64[Y]")).astype(np.int64)
    return numbers


def _steps(days: npt.NDArray[np.int64], by: By) -> int:
    """How many steps there are; the same for all variables, whichever days they have."""
    if by == "month":
        return 12
    years = days.astype("datetime64[D]").astype("datetime64[Y]")
    lengths = (years + 1).astype("datetime64[D]") - years.astype("datetime64[D]")
    return int(lengths.astype(np.int64).max())


def _cell(axis: Axis) -> float:
    return float(np.diff(axis).min()) if axis.size > 1 else 1.0


def _turned(lon: Axis, west: float = -180.0) -> Axis:
    """Longitudes in the turn that begins at about `west`."""
    turned: Axis = (lon - west + _SAME) % 360.0 + west - _SAME
    return turned


def _joined(axes: Sequence[Axis]) -> Axis:
    """All centres, each once."""
    every = np.sort(np.concatenate(axes))
    cell = min(_cell(axis) for axis in axes)
    return every[np.r_[True, np.diff(every) > _SAME * cell]]


def _alike(a: Axis, b: npt.NDArray[Any]) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max(initial=0.0) <= 2 * _SAME * _cell(a))


def _write(
    h5py: Any,
    file: Any,
    passes: Sequence[_Pass],
    wanted: npt.NDArray[np.int64],
    by: By,
    smooth: int | None,
    bar: Any,
) -> None:
    first = passes[0]
    used = np.unique(np.concatenate([p.days for p in passes]))
    lat, lon = first.lat, first.lon
    extent = [lon[0] - _cell(lon) / 2, lon[-1] + _cell(lon) / 2]
    if extent[1] - extent[0] > 360.0:
        extent = [-180.0, 180.0]
    extent += [max(-90.0, lat[0] - _cell(lat) / 2), min(90.0, lat[-1] + _cell(lat) / 2)]
    file.attrs.update(
        {
            "Conventions": "CF-1.8",
            "title": f"climatology by {by} of {iso_day(int(used[0]))} to {iso_day(int(used[-1]))}",
            "source": f"oceanarrow {_engine.__version__}",
            "oceanarrow_extent": np.array(extent),
            "oceanarrow_asked": f"{iso_day(int(wanted[0]))} to {iso_day(int(wanted[-1]))}",
            **({} if smooth is None else {"oceanarrow_smooth": int(smooth)}),
        }
    )
    times, bounds = _times(by, first.count, used)
    since = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
    axes = {
        "time": (times, {"standard_name": "time", **since, "climatology": "climatology_bounds"}),
        "lat": (lat, {"standard_name": "latitude", "units": "degrees_north"}),
        "lon": (lon, {"standard_name": "longitude", "units": "degrees_east"}),
        "day": (used.astype(np.int32), {"long_name": "days it is made of", **since}),
        "nv": (np.arange(2, dtype=np.int32), {}),
    }
    for number, (name, (values, attributes)) in enumerate(axes.items()):
        data = file.create_dataset(name, data=values, track_order=True)
        data.make_scale(name)
        data.attrs.update(attributes)
        data.attrs["_Netcdf4Dimid"] = np.int32(number)
    edges = file.create_dataset("climatology_bounds", data=bounds, track_order=True)
    _attach(file, edges, ("time", "nv"))
    lock = threading.Lock()

    def tick() -> None:
        if bar is not None:
            with lock:
                bar.update(1)

    for way in passes:
        name, shape = way.variable.name, (way.count, lat.size, lon.size)
        # That a block ends where a chunk does.
        block = way.blocks[0]
        rows, columns = (part.stop - part.start for part in (block.rows, block.columns))
        chunks = (1, *(-(-n // -(-n // _CHUNK)) for n in (rows, columns)))
        options = {"chunks": chunks, "compression": "gzip", "compression_opts": 1, "shuffle": True}
        mean = file.create_dataset(
            name, shape, "float32", fillvalue=np.float32("nan"), track_order=True, **options
        )
        kind = np.int16 if len(way.days) <= np.iinfo(np.int16).max else np.int32
        count = file.create_dataset(
            f"{name}_count", shape, kind, fillvalue=0, track_order=True, **options
        )
        mean.attrs.update(
            {
                "units": way.variable.unit,
                "_FillValue": np.array([np.nan], np.float32),
                "cell_methods": "time: mean within years time: mean over years",
                "ancillary_variables": f"{name}_count",
            }
        )
        count.attrs.update({"long_name": f"days on which {name} was valid", "units": "1"})
        for data in (mean, count):
            _attach(file, data, ("time", "lat", "lon"))
        for block, steps in _made(way, tick):
            # What is not written is the fill value.
            for step, (means, counts) in steps.items():
                at = (step, block.rows, block.columns)
                mean[at], count[at] = means, counts
            hand_over()


def _made(
    way: _Pass, tick: Callable[[], None]
) -> Iterator[tuple[_Block, dict[int, tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]]]:
    """The blocks in order, as many at once as there are cores."""
    workers = min(len(way.blocks), os.cpu_count() or 1)
    numbers = iter(range(len(way.blocks)))
    pool = ThreadPoolExecutor(workers)
    try:
        under_way = deque(pool.submit(way.of_block, n, tick) for n in islice(numbers, workers))
        for block in way.blocks:
            steps = under_way.popleft().result()
            under_way.extend(pool.submit(way.of_block, n, tick) for n in islice(numbers, 1))
            yield block, steps
    finally:
        way.stopped.set()
        pool.shutdown(cancel_futures=True)


def _attach(file: Any, data: Any, dimensions: Sequence[str]) -> None:
    for axis, dimension in zip(data.dims, dimensions, strict=True):
        axis.attach_scale(file[dimension])


def _times(
    by: By, count: int, used: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The middles of the steps in a year, and from the first such step to the last one used."""
    epoch = date(1970, 1, 1)
    year = 2000 if count == 366 or by == "month" else 2001
    if by == "month":
        starts = [date(year, month, 1) for month in range(1, 13)] + [date(year + 1, 1, 1)]
    else:
        starts = [date(year, 1, 1) + timedelta(n) for n in range(count + 1)]
    edges = np.array([(start - epoch).days for start in starts], np.float64)
    first, last = (epoch + timedelta(int(day)) for day in used[[0, -1]])

    def moved(edge: date, to: int) -> float:
        try:
            return float((edge.replace(year=edge.year - year + to) - epoch).days)
        except ValueError:
            return float((date(edge.year - year + to, 3, 1) - epoch).days)

    low = [moved(start, first.year) for start in starts[:-1]]
    high = [moved(start, last.year) for start in starts[1:]]
    return (edges[1:] + edges[:-1]) / 2, np.column_stack([low, high])
