"""Files that hold on every day, and climatologies, against numbers made with NumPy and xarray."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from own_files import BOX, LAT, LON, catalogue, means, plane, write

import oceanarrow
from oceanarrow import Files, Loader, Window
from oceanarrow.cli import main
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError

MONTHS = [float(m * m) for m in range(1, 13)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undated")
    write(folder / "depth.nc", [5.0], None, name="depth")
    write(folder / "depth_of_a_time.nc", [5.0], ["1993-06-01"], name="depth")
    write(folder / "depths.nc", [5.0, 6.0, 7.0], _days("1993-01-01", 3), name="depth")
    write(folder / "clim.nc", MONTHS, _months(), name="clim")
    for days in (365, 366):
        values = [float(day) for day in range(1, days + 1)]
        write(folder / f"year{days}.nc", values, _days("2004-01-01", days), name="clim")
    write(folder / "sla.nc", [1.0, 2.0, 4.0], _days("2020-01-01", 3))
    return folder


def _days(first: str, count: int) -> list[str]:
    start = date.fromisoformat(first)
    return [(start + timedelta(days)).isoformat() for days in range(count)]


def _months() -> list[str]:
    return [f"2001-{month:02d}-15" for month in range(1, 13)]


def test_a_static_field_holds_on_every_day(folder: Path, tmp_path: Path) -> None:
    days = ["1582-10-10", "1970-01-01", "2020-02-29", "2100-01-01"]
    for name in ("depth", "depth_of_a_time"):
        files = Files(str(folder / f"{name}.nc"), {"depth": "depth"}, static=True)
        assert means(catalogue(tmp_path / f"{name}.parquet", files), "depth", days) == [5.0] * 4


def test_a_static_file_of_several_times_needs_a_day(folder: Path, tmp_path: Path) -> None:
    def listed(name: str, day: str | None) -> Path:
        files = Files(str(folder / "depths.nc"), {"depth": "depth"}, static=True, day=day)
        return catalogue(tmp_path / f"{name}.parquet", files)

    assert means(listed("of_a_day", "1993-01-02"), "depth", ["2020-01-01"]) == [6.0]
    with pytest.raises(oceanarrow.OceanArrowError, match=r"3 time steps.*day="):
        listed("without", None)
    with pytest.raises(oceanarrow.OceanArrowError, match="1993-01-09"):
        listed("of_no_day", "1993-01-09")


def _expected_month(day: date) -> float:
    """On the line between the middles of the months around the middle of the day."""
    first = [date(year, month, 1) for year in (day.year - 1, day.year, day.year + 1)
             for month in range(1, 13)] + [date(day.year + 2, 1, 1)]  # fmt: skip
    starts = np.array([start.toordinal() for start in first], float)
    middles = (starts[:-1] + starts[1:]) / 2
    return float(np.interp(day.toordinal() + 0.5, middles, MONTHS * 3))


@settings(max_examples=25, deadline=None)
@given(st.dates(date(1700, 1, 1), date(2300, 12, 31)))
def test_months_are_joined_by_a_line(undated: dict[str, Path], day: date) -> None:
    (found,) = means(undated["line"], "clim", [day.isoformat()])
    assert found == pytest.approx(_expected_month(day), abs=2e-3)
    (found,) = means(undated["steps"], "clim", [day.isoformat()])
    assert found == MONTHS[day.month - 1]


@settings(max_examples=25, deadline=None)
@given(st.dates(date(1700, 1, 1), date(2300, 12, 31)), st.sampled_from([365, 366]))
def test_days_of_the_year(undated: dict[str, Path], day: date, length: int) -> None:
    number = day.timetuple().tm_yday
    (found,) = means(undated[str(length)], "clim", [day.isoformat()])
    assert found == min(number, length)


@pytest.fixture(scope="module")
def undated(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Catalogues of one climatology, by how it is told."""
    out = tmp_path_factory.mktemp("catalogues")
    files = {
        "line": Files(str(folder / "clim.nc"), {"clim": "clim"}, cycle="month"),
        "steps": Files(
            str(folder / "clim.nc"), {"clim": "clim"}, cycle="month", cycle_interpolate=False
        ),
        **{
            str(days): Files(str(folder / f"year{days}.nc"), {"clim": "clim"}, cycle="day_of_year")
            for days in (365, 366)
        },
    }
    return {name: catalogue(out / f"{name}.parquet", spec) for name, spec in files.items()}


def test_a_cycle_of_one_file_a_month(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"{month:02d}.nc", [value], [f"2001-{month:02d}-16"], name="clim")
        for month, value in enumerate(MONTHS, 1)
    ]
    files = Files([str(path) for path in paths], {"clim": "clim"}, cycle="month")
    listed = catalogue(tmp_path / "clim.parquet", files)
    assert means(listed, "clim", ["1999-07-16"]) == [MONTHS[6]]


@pytest.mark.parametrize(
    ("count", "cycle"), [(11, "month"), (13, "month"), (12, "day_of_year"), (364, "day_of_year")]
)
def test_other_lengths_of_a_cycle(tmp_path: Path, count: int, cycle: str) -> None:
    times = _days("2001-01-01", count) if cycle == "day_of_year" else (_months() * 2)[:count]
    if count == 13:
        times[12] = "2002-01-15"
    write(tmp_path / "clim.nc", [1.0] * count, times, name="clim")
    files = Files(str(tmp_path / "clim.nc"), {"clim": "clim"}, cycle=cycle)  # type: ignore[arg-type]
    with pytest.raises(oceanarrow.OceanArrowError, match=rf"{count}|month"):
        catalogue(tmp_path / "clim.parquet", files)
    assert not (tmp_path / "clim.parquet").exists()


def test_what_cannot_be_both() -> None:
    for options, what in [
        ({"static": True, "cycle": "month"}, "not both"),
        ({"cycle": "week"}, "day_of_year"),
        ({"static": True, "span": "3D"}, "files of days"),
        ({"cycle": "month", "day_offset": 1}, "files of days"),
    ]:
        with pytest.raises(InvalidInputError, match=what):
            Files("x.nc", static=options.pop("static", False), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def everything(folder: Path) -> Path:
    """Days, a static field and a climatology."""
    path = catalogue(
        folder / "everything.parquet",
        [
            Files(str(folder / "sla.nc"), {"sla": "sla"}),
            Files(str(folder / "depth.nc"), {"depth": "depth"}, static=True),
            Files(str(folder / "clim.nc"), {"clim": "clim"}, cycle="month"),
        ],
    )
    # That files are opened is what some tests look at.
    (path.parent / f"{path.stem}.index.parquet").unlink()
    return path


def test_shapes_and_presence(everything: Path) -> None:
    """A static field is (H, W) also where days are stacked; it is there where no day is."""
    queries = [Query(*BOX, "2020-01-01", "2020-01-03"), Query(*BOX, "2020-01-03", "2020-01-05")]
    (batch,) = Loader(
        everything,
        queries,
        ["depth", Window("depth", -7, 7, name="around"), "clim", "sla"],
        default_patch_size=(5, 4),
        batch_size=2,
        temporal_agg="stack",
        shuffle=False,
    )
    found = batch.to_numpy()
    assert found["inputs"]["depth"].shape == found["inputs"]["around"].shape == (2, 5, 4)
    assert found["inputs"]["clim"].shape == found["inputs"]["sla"].shape == (2, 3, 5, 4)
    expected = _interpolated(plane(5.0), 5, 4)
    for name in ("depth", "around"):
        np.testing.assert_allclose(found["inputs"][name], np.stack([expected] * 2), atol=1e-6)
    assert found["present"]["depth"].all() and found["present"]["clim"].all()
    assert found["masks"]["clim"].all() and found["masks"]["depth"].all()
    assert found["masks"]["sla"][:, :, 0, 0].tolist() == [[True] * 3, [True, False, False]]


def _interpolated(field: np.ndarray, height: int, width: int) -> np.ndarray:
    array = xr.DataArray(field, {"lat": LAT, "lon": LON}, ("lat", "lon"))
    return array.interp(
        lat=np.linspace(*BOX[2:], height), lon=np.linspace(*BOX[:2], width)
    ).to_numpy()


@pytest.mark.parametrize("agg", ["mean", "first", "last"])
def test_windows_of_a_climatology(everything: Path, agg: str) -> None:
    (batch,) = Loader(
        everything,
        [Query(*BOX, "2019-02-27", "2019-03-20")],
        ["clim"],
        default_patch_size=(5, 4),
        batch_size=1,
        temporal_agg=agg,  # type: ignore[arg-type]
    )
    days = [_expected_month(date(2019, 2, 27) + timedelta(n)) for n in range(22)]
    value = {"mean": np.mean(days), "first": days[0], "last": days[-1]}[agg]
    found = batch.to_numpy()["inputs"]["clim"][0]
    np.testing.assert_allclose(found, _interpolated(plane(float(value)), 5, 4), atol=1e-4)


def test_opened_once_and_never_read_twice(everything: Path) -> None:
    days = _days("2020-01-01", 3)
    queries = [Query(*BOX, day, day) for day in days for _ in range(20)]
    loader = Loader(
        everything, queries, ["depth", "clim"], default_patch_size=(5, 5), batch_size=4, window=8
    )
    for _ in range(2):
        for _ in loader:
            pass
    stats = loader.stats()
    assert stats["files_opened"] == 2
    # January and December; no chunk of any is decoded a second time.
    assert stats["chunks_decoded"] == stats["chunks_distinct"] > 0
    assert stats["amplification"] == 1.0


def test_a_plan_of_static_fields_alone(everything: Path, folder: Path, tmp_path: Path) -> None:
    """Serves any day, without a warning about days that do not exist."""
    alone = catalogue(
        tmp_path / "alone.parquet", Files(str(folder / "depth.nc"), {"depth": "depth"}, static=True)
    )
    for path in (everything, alone):
        assert means(path, "depth", ["1066-10-14"]) == [5.0]
    with pytest.warns(UserWarning, match="no day in the dataset"):
        assert means(everything, "sla", ["1066-10-14"]) == [None]


def test_coverage(everything: Path) -> None:
    found = oceanarrow.coverage(everything, ["sla", "depth", "clim"], progress=False)
    for day in _days("2020-01-01", 3):
        cells, valid = found.counts("sla", day)
        for name in ("depth", "clim"):
            counts = found.counts(name, day)
            np.testing.assert_array_equal(counts, (cells, valid))
        assert valid.sum() == LAT.size * LON.size


def test_quality_rules_and_masks_meet_static_fields(everything: Path) -> None:
    """A day's field that counts only where a static one is valid, and the other way round."""
    (batch,) = Loader(
        everything,
        [Query(*BOX, "2020-01-02", "2020-01-02")],
        [
            Window("sla", where="depth", name="masked"),
            Window("depth", where="sla", name="seen"),
            Window("depth", 1, where="sla", name="seen_late"),
            Window("depth", 2, where="sla", name="unseen"),
        ],
        default_patch_size=(5, 4),
        batch_size=1,
    )
    masks = batch.to_numpy()["masks"]
    assert masks["masked"].all() and masks["seen"].all() and masks["seen_late"].all()
    assert not masks["unseen"].any()


def test_catalogues_are_joined(folder: Path, tmp_path: Path) -> None:
    static = Files(str(folder / "depth.nc"), {"depth": "depth"}, static=True)
    of_days = Files(str(folder / "sla.nc"), {"sla": "sla"})
    paths = [
        catalogue(tmp_path / "static.parquet", static),
        catalogue(tmp_path / "days.parquet", of_days),
    ]
    for roots in (paths, paths[::-1]):
        (batch,) = Loader(
            roots, [Query(*BOX, "2020-01-02", "2020-01-02")], ["sla", "depth"],
            default_patch_size=(5, 5), batch_size=1,
        )  # fmt: skip
        found = batch.to_numpy()["inputs"]
        for name, value in (("sla", 2.0), ("depth", 5.0)):
            np.testing.assert_allclose(found[name][0], _interpolated(plane(value), 5, 5), atol=1e-6)


def test_a_catalogue_is_updated(folder: Path, tmp_path: Path) -> None:
    """Files that were listed are taken over, unread."""
    static = Files(str(folder / "depth.nc"), {"depth": "depth"}, static=True)
    monthly = Files(str(folder / "clim.nc"), {"clim": "clim"}, cycle="month")
    path = catalogue(tmp_path / "c.parquet", [static, monthly])
    before = path.read_bytes()
    oceanarrow.write_catalog(path, [static, monthly], progress=False, update=True)
    assert path.read_bytes() == before
    assert means(path, "clim", ["2020-06-16"]) == pytest.approx(
        [_expected_month(date(2020, 6, 16))], abs=2e-3
    )


def test_a_download_takes_them_along(everything: Path, tmp_path: Path) -> None:
    queries = [Query(*BOX, "2020-01-01", "2020-01-01")]
    names = ["sla", "depth", "clim"]
    oceanarrow.download(everything, queries, names, tmp_path / "copy", progress=False)
    (copied,) = [p for p in (tmp_path / "copy").glob("*.parquet") if ".index" not in p.name]

    def batch(path: Path) -> dict[str, np.ndarray]:
        (made,) = Loader(path, queries, names, default_patch_size=(6, 6), batch_size=1)
        return made.to_numpy()["inputs"]

    there, here = batch(everything), batch(copied)
    for name in names:
        np.testing.assert_array_equal(there[name], here[name])


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("depth", ["--static"], {"static": True}),
        ("clim", ["--cycle", "month"], {"cycle": "month"}),
        ("clim", ["--cycle", "month", "--steps"], {"cycle": "month", "cycle_interpolate": False}),
        ("year366", ["--cycle", "day_of_year"], {"cycle": "day_of_year"}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*a chunk holds")
def test_the_command_line(
    folder: Path, tmp_path: Path, name: str, arguments: list[str], options: dict[str, Any]
) -> None:
    file = str(folder / f"{name}.nc")
    variable = "depth" if name == "depth" else "clim"
    command = ["catalog", file, "--variables", f"a={variable}", "-o", str(tmp_path / "a.parquet")]
    assert main([*command, *arguments]) == 0
    made = catalogue(tmp_path / "b.parquet", Files(file, {"a": variable}, **options))
    for day in ("2020-12-31", "2021-03-03"):
        assert means(tmp_path / "a.parquet", "a", [day]) == means(made, "a", [day])


def test_an_index_knows_them(everything: Path, tmp_path: Path) -> None:
    index = tmp_path / "known.idx"
    assert main(["index", str(everything), "-o", str(index)]) == 0
    loader = Loader(
        everything, [Query(*BOX, "2020-01-01", "2020-01-01")], ["depth", "clim"],
        default_patch_size=(5, 5), batch_size=1, index=index,
    )  # fmt: skip
    list(loader)
    assert loader.stats()["files_opened"] == 0


def test_queries_of_days_warn_of_days_alone(everything: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Loader(
            everything, [Query(*BOX, "1900-01-01", "1900-01-01")], ["depth", "clim"],
            batch_size=1,
        )  # fmt: skip
