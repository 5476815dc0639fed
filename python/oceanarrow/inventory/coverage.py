"""How much of the ocean each variable saw, by day and coarse cell."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.display import bar, view
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory import coverage_file
from oceanarrow.optional import require

if TYPE_CHECKING:
    import xarray as xr

Counts = npt.NDArray[np.unsignedinteger[Any]]


class DayCounts(NamedTuple):
    """One variable on one day.

    Attributes:
        state: a digest of its files and their state.
        cells: `(rows, columns)` cells of the source, row 0 at the south pole, column 0 at 180 W.
        valid: those that are valid.
    """

    state: str
    cells: Counts
    valid: Counts

    @classmethod
    def of(cls, state: str, cells: Counts, valid: Counts) -> DayCounts:
        """The counts in the smallest types that hold them."""
        return cls(state, _smallest([cells])[0], _smallest([valid])[0])


@dataclass(frozen=True)
class Measured:
    """One variable's counts.

    Attributes:
        rows: `(D,)`, for each day its place in `valid`; -1 where there is no file.
        valid: `(M, rows, columns)` valid cells of the source, row 0 at the south pole, column 0 at
            180 W.
        cells: `(K, rows, columns)`, all cells: the distinct grids.
        grids: `(M,)`, which of them each day has.
        states: of each day, a digest of its files and their state; None where there is no file.
    """

    rows: npt.NDArray[np.int32]
    valid: Counts
    cells: Counts
    grids: npt.NDArray[np.int32]
    states: tuple[str | None, ...]

    @classmethod
    def of(cls, days: Sequence[DayCounts | None]) -> Measured:
        """The state, cells and valid cells of each day."""
        there = [day for day in days if day is not None]
        rows = np.full(len(days), -1, np.int32)
        rows[[day is not None for day in days]] = np.arange(len(there))
        distinct: dict[bytes, int] = {}
        grids = [distinct.setdefault(cells.tobytes(), len(distinct)) for _, cells, _ in there]
        first = [grids.index(number) for number in range(len(distinct))]
        return cls(
            rows,
            _smallest([valid for _, _, valid in there]),
            _smallest([there[i][1] for i in first]),
            np.array(grids, np.int32),
            tuple(None if day is None else day[0] for day in days),
        )

    def day(self, index: int) -> DayCounts | None:
        """The state, cells and valid cells of a day."""
        row, state = int(self.rows[index]), self.states[index]
        if row < 0 or state is None:
            return None
        return DayCounts(state, self.cells[self.grids[row]], self.valid[row])


@dataclass(frozen=True)
class Coverage:
    """How many cells of its source a variable has in each coarse cell on each day, and how many of
    them are valid (not missing, and allowed by its quality rules).

    Of profiles, a cell is a level that was measured.

    Attributes:
        cell: side of the coarse cells, degrees; the last of them is cut where it does not divide
            180.
        days: `(D,)` int32, the days that were looked at, since 1970-01-01, ascending.
        measured: the counts, by variable.
    """

    cell: float
    days: npt.NDArray[np.int32]
    measured: Mapping[str, Measured]

    @property
    def variables(self) -> list[str]:
        """Their names."""
        return list(self.measured)

    def counts(self, variable: str, day: Time | int) -> tuple[Counts, Counts] | None:
        """Cells and valid cells `(rows, columns)` on a day; None where there is no file.

        Raises:
            InvalidInputError: the variable was not measured, or that day.
        """
        number = day if isinstance(day, int) else utc_day(day)
        measured = self._of(variable)
        place = int(np.searchsorted(self.days, number))
        if place == self.days.size or self.days[place] != number:
            raise InvalidInputError(_not_measured(variable, iso_day(number)))
        found = measured.day(place)
        return None if found is None else found[1:]

    def valid_share(self, query: Query | Iterable[Query], variable: str) -> Any:
        """The share of valid cells, 0 to 1, among the cells in a query's box and window; 0 where
        there is no file. A coarse cell that the box cuts counts by the part inside.

        Args:
            query: one query, which gives a float, or several, which give an array `(N,)`.
            variable: its name.

        Raises:
            InvalidInputError: the variable or a day was not measured, or the coarse cells are wider
                than half of a box.
        """
        queries = [query] if isinstance(query, Query) else list(query)
        shares = self.valid_shares(*query_arrays(queries), variable)
        return float(shares[0]) if isinstance(query, Query) else shares

    def valid_shares(
        self, boxes: npt.NDArray[np.float64], days: npt.NDArray[np.int32], variable: str
    ) -> npt.NDArray[np.float64]:
        """The same of boxes `(N, 4)` and days `(N, 2)`, as `Query` has them."""
        measured = self._of(variable)
        west = (boxes[:, 0] + 180) % 360
        width = np.where(boxes[:, 1] < boxes[:, 0], boxes[:, 1] + 360, boxes[:, 1]) - boxes[:, 0]
        edges = west, west + width, boxes[:, 2] + 90, boxes[:, 3] + 90
        self._check(variable, edges[1] - edges[0], edges[3] - edges[2], days)
        found = np.zeros((2, len(boxes)))
        # Queries by first day, so that those of a day lie between two places.
        order = np.argsort(days[:, 0], kind="stable")
        first, last = days[order, 0], days[order, 1]
        longest = int((last - first).max(initial=0))
        for place, day in enumerate(self.days.tolist()):
            counted = measured.day(place)
            if counted is None:
                continue
            low, high = np.searchsorted(first, [day - longest, day + 1])
            here = order[low:high][last[low:high] >= day]
            if here.size:
                boxed = [edge[here] for edge in edges]
                found[:, here] += self._within(counted[1:], *boxed)
        cells, valid = found
        return np.divide(valid, cells, out=np.zeros(len(boxes)), where=cells > 0)

    def to_xarray(self) -> xr.Dataset:
        """`cells` and `valid` by `(variable, time, lat, lon)` float32, NaN where a day has no file;
        `lat` and `lon` are the centres of the coarse cells.

        Raises:
            ImportError: xarray is not installed.
        """
        xarray = require("xarray", "Coverage.to_xarray", extra="xarray")
        rows, columns = shape_of(self.cell)
        shape = (len(self.measured), self.days.size, rows, columns)
        arrays = {name: np.full(shape, np.nan, np.float32) for name in ("cells", "valid")}
        for i, measured in enumerate(self.measured.values()):
            for j in range(self.days.size):
                counted = measured.day(j)
                if counted is not None:
                    arrays["cells"][i, j], arrays["valid"][i, j] = counted[1:]
        dims = ("variable", "time", "lat", "lon")
        centres = [self.cell * (np.arange(n) + 0.5) for n in (rows, columns)]
        dataset: xr.Dataset = xarray.Dataset(
            {name: (dims, array) for name, array in arrays.items()},
            {
                "variable": self.variables,
                "time": self.days.astype("datetime64[D]").astype("datetime64[ns]"),
                "lat": ("lat", centres[0] - 90, {"units": "degrees_north"}),
                "lon": ("lon", centres[1] - 180, {"units": "degrees_east"}),
            },
        )
        return dataset

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a Parquet file: a row a variable and day, with `state`, `cells` and `valid`, which
        are null where there is no file.

        Raises:
            ImportError: pyarrow is not installed.
            UnwritableError, OSError: the file cannot be written; what was there stays.
        """
        coverage_file.write(path, self.cell, self._table())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Coverage:
        """What `save` wrote.

        Raises:
            NotFoundError: there is no such file.
            InvalidDatasetError: it is no coverage, or one of a newer version.
            ImportError: pyarrow is not installed.
        """
        cell, rows = coverage_file.read(path)
        found: dict[str, dict[int, DayCounts | None]] = {}
        for name, day, counts in rows:
            small = None if counts is None else DayCounts.of(*counts)
            found.setdefault(name, {})[day] = small
        days = np.array(sorted({day for counts in found.values() for day in counts}), np.int32)
        every = days.tolist()
        measured = {n: Measured.of([c.get(day) for day in every]) for n, c in found.items()}
        return cls(cell, days, measured)

    def _table(self) -> Iterable[tuple[str, int, DayCounts | None]]:
        for name, measured in self.measured.items():
            for place, day in enumerate(self.days.tolist()):
                yield name, day, measured.day(place)

    def __repr__(self) -> str:
        rows, columns = shape_of(self.cell)
        span = f"{iso_day(int(self.days[0]))} to {iso_day(int(self.days[-1]))}, " * bool(
            self.days.size
        )
        lines = [f"Coverage of {span}{self.days.size} days, {rows} x {columns} cells"]
        for name, there, valid in self._shares():
            share = "" if valid is None else f"{valid:.1%} valid"
            lines.append(f"  {name:<18} {there:>5} days with a file  {share}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        title, *_ = repr(self).splitlines()
        rows = [(name, f"{there:,}", bar(valid)) for name, there, valid in self._shares()]
        head = ("variable", "days with a file", "valid")
        return view("Coverage", title.removeprefix("Coverage of "), (), head, rows)

    def _shares(self) -> Iterable[tuple[str, int, float | None]]:
        """Of each variable the days that have a file, and the share of its cells that is valid."""
        for name, measured in self.measured.items():
            there = measured.valid.shape[0]
            cells = measured.cells.reshape(measured.cells.shape[0], -1).sum(axis=1, dtype=np.int64)
            total = int(cells[measured.grids].sum()) if there else 0
            valid = int(measured.valid.sum(dtype=np.int64)) / total if total else None
            yield name, there, valid

    def _of(self, variable: str) -> Measured:
        if variable not in self.measured:
            raise InvalidInputError(_not_measured(variable))
        return self.measured[variable]

    def _check(
        self,
        variable: str,
        width: npt.NDArray[np.float64],
        height: npt.NDArray[np.float64],
        days: npt.NDArray[np.int32],
    ) -> None:
        if not days.size:
            return
        smallest = float(min(width.min(), height.min()))
        if self.cell > smallest / 2:
            raise InvalidInputError(
                f"{variable} was measured in cells of {self.cell:g} degrees, more than half of a "
                f"box of {smallest:g} degrees; measure it with "
                f"oceanarrow.coverage(..., cell={smallest / 4:g})"
            )
        wanted = np.unique(days, axis=0)
        places = np.searchsorted(self.days, wanted, side="left")
        ends = np.searchsorted(self.days, wanted[:, 1], side="right")
        lacking = ends - places[:, 0] < wanted[:, 1] - wanted[:, 0] + 1
        if lacking.any():
            first, last = wanted[np.flatnonzero(lacking)[0]].tolist()
            day = next(day for day in range(first, last + 1) if day not in self.days)
            raise InvalidInputError(_not_measured(variable, iso_day(day)))

    def _within(
        self,
        counts: Sequence[Counts],
        west: npt.NDArray[np.float64],
        east: npt.NDArray[np.float64],
        south: npt.NDArray[np.float64],
        north: npt.NDArray[np.float64],
    ) -> list[npt.NDArray[np.float64]]:
        """The sums of each of `counts` within boxes, from 180 W and the south pole; cut cells by
        their part.

        Sums from the corner grow linearly within a cell, so that interpolating them is exact.
        """
        rows, columns = shape_of(self.cell)
        turns = int(np.ceil(max(float(east.max()) / 360, 1)))
        edges = np.minimum(self.cell * np.arange(columns), 360.0)
        across = np.concatenate([360.0 * turn + edges for turn in range(turns)] + [[360.0 * turns]])
        up = np.minimum(self.cell * np.arange(rows + 1), 180.0)
        sides = [(_place(across, lon), sign) for lon, sign in ((east, 1.0), (west, -1.0))]
        ends = [(_place(up, lat), sign) for lat, sign in ((north, 1.0), (south, -1.0))]
        totals = []
        for each in counts:
            sums = np.zeros((rows + 1, columns * turns + 1))
            np.cumsum(np.tile(each, turns), axis=0, out=sums[1:, 1:], dtype=np.float64)
            np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
            total = np.zeros(west.size)
            for (j, x), side in sides:
                for (i, y), end in ends:
                    lower = sums[i, j] * (1 - x) + sums[i, j + 1] * x
                    upper = sums[i + 1, j] * (1 - x) + sums[i + 1, j + 1] * x
                    total += side * end * (lower * (1 - y) + upper * y)
            totals.append(total)
        return totals


def shape_of(cell: float) -> tuple[int, int]:
    """Rows and columns of the coarse cells."""
    return int(np.ceil(180 / cell)), int(np.ceil(360 / cell))


def _place(edges: npt.NDArray[np.float64], at: npt.NDArray[np.float64]) -> Any:
    """The cell that a place lies in, and how far into it, 0 to 1."""
    cell = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, edges.size - 2)
    return cell, np.clip((at - edges[cell]) / (edges[cell + 1] - edges[cell]), 0.0, 1.0)


def _smallest(arrays: list[Counts]) -> Counts:
    """The arrays as one, in the smallest type that holds them."""
    if not arrays:
        return np.empty((0, 0, 0), np.uint8)
    largest = max(int(array.max(initial=0)) for array in arrays)
    kind = np.min_scalar_type(largest)
    return np.stack([array.astype(kind) for array in arrays])


def _not_measured(variable: str, day: str | None = None) -> str:
    on = "" if day is None else f" on {day}"
    return (
        f"{variable!r} was not measured{on}; measure it with "
        f"oceanarrow.coverage(dataset, [{variable!r}, ...], output=...)"
    )
