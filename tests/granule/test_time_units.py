"""Which day a time is of: as cftime reads the unit and the calendar."""

from __future__ import annotations

from pathlib import Path

import cftime
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oceanarrow import _engine
from oceanarrow.exceptions import UnsupportedError

UNITS = {
    **dict.fromkeys(["days", "day", "d", "Days"], 1.0),
    **dict.fromkeys(["hours", "hour", "hrs", "hr", "h"], 24.0),
    **dict.fromkeys(["minutes", "minute", "mins", "min"], 1440.0),
    **dict.fromkeys(["seconds", "second", "secs", "sec", "s"], 86_400.0),
    **dict.fromkeys(["milliseconds", "millisecs", "msec", "msecs"], 86_400e3),
}
DATES = ["1970-01-01", "1950-1-1", "2000-2-29", "1900-01-01", "1-1-1", "1582-10-04", "1582-10-15"]
CLOCKS = [
    "", " 00:00:00", "T12:00:00Z", " 6:30", " 23:59:59.5", " 00:00:00 UTC",
    " 1:2:3 +05:30", "T00:00:00-0330", " 00:00:00.0 +02",
]  # fmt: skip


def write(path: Path, stored: list[float], units: str, calendar: str | None) -> None:
    """A step for each time, whose cells hold the number of the step."""
    with h5py.File(path, "w") as file:
        axes = {"time": stored, "lat": [1.0, 2.0], "lon": [3.0, 4.0, 5.0]}
        told = {"time": units, "lat": "degrees_north", "lon": "degrees_east"}
        for name, values in axes.items():
            file[name] = np.asarray(values, "f8")
            file[name].attrs["units"] = told[name]
            file[name].make_scale(name)
        if calendar is not None:
            file["time"].attrs["calendar"] = calendar
        data = np.arange(len(stored), dtype="f4")[:, None, None] + np.zeros((1, 2, 3), "f4")
        made = file.create_dataset("v", data=data)
        for dim, name in zip(made.dims, axes, strict=True):
            dim.attach_scale(file[name])


def epoch_day(found: cftime.datetime, calendar: str) -> int:
    midnight = found.replace(hour=0, minute=0, second=0, microsecond=0)
    return round(cftime.date2num(midnight, "days since 1970-01-01", calendar))


@pytest.mark.filterwarnings("ignore:this date/calendar")
@given(
    unit=st.sampled_from(sorted(UNITS)),
    date=st.sampled_from(DATES),
    clock=st.sampled_from(CLOCKS),
    calendar=st.sampled_from([None, "standard", "gregorian", "proleptic_gregorian", "Gregorian"]),
    days=st.lists(st.floats(0, 80_000), min_size=2, max_size=4, unique_by=int),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_days_are_those_of_cftime(
    unit: str, date: str, clock: str, calendar: str | None, days: list[float], tmp_path: Path
) -> None:
    # In the middle of seconds, so that rounding decides nothing.
    stored = [(np.floor(day * 86_400) + 0.25) / 86_400 * UNITS[unit] for day in sorted(days)]
    units = f"{unit} since {date}{clock}"
    of_cftime = "standard" if calendar is None else calendar.lower()
    dates = [cftime.num2date(t, units.lower(), of_cftime) for t in stored]
    due = [epoch_day(found, of_cftime) for found in dates]
    path = tmp_path / "times.nc"
    write(path, stored, units, calendar)
    for day in due:
        steps = [i for i, other in enumerate(due) if other == day]
        found = _engine.read_window(str(path), "v", day=day)["data"]
        np.testing.assert_allclose(found, np.mean(steps), rtol=1e-6)
    absent = _engine.read_window(str(path), "v", day=max(due) + 3)["data"]
    assert np.isnan(absent).all()


@pytest.mark.parametrize(
    ("units", "calendar", "said"),
    [
        ("days since Jan 1, 2000", None, "ncatted"),
        ("days since 2001-02-29", None, "ncatted"),
        ("months since 2000-01-01", None, "weeks, days"),
        ("days since 2000-01-01 6:30 PM", None, "ncatted"),
        ("julian day", None, "ncatted"),
        ("days since 2000-01-01", "noleap", "setcalendar,standard"),
        ("days since 2000-01-01", "360_day", "setcalendar,standard"),
    ],
)
def test_others_are_refused_with_the_remedy(
    units: str, calendar: str | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "times.nc"
    write(path, [1.0, 2.0], units, calendar)
    with pytest.raises(UnsupportedError, match=said) as caught:
        _engine.read_window(str(path), "v", day=10_957)
    assert str(path) in str(caught.value)
