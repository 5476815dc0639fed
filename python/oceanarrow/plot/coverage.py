"""What there is: a calendar of sources, and maps of valid cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.inventory.coverage import Coverage
from oceanarrow.optional import require
from oceanarrow.plot.figure import new_axes, world_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_FEW_DAYS = 12
"""Days that have a tick each."""


def plot_calendar(there: Catalog | Coverage, *, ax: Axes | None = None) -> Axes:
    """Days across, a row a variable: the share of its cells that are valid (of a `Coverage`), or
    whether there is a file (of a `Catalog`). Days without a file are blank.

    Raises:
        InvalidInputError: there is no day.
        ImportError: matplotlib is not installed.
    """
    names, days, shares = calendar(there)
    if not days.size or not names:
        raise InvalidInputError("there is no day to draw")
    axes = new_axes("plot_calendar", ax, (9.5, 1.7 + 0.28 * len(names)))
    edges = np.arange(days[0], days[-1] + 2).astype("datetime64[D]")
    look: dict[str, Any] = {"cmap": "cividis", "vmin": 0.0, "vmax": 1.0}
    drawn = axes.pcolormesh(
        edges, np.arange(len(names) + 1) - 0.5, np.ma.masked_invalid(shares), **look
    )
    axes.set_yticks(np.arange(len(names)), names)
    axes.invert_yaxis()
    axes.set_facecolor("white")
    _date_ticks(axes, days.size)
    if isinstance(there, Coverage):
        axes.figure.colorbar(drawn, ax=axes, label="share of valid cells")
    axes.set_title(f"{iso_day(int(days[0]))} to {iso_day(int(days[-1]))}")
    return axes


def _date_ticks(axes: Axes, days: int) -> None:
    dates = require("matplotlib.dates", "plot_calendar", extra="plot")
    few = days <= _FEW_DAYS
    locator = dates.DayLocator() if few else dates.AutoDateLocator(maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def calendar(
    there: Catalog | Coverage,
) -> tuple[list[str], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Names, days from first to last since 1970-01-01, and shares `(names, days)`; NaN where there
    is no file, 1 where all that is known is that there is one."""
    if isinstance(there, Catalog):
        names = list(there.variables)
        found = {name: there.days_of(variable) for name, variable in there.variables.items()}
        every = np.unique(np.concatenate([np.empty(0, np.int32), *found.values()]))
    else:
        names, every = there.variables, there.days
    if not every.size:
        return names, every.astype(np.int32), np.empty((len(names), 0))
    days = np.arange(int(every[0]), int(every[-1]) + 1, dtype=np.int32)
    shares = np.full((len(names), days.size), np.nan)
    for row, name in zip(shares, names, strict=True):
        if isinstance(there, Catalog):
            row[found[name] - days[0]] = 1.0
            continue
        for day in every.tolist():
            counts = there.counts(name, day)
            if counts is not None:
                cells, valid = (int(part.sum(dtype=np.int64)) for part in counts)
                row[day - days[0]] = valid / cells if cells else 0.0
    return names, days, shares


def plot_coverage(coverage: Coverage, variable: str, *, day: Time | None = None) -> Axes:
    """A map of the share of a variable's cells that are valid, on a day or over all of them.

    Raises:
        InvalidInputError: the variable or day was not measured, or has no file.
        ImportError: matplotlib is not installed.
    """
    days = coverage.days.tolist() if day is None else [utc_day(day)]
    counted = [counts for d in days if (counts := coverage.counts(variable, d)) is not None]
    if not counted:
        raise InvalidInputError(f"{variable} has no file on {'any day' if day is None else day}")
    cells = np.sum([counts[0] for counts in counted], axis=0, dtype=np.int64)
    valid = np.sum([counts[1] for counts in counted], axis=0, dtype=np.int64)
    shares = np.ma.masked_array(valid / np.maximum(cells, 1), mask=cells == 0)
    axes, frame = world_map("plot_coverage")
    rows, columns = shares.shape
    across = np.minimum(coverage.cell * np.arange(columns + 1), 360.0) - 180
    up = np.minimum(coverage.cell * np.arange(rows + 1), 180.0) - 90
    look: dict[str, Any] = {"cmap": "cividis", "vmin": 0.0, "vmax": 1.0, "zorder": 1}
    drawn = axes.pcolormesh(frame.x(across), up, shares, **look)
    axes.figure.colorbar(drawn, ax=axes, label="share of valid cells", shrink=0.7)
    when = f"{len(counted)} days" if day is None else iso_day(days[0])
    axes.set_title(f"{variable}, {when}")
    return axes
