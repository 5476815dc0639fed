"""The boxes and days that a download covers, so that what it lacks does not pass for a gap."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oceanarrow.atomic_file import replace_file
from oceanarrow.exceptions import InvalidDatasetError
from oceanarrow.window import Column, with_others

NAME = "covered.npz"
"""The file in a download's directory: the arrays of `Covered.rows`, by data source."""

CATALOGUE = "catalog.parquet"
"""The catalogue in a download's directory, where it has one."""

_SLIVER = 1e-9
"""Degrees by which boxes that meet may miss each other, by rounding."""

Rows = npt.NDArray[np.float64]
Days = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Covered:
    """Boxes and days of queries.

    Attributes:
        rows: {data source: `(N, 6)`}, each row once: west edge from -180 on, east edge beyond it,
            south and north edge in degrees, first and last day since 1970-01-01.
    """

    rows: Mapping[str, Rows]

    @classmethod
    def of(cls, boxes: Rows, days: Days, columns: Iterable[Column]) -> Covered:
        """Those of columns: `lon_min`, `lon_max`, `lat_min`, `lat_max` and two days a query."""
        found: dict[str, list[Rows]] = {}
        for column in with_others(columns):
            if column.supply != "computed":
                found.setdefault(column.source, []).append(_rows(boxes, days, column))
        return cls({source: _once(rows) for source, rows in found.items()})

    @classmethod
    def load(cls, directory: Path) -> Covered | None:
        """What a directory says that it covers; None where it does not say.

        Raises:
            InvalidDatasetError: what it says is damaged.
        """
        path = directory / NAME
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as content:
                rows = {source: content[source] for source in content.files}
            for array in rows.values():
                if array.dtype != np.float64 or array.ndim != 2 or array.shape[1] != 6:
                    raise ValueError(f"an array of {array.dtype}{array.shape}")
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidDatasetError(
                f"what the download says that it covers cannot be read ({error}); download it "
                f"again; file: {path}"
            ) from error
        return cls(rows)

    def write(self, directory: Path) -> None:
        """Leaves it in a directory."""
        replace_file(directory / NAME, lambda file: np.savez_compressed(file, **self.rows))  # type: ignore[arg-type]  # names of sources are none of its options

    def __len__(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.rows.values()))

    def joined(self, other: Covered) -> Covered:
        """What either covers."""
        sources = dict.fromkeys([*self.rows, *other.rows])
        parts = {s: [c.rows[s] for c in (self, other) if s in c.rows] for s in sources}
        return Covered({source: _once(rows) for source, rows in parts.items()})

    def days(self) -> set[int]:
        """All days, since 1970-01-01."""
        spans = [np.unique(rows[:, 4:].astype(np.int64), axis=0) for rows in self.rows.values()]
        every = np.unique(np.concatenate(spans), axis=0).tolist()
        return {day for first, last in every for day in range(first, last + 1)}

    def first_lacking(
        self, boxes: Rows, days: Days, column: Column
    ) -> tuple[int, np.datetime64] | None:
        """The first query of which a part is not covered, and the day; None if all are."""
        asked = _rows(boxes, days, column)
        own = self.rows.get(column.source, np.empty((0, 6)))
        known = np.isin(_keys(asked), _keys(own))

        @functools.cache
        def on_day(day: int) -> Rows:
            return np.unique(own[(own[:, 4] <= day) & (day <= own[:, 5]), :4], axis=0)

        for query in np.flatnonzero(~known).tolist():
            for day in range(int(asked[query, 4]), int(asked[query, 5]) + 1):
                if not _is_covered(asked[query, :4], on_day(day)):
                    return query, np.datetime64(day, "D")
        return None


def check_covered(roots: Sequence[str], boxes: Rows, days: Days, columns: Sequence[Column]) -> None:
    """Refuses queries that need more than was downloaded, where all of a dataset is downloads.

    Raises:
        InvalidDatasetError: naming the first.
    """
    directories = [Path(r).parent if Path(r).name == CATALOGUE else Path(r) for r in roots]
    if any("://" in root for root in roots) or not len(boxes):
        return
    found = [Covered.load(directory) for directory in directories]
    told = [covered for covered in found if covered is not None]
    if len(told) < len(found):
        return
    covered = functools.reduce(Covered.joined, told)
    for column in with_others(columns):
        if column.supply == "computed":
            continue
        lacking = covered.first_lacking(boxes, days, column)
        if lacking is None:
            continue
        query, day = lacking
        west, east, south, north = boxes[query].tolist()
        raise InvalidDatasetError(
            f"queries[{query}] needs more than was downloaded: of {column.source}, its box (lon "
            f"{west:g} to {east:g}, lat {south:g} to {north:g}) is not covered on {day}; download "
            f"what these queries need (oceanarrow.download), or use the whole dataset; directory: "
            f"{directories[0]}"
        )


def _once(rows: Sequence[Rows]) -> Rows:
    return np.unique(np.concatenate(rows), axis=0)


def _rows(boxes: Rows, days: Days, column: Column) -> Rows:
    lon_min, lon_max, south, north = boxes.T
    width = lon_max - lon_min
    width = np.where(width < 0, width + 360, width)
    west = (lon_min + 180) % 360 - 180
    first, last = days[:, 0] + column.first, days[:, 1] + column.last
    if column.supply != "daily":
        # They serve every day.
        first, last = np.zeros_like(first), np.zeros_like(last)
    return np.column_stack([west, west + width, south, north, first, last])


def _keys(rows: Rows) -> npt.NDArray[np.void]:
    """Each row as one value. Zeros of either sign are alike."""
    return np.ascontiguousarray(rows + 0.0).view(np.dtype((np.void, 8 * rows.shape[1]))).ravel()


def _is_covered(box: Rows, covering: Rows) -> bool:
    """Whether a box lies in the union of others, in whatever turn of the circle these are."""
    west, east, south, north = box
    turns = [covering + np.array([turn, turn, 0, 0]) for turn in (-360.0, 0.0, 360.0)]
    clipped = np.concatenate(turns).clip([west, west, south, south], [east, east, north, north])
    parts = clipped[(clipped[:, 0] < clipped[:, 1]) & (clipped[:, 2] < clipped[:, 3])]
    # Between two neighbouring edges, a place is covered throughout or not at all.
    lon = np.unique([west, east, *parts[:, 0], *parts[:, 1]])
    lat = np.unique([south, north, *parts[:, 2], *parts[:, 3]])
    covered = np.zeros((lat.size - 1, lon.size - 1), bool)
    for part in parts:
        (left, right), (low, high) = np.searchsorted(lon, part[:2]), np.searchsorted(lat, part[2:])
        covered[low:high, left:right] = True
    rows, columns = np.diff(lat) > _SLIVER, np.diff(lon) > _SLIVER
    return bool(covered[np.ix_(rows, columns)].all())
