"""Query and PatchSize: what they keep, what they mean, what they refuse."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from oceanarrow.dataset import PatchSize, Query
from oceanarrow.exceptions import InvalidInputError

APRIL_15 = 19462


def query(start: object = "2023-04-15", end: object = "2023-04-15") -> Query:
    return Query(-70, -60, 35, 45, start, end)  # type: ignore[arg-type]


def test_the_documented_query() -> None:
    q = Query(
        lon_min=-70, lon_max=-60, lat_min=35, lat_max=45,
        time_start="2023-04-15", time_end="2023-04-15",
    )  # fmt: skip
    assert q.bbox == (-70, -60, 35, 45)
    assert str(q.to_dict()) == (
        "{'lon_min': -70, 'lon_max': -60, 'lat_min': 35, 'lat_max': 45, "
        "'time_start': '2023-04-15', 'time_end': '2023-04-15'}"
    )
    assert Query.from_dict(q.to_dict()) == q


def test_equal_queries_hash_alike_and_survive_pickling() -> None:
    assert {query(), query(), pickle.loads(pickle.dumps(query()))} == {query()}
    assert query() != query(end="2023-04-16")


def test_from_dict_names_what_is_wrong() -> None:
    fields = query().to_dict()
    fields["lonmin"] = fields.pop("lon_min")
    with pytest.raises(InvalidInputError, match="missing: lon_min; unknown: lonmin"):
        Query.from_dict(fields)


@pytest.mark.parametrize(
    "time",
    [
        "2023-04-15",
        " 2023-04-15T23:59:59.999999999",
        "2023-04-15 12:00:00",
        "2023-04-14T22:00:00-03:00",
        "2023-04-16T01:00+02:00",
        date(2023, 4, 15),
        datetime(2023, 4, 15, 23, 59),
        datetime(2023, 4, 15, 23, 59, tzinfo=UTC),
        datetime(2023, 4, 16, 1, tzinfo=timezone(timedelta(hours=5))),
        pd.Timestamp("2023-04-15 18:00"),
        pd.Timestamp("2023-04-15 22:00", tz="America/New_York") - pd.Timedelta(hours=20),
        np.datetime64("2023-04-15"),
        np.datetime64("2023-04-15T23:59:59.999999999"),
    ],
)
def test_a_time_means_its_utc_day(time: object) -> None:
    assert query(time, time).days() == (APRIL_15, APRIL_15)


@pytest.mark.parametrize(
    "time",
    ["15.04.2023", "", "2023-02-30", pd.NaT, np.datetime64("NaT"), None, 19462,
     datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))],
)  # fmt: skip
def test_what_is_no_date_is_refused(time: object) -> None:
    with pytest.raises(InvalidInputError):
        query(time).days()


@given(st.dates(), st.integers(0, 400))
def test_days_count_from_1970(first: date, length: int) -> None:
    assert query(first.isoformat(), first).days() == ((first - date(1970, 1, 1)).days,) * 2


def test_a_window_must_not_end_before_it_starts() -> None:
    with pytest.raises(InvalidInputError, match="2023-04-16 must not lie after"):
        query("2023-04-16", "2023-04-15").days()


def test_times_stay_as_given() -> None:
    stamp = pd.Timestamp("2023-04-15 06:00")
    assert query(stamp).time_start is stamp
    assert query("2023-04-15T06").to_dict()["time_start"] == "2023-04-15T06"
    assert query(stamp).to_dict()["time_start"] == "2023-04-15 06:00:00"


def test_geoslice_selects_box_and_whole_days() -> None:
    hours = pd.date_range("2023-04-13", "2023-04-18", freq="6h", inclusive="left")
    grid = xr.DataArray(
        np.zeros((len(hours), 19, 37)),
        {"time": hours, "lat": np.arange(-90, 91, 10), "lon": np.arange(-180, 181, 10)},
        ("time", "lat", "lon"),
    )
    box = query("2023-04-14T12:00", "2023-04-15").to_geoslice()
    found = grid.sel(**box._asdict())
    assert found.lon.values.tolist() == [-70, -60] and found.lat.values.tolist() == [40]
    assert found.time.values[0] == np.datetime64("2023-04-14T00")
    assert found.time.values[-1] == np.datetime64("2023-04-15T18")
    lon, lat, time = box
    assert (lon, lat, time) == (slice(-70, -60), slice(35, 45), slice("2023-04-14", "2023-04-15"))


def test_the_documented_patch_sizes() -> None:
    assert str(PatchSize(10, "deg")) == "10deg" and str(PatchSize(500, "km")) == "500km"
    assert str(PatchSize(10).to_degrees()) == "(10, 10)"
    shown = [tuple(f"{x:.2f}" for x in PatchSize(500, "km").to_degrees(a)) for a in (0, 30, 45, 60)]
    assert shown == [("4.50", "4.50"), ("5.20", "4.50"), ("6.37", "4.50"), ("9.01", "4.50")]


@given(st.floats(1e-3, 1e4), st.floats(-90, 90))
def test_km_become_degrees_with_a_floor_at_the_poles(km: float, lat: float) -> None:
    lon_deg, lat_deg = PatchSize(km, "km").to_degrees(lat)
    assert lat_deg == km / 111
    assert math.isclose(lon_deg, km / 111 / max(math.cos(math.radians(lat)), 0.1), rel_tol=1e-12)
    assert math.isclose(PatchSize(lat_deg).to_km(), km, rel_tol=1e-12)
    assert PatchSize(km, "km").to_km() == km


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "10", None, True])
def test_a_patch_has_a_positive_size(value: object) -> None:
    with pytest.raises(InvalidInputError, match="positive finite number"):
        PatchSize(value)  # type: ignore[arg-type]


def test_units_are_degrees_or_kilometres() -> None:
    with pytest.raises(InvalidInputError, match="'deg', 'km' or 'cells', not 'px'"):
        PatchSize(10, "px")  # type: ignore[arg-type]


def test_importing_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'matplotlib', 'pyarrow', 'pandas', 'xarray', 'tqdm'}"
    code = f"import sys, oceanarrow.dataset, oceanarrow.plot; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr
