"""What queries must have: files, valid cells, days."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.inventory.coverage import Coverage
from oceanarrow.variables import Variable, find_variables
from oceanarrow.window import Window

Boxes = npt.NDArray[np.float64]
"""`(N, 4)`: `lon_min`, `lon_max`, `lat_min`, `lat_max`, degrees."""

Days = npt.NDArray[np.int32]
"""`(N, 2)`: first and last day since 1970-01-01."""


@dataclass(frozen=True)
class Requirements:
    """What queries must have.

    Attributes:
        files: variables of which a file must exist, and on which days relative to the query's.
        shares: the share of valid cells that each of these must have at least, likewise.
        spans: days relative to the query's that must lie between the first and last of a variable.
        coverage: the shares there are.
    """

    files: Sequence[tuple[_Files, Window]] = ()
    shares: Sequence[tuple[float, Window]] = ()
    spans: Sequence[tuple[tuple[int, int], Window]] = ()
    coverage: Coverage | None = None

    @classmethod
    def of(
        cls,
        catalog: Catalog | None,
        coverage: Coverage | None,
        require: Iterable[str],
        min_valid: Mapping[str, float] | None,
        windows: Iterable[Window],
    ) -> Requirements:
        """Those of a generator's arguments; names are those of windows, else of variables.

        Raises:
            InvalidInputError: an argument is wrong, or the catalog or coverage it needs is missing.
        """
        if isinstance(require, str):
            raise InvalidInputError(f"require must be a list of names, not the text {require!r}")
        windows, names, limits = list(windows), list(require), dict(min_valid or {})
        if not all(isinstance(window, Window) for window in windows):
            raise InvalidInputError("windows must be a list of oceanarrow.Window")
        by_name = {window.column: window for window in windows}
        for name, share in limits.items():
            if not 0.0 <= share <= 1.0:
                raise InvalidInputError(f"min_valid of {name!r} must be from 0 to 1, not {share!r}")
        if limits and coverage is None:
            raise InvalidInputError(
                "min_valid needs to know what there is: QueryGenerator(..., coverage="
                f"oceanarrow.coverage(dataset, {list(limits)}, output='coverage.parquet'))"
            )
        if (windows or names) and catalog is None:
            argument = "require" if names else "windows"
            raise InvalidInputError(
                f"{argument} needs to know what there is: QueryGenerator(..., catalog=dataset)"
            )

        def window(name: str) -> Window:
            return by_name.get(name, Window(name))

        files, spans = [], []
        if catalog is not None:
            known = catalog.variables
            wanted = [window(name) for name in names]
            variables = find_variables((w.variable for w in wanted), known)
            files = [(_Files.of(catalog, v), w) for v, w in zip(variables, wanted, strict=True)]
            variables = find_variables((w.variable for w in windows), known)
            spans = [(_span(catalog, v), w) for v, w in zip(variables, windows, strict=True)]
        return cls(files, [(share, window(n)) for n, share in limits.items()], spans, coverage)

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.files or self.shares or self.spans)

    def starts(self, days: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
        """Those first days of windows of `length` days on which all that is asked for lies inside
        the days that exist."""
        fits = np.ones(days.size, bool)
        for (first, last), window in self.spans:
            from_day, to_day = _offsets(window)
            fits &= (days + from_day >= first) & (days + length - 1 + to_day <= last)
        return days[fits]

    def met(self, boxes: Boxes, days: Days) -> npt.NDArray[np.bool_]:
        """Which queries meet them, `(N,)`."""
        good = np.ones(len(boxes), bool)
        for files, window in self.files:
            left = np.flatnonzero(good)
            good[left] = files.exist(boxes[left], _moved(days[left], window))
        for share, window in self.shares:
            left = np.flatnonzero(good)
            if self.coverage is not None and left.size:
                on = _moved(days[left], window)
                found = self.coverage.valid_shares(boxes[left], on, window.variable)
                good[left] = found >= share
        return good


@dataclass(frozen=True)
class _Files:
    """Where and when a variable has files.

    Attributes:
        first: the first day that has one.
        counts: `(D + 1, R)`, files of each footprint before each day.
        footprints: `(R, 4)`, west, east, south and north edges.
    """

    first: int
    counts: npt.NDArray[np.int32]
    footprints: Boxes

    @classmethod
    def of(cls, catalog: Catalog, variable: Variable) -> _Files:
        rows = catalog.rows_of(variable)
        days = catalog.columns["day"][rows]
        footprints, which = np.unique(catalog.footprints()[rows], axis=0, return_inverse=True)
        first = int(days.min(initial=np.iinfo(np.int32).max))
        span = int(days.max(initial=first)) - first + 1
        counts = np.zeros((span + 1, len(footprints)), np.int32)
        np.add.at(counts, (days - first + 1, which.ravel()), 1)
        return cls(first, np.cumsum(counts, axis=0, dtype=np.int32), footprints)

    def exist(self, boxes: Boxes, days: Days) -> npt.NDArray[np.bool_]:
        """Whether a file that shares an area with the box exists on a day of the window."""
        last = len(self.counts) - 1
        start = np.clip(days[:, 0] - self.first, 0, last)
        end = np.clip(days[:, 1] + 1 - self.first, start, last)
        width = np.where(boxes[:, 1] < boxes[:, 0], 360.0, 0.0) + boxes[:, 1] - boxes[:, 0]
        found = np.zeros(len(boxes), bool)
        for i, (west, east, south, north) in enumerate(self.footprints):
            # How far east of the footprint's western edge the box begins.
            offset = (boxes[:, 0] - west) % 360
            meets = (offset < east - west) | (offset + width > 360)
            meets &= (boxes[:, 2] < north) & (boxes[:, 3] > south)
            found |= meets & (self.counts[end, i] > self.counts[start, i])
        return found


def as_catalog(catalog: object) -> Catalog | None:
    """A catalog of what a generator was given: one, the path of a dataset, or nothing."""
    if catalog is None or isinstance(catalog, Catalog):
        return catalog
    return Catalog(catalog)  # type: ignore[arg-type]  # its own errors are clear


def as_coverage(coverage: Coverage | str | os.PathLike[str] | None) -> Coverage | None:
    """A coverage of what a generator was given: one, the path of its file, or nothing."""
    if coverage is None or isinstance(coverage, Coverage):
        return coverage
    return Coverage.load(coverage)


def _offsets(window: Window) -> tuple[int, int]:
    return window.first, window.first if window.last is None else window.last


def _moved(days: Days, window: Window) -> Days:
    return days + np.array(_offsets(window), np.int32)


def _span(catalog: Catalog, variable: Variable) -> tuple[int, int]:
    days = catalog.days_of(variable)
    return int(days[0]), int(days[-1])
