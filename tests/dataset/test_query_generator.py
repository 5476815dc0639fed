"""QueryGenerator: the documented queries, and a plain reimplementation of the recipe."""

from __future__ import annotations

import pickle
import time
import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oceanarrow.dataset import PatchSize, Query, QueryGenerator
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.land import LandMask

ATLANTIC = (-80, -10, 10, 55)
SPRING = ("2023-04-01", "2023-06-30")


def plain_days(first: str, last: str, window: int) -> list[date]:
    day, days = date.fromisoformat(first), []
    while day + timedelta(days=window - 1) <= date.fromisoformat(last):
        days.append(day)
        day += timedelta(days=1)
    return days


def plain_land(mask: np.ndarray | None, box: tuple[float, ...]) -> float:
    if mask is None:
        return 0.0
    west, east, south, north = box
    rows = set(range(int((south + 90) / 0.25), int((north + 90) / 0.25) + 1)) & set(range(720))
    columns = set(range(int((west + 180) / 0.25), int((east + 180) / 0.25) + 1)) & set(range(1440))
    land = sum(int(mask[i][list(columns)].sum()) for i in rows)
    return land / (len(rows) * len(columns)) if rows and columns else 0.0


def plain_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[1], b[1]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[2], b[2])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[1] - box[0]) * (box[3] - box[2]) for box in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)


def plain_training(
    n: int, size: PatchSize, days: list[date], region: tuple[float, ...], window: int,
    max_land: float, seed: int, oversample: float, max_overlap: float, mask: np.ndarray | None,
) -> list[tuple[tuple[float, ...], date]]:  # fmt: skip
    rng = np.random.default_rng(seed)
    west, east, south, north = region
    accepted: list[tuple[tuple[float, ...], date]] = []
    tried = 0
    while len(accepted) < n and tried < 10 * int(n * oversample):
        count = min(1000, 2 * (n - len(accepted)))
        lats = rng.uniform(south, north, count)
        lons = rng.uniform(west, east, count)
        picks = rng.integers(0, len(days), count)
        for lat, lon, pick in zip(lats, lons, picks, strict=True):
            if len(accepted) == n:
                break
            tried += 1
            width, height = size.to_degrees(lat)
            box = (
                max(-180.0, lon - width / 2), min(180.0, lon + width / 2),
                max(-90.0, lat - height / 2), min(90.0, lat + height / 2),
            )  # fmt: skip
            day = days[pick]
            near = [b for b, d in accepted if abs((d - day).days) < window]
            if plain_land(mask, box) > max_land:
                continue
            if max_overlap < 1 and any(plain_iou(box, other) > max_overlap for other in near):
                continue
            accepted.append((tuple(float(edge) for edge in box), day))
    return accepted


def test_the_documented_training_queries(capsys: pytest.CaptureFixture[str]) -> None:
    queries = QueryGenerator().generate_training_queries(
        n_queries=100,
        patch_size=PatchSize(10, "deg"),
        date_range=SPRING,
        bbox_constraint=ATLANTIC,
        time_window_days=1,
        max_land_fraction=0.3,
        seed=42,
    )
    assert capsys.readouterr().out == (
        "Generating 100 training queries...\nGenerated 100 queries from 100 candidates\n"
    )
    assert len(queries) == 100
    assert queries[0] == Query(
        -30.581661323117572, -20.581661323117572, 39.82802218501835, 49.82802218501835,
        "2023-04-02", "2023-04-02",
    )  # fmt: skip
    shown = {
        ((-20.07062142954446, -10.07062142954446, 42.243402739666195, 52.243402739666195),
         "2023-05-31"),
        ((-34.921500926893884, -24.921500926893884, 24.9536389472299, 34.953638947229905),
         "2023-06-10"),
        ((-33.27111972591208, -23.27111972591208, 15.22574248031496, 25.22574248031496),
         "2023-06-16"),
    }  # fmt: skip
    assert shown <= {(q.bbox, q.time_start) for q in queries[:20]}
    assert all(type(edge) is float for q in queries for edge in q.bbox)


def test_the_documented_evaluation_queries(capsys: pytest.CaptureFixture[str]) -> None:
    queries = QueryGenerator().generate_eval_queries(
        bbox=ATLANTIC,
        patch_size=PatchSize(10, "deg"),
        date_range=("2023-07-01", "2023-08-30"),
        spatial_overlap=0.0,
        temporal_stride_days=7,
        time_window_days=1,
    )
    assert capsys.readouterr().out == (
        "Generating eval grid: 7x5x9 = 315 candidates\nGenerated 315 valid eval queries\n"
    )
    assert len(queries) == 315
    assert str(queries[0].to_dict()) == (
        "{'lon_min': -80.0, 'lon_max': -70.0, 'lat_min': 10.0, 'lat_max': 20.0, "
        "'time_start': '2023-07-01', 'time_end': '2023-07-01'}"
    )
    assert str(queries[-1].to_dict()) == (
        "{'lon_min': -20.0, 'lon_max': -10.0, 'lat_min': 45.0, 'lat_max': 55.0, "
        "'time_start': '2023-08-26', 'time_end': '2023-08-26'}"
    )


BLOBS = np.random.default_rng(5).random((36, 72)).repeat(20, 0).repeat(20, 1) < 0.4


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.integers(0, 40),
    size=st.builds(PatchSize, st.floats(0.5, 30), st.just("deg"))
    | st.builds(PatchSize, st.floats(50, 2500), st.just("km")),
    region=st.tuples(st.floats(-180, 0), st.floats(0, 180), st.floats(-90, 0), st.floats(0, 90)),
    length=st.integers(0, 12),
    window=st.integers(1, 5),
    max_land=st.floats(0, 1),
    seed=st.integers(0, 2**32),
    oversample=st.floats(0.5, 3),
    max_overlap=st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]),
    masked=st.booleans(),
)
def test_training_follows_the_recipe(
    n: int, size: PatchSize, region: tuple[float, float, float, float], length: int, window: int,
    max_land: float, seed: int, oversample: float, max_overlap: float, masked: bool,
) -> None:  # fmt: skip
    first = "2024-02-25"
    last = (date.fromisoformat(first) + timedelta(days=length)).isoformat()
    days = plain_days(first, last, window)
    generator = QueryGenerator()
    generator.land_mask = LandMask(BLOBS) if masked else None
    options: dict[str, Any] = {
        "bbox_constraint": region, "time_window_days": window, "max_land_fraction": max_land,
        "seed": seed, "oversample_factor": oversample, "verbose": False,
        "max_spatial_overlap": max_overlap,
    }  # fmt: skip
    if not days:
        with pytest.raises(ValueError, match="too short for time window"):
            generator.generate_training_queries(n, size, (first, last), **options)
        return
    mask = BLOBS if masked else None
    expected = plain_training(
        n, size, days, region, window, max_land, seed, oversample, max_overlap, mask
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        queries = generator.generate_training_queries(n, size, (first, last), **options)
    assert [q.bbox for q in queries] == [box for box, _ in expected]
    assert [q.time_start for q in queries] == [day.isoformat() for _, day in expected]
    assert [q.days()[1] - q.days()[0] + 1 for q in queries] == [window] * len(expected)
    assert [w.category for w in caught] == [UserWarning] * (len(expected) < n)


@settings(max_examples=40, deadline=None)
@given(
    west=st.floats(-180, 150),
    south=st.floats(-80, 50),
    extent=st.tuples(st.floats(1, 40), st.floats(1, 30)),
    size=st.builds(PatchSize, st.floats(3, 12), st.just("deg"))
    | st.builds(PatchSize, st.floats(300, 1500), st.just("km")),
    overlap=st.sampled_from([0.0, 0.25, 0.5]),
    stride=st.integers(1, 4),
    window=st.integers(1, 3),
    max_land=st.floats(0, 1),
)
def test_evaluation_follows_the_recipe(
    west: float, south: float, extent: tuple[float, float], size: PatchSize, overlap: float,
    stride: int, window: int, max_land: float,
) -> None:  # fmt: skip
    east, north = west + extent[0], south + extent[1]
    width, height = size.to_degrees((south + north) / 2)

    def starts(low: float, high: float, side: float) -> list[float]:
        found = list(np.arange(low, high - side + 0.001, side * (1 - overlap)))
        if found and found[-1] + side < high - 0.001:
            found.append(high - side)
        return found

    expected = []
    days = plain_days("2023-12-28", "2024-01-05", window)[::stride]
    for lon in starts(west, east, width):
        for lat in starts(south, north, height):
            local = size.to_degrees(lat + height / 2)
            box = (lon, lon + local[0], lat, lat + local[1])
            expected += [(d.isoformat(), box) for d in days if plain_land(BLOBS, box) <= max_land]
    expected.sort(key=lambda item: item[0])
    generator = QueryGenerator()
    generator.land_mask = LandMask(BLOBS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        queries = generator.generate_eval_queries(
            (west, east, south, north), size, ("2023-12-28", "2024-01-05"), overlap, stride,
            window, max_land, verbose=False,
        )  # fmt: skip
    assert [(q.time_start, q.bbox) for q in queries] == expected


def test_too_few_queries_come_with_a_warning() -> None:
    # A first batch of 10, then batches of 8 until 100 are passed.
    with pytest.warns(UserWarning, match=r"only 1 of 5 queries found in 106 candidates"):
        queries = QueryGenerator().generate_training_queries(
            5, 40, ("2023-04-01", "2023-04-01"), (0, 1, 0, 1), max_spatial_overlap=0.0,
            verbose=False,
        )  # fmt: skip
    assert len(queries) == 1


def test_a_grid_without_room_comes_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="no patch of 10 x 10 degrees fits"):
        assert QueryGenerator().generate_eval_queries((0, 5, 0, 5), 10, SPRING, verbose=False) == []


def test_overlap_control_is_fast_enough_for_ten_thousand() -> None:
    begin = time.process_time()
    queries = QueryGenerator().generate_training_queries(
        10_000, 10, ("2023-04-01", "2023-06-30"), max_spatial_overlap=0.3, verbose=False
    )
    assert len(queries) == 10_000
    assert time.process_time() - begin < 10


def test_dates_may_be_given_in_any_form() -> None:
    generator = QueryGenerator()
    texts = generator.generate_training_queries(5, 10, SPRING, verbose=False)
    dates = (date(2023, 4, 1), np.datetime64("2023-06-30"))
    assert generator.generate_training_queries(5, 10, dates, verbose=False) == texts


def test_the_builtin_mask_keeps_patches_off_land() -> None:
    generator = QueryGenerator(land_mask_path="builtin")
    queries = generator.generate_training_queries(
        200, 5, SPRING, max_land_fraction=0.1, verbose=False
    )
    assert generator.land_mask is not None
    assert max(generator.land_mask.get_land_fraction(q.bbox) for q in queries) <= 0.1
    free = QueryGenerator().generate_training_queries(200, 5, SPRING, verbose=False)
    assert max(generator.land_mask.get_land_fraction(q.bbox) for q in free) > 0.9
    assert pickle.loads(pickle.dumps(generator)).generate_training_queries(
        200, 5, SPRING, max_land_fraction=0.1, verbose=False
    ) == queries  # fmt: skip


def test_a_mask_file_is_used_or_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mask.npy"
    made = QueryGenerator(path).land_mask
    assert made is not None and np.array_equal(np.load(path), LandMask.builtin().mask)
    assert [file.name for file in path.parent.iterdir()] == ["mask.npy"]
    np.save(path, np.ones((720, 1440), dtype=bool))
    with pytest.warns(UserWarning, match="only 0 of 3"):
        assert QueryGenerator(str(path)).generate_training_queries(3, 10, SPRING) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_queries": -1}, "n_queries must be a whole number"),
        ({"n_queries": 1.5}, "n_queries must be a whole number"),
        ({"patch_size": 0}, "positive finite number"),
        ({"date_range": ("2023-04-03", "2023-04-01")}, "too short for time window"),
        ({"date_range": "2023-04-03"}, "date_range must be"),
        ({"bbox_constraint": (10, -10, 0, 5)}, "lon_min <= lon_max"),
        ({"bbox_constraint": (0, 10, 0)}, "bbox_constraint must be"),
        ({"bbox_constraint": (0, 10, 0, float("nan"))}, "bbox_constraint must be"),
        ({"bbox_constraint": (170, 190, 0, 5)}, "within -180..180"),
        ({"time_window_days": 0}, "time_window_days must be a whole number >= 1"),
        ({"max_land_fraction": 30}, "max_land_fraction must be between 0 and 1"),
        ({"max_spatial_overlap": -0.1}, "max_spatial_overlap must be between 0 and 1"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"n_queries": 2, "patch_size": 5, "date_range": SPRING, **change}
    with pytest.raises(InvalidInputError, match=message):
        QueryGenerator().generate_training_queries(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spatial_overlap": 1.0}, r"spatial_overlap must be in \[0, 1\)"),
        ({"temporal_stride_days": 0}, "temporal_stride_days"),
        ({"bbox": (0, 0, 0, 5)}, "no area"),
    ],
)
def test_wrong_grids_are_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "bbox": ATLANTIC, "patch_size": 5, "date_range": SPRING, **change
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match=message):
        QueryGenerator().generate_eval_queries(**arguments)
