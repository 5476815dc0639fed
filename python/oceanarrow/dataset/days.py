"""Days: whole UTC days, as integers since 1970-01-01."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache

import numpy as np

from oceanarrow.exceptions import InvalidInputError

Time = str | date | np.datetime64
"""A moment or a day; `datetime` and `pandas.Timestamp` are `date`s too."""

_EPOCH = date(1970, 1, 1).toordinal()


def utc_day(time: Time) -> int:
    """The UTC day a time falls on, in days since 1970-01-01.

    A time of day is cut off. A time with an offset is converted to UTC first; one without is
    taken to be UTC.

    Raises:
        InvalidInputError: `time` is no date (ISO 8601 text, `datetime.date`,
            `datetime.datetime`, `pandas.Timestamp`, `numpy.datetime64`).
    """
    if isinstance(time, np.datetime64):
        if np.isnat(time):
            raise InvalidInputError("a query's time is NaT (not a time)")
        return int(time.astype("datetime64[D]").astype(np.int64))
    moment: object = time
    if isinstance(time, str):
        try:
            moment = datetime.fromisoformat(time.strip())
        except ValueError as error:
            raise InvalidInputError(
                f"cannot read {time!r} as a date; write it as YYYY-MM-DD"
            ) from error
    # pandas.NaT passes for a datetime, but does not equal itself.
    if not isinstance(moment, date) or moment != moment:
        raise InvalidInputError(
            f"a query's time must be ISO text, a date, datetime, pandas.Timestamp or "
            f"numpy.datetime64, not {time!r}"
        )
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError as error:
            raise InvalidInputError(f"{time!r} lies outside the calendar in UTC") from error
    return moment.toordinal() - _EPOCH


@lru_cache(maxsize=1 << 16)
def iso_day(day: int) -> str:
    """`YYYY-MM-DD` of a day since 1970-01-01."""
    return str(np.datetime64(day, "D"))
