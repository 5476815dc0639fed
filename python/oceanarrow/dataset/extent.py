"""What queries read: their boxes and days, those of windows included."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from oceanarrow.dataset.query import Query, QueryArrays, query_arrays, widened
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.window import Window


def extents(
    queries: Iterable[Query], windows: Iterable[Window], shift: tuple[float, float]
) -> QueryArrays:
    """Boxes `(N, 4)` and days `(N, 2)`, from the first day that is read to the last, and as far as
    boxes may move by `shift` degrees."""
    boxes, days = query_arrays(queries)
    if not all(math.isfinite(degrees) and degrees >= 0 for degrees in shift):
        raise InvalidInputError(
            f"shift must be degrees of longitude and latitude from 0, not {shift!r}"
        )
    if any(shift):
        boxes = widened(boxes, shift)
    first, last = [0], [0]
    for window in windows:
        if not isinstance(window, Window):
            raise InvalidInputError(f"windows must be a list of oceanarrow.Window, not {window!r}")
        first.append(window.first)
        last.append(window.first if window.last is None else window.last)
    return boxes, days + np.array([min(first), max(last)], np.int32)


def check_gaps(gap_days: int, gap_deg: float) -> None:
    """Refuses gaps that are none.

    Raises:
        InvalidInputError: one is negative, not finite, or of days and not whole.
    """
    days: object = gap_days
    if not isinstance(days, (int, np.integer)) or isinstance(days, bool) or not 0 <= days < 2**31:
        raise InvalidInputError(f"gap_days must be a whole number from 0, not {gap_days!r}")
    if not math.isfinite(gap_deg) or not 0 <= gap_deg <= 360:
        raise InvalidInputError(f"gap_deg must be from 0 to 360 degrees, not {gap_deg!r}")
