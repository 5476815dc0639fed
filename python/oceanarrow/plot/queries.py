"""Where queries lie, and the parts they are split into."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.plot.figure import GIVEN_UP, PARTS, new_axes, world_map
from oceanarrow.plot.map import Frame
from oceanarrow.splits import Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 250
"""Boxes that are drawn one by one."""

_FEW_OF_A_PART = 1500

_DEGREES = 2.0
"""The side of the cells that many boxes are counted in."""


def plot_queries(queries: Iterable[Query], *, days: bool = False, ax: Axes | None = None) -> Axes:
    """Few queries as boxes on a map, many by how often they see each cell of 2 degrees.

    Args:
        queries: what to draw; an evaluation grid is drawn once, however many days it has.
        days: instead, how many queries each day has.
        ax: axes for the days; a map has its own figure.

    Raises:
        InvalidInputError: there is no query.
        ImportError: matplotlib is not installed.
    """
    boxes, spans = query_arrays(queries)
    if not len(boxes):
        raise InvalidInputError("there is no query to draw")
    if days:
        axes = new_axes("plot_queries", ax, (9.0, 2.6))
        there, counts = np.unique(spans[:, 0], return_counts=True)
        axes.bar(_dates(there), counts, width=1.0, color=PARTS[0])
        axes.set(xlabel="first day of the window", ylabel="queries", title=_title(len(boxes)))
        return axes
    axes, frame = world_map("plot_queries")
    distinct = np.unique(boxes, axis=0)
    if len(distinct) <= _FEW:
        _add_boxes(axes, frame, distinct, PARTS[0])
    else:
        counts = density(boxes)
        edges = (np.linspace(-180, 180, counts.shape[1] + 1), np.linspace(-90, 90, len(counts) + 1))
        masked = np.ma.masked_equal(counts, 0)
        drawn = axes.pcolormesh(frame.x(edges[0]), edges[1], masked, cmap="cividis", zorder=1)
        axes.figure.colorbar(drawn, ax=axes, label="queries that see it", shrink=0.7)
    axes.set_title(_title(len(boxes)))
    return axes


def plot_split(split: Split, *, ax: Axes | None = None) -> Axes:
    """The parts of a split: by time, the queries of each day; else the boxes on a map.

    Raises:
        InvalidInputError: there is no query.
        ImportError: matplotlib is not installed.
    """
    named = [*split.parts.items(), ("left out", split.left_out)]
    named = [(name, queries) for name, queries in named if queries]
    if not named:
        raise InvalidInputError("there is no query to draw")
    colours = {name: PARTS[i % len(PARTS)] for i, name in enumerate(split.parts)}
    colours["left out"] = GIVEN_UP
    if split.by == "time":
        axes = new_axes("plot_split", ax, (9.0, 2.8))
        bottom: dict[int, int] = {}
        for name, queries in named:
            there, counts = np.unique(query_arrays(queries)[1][:, 0], return_counts=True)
            bases = [bottom.get(day, 0) for day in there.tolist()]
            look: dict[str, Any] = {"color": colours[name], "label": f"{name} ({len(queries):,})"}
            axes.bar(_dates(there), counts, 1.0, bottom=bases, **look)
            stacked = zip(there.tolist(), bases, counts.tolist(), strict=True)
            bottom |= {day: low + count for day, low, count in stacked}
        axes.set(xlabel="first day of the window", ylabel="queries")
    else:
        axes, frame = world_map("plot_split")
        for name, queries in named:
            boxes = np.unique(query_arrays(queries)[0], axis=0)
            shown = boxes[:: -(-len(boxes) // _FEW_OF_A_PART)]
            _add_boxes(axes, frame, shown, colours[name], f"{name} ({len(queries):,})")
    below = -0.3 if split.by == "time" else -0.12
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, below), ncols=len(named), frameon=False)
    axes.set_title(f"split by {split.by}")
    return axes


def density(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """How many boxes see each cell of 2 degrees: `(90, 180)`, from the south pole and 180 W."""
    rows, columns = int(180 / _DEGREES), int(360 / _DEGREES)
    changes = np.zeros((rows + 1, columns + 1), np.int64)
    west = (boxes[:, 0] + 180) % 360
    east = west + np.where(boxes[:, 1] < boxes[:, 0], 360, 0) + boxes[:, 1] - boxes[:, 0]
    y0 = np.floor((boxes[:, 2] + 90) / _DEGREES).astype(int).clip(0, rows - 1)
    y1 = np.ceil((boxes[:, 3] + 90) / _DEGREES).astype(int).clip(y0 + 1, rows)
    parts = [(west, np.minimum(east, 360.0)), (np.zeros_like(west), east - 360)]
    for low, high in parts:
        there = high > low
        x0 = np.floor(low[there] / _DEGREES).astype(int).clip(0, columns - 1)
        x1 = np.ceil(high[there] / _DEGREES).astype(int).clip(x0 + 1, columns)
        for y, up in ((y0[there], 1), (y1[there], -1)):
            np.add.at(changes, (y, x0), up)
            np.add.at(changes, (y, x1), -up)
    counts: npt.NDArray[np.int64] = changes.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
    return counts


def _add_boxes(
    axes: Axes, frame: Frame, boxes: npt.NDArray[np.float64], colour: str, label: str | None = None
) -> None:
    from matplotlib.collections import PolyCollection

    corners = []
    for west, east, south, north in boxes.tolist():
        for turn in (0.0, 360.0):
            low, high = west - turn, (east if east >= west else east + 360) - turn
            low, high = max(low, -180.0), min(high, 180.0)
            if low <= high:
                x = frame.x(np.array([low, high, high, low]))
                corners.append(np.column_stack([x, [south, south, north, north]]))
    look: dict[str, Any] = {"edgecolors": colour, "linewidths": 0.7, "label": label, "zorder": 3}
    faces = _faint(colour)
    axes.add_collection(PolyCollection(corners, facecolors=[faces], **look), autolim=False)


def _faint(colour: str) -> tuple[float, float, float, float]:
    from matplotlib.colors import to_rgba

    return to_rgba(colour, 0.12)


def _dates(days: npt.NDArray[np.int32]) -> Any:
    return days.astype("datetime64[D]")


def _title(count: int) -> str:
    return f"{count:,} quer{'y' if count == 1 else 'ies'}"
