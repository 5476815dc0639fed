"""Which days a file's time steps stand for."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from own_files import catalogue, means, write

from oceanarrow import Catalog, Files
from oceanarrow.exceptions import CorruptGranuleError, InvalidInputError

pytestmark = pytest.mark.filterwarnings("ignore:.*have no day in the dataset")

WEEK = [f"2021-03-{day:02d}" for day in range(1, 9)]


def test_each_step_is_its_day(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [1, 2, 3], ["2021-03-01T12", "2021-03-02T12", "2021-03-04T00"])
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}))
    assert means(path, "ssh", WEEK[:5]) == [1, 2, None, 3, None]
    assert Catalog(path).days[:2] == ("2021-03-01", "2021-03-04")


def test_steps_of_a_day_are_averaged_also_over_files(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [1, 2], ["2021-03-01T00", "2021-03-01T23:59:59"])
    write(tmp_path / "b.nc", [9, 4], ["2021-03-02T06", "2021-03-03T06"])
    write(tmp_path / "c.nc", [5], ["2021-03-02T18"])
    path = catalogue(tmp_path / "c.parquet", Files(str(tmp_path / "*.nc"), {"ssh": "sla"}))
    assert means(path, "ssh", WEEK[:3]) == [1.5, 7, 4]


def test_bounds_say_which_days_a_step_stands_for(tmp_path: Path) -> None:
    write(
        tmp_path / "a.nc",
        [1, 2],
        ["2021-03-02T12", "2021-03-06T00"],
        bounds=[("2021-03-01", "2021-03-04"), ("2021-03-04", "2021-03-08")],
    )
    # What the file says is stronger than what is said about it.
    for span in (None, "2D"):
        path = catalogue(
            tmp_path / f"{span}.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}, span=span)
        )
        assert means(path, "ssh", WEEK) == [1, 1, 1, 2, 2, 2, 2, None]


def test_a_span(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [1, 2], ["2021-03-01", "2021-03-04"])
    path = catalogue(tmp_path / "d.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}, span="3D"))
    assert means(path, "ssh", WEEK[:7]) == [1, 1, 1, 2, 2, 2, None]
    path = catalogue(
        tmp_path / "o.parquet",
        Files(tmp_path / "a.nc", {"ssh": "sla"}, span="3D", day_offset=-1),
    )
    assert means(path, "ssh", ["2021-02-28", *WEEK[:6]]) == [1, 1, 1, 2, 2, 2, None]


def test_months(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [1, 2], ["2020-02-15", "2020-03-16T12"])
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}, span="month"))
    days = ["2020-01-31", "2020-02-01", "2020-02-29", "2020-03-01", "2020-03-31", "2020-04-01"]
    assert means(path, "ssh", days) == [None, 1, 1, 2, 2, None]


def test_stamps_at_the_end_of_their_day(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [1, 2], ["2021-03-02T00", "2021-03-03T00"])
    path = catalogue(
        tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}, day_offset=-1)
    )
    assert means(path, "ssh", WEEK[:3]) == [1, 2, None]


@pytest.mark.parametrize("day", [date(2021, 3, 5), "2021-03-05"])
def test_a_file_without_time_has_a_day(tmp_path: Path, day: date | str) -> None:
    write(tmp_path / "a.nc", [7], None)
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}, day=day))
    assert means(path, "ssh", WEEK[3:6]) == [None, 7, None]


def test_the_day_is_in_the_name_or_in_the_path(tmp_path: Path) -> None:
    write(tmp_path / "ssh_20210301_v2.nc", [1], None)
    write(tmp_path / "2021/03/02/ssh.nc", [2], None)
    name = r"_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_"
    folder = r"/(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d)/"
    path = catalogue(
        tmp_path / "c.parquet",
        [
            Files(str(tmp_path / "*.nc"), {"ssh": "sla"}, day=name),
            Files(str(tmp_path / "*/*/*/*.nc"), {"ssh": "sla"}, day=folder),
        ],
    )
    assert means(path, "ssh", WEEK[:3]) == [1, 2, None]
    write(tmp_path / "bad_20211301_.nc", [1], None)
    for pattern, text in (
        (name, "finds no date"),
        (r"(?P<year>x)(?P<month>y)(?P<day>z)", "does not fit"),
    ):
        with pytest.raises(InvalidInputError, match=rf"{text}.*bad_20211301_\.nc"):
            catalogue(
                tmp_path / "d.parquet",
                Files(tmp_path / "bad_20211301_.nc", {"ssh": "sla"}, day=pattern),
            )


def test_reprocessed_before_near_real_time(tmp_path: Path) -> None:
    write(tmp_path / "nrt.nc", [1, 2, 3], WEEK[:3])
    write(tmp_path / "my.nc", [10, 20], WEEK[:2])
    path = catalogue(
        tmp_path / "c.parquet",
        [
            Files(tmp_path / "nrt.nc", {"ssh": "sla"}),
            Files(tmp_path / "my.nc", {"ssh": "sla"}, priority=1),
        ],
    )
    assert means(path, "ssh", WEEK[:4]) == [10, 20, 3, None]
    assert not Catalog(path).warnings
    path = catalogue(tmp_path / "d.parquet", Files(str(tmp_path / "*.nc"), {"ssh": "sla"}))
    assert means(path, "ssh", WEEK[:4]) == [5.5, 11, 3, None]
    (warning,) = Catalog(path).warnings
    assert "overlap" in warning and "nrt.nc" in warning and "my.nc" in warning


@pytest.mark.parametrize(
    ("times", "text"),
    [
        (["2021-03-02", "2021-03-01"], "ascend"),
        (["2021-03-01", "2021-03-01"], "ascend|repeat"),
        (["2021-03-01", "2021-03-03", "2021-03-02"], "ascend"),
    ],
)
def test_times_must_ascend(tmp_path: Path, times: list[str], text: str) -> None:
    write(tmp_path / "a.nc", [1] * len(times), times)
    with pytest.raises(CorruptGranuleError, match=rf"(?s)({text}).*a\.nc"):
        catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}))


def test_no_day(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [1], None)
    with pytest.raises(CorruptGranuleError, match=r"(?s)has no time; give its day.*a\.nc"):
        catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}))
    write(tmp_path / "b.nc", [1, 2], WEEK[:2])
    with pytest.raises(
        CorruptGranuleError, match=r"(?s)2 time steps, which tell their days.*b\.nc"
    ):
        catalogue(tmp_path / "c.parquet", Files(tmp_path / "b.nc", {"ssh": "sla"}, day=WEEK[0]))
    assert not (tmp_path / "c.parquet").exists()


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_other_calendars(tmp_path: Path, calendar: str) -> None:
    import h5py

    write(tmp_path / "a.nc", [1, 2], WEEK[:2])
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        file["time"].attrs["calendar"] = calendar
    with pytest.raises(CorruptGranuleError, match=rf"(?s){calendar}.*a\.nc"):
        catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}))
