"""Windows: variables at other days than the query's, and as another sensor would see them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oceanarrow
from oceanarrow import Files, Loader, Window, open_patch, write_catalog
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import InvalidInputError

FIRST = np.datetime64("2021-02-27")
DAYS = 12


@pytest.fixture(scope="module")
def calendar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of twelve days: `day` holds the number of its day, from 1 on, but at every fifth
    cell; `seen` is there where row plus column plus day is even."""
    import xarray as xr

    folder = tmp_path_factory.mktemp("calendar")
    rows, columns = np.arange(20)[:, None], np.arange(24)[None, :]
    day = np.ones((DAYS, 20, 24), "f4") * np.arange(1, DAYS + 1)[:, None, None]
    day[:, (rows * 24 + columns) % 5 == 0] = np.nan
    number = np.arange(DAYS)[:, None, None]
    seen = np.where((rows + columns + number) % 2 == 0, 1.0, np.nan).astype("f4")
    dims = ("time", "lat", "lon")
    xr.Dataset(
        {"day": (dims, day, {"units": "m"}), "seen": (dims, seen, {"units": "m"})},
        {
            "time": FIRST.astype("datetime64[ns]") + np.arange(DAYS) * np.timedelta64(1, "D"),
            "lat": ("lat", np.arange(20.0), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(24.0), {"units": "degrees_east"}),
        },
    ).to_netcdf(folder / "a.nc", engine="h5netcdf", encoding={"day": {"chunksizes": (1, 20, 24)}})
    write_catalog(folder / "c.parquet", Files(folder / "a.nc"), progress=False)
    return folder / "c.parquet"


def query(first: int, last: int | None = None) -> Query:
    """On cells 5 to 12 and 3 to 14; days are counted from the first one, 0."""
    days = [str(FIRST + n) for n in (first, first if last is None else last)]
    return Query(3, 14, 5, 12, *days)


SHAPE = (8, 12)
"""Its pixels, each on a cell."""


def batch(path: Path, queries: list[Query], *columns: Any, **options: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        loader = Loader(
            path, queries, columns, batch_size=len(queries), default_patch_size=SHAPE,
            shuffle=False, fill_value=-9.0, **options,
        )  # fmt: skip
    (found,) = loader
    return found.to_numpy()


@given(
    st.integers(0, DAYS - 1),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(-14, 14), st.integers(0, 5)), min_size=1, max_size=4),
    st.sampled_from(["mean", "first", "last", "stack"]),
)
def test_no_day_beyond_the_window_reaches_a_column(
    calendar: Path, start: int, length: int, spans: list[tuple[int, int]], how: str
) -> None:
    asked = query(start, start + length)
    windows = [
        Window("day", first, first + more, name=f"w{i}", temporal_agg=how)  # type: ignore[arg-type]
        for i, (first, more) in enumerate(spans)
    ]
    tree = batch(calendar, [asked], "day", *windows)
    cells = (np.arange(5, 13)[:, None] * 24 + np.arange(3, 15)) % 5 != 0
    for window in windows:
        days = range(start + window.first, start + length + (window.last or 0) + 1)
        there = [day + 1.0 for day in days if 0 <= day < DAYS]
        values, mask = tree["inputs"][window.name][0], tree["masks"][window.name][0]
        assert tree["present"][window.name][0] == bool(there)
        if how == "stack":
            due = [day + 1.0 if 0 <= day < DAYS else np.nan for day in days]
        elif not there:
            due = [np.nan]
        else:
            due = [{"mean": np.mean(there), "first": there[0], "last": there[-1]}[how]]
        values, mask = values.reshape(-1, *SHAPE), mask.reshape(-1, *SHAPE)
        assert len(values) == len(due)
        for field, valid, number in zip(values, mask, due, strict=True):
            np.testing.assert_array_equal(valid, cells & np.isfinite(number))
            np.testing.assert_allclose(field[valid], number, rtol=1e-6)


@pytest.mark.parametrize("how", ["mean", "first", "last", "stack"])
def test_a_window_is_the_query_of_other_days(dataset: Path, how: Any) -> None:
    def of(first: str, last: str, column: Any) -> dict[str, Any]:
        asked = Query(-58, -40, 18, 33, first, last)
        loader = Loader(
            dataset, [asked], [column], batch_size=1, default_patch_size=(12, 16),
            temporal_agg=how, shuffle=False, support=True,
        )  # fmt: skip
        (found,) = loader
        return found.to_numpy()

    found = of("2023-04-01", "2023-04-01", Window("l4_ssh", 1, 2))
    due = of("2023-04-02", "2023-04-03", "l4_ssh")
    for part in ("inputs", "masks", "present", "support"):
        np.testing.assert_array_equal(found[part]["l4_ssh"], due[part]["l4_ssh"])
    assert found["metadata"]["n_files"] == due["metadata"]["n_files"]
    assert found["metadata"]["time_start"][0] == due["metadata"]["time_start"][0] - 1


def test_profiles_of_other_days(ocean: Path) -> None:
    def of(day: str, column: Any) -> np.ndarray:
        asked = Query(-80, -10, 5, 60, day, day)
        found = open_patch(ocean, asked, [column])
        return np.asarray(found[column if isinstance(column, str) else column.name])

    due = of("2023-04-02", "argo")
    assert due.size and not np.array_equal(due, of("2023-04-01", "argo"))
    np.testing.assert_array_equal(of("2023-04-01", Window("argo", 1, name="later")), due)


@pytest.mark.parametrize("how", ["mean", "stack"])
def test_where_another_sensor_sees(calendar: Path, how: Any) -> None:
    queries = [query(0, 1), query(4, 5), query(DAYS - 2, DAYS - 1)]
    masked = Window("day", -1, 1, name="masked", where="seen", temporal_agg=how)
    tree = batch(calendar, queries, masked)
    for row, asked in enumerate((0, 4, DAYS - 2)):
        days = range(asked - 1, asked + 3)
        rows, columns = np.arange(5, 13)[:, None], np.arange(3, 15)
        fields = [
            np.where(
                ((rows * 24 + columns) % 5 != 0)
                & ((rows + columns + day) % 2 == 0)
                & (0 <= day < DAYS),
                day + 1.0,
                np.nan,
            )
            for day in days
        ]
        due = np.array(fields)
        if how == "mean":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                due = np.nanmean(due, axis=0)
        valid = tree["masks"]["masked"][row]
        np.testing.assert_array_equal(valid, np.isfinite(due))
        np.testing.assert_allclose(tree["inputs"]["masked"][row][valid], due[valid], rtol=1e-6)


def test_a_sensor_that_is_not_there_sees_nothing(ocean: Path) -> None:
    """The synthetic ocean has no swath on the second day."""
    asked = [Query(-58, -40, 18, 33, day, day) for day in ("2023-04-01", "2023-04-02")]
    loader = Loader(
        ocean, asked, ["l4_ssh", "l3_swot", Window("l4_ssh", where="l3_swot", name="seen")],
        batch_size=2, default_patch_size=(24, 24), shuffle=False,
    )  # fmt: skip
    (found,) = loader
    masks, present = found.to_numpy()["masks"], found.to_numpy()["present"]
    np.testing.assert_array_equal(masks["seen"], masks["l4_ssh"] & masks["l3_swot"])
    assert masks["seen"].any() and present["seen"].all()


def test_a_chunk_of_several_windows_is_decoded_once(calendar: Path) -> None:
    queries = [query(day) for day in range(3, 9)]
    week = Window("day", -3, 3, temporal_agg="stack", name="week")
    loader = Loader(
        calendar, queries, [week, Window("day", -1, name="before")], ["day"], batch_size=2,
        default_patch_size=SHAPE, shuffle=False, threads=1,
    )  # fmt: skip
    explained = loader.explain()
    assert sum(1 for _ in loader) == 3
    assert explained.decodes == explained.distinct == loader.stats()["chunks_decoded"] == DAYS


def test_the_schema_says_the_days(calendar: Path) -> None:
    loader = Loader(
        calendar, [query(2)], ["day", Window("day", -2, 1, name="w", temporal_agg="stack")],
        batch_size=1, default_patch_size=SHAPE, shuffle=False,
    )  # fmt: skip
    fields = {field.name: field for field in loader.schema.fields}
    assert fields["day"].metadata["days"] == "0,0"
    assert fields["w"].metadata["days"] == "-2,1"
    assert loader.element_spec["inputs"]["w"].shape == (1, 4, *SHAPE)
    (found,) = loader
    times = found.to_xarray()["w"].coords["time"].values[0]
    np.testing.assert_array_equal(times.astype("datetime64[D]"), FIRST + np.arange(0, 4))


def test_patches_and_samples_have_them(calendar: Path) -> None:
    ahead = Window("day", 1, 2, name="ahead")
    patch = open_patch(calendar, query(3), ["day", ahead])
    assert patch["day"].dims[0] == "time" and patch["ahead"].dims[0] == "time_ahead"
    np.testing.assert_array_equal(
        patch["time_ahead"].values.astype("datetime64[D]"), FIRST + np.array([4, 5])
    )
    np.testing.assert_array_equal(np.unique(patch["ahead"][0])[:1], [5.0])
    samples = OceanTACODataset(
        calendar, [query(3), query(DAYS - 1)], ["day"], [ahead], temporal_agg="stack",
        default_patch_size=SHAPE,
    )  # fmt: skip
    assert samples[0]["targets"]["ahead"]["data"].shape == (2, *SHAPE)
    assert samples[1]["targets"]["ahead"] is None
    assert samples[1]["metadata"]["shapes"]["ahead"] == (2, *SHAPE)


def test_settings_are_looked_up_by_column_then_by_variable(calendar: Path, tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps({"day": [1.0, 2.0], "late": {"mean": 3.0, "std": 4.0}}))
    columns = ["day", Window("day", 1, name="next"), Window("day", 2, name="late")]
    loader = Loader(
        calendar, [query(2)], columns, batch_size=1, shuffle=False, normalize=file,
        default_patch_size=(2, 2), patch_sizes={"day": (3, 4), "late": SHAPE},
    )  # fmt: skip
    (found,) = loader
    tree = found.to_numpy()
    shapes = {name: values.shape[1:] for name, values in tree["inputs"].items()}
    assert shapes == {"day": (3, 4), "next": (3, 4), "late": SHAPE}
    means = {
        name: float(values[tree["masks"][name]].mean()) for name, values in tree["inputs"].items()
    }
    assert means == pytest.approx({"day": (3 - 1) / 2, "next": (4 - 1) / 2, "late": (5 - 3) / 4})


def test_plans_tell_windows_apart(calendar: Path) -> None:
    def plan(*columns: Any) -> str:
        return Loader(calendar, [query(5)], columns, batch_size=1, lanes=1).plan_id

    assert plan("day") == plan(Window("day")) == plan(Window("day", 0, 0, name="day"))
    others = [
        plan("day"),
        plan(Window("day", 1)),
        plan(Window("day", 0, 1)),
        plan(Window("day", where="seen")),
        plan(Window("day", name="other")),
        plan(Window("day", temporal_agg="stack")),
    ]
    assert len(set(others)) == len(others)


def test_windows_travel_with_a_loader(calendar: Path) -> None:
    import pickle

    loader = Loader(
        calendar, [query(2)], [Window("day", 1, name="next", where="seen")], batch_size=1,
        default_patch_size=SHAPE, shuffle=False,
    )  # fmt: skip
    (due,), (found,) = loader, pickle.loads(pickle.dumps(loader))
    for part in ("inputs", "masks"):
        np.testing.assert_array_equal(found.to_numpy()[part]["next"], due.to_numpy()[part]["next"])


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ([Window("day", 1, 0)], "no day of queries"),
        (["day", Window("day", 1)], "more than once.*name="),
        ([Window("nothing", 1)], "Unknown variables: 'nothing'"),
        ([Window("day", where="nothing")], "Unknown variables: 'nothing'"),
        ([Window("day", where="argo")], "gridded"),
    ],
)
def test_windows_that_make_no_sense(calendar: Path, columns: list[Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        Loader(calendar, [query(2)], columns, batch_size=1)


def test_one_name_for_two_things_is_refused(calendar: Path) -> None:
    with pytest.raises(InvalidInputError, match="'day' is an input and a target"):
        Loader(calendar, [query(2)], ["day"], [Window("day", 1)], batch_size=1)


@pytest.mark.parametrize(
    "options",
    [
        {"first": 1.5},
        {"first": True},
        {"last": "x"},
        {"first": 10**9},
        {"name": "a b"},
        {"name": "query"},
        {"name": "x_mask"},
    ],
)
def test_arguments_are_checked_where_they_are_given(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Window("day", **options)


def test_a_window_of_a_longer_query_may_be_narrower(calendar: Path) -> None:
    """From the second day of the query to its last but one."""
    tree = batch(calendar, [query(2, 6)], Window("day", 1, -1, temporal_agg="stack"))
    assert tree["inputs"]["day"].shape == (1, 3, *SHAPE)


def test_masks_need_the_same_pixels(calendar: Path) -> None:
    window, day = Window("day", where="seen"), str(FIRST)
    between = [Query(3.4, 13.8, 5, 12, day, day)]
    with pytest.raises(InvalidInputError, match="same pixels"):
        batch(calendar, between, window, grid={"day": "crop", "seen": "exact"})
    found = oceanarrow.open_patch(calendar, query(2), [window])["day"]
    assert np.isfinite(found).any()
