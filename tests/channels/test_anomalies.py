"""Anomalies, against rendering both and subtracting; climatologies, against xarray's groupby."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from own_files import BOX, LAT, LON, catalogue, write

import oceanarrow
from oceanarrow import Files, Loader, Window, find_leaks
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import InvalidDatasetError, InvalidInputError
from oceanarrow.inventory import climatology

FIRST, N_DAYS = date(2019, 12, 1), 460
DAYS = [(FIRST + timedelta(n)).isoformat() for n in range(N_DAYS)]


def _field(rng: np.random.Generator, steps: int, holes: float) -> np.ndarray:
    data = rng.normal(size=(steps, LAT.size, LON.size)).astype(np.float32)
    data[rng.random(data.shape) < holes] = np.nan
    return data


def _file(path: Path, name: str, data: np.ndarray, times: Any, units: str = "m") -> Path:
    coords = {
        "time": np.array(times, "datetime64[ns]"),
        "lat": ("lat", LAT, {"units": "degrees_north"}),
        "lon": ("lon", LON, {"units": "degrees_east"}),
    }
    made = xr.Dataset({name: (("time", "lat", "lon"), data, {"units": units})}, coords)
    chunks = {name: {"chunksizes": (1, LAT.size, LON.size)}}
    made.to_netcdf(path, engine="h5netcdf", encoding=chunks)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anomalies")
    rng = np.random.default_rng(11)
    data = _field(rng, N_DAYS, 0.3)
    data += np.sin(np.arange(N_DAYS) / 58)[:, None, None]
    _file(folder / "sla.nc", "sla", data, DAYS)
    months = [f"2000-{month:02d}-15" for month in range(1, 13)]
    _file(folder / "clim.nc", "clim", _field(rng, 12, 0.2), months)
    _file(folder / "feet.nc", "feet", _field(rng, 12, 0.2), months, "kg")
    return folder


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Path:
    files = [
        Files(str(folder / "sla.nc"), {"sla": "sla"}),
        Files(str(folder / "clim.nc"), {"clim": "clim"}, cycle="month"),
        Files(str(folder / "feet.nc"), {"feet": "feet"}, cycle="month"),
    ]
    return catalogue(folder / "c.parquet", files)


def _query(first: str, last: str | None = None) -> Query:
    return Query(*BOX, first, last or first)


@pytest.mark.parametrize("resample", ["bilinear", "area", "nearest"])
@pytest.mark.parametrize("agg", ["first", "stack"])
def test_both_rendered_and_subtracted(dataset: Path, resample: Any, agg: Any) -> None:
    """Byte for byte; valid where both are."""
    queries = [_query(DAYS[n], DAYS[n + 4]) for n in range(0, 440, 31)]
    common: dict[str, Any] = {
        "default_patch_size": (7, 9),
        "batch_size": len(queries),
        "shuffle": False,
        "resample": resample,
        "temporal_agg": agg,
        "min_support": 0.4,
    }
    (apart,) = Loader(dataset, queries, ["sla", "clim"], **common)
    (batch,) = Loader(dataset, queries, ["sla"], anomaly={"sla": "clim"}, **common)
    due, found = apart.to_numpy(), batch.to_numpy()
    valid = due["masks"]["sla"] & due["masks"]["clim"]
    assert 0.2 < valid.mean() < 0.98
    difference = np.where(valid, due["inputs"]["sla"] - due["inputs"]["clim"], np.float32(0))
    np.testing.assert_array_equal(found["masks"]["sla"], valid)
    assert found["inputs"]["sla"].tobytes() == difference.astype(np.float32).tobytes()


def test_a_mean_is_one_of_the_days_anomalies(tmp_path: Path) -> None:
    """Where the sea was seen in January alone, the mean of the window less that of the climatology
    would be half the climatology's step off."""
    write(tmp_path / "sla.nc", [10.0, 30.0], ["2020-01-31", "2020-02-01"])
    data = np.full((2, LAT.size, LON.size), 1.0, np.float32)
    data[1] = np.nan
    _file(tmp_path / "gap.nc", "gap", data * 10, ["2020-01-31", "2020-02-01"])
    steps = np.repeat(np.arange(12.0, dtype=np.float32), LAT.size * LON.size)
    steps = steps.reshape(12, LAT.size, LON.size) * 10
    _file(tmp_path / "clim.nc", "clim", steps, [f"2000-{m:02d}-15" for m in range(1, 13)])
    path = catalogue(
        tmp_path / "c.parquet",
        [
            Files(str(tmp_path / "gap.nc"), {"gap": "gap"}),
            Files(
                str(tmp_path / "clim.nc"), {"clim": "clim"}, cycle="month", cycle_interpolate=False
            ),
        ],
    )
    query = _query("2020-01-31", "2020-02-01")
    options: dict[str, Any] = {"default_patch_size": (4, 4), "batch_size": 1}
    (batch,) = Loader(path, [query], ["gap"], anomaly={"gap": "clim"}, **options)
    np.testing.assert_array_equal(batch.to_numpy()["inputs"]["gap"], 10.0)
    (apart,) = Loader(path, [query], ["gap", "clim"], **options)
    means = apart.to_numpy()["inputs"]
    np.testing.assert_array_equal(means["gap"] - means["clim"], 5.0)


def test_windows_have_anomalies_of_their_own_days(dataset: Path) -> None:
    windows = [Window("sla", -30, name="past"), "sla"]
    query = _query(DAYS[100])
    options: dict[str, Any] = {"default_patch_size": (5, 5), "batch_size": 1, "shuffle": False}
    (batch,) = Loader(dataset, [query], windows, anomaly={"past": "clim"}, **options)
    (there,) = Loader(dataset, [_query(DAYS[70])], ["sla"], anomaly={"sla": "clim"}, **options)
    (plain,) = Loader(dataset, [query], ["sla"], **options)
    found = batch.to_numpy()["inputs"]
    np.testing.assert_array_equal(found["past"], there.to_numpy()["inputs"]["sla"])
    np.testing.assert_array_equal(found["sla"], plain.to_numpy()["inputs"]["sla"])


def test_normalised_recorded_and_in_every_door(dataset: Path) -> None:
    query, anomaly = _query(DAYS[40]), {"sla": "clim"}
    options: dict[str, Any] = {"default_patch_size": (5, 5)}
    plain = Loader(dataset, [query], ["sla"], batch_size=1, anomaly=anomaly, **options)
    loader = Loader(
        dataset,
        [query],
        ["sla"],
        batch_size=1,
        anomaly=anomaly,
        normalize={"sla": (0.5, 4)},
        **options,
    )
    assert loader.schema.field("sla").metadata["anomaly"] == "clim"
    (batch,), (raw,) = loader, plain
    valid = raw.to_numpy()["masks"]["sla"]
    value = raw.to_numpy()["inputs"]["sla"].astype(float)
    due = np.where(valid, (value - 0.5) / 4, 0)
    np.testing.assert_allclose(batch.to_numpy()["inputs"]["sla"], due, rtol=1e-6)
    other = Loader(dataset, [query], ["sla"], batch_size=1, **options)
    assert len({loader.plan_id, plain.plan_id, other.plan_id}) == 3
    sample = OceanTACODataset(dataset, [query], ["sla"], [], anomaly=anomaly, **options)[0]
    np.testing.assert_array_equal(sample["inputs"]["sla"]["data"].numpy(), value[0])
    patch = oceanarrow.open_patch(dataset, query, ["sla"], shape=(5, 5), anomaly=anomaly)
    np.testing.assert_array_equal(patch["sla"].values[0], np.where(valid[0], value[0], np.nan))
    explained = plain.explain()
    assert explained.decodes > other.explain().decodes


@pytest.mark.parametrize(
    ("anomaly", "what"),
    [
        ({"sla": "feet"}, r"delivered in 'm'.*feet in 'kg'.*units="),
        ({"ssh": "clim"}, "anomaly names 'ssh'"),
        ({"sla": "nothing"}, "nothing"),
        ("clim", "anomaly must be"),
    ],
)
def test_mistakes(dataset: Path, anomaly: Any, what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        Loader(dataset, [_query(DAYS[0])], ["sla"], anomaly=anomaly, batch_size=1)


def _opened(path: Path) -> xr.Dataset:
    return xr.open_dataset(path, engine="h5netcdf", decode_times=False)


@pytest.mark.parametrize("by", ["month", "day_of_year"])
def test_climatologies_are_xarrays(folder: Path, dataset: Path, tmp_path: Path, by: Any) -> None:
    oceanarrow.climatology(dataset, ["sla"], tmp_path / "c.nc", by=by, progress=False)
    made = _opened(tmp_path / "c.nc")
    source = xr.open_dataset(folder / "sla.nc")["sla"].astype("float64")
    groups = source.groupby(f"time.{'month' if by == 'month' else 'dayofyear'}")
    due, count = groups.mean(), groups.count()
    assert made["sla"].shape == due.shape == ((12 if by == "month" else 366), LAT.size, LON.size)
    np.testing.assert_allclose(made["sla"].values, due.values, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(made["sla_count"].values, count.values)
    assert made["sla"].attrs["units"] == "m"
    assert made["day"].size == N_DAYS and made["day"].values[0] == (FIRST - date(1970, 1, 1)).days


def test_without_a_leap_year_there_are_365(dataset: Path, tmp_path: Path) -> None:
    days = ("2021-01-01", "2021-02-20")
    oceanarrow.climatology(
        dataset, "sla", tmp_path / "c.nc", by="day_of_year", days=days, progress=False
    )
    made = _opened(tmp_path / "c.nc")
    assert made["sla"].shape[0] == 365
    assert made["sla_count"].values[51:].max() == 0
    assert np.isnan(made["sla"].values[60]).all()


def test_smoothing_is_a_mean_of_all_values_around_the_circle(
    folder: Path, dataset: Path, tmp_path: Path
) -> None:
    oceanarrow.climatology(
        dataset, "sla", tmp_path / "c.nc", by="day_of_year", smooth=31, progress=False
    )
    made = _opened(tmp_path / "c.nc")["sla"].values
    source = xr.open_dataset(folder / "sla.nc")["sla"]
    numbers = source["time"].dt.dayofyear.values - 1
    for step in (0, 3, 59, 200, 365):
        away = np.abs(numbers - step)
        near = np.minimum(away, 366 - away) <= 15
        due = np.nanmean(source.values[near].astype(float), axis=0)
        np.testing.assert_allclose(made[step], due, rtol=1e-5, atol=1e-6)


def test_the_way_from_days_to_anomalies(folder: Path, dataset: Path, tmp_path: Path) -> None:
    """Of the training days alone; listed beside the days; what is left has no mean."""
    train = [_query(DAYS[n]) for n in range(0, 300)]
    test = [_query(DAYS[n]) for n in range(310, 330)]
    output = tmp_path / "clim.nc"
    oceanarrow.climatology(dataset, ["sla"], output, days=train, progress=False)
    path = catalogue(
        tmp_path / "c.parquet",
        [
            Files(str(folder / "sla.nc"), {"sla": "sla"}),
            Files(str(output), {"normal": "sla"}, cycle="month", cycle_interpolate=False),
        ],
    )
    queries = [_query(DAYS[n]) for n in range(31, 62)]
    axes = {"default_patch_size": (3, 4), "batch_size": 31, "shuffle": False}
    box = Query(5.0, 11.0, -5.0, -1.0, "2020-01-01", "2020-01-01")
    queries = [Query(*box.bbox, q.time_start, q.time_end) for q in queries]
    (batch,) = Loader(path, queries, ["sla"], anomaly={"sla": "normal"}, **axes)  # type: ignore[arg-type]
    tree = batch.to_numpy()
    values, valid = tree["inputs"]["sla"].astype(float), tree["masks"]["sla"]
    # January 2020 is the only one of the training days.
    mean = np.where(valid, values, 0).sum(axis=0) / valid.sum(axis=0)
    np.testing.assert_allclose(mean, 0, atol=1e-6)
    assert not find_leaks(output, test)
    assert find_leaks(output, test, gap_days=20)
    leaks = find_leaks(output, [_query(DAYS[5]), *test])
    assert leaks.count == 1 and leaks.pairs.tolist() == [[0, 0]]
    elsewhere = Query(100, 110, 40, 50, DAYS[5], DAYS[5])
    assert not find_leaks(output, [elsewhere])
    with pytest.raises(InvalidDatasetError, match=r"climatology"):
        find_leaks(folder / "sla.nc", test)


@pytest.mark.parametrize("name", ["l4_ssh", "glorys_sst", "l4_sss"])
def test_of_a_container_s_tiles(ocean: Path, tmp_path: Path, name: str) -> None:
    """Seams between tiles, day by day against the loader's own native patches."""
    oceanarrow.climatology(ocean, [name], tmp_path / "c.nc", progress=False)
    made = _opened(tmp_path / "c.nc")
    values = made[name].values[3]
    box = Query(-40.0, 40.0, -30.0, 30.0, "2023-04-01", "2023-04-04")
    patch = oceanarrow.open_patch(ocean, box, [name], temporal_agg="stack", resample="nearest")
    due = np.nanmean(patch[name].values.astype(float), axis=0)
    rows = np.searchsorted(made["lat"].values, patch["lat"].values - 1e-3)
    columns = np.searchsorted(made["lon"].values, patch["lon"].values - 1e-3)
    found = values[np.ix_(rows, columns)]
    np.testing.assert_allclose(found, due, rtol=1e-5, atol=1e-5)
    assert np.isnan(made[name].values[[0, 5]]).all()


def test_variables_of_other_years_share_a_file(tmp_path: Path) -> None:
    """One has days of a leap year, the other none."""
    rng = np.random.default_rng(5)
    for name, first in (("a", "2019-12-30"), ("b", "2021-01-03")):
        days = (np.datetime64(first) + np.arange(4)).astype(str).tolist()
        _file(tmp_path / f"{name}.nc", name, _field(rng, 4, 0.0), days)
    files = [Files(str(tmp_path / f"{name}.nc"), {name: name}) for name in "ab"]
    path = catalogue(tmp_path / "c.parquet", files)
    out = tmp_path / "clim.nc"
    oceanarrow.climatology(path, ["a", "b"], out, by="day_of_year", progress=False)
    made = _opened(out)
    assert made["a"].shape[0] == made["b"].shape[0] == made["time"].size == 366
    found = np.flatnonzero(made["b_count"].values.any(axis=(1, 2)))
    assert found.tolist() == [2, 3, 4, 5]


def test_what_is_stopped_reads_no_more(dataset: Path) -> None:
    """After Ctrl-C, or an error in another thread."""
    catalog = oceanarrow.Catalog(dataset)
    wanted = climatology._wanted(catalog, (DAYS[0], DAYS[99]))
    way = climatology._Pass(dataset, catalog, catalog.variables["sla"], wanted, "month", 0, None)
    read: list[int] = []

    def tick() -> None:
        read.append(1)
        if len(read) == 3:
            way.stopped.set()

    assert way.of_block(0, tick) == {} and len(read) == 3


def test_mistaken_climatologies(folder: Path, dataset: Path, tmp_path: Path) -> None:
    def refuse(what: str, *args: Any, **options: Any) -> None:
        with pytest.raises((InvalidInputError, InvalidDatasetError), match=what):
            oceanarrow.climatology(*args, **options, progress=False)
        assert not (tmp_path / "c.nc").exists()

    out = tmp_path / "c.nc"
    refuse("by must be", dataset, "sla", out, by="week")
    refuse("smooth is an odd", dataset, "sla", out, smooth=5)
    refuse("smooth is an odd", dataset, "sla", out, smooth=4, by="day_of_year")
    refuse("of gridded variables of days", dataset, "clim", out)
    refuse("at least one", dataset, [], out)
    refuse("nothing", dataset, "nothing", out)
    refuse("no file of 'sla'", dataset, "sla", out, days=("1990-01-01", "1990-01-05"))
    refuse("days must be", dataset, "sla", out, days=[3])
    refuse("lies after", dataset, "sla", out, days=("2020-01-05", "2020-01-01"))
    moved = xr.open_dataset(folder / "sla.nc").isel(time=slice(0, 1))
    moved = moved.assign_coords(time=[np.datetime64("2021-06-01", "ns")], lat=moved.lat + 0.5)
    moved["lat"].attrs["units"] = "degrees_north"
    moved.to_netcdf(tmp_path / "moved.nc", engine="h5netcdf")
    two = catalogue(
        tmp_path / "two.parquet",
        Files([str(folder / "sla.nc"), str(tmp_path / "moved.nc")], {"sla": "sla"}),
    )
    refuse(r"other cells on 2021-06-01 than on 2019-12-01.*moved\.nc", two, "sla", out)
