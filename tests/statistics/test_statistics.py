"""Statistics of what queries see: NumPy on the same values, and the same digits however made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from own_files import BOX, LAT, LON, catalogue

from oceanarrow import Files, Loader, Statistics, Summary, Window, find_leaks, statistics
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError, NotFoundError, PlanMismatchError
from oceanarrow.inventory.statistics import QUANTILES

DAYS = [f"2023-04-{day:02d}" for day in range(1, 5)]


def some_queries(n: int, seed: int = 0) -> list[Query]:
    rng = np.random.default_rng(seed)
    queries = []
    for _ in range(n):
        west, south = rng.uniform(-180, 170), rng.uniform(-70, 40)
        day = DAYS[rng.integers(len(DAYS))]
        wide, high = rng.uniform(3, 30, 2)
        east = west + wide
        queries.append(
            Query(west, east - 360 if east > 180 else east, south, south + high, day, day)
        )
    return queries


def check(summary: Summary, values: np.ndarray, cells: int) -> None:
    """Against NumPy on all values at once."""
    values = values.astype(np.float64)
    assert (summary.count, summary.cells) == (values.size, cells)
    assert summary.valid_share == pytest.approx(values.size / cells)
    scale = np.abs(values).max()
    assert summary.mean == pytest.approx(values.mean(), rel=1e-12, abs=1e-12 * scale)
    assert summary.std == pytest.approx(values.std(), rel=1e-9)
    assert (summary.min, summary.max) == (values.min(), values.max())
    check_ranks(summary, values)


def check_ranks(summary: Summary, values: np.ndarray, error: float = 0.005) -> None:
    """Each quantile has its share of values below it, and each bin of the histogram its count."""
    values = np.sort(values)
    for share, value in summary.quantiles.items():
        assert value is not None
        below, up_to = (np.searchsorted(values, value, side) for side in ("left", "right"))
        # A quantile lies between two values, as NumPy's do.
        slack = error + 1 / values.size
        assert below / values.size - slack <= share <= up_to / values.size + slack, (share, value)
    assert summary.histogram is not None
    edges, counts = map(np.asarray, summary.histogram)
    assert edges.size == 65
    assert counts.size == 64
    assert (np.diff(edges) >= 0).all()


def columns(path: Path, queries: list[Query], names: list[Any], **options: Any) -> dict[str, Any]:
    """What a loader gives, {variable: (values, mask)}."""
    (batch,) = Loader(path, queries, names, batch_size=len(queries), shuffle=False, **options)
    told = batch.to_numpy()
    there = told["present"]
    return {
        name: (values[there[name]], told["masks"][name][there[name]])
        for name, values in told["inputs"].items()
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"resample": "area", "min_support": 0.5},
        {"temporal_agg": "stack"},
        {"patch_sizes": {"l4_ssh": (3, 11)}, "resample": "nearest"},
    ],
)
def test_rendered_pixels_against_numpy(ocean: Path, options: dict[str, Any]) -> None:
    queries, names = some_queries(40), ["l4_sst", "l4_ssh", "l3_swot"]
    options = {"default_patch_size": (17, 13), **options}
    found = statistics(ocean, queries, names, **options)
    for name, (values, mask) in columns(ocean, queries, names, **options).items():
        check(found[name], values[mask], mask.size)
        counts = np.asarray(found[name].histogram[1])
        numpy_counts, _ = np.histogram(values[mask], found[name].histogram[0])
        assert np.abs(np.cumsum(counts) - np.cumsum(numpy_counts)).max() <= 0.005 * mask.sum() + 1


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of a field with holes, of one that is never valid, and of one that is 2."""
    folder = tmp_path_factory.mktemp("statistics")
    rng = np.random.default_rng(5)
    times = np.array([f"2020-{month:02d}-15" for month in range(1, 7)], "datetime64[ns]")
    shape = (len(times), LAT.size, LON.size)
    data = rng.gamma(2.0, 3.0, shape) - 4
    data[rng.random(shape) < 0.3] = np.nan
    for name, values in [
        ("field", data),
        ("gone", np.full(shape, np.nan)),
        ("two", np.full(shape, 2.0)),
        ("base", rng.normal(size=shape)),
    ]:
        variable = (("time", "lat", "lon"), values.astype(np.float32), {"units": "m"})
        axes = {
            "time": times,
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", LON, {"units": "degrees_east"}),
        }
        xr.Dataset({name: variable}, axes).to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    coarse = xr.open_dataset(folder / "base.nc").isel(lat=slice(None, None, 2))
    coarse.rename(base="coarse").to_netcdf(folder / "coarse.nc", engine="h5netcdf")
    names = ("field", "gone", "two", "base", "coarse")
    return catalogue(
        folder / "c.parquet", [Files(str(folder / f"{name}.nc"), {name: name}) for name in names]
    )


MONTHS = [f"2020-{month:02d}-15" for month in range(1, 7)]
MONTH_QUERIES = [Query(*BOX, day, day) for day in MONTHS]


def seen_by_xarray(own: Path, name: str, queries: list[Query]) -> tuple[np.ndarray, np.ndarray]:
    """Valid values and their latitudes, of the cells whose centres lie in the boxes."""
    values, latitudes = [], []
    for query in queries:
        with xr.open_dataset(own.parent / f"{name}.nc") as opened:
            part = opened[name].sel(**query.to_geoslice()._asdict())
        flat, lat = np.broadcast_arrays(part.values, part.lat.values[:, None])
        valid = np.isfinite(flat)
        values.append(flat[valid])
        latitudes.append(lat[valid])
    return np.concatenate(values), np.concatenate(latitudes)


def test_own_cells_against_xarray_and_seen_twice_counts_twice(own: Path) -> None:
    queries = [*MONTH_QUERIES, Query(0.5, 12.0, -9.5, 3.5, MONTHS[2], MONTHS[2])]
    values, lat = seen_by_xarray(own, "field", queries)
    found = statistics(own, queries, ["field"])
    cells = 6 * 6 * 7 + 7 * 6
    check(found["field"], values, cells)
    weighted = statistics(own, queries, ["field"], area_weighted=True)["field"]
    weights = np.cos(np.radians(lat))
    mean = np.average(values, weights=weights)
    assert weighted.count == values.size
    assert weighted.mean == pytest.approx(mean, rel=1e-7)
    assert weighted.std == pytest.approx(
        np.sqrt(np.average((values - mean) ** 2, weights=weights)), rel=1e-6
    )
    order = np.argsort(values)
    shares = np.cumsum(weights[order]) / weights.sum()
    for share, value in weighted.quantiles.items():
        at = np.interp(value, values[order], shares)
        assert abs(at - share) < 0.005 + 1 / values.size


def test_groups_are_the_statistics_of_their_queries(own: Path, ocean: Path) -> None:
    found = statistics(own, MONTH_QUERIES, ["field"], by="month")
    assert sorted(found.groups["field"]) == ["01", "02", "03", "04", "05", "06"]
    for i, query in enumerate(MONTH_QUERIES):
        assert found.groups["field"][f"{i + 1:02d}"] == statistics(own, [query], ["field"])["field"]
    days = statistics(own, MONTH_QUERIES, ["field"], by="day")
    assert list(days.groups["field"]) == MONTHS
    assert days["field"] == statistics(own, MONTH_QUERIES, ["field"])["field"]
    boxes = {
        "NORTH_ATLANTIC": Query(-60, -40, 20, 40, DAYS[0], DAYS[0]),
        "SOUTH_PACIFIC_EAST": Query(-175, -100, -60, -10, DAYS[0], DAYS[0]),
    }
    from oceanarrow import Catalog

    regions = Catalog(ocean).regions
    for query in boxes.values():
        lon, lat = (query.lon_min + query.lon_max) / 2, (query.lat_min + query.lat_max) / 2
        (expected,) = [
            name
            for name, (west, east, south, north) in regions.items()
            if west <= lon <= east and south <= lat <= north
        ]
        assert list(statistics(ocean, [query], ["l4_ssh"], by="region").groups["l4_ssh"]) == [
            expected
        ]


@given(
    n=st.integers(1, 90),
    parts=st.integers(1, 7),
    threads=st.integers(1, 5),
    by=st.sampled_from([None, "region", "day"]),
    weighted=st.booleans(),
    patch=st.sampled_from([None, (5, 4)]),
)
def test_threads_and_parts_do_not_change_a_digit(
    ocean: Path,
    n: int,
    parts: int,
    threads: int,
    by: Any,
    weighted: bool,
    patch: tuple[int, int] | None,
) -> None:
    queries = some_queries(n, seed=n)
    options: dict[str, Any] = {"by": by, "area_weighted": weighted, "default_patch_size": patch}
    names = ["l4_sst", "argo"]
    whole = statistics(ocean, queries, names, threads=1, **options)
    assert statistics(ocean, queries, names, threads=threads, **options) == whole
    made = [
        statistics(ocean, queries, names, threads=threads, part=(i, parts), **options)
        for i in range(parts)
    ]
    merged = Statistics.merge(made[1::2] + made[::2]) if parts > 1 else made[0]
    assert merged == whole
    assert sum(part["l4_sst"].cells for part in made) == whole["l4_sst"].cells


def test_files_keep_every_digit(ocean: Path, tmp_path: Path) -> None:
    queries = some_queries(50)
    parts = [
        statistics(ocean, queries, ["l4_sst", "argo"], by="month", part=(i, 3)) for i in range(3)
    ]
    for i, part in enumerate(parts):
        part.to_json(tmp_path / f"{i}.json")
        assert Statistics.load(tmp_path / f"{i}.json") == part
    merged = Statistics.merge([Statistics.load(tmp_path / f"{i}.json") for i in range(3)])
    assert merged == statistics(ocean, queries, ["l4_sst", "argo"], by="month")
    merged.to_json(tmp_path / "whole.json")
    assert Statistics.load(tmp_path / "whole.json") == merged
    assert "state" not in merged.provenance


def test_parts_that_make_no_whole(ocean: Path, tmp_path: Path) -> None:
    queries = some_queries(60)

    def part(i: int, n: int, queries: list[Query] = queries, **options: Any) -> Statistics:
        return statistics(ocean, queries, ["l4_sst"], part=(i, n), **options)

    with pytest.raises(InvalidInputError, match="is in none"):
        Statistics.merge([part(0, 3), part(2, 3)])
    with pytest.raises(InvalidInputError, match="is in several"):
        Statistics.merge([part(0, 2), part(0, 3), part(1, 3), part(2, 3)])
    with pytest.raises(InvalidInputError, match="takes all the parts"):
        Statistics.merge([part(0, 1)])
    with pytest.raises(PlanMismatchError, match="differ in queries"):
        Statistics.merge([part(0, 2), part(1, 2, some_queries(60, seed=9))])
    with pytest.raises(PlanMismatchError, match="differ in rendering"):
        Statistics.merge([part(0, 2), part(1, 2, default_patch_size=(4, 4))])
    with pytest.raises(PlanMismatchError, match="differ in area_weighted"):
        Statistics.merge([part(0, 2), part(1, 2, area_weighted=True)])
    damaged = part(0, 2)
    damaged.provenance["state"] = damaged.provenance["state"][:40]
    with pytest.raises(InvalidInputError, match="damaged"):
        Statistics.merge([damaged, part(1, 2)])
    for wrong in ((2, 2), (-1, 2), (0, 0), 3, (0.5, 2)):
        with pytest.raises(InvalidInputError, match="part must be"):
            statistics(ocean, queries, ["l4_sst"], part=wrong)  # type: ignore[arg-type]


def test_differences_from_day_to_day(ocean: Path) -> None:
    queries = [Query(-60 + i, -40 + i, -30, 0, DAYS[0], DAYS[2]) for i in range(20)]
    asked = [Window("l4_ssh", temporal_agg="stack"), "l4_sst"]
    options: dict[str, Any] = {"default_patch_size": (9, 8)}
    found = statistics(ocean, queries, asked, **options)
    assert list(found.differences) == ["l4_ssh"]
    values, mask = columns(ocean, queries, asked, **options)["l4_ssh"]
    both = mask[:, 1:] & mask[:, :-1]
    steps = (values[:, 1:] - values[:, :-1])[both]
    check(found.differences["l4_ssh"], steps, both.size)
    assert "day to day" in repr(found)


def test_anomalies_are_taken_before(own: Path) -> None:
    options: dict[str, Any] = {"anomaly": {"field": "base"}}
    found = statistics(own, MONTH_QUERIES, ["field"], **options)["field"]
    assert found.anomaly == "base"
    with (
        xr.open_dataset(own.parent / "field.nc") as a,
        xr.open_dataset(own.parent / "base.nc") as b,
    ):
        box = MONTH_QUERIES[0].to_geoslice()
        part = (a["field"] - b["base"]).sel(lat=box.lat, lon=box.lon).values
    check(found, part[np.isfinite(part)], part.size)


def test_other_cells_need_a_patch_size(own: Path) -> None:
    for options in (
        {"variables": ["field"], "anomaly": {"field": "coarse"}},
        {"variables": [Window("field", where="coarse")]},
        {"variables": ["field", "coarse"], "joint": [("field", "coarse")]},
    ):
        with pytest.raises(InvalidInputError, match=r"patch size|same cells"):
            statistics(own, MONTH_QUERIES, **options)  # type: ignore[arg-type]
    found = statistics(
        own, MONTH_QUERIES, [Window("field", where="coarse")], default_patch_size=(4, 4)
    )
    assert found["field"].count


@pytest.mark.parametrize("kind", ["atom", "two atoms", "exponential", "heavy", "few", "constant"])
def test_ranks_of_awkward_distributions(tmp_path: Path, kind: str) -> None:
    """0.5 % of rank, also where a third of the values is one number."""
    rng = np.random.default_rng(11)
    shape = (12, 60, 60)
    values = {
        "atom": np.where(rng.random(shape) < 0.35, 0.0, rng.normal(size=shape)),
        "two atoms": np.where(
            rng.random(shape) < 0.7, np.rint(rng.random(shape)), rng.random(shape)
        ),
        "exponential": rng.exponential(size=shape) ** 4,
        "heavy": rng.standard_cauchy(size=shape).clip(-1e6, 1e6),
        "few": np.rint(rng.normal(size=shape) * 2),
        "constant": np.full(shape, 7.25),
    }[kind].astype(np.float32)
    days = [f"2020-01-{day:02d}" for day in range(1, 13)]
    axis = np.arange(60.0) / 2
    xr.Dataset(
        {"v": (("time", "lat", "lon"), values, {"units": "m"})},
        {
            "time": np.array(days, "datetime64[ns]"),
            "lat": ("lat", axis, {"units": "degrees_north"}),
            "lon": ("lon", axis, {"units": "degrees_east"}),
        },
    ).to_netcdf(tmp_path / "v.nc", engine="h5netcdf")
    path = catalogue(tmp_path / "c.parquet", [Files(str(tmp_path / "v.nc"), {"v": "v"})])
    queries = [
        Query(west, west + 9.9, south, south + 9.9, day, day)
        for day in days
        for west in (0, 10, 20)
        for south in (0, 10, 20)
    ]
    found = statistics(path, queries, ["v"])["v"]
    assert found.count == values.size
    if kind == "constant":
        assert (found.mean, found.std, set(found.quantiles.values())) == (7.25, 0.0, {7.25})
        return
    check_ranks(found, values.ravel().astype(np.float64))


def test_normalising_with_them(own: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"default_patch_size": (6, 5)}
    found = statistics(own, MONTH_QUERIES, ["field", "gone", "two"], **options)
    file = tmp_path / "statistics.json"
    found.to_json(file)
    for source in (found, file, str(file)):
        values, mask = columns(own, MONTH_QUERIES, ["field"], normalize=source, **options)["field"]
        assert values[mask].mean() == pytest.approx(0, abs=1e-6)
        assert values[mask].std() == pytest.approx(1, rel=1e-5)
    renamed = columns(own, MONTH_QUERIES, [Window("field", name="x")], normalize=file, **options)[
        "x"
    ][0]
    np.testing.assert_array_equal(renamed, values)
    assert found["gone"] == Summary(
        0, found["gone"].cells, None, None, None, None, dict.fromkeys(QUANTILES), None, "m"
    )
    assert json.loads(file.read_text())["gone"]["mean"] is None
    with pytest.raises(InvalidInputError, match="'gone' has no mean: it was never valid"):
        columns(own, MONTH_QUERIES, ["gone"], normalize=file)
    with pytest.raises(InvalidInputError, match=r"greater than 0; variable: two"):
        columns(own, MONTH_QUERIES, ["two"], normalize=found)
    with pytest.raises(InvalidInputError, match="no statistics of 'base'"):
        columns(own, MONTH_QUERIES, ["base"], normalize=file)
    with pytest.raises(InvalidInputError, match="have anomaly None, but the loader has 'base'"):
        columns(own, MONTH_QUERIES, ["field"], normalize=file, anomaly={"field": "base"}, **options)


def test_leaks_against_what_they_saw(ocean: Path, tmp_path: Path) -> None:
    train = [Query(-60 + i, -50 + i, 0, 10, DAYS[0], DAYS[1]) for i in range(5)]
    found = statistics(ocean, train, ["l4_sst", Window("l4_ssh", 0, 1)])
    file = tmp_path / "s.json"
    found.to_json(file)
    inside = Query(-58, -57, 2, 3, DAYS[1], DAYS[1])
    later = Query(-58, -57, 2, 3, DAYS[2], DAYS[2])
    after = Query(-58, -57, 2, 3, DAYS[3], DAYS[3])
    beside = Query(-46, -40, 0, 10, DAYS[0], DAYS[0])
    assert find_leaks(file, [inside])
    assert find_leaks(found, [later]), "the window's day"
    assert not find_leaks(found, [after, beside])
    assert find_leaks(found, [after], gap_days=1)
    boxes = {(q.lon_min, q.lon_max, q.lat_min, q.lat_max) for q in found.queries()}
    assert boxes == {(-60.0, -46.0, 0.0, 10.0)}


@given(data=st.data())
def test_no_leak_is_missed(ocean: Path, data: st.DataObject) -> None:
    box = st.builds(
        lambda west, south, wide, high, day: Query(
            west, (west + wide + 180) % 360 - 180, south, min(south + high, 90), day, day
        ),
        st.floats(-180, 179), st.floats(-90, 80), st.floats(0.1, 90), st.floats(0.1, 40),
        st.sampled_from(DAYS),
    )  # fmt: skip
    seen = data.draw(st.lists(box, min_size=1, max_size=4))
    other = data.draw(box)
    found = statistics(ocean, seen, ["latitude"], default_patch_size=(2, 2))
    if find_leaks(seen, [other]):
        assert find_leaks(found, [other])
    # And they hold little more: nothing that lies two degrees from all boxes.
    if find_leaks(found, [other]):
        assert find_leaks(seen, [other], gap_deg=2.0)


def test_profiles(ocean: Path) -> None:
    queries = some_queries(30)
    found = statistics(ocean, queries, ["argo"])["argo"]
    (batch,) = Loader(ocean, queries, ["argo"], batch_size=30, shuffle=False)
    points = batch.to_numpy()["inputs"]["argo"]
    check(found, points["data"][points["mask"]], int(points["mask"].sum()))


def test_mistakes(ocean: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="by must be"):
        statistics(ocean, MONTH_QUERIES, ["l4_sst"], by="year")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="quantiles must be shares"):
        statistics(ocean, MONTH_QUERIES, ["l4_sst"], quantiles=[50])
    with pytest.raises(InvalidInputError, match="list of queries is empty"):
        statistics(ocean, [], ["l4_sst"])
    with pytest.raises(InvalidInputError, match="threads"):
        statistics(ocean, MONTH_QUERIES, ["l4_sst"], threads=0)
    with pytest.raises(NotFoundError, match="no statistics file"):
        Statistics.load(tmp_path / "none.json")
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(InvalidInputError, match=r"is no file of oceanarrow\.statistics"):
        Statistics.load(tmp_path / "other.json")
    made = statistics(ocean, some_queries(3), ["l4_sst"])
    made.provenance["format"] = 2
    made.to_json(tmp_path / "later.json")
    with pytest.raises(InvalidInputError, match="of format 2; this one reads 1"):
        Statistics.load(tmp_path / "later.json")
    with pytest.raises(InvalidInputError, match="cannot be a variable"):
        Window("l4_sst", name="oceanarrow")


def test_pictures(ocean: Path) -> None:
    from oceanarrow.plot import plot_statistics

    found = statistics(ocean, some_queries(30), ["l4_sst", "l4_ssh"], by="day")
    axes = found.plot()
    (line,) = axes.lines[:1]
    assert line.get_xdata()[0] == found["l4_sst"].mean
    assert len(axes.get_legend().get_texts()) == len(found.groups["l4_sst"])
    assert "l4_ssh" in plot_statistics(found, "l4_ssh").get_title()
    with pytest.raises(InvalidInputError, match="no statistics of 'argo'"):
        plot_statistics(found, "argo")
