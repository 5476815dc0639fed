"""`split_queries`: parts of a list of queries that do not see the same ocean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.days import iso_day
from oceanarrow.dataset.extent import check_gaps, extents
from oceanarrow.dataset.query import Query, QueryArrays
from oceanarrow.display import bar, view
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require
from oceanarrow.request import check_positive
from oceanarrow.window import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

By = Literal["time", "blocks", "space"]

Numbers = npt.NDArray[np.int64]

_NONE = -1
"""The part of queries that are given up."""


@dataclass(frozen=True)
class Split:
    """Parts of a list of queries.

    Attributes:
        parts: the queries of each, in the order of the list.
        left_out: queries that were given up to keep the gaps.
        by: how they were split.
    """

    parts: Mapping[str, list[Query]]
    left_out: list[Query]
    by: By

    def summary(self) -> str:
        """A line a part: queries, share, and days from the first to the last."""
        width = max(len(name) for name in (*self.parts, "left out"))
        return "\n".join(
            f"{name:<{width}} {count:>9,} {share:>6.1%}  {days}".rstrip()
            for name, count, share, days in self._rows()
        )

    def _rows(self) -> Iterator[tuple[str, int, float, str]]:
        """Of each part, and of what was left out: how many, which share, on which days."""
        total = sum(map(len, self.parts.values())) + len(self.left_out)
        for name, queries in (*self.parts.items(), ("left out", self.left_out)):
            spans = [query.days() for query in queries]
            days = ""
            if spans:
                first, last = min(span[0] for span in spans), max(span[1] for span in spans)
                days = f"{iso_day(first)} to {iso_day(last)}"
            yield name, len(queries), len(queries) / max(total, 1), days

    def _repr_html_(self) -> str:
        rows = [(name, f"{count:,}", bar(share), days) for name, count, share, days in self._rows()]
        return view("Split", f"by {self.by}", (), ("part", "queries", "of all", "days"), rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """The parts on a map, or, of a split by time, by day; see `oceanarrow.plot.plot_split`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        plot = require("oceanarrow.plot", "Split.plot", extra="plot")
        axes: Axes = plot.plot_split(self, ax=ax)
        return axes

    def __repr__(self) -> str:
        return f"Split by {self.by}\n{self.summary()}"


def split_queries(
    queries: Iterable[Query],
    shares: Mapping[str, float],
    *,
    by: By = "time",
    gap_days: int = 0,
    gap_deg: float = 0.0,
    block: tuple[int, float] = (30, 15.0),
    seed: int = 0,
    windows: Iterable[Window] = (),
    shift: tuple[float, float] = (0.0, 0.0),
) -> Split:
    """Splits queries into parts of which no two queries come closer than the gaps.

    * `"time"`: parts follow one another, in the order of `shares`, and at least `gap_days` whole
      days lie between them.
    * `"space"`: blocks of `block[1]` degrees belong to one part each, at random; at least `gap_deg`
      degrees of latitude or longitude lie between parts, whatever the day.
    * `"blocks"`: the same of blocks of `block[0]` days and `block[1]` degrees, at least one of the
      gaps apart.

    Queries that lie across a border, or too near it, are given up: large boxes in small blocks are
    nearly all. `find_leaks` of two parts with the same gaps and windows finds nothing.

    Args:
        queries: what to split.
        shares: {name: share of the queries}; they add up to 1, and are met before queries are given
            up, as well as the blocks allow.
        by: "time", "blocks" or "space".
        gap_days: whole days between parts.
        gap_deg: degrees between parts.
        block: days and degrees of a block; degrees are widened to divide 180.
        seed: of the blocks.
        windows: what is read on other days than the queries', which counts too.
        shift: degrees of longitude and latitude that boxes may move by (`Augment`), likewise.

    Raises:
        InvalidInputError: an argument is wrong.
    """
    queries, names = list(queries), list(shares)
    _check(shares, block)
    check_gaps(gap_days, gap_deg)
    check_positive("seed", seed, minimum=0)
    read = extents(queries, windows, shift)
    limits = np.array([shares[name] for name in names])
    if by == "time":
        parts = _by_time(read[1].astype(np.int64), limits, gap_days)
    elif by in ("blocks", "space"):
        days = block[0] if by == "blocks" else None
        parts = _by_blocks(read, limits, days, block[1], gap_days, gap_deg, seed)
    else:
        raise InvalidInputError(f'by must be "time", "blocks" or "space", not {by!r}')
    places = [np.flatnonzero(parts == part).tolist() for part in (*range(len(names)), _NONE)]
    *kept, given_up = [[queries[i] for i in place] for place in places]
    return Split(dict(zip(names, kept, strict=True)), given_up, by)


def _check(shares: Mapping[str, float], block: tuple[int, float]) -> None:
    if not shares or not all(0 < share <= 1 for share in shares.values()):
        raise InvalidInputError(f"shares must be numbers above 0 and at most 1, not {shares!r}")
    if not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
        raise InvalidInputError(f"shares must add up to 1, not {sum(shares.values()):g}")
    try:
        days, degrees = block
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"block must be (days, degrees), not {block!r}") from error
    check_positive("block[0]", days)
    if not 1 <= degrees <= 180:
        raise InvalidInputError(f"block[1] must be from 1 to 180 degrees, not {degrees!r}")


def _by_time(days: Numbers, limits: npt.NDArray[np.float64], gap_days: int) -> Numbers:
    """The part of each query: those that end before the next part begins, less the gap."""
    first, last = days.T
    order = np.sort(first)
    ends = np.round(np.cumsum(limits)[:-1] * order.size).astype(int)
    # A part begins with the first day of the query that the share ends at.
    borders = order[np.minimum(ends, order.size - 1)] if order.size else np.empty(0, np.int64)
    parts = np.searchsorted(borders, first, side="right")
    following = np.append(borders, np.iinfo(np.int64).max)[parts]
    return np.where(last + gap_days < following, parts, _NONE)


def _by_blocks(
    read: QueryArrays,
    limits: npt.NDArray[np.float64],
    block_days: int | None,
    degrees: float,
    gap_days: int,
    gap_deg: float,
    seed: int,
) -> Numbers:
    """The part of each query: that of all blocks that it, widened by half the gap, touches.

    Widened so, two queries that come too close touch a block in common.
    """
    boxes, days = read[0], read[1].astype(np.int64)
    rows = max(1, int(180 // degrees))
    side = 180.0 / rows
    west = (boxes[:, 0] + 180) % 360
    width = np.where(boxes[:, 1] < boxes[:, 0], 360.0, 0.0) + boxes[:, 1] - boxes[:, 0]
    length = block_days or int(np.iinfo(np.int32).max)
    start = int(days.min(initial=0)) - gap_days if block_days else -length // 2

    def places(
        low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
    ) -> tuple[Numbers, Numbers]:
        """The first and the last block; one that is touched at its edge alone is not."""
        first = np.floor(low / side).astype(np.int64)
        return first, np.maximum(first, np.ceil(high / side).astype(np.int64) - 1)

    def middle(of: npt.NDArray[np.float64]) -> Numbers:
        return np.floor(of / side).astype(np.int64)

    half = gap_deg / 2
    x0, x1 = places(west - half, west + width + half)
    y0, y1 = places(boxes[:, 2] + 90 - half, boxes[:, 3] + 90 + half)
    y0, y1 = y0.clip(0, rows - 1), y1.clip(0, rows - 1)
    t0 = (days[:, 0] - gap_days // 2 - start) // length
    t1 = (days[:, 1] + (gap_days + 1) // 2 - start) // length
    table = _assign(
        (int(t1.max(initial=0)) + 1, rows, 2 * rows),
        (
            (days.sum(axis=1) // 2 - start) // length,
            middle((boxes[:, 2] + boxes[:, 3]) / 2 + 90).clip(0, rows - 1),
            middle(west + width / 2) % (2 * rows),
        ),
        limits,
        np.random.default_rng(seed),
    )
    parts: Numbers = table[t0, y0, x0 % (2 * rows)]
    x1 = np.minimum(x1, x0 + 2 * rows - 1)
    for t in range(int((t1 - t0).max(initial=0)) + 1):
        for y in range(int((y1 - y0).max(initial=0)) + 1):
            for x in range(int((x1 - x0).max(initial=0)) + 1):
                at = np.minimum(t0 + t, t1), np.minimum(y0 + y, y1), np.minimum(x0 + x, x1)
                other = table[at[0], at[1], at[2] % (2 * rows)]
                parts = np.where(other == parts, parts, _NONE)
    return parts


def _assign(
    shape: tuple[int, int, int],
    centres: tuple[Numbers, Numbers, Numbers],
    limits: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Numbers:
    """A part for every block, at random, so that each has its share of the queries."""
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, centres, 1)
    order = rng.permutation(counts.size)
    # The largest blocks first, of equal ones at random: what is left evens out.
    order = order[np.argsort(-counts.ravel()[order], kind="stable")]
    table = np.empty(counts.size, np.int64)
    total, taken = max(int(counts.sum()), 1), np.zeros(limits.size)
    empty = rng.choice(limits.size, counts.size, p=limits / limits.sum())
    for place in order.tolist():
        count = int(counts.ravel()[place])
        if count == 0:
            table[place] = empty[place]
            continue
        part = int(np.argmax(limits - taken / total))
        table[place] = part
        taken[part] += count
    return table.reshape(shape)
