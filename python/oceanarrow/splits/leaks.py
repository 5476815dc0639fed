"""`find_leaks`: which queries of two lists see the same ocean."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.dataset.extent import check_gaps, extents
from oceanarrow.dataset.query import Query
from oceanarrow.events import hand_over
from oceanarrow.inventory.climatology import climatology_queries
from oceanarrow.request import check_positive
from oceanarrow.summary import Statistics
from oceanarrow.window import Window


@dataclass(frozen=True)
class Leaks:
    """Pairs of queries that come too close.

    Attributes:
        count: how many there are.
        pairs: `(K, 2)` int64, the first of them: positions in both lists.
    """

    count: int
    pairs: npt.NDArray[np.int64]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self.count > 0

    def __repr__(self) -> str:
        if not self:
            return "Leaks(none)"
        i, j = self.pairs[0].tolist() if len(self.pairs) else ("?", "?")
        return f"Leaks({self.count:,} pairs; the first is a[{i}] and b[{j}])"


def find_leaks(
    a: Iterable[Query] | Statistics | str | os.PathLike[str],
    b: Iterable[Query],
    *,
    gap_days: int = 0,
    gap_deg: float = 0.0,
    windows: Iterable[Window] = (),
    shift: tuple[float, float] = (0.0, 0.0),
    max_pairs: int = 1000,
) -> Leaks:
    """Finds the pairs of queries that come closer than the gaps, in time and in space.

    Two queries are too close in time if they have a day in common, or fewer than
    `gap_days` whole days lie between them; in space if their boxes have an area in common, or less
    than `gap_deg` degrees of latitude and longitude lie between them. Nearness is measured in
    degrees, around the antimeridian too.

    Args:
        a, b: the lists, of training and of test, say. `a` may be a file that `climatology` wrote:
            each run of days that it is made of is a query of all that its grid covers. Or
            `Statistics`, or their file: they are what they saw, in whole degrees.
        gap_days: whole days that must lie between.
        gap_deg: degrees that must lie between, along at least one of latitude and longitude.
        windows: what is read on other days than the queries', which counts too; not of a file's.
        shift: degrees of longitude and latitude that boxes may move by (`Augment`), likewise.
        max_pairs: pairs that are listed.

    Raises:
        InvalidInputError: an argument is wrong.
        InvalidDatasetError, InvalidInputError: the file is no climatology or statistics.
    """
    check_gaps(gap_days, gap_deg)
    check_positive("max_pairs", max_pairs, minimum=0)
    windows = list(windows)
    hand_over()
    count, pairs = _engine.find_leaks(
        *(
            extents(_told(a), (), (0.0, 0.0))
            if isinstance(a, str | os.PathLike | Statistics)
            else extents(a, windows, shift)
        ),
        *extents(b, windows, shift),
        gap_days=gap_days,
        gap_degrees=gap_deg,
        most=max_pairs,
    )
    return Leaks(count, pairs)


def _told(source: Statistics | str | os.PathLike[str]) -> list[Query]:
    """What numbers were made of: statistics, or a climatology."""
    if isinstance(source, Statistics):
        return source.queries()
    if Path(source).suffix == ".json":
        return Statistics.load(source).queries()
    return climatology_queries(source)
