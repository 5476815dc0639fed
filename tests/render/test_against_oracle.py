"""The engine renders what the slow oracle renders, for any query.

About 200 fixed examples by default; ``pytest --hypothesis-profile=full`` draws thousands.
"""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import oracle
import pytest
import synthetic
from comparison import TOLERANCE, check, check_drawn, engine_render, sample_of
from hypothesis import assume, example, given
from hypothesis import strategies as st

GRIDDED = (
    "l4_ssh",
    "l4_sst",
    "l4_sss",
    "l4_wind",
    "l3_sst",
    "l3_ssh",
    "l3_swot",
    "l3_sss_smos_asc",
    "l3_sss_smos_desc",
    "glorys_ssh",
    "glorys_uo",
)
DAY = synthetic.FIRST_DAY.isoformat()


# ---- queries ------------------------------------------------------------------------------------

KINDS = (
    *("anywhere", "inside", "border", "corner", "antimeridian", "pole", "globe", "tiny", "land"),
    # The hard ones more often.
    *("border", "corner", "antimeridian", "inside"),
)
RESAMPLE = ("bilinear", "area", "nearest", "auto")
AGGREGATE = ("mean", "first", "last", "stack")


class Case(NamedTuple):
    """A query, a variable, a shape and the options."""

    query: oracle.Query
    variable: str
    shape: tuple[int, int]
    options: dict[str, Any]


def _edges(rng: random.Random, kind: str, number: Any) -> tuple[float, float, float, float]:
    """(west, width, south, north): of every kind a border, a pole or a coast can make hard."""
    if kind == "globe":
        return rng.choice([-180.0, 0.0]), 360.0, -90.0, 90.0
    if kind == "land":
        return number(10, 16), number(2, 8), number(-6, 0), number(3, 9)
    if kind == "pole":
        south = number(70, 85)
        south, north = rng.choice([(south, 90.0), (-90.0, -south)])
        return number(-180, 179), number(4, 60), south, north
    if kind == "tiny":
        south = number(-70, 70)
        return number(-180, 179), number(0.25, 0.75), south, south + number(0.25, 0.75)
    width, height = number(4, 16), number(4, 16)
    west, south = number(-180, 179), number(-75, 64)
    if kind == "inside":
        west, south = number(-87, -20), number(3, 60)
    if kind in ("border", "corner"):
        # An edge of the box close to a meridian where tiles meet, on either side.
        west = rng.choice([-90.0, 0.0, 90.0, 180.0]) - rng.choice([0.0, width]) + number(-2, 2)
    if kind == "corner":
        south = -height / 2 + number(-4, 4)
    if kind == "antimeridian":
        west = 180.0 - number(0.25, width)
    return west, width, south, south + height


def _box(rng: random.Random, kind: str, *, round_numbers: bool) -> tuple[float, ...]:
    """(lon_min, lon_max, lat_min, lat_max), in one of the ways a user may write it."""

    def number(low: float, high: float) -> float:
        # A quarter degree is exact in binary: borders and ties are hit exactly.
        if round_numbers:
            return rng.randint(round(low * 4), round(high * 4)) / 4
        return round(rng.uniform(low, high), 6)

    west, width, south, north = _edges(rng, kind, number)
    west = (west + 180.0) % 360.0 - 180.0
    spellings = [(west, west + width), (west - 360.0, west - 360.0 + width)]
    if width < 360.0:
        spellings.append((west + 360.0, west + 360.0 + width))
        if west + width > 180.0:
            spellings += [(west, west + width - 360.0)] * 2
    usual = [pair for pair in spellings if max(map(abs, pair)) <= 540.0]
    return (*rng.choice(usual), south, north)


def _case(seed: int, days: int, variables: tuple[str, ...], **fixed: Any) -> Case:
    # Drawn by hand: hypothesis itself repeats its first choices too much for so few examples.
    rng = random.Random(seed)
    kind, round_numbers = rng.choice(KINDS), rng.random() < 0.5
    sizes = [1, 2, 3, 5, 9] if round_numbers else list(range(1, 13))
    first, length = rng.randint(-1 if days > 1 else 0, 3 if days > 1 else 2), rng.randint(1, days)
    start = synthetic.FIRST_DAY + timedelta(days=first)
    end = start + timedelta(days=length - 1)
    query = oracle.Query(*_box(rng, kind, round_numbers=round_numbers), str(start), str(end))
    options = {
        "resample": rng.choice(RESAMPLE),
        "temporal_agg": rng.choice(AGGREGATE),
        "min_support": rng.choice([0.01, 0.01, 0.317, 0.853]),
        "fill_value": rng.choice([0.0, -99.5]),
    }
    shape = (rng.choice(sizes), rng.choice(sizes))
    return Case(query, rng.choice(variables), shape, {**options, **fixed})


def cases(days: int = 1, variables: tuple[str, ...] = GRIDDED, **fixed: Any) -> Any:
    seeds = st.integers(0, 2**32 - 1)
    return st.builds(_case, seeds, st.just(days), st.just(variables), **_just(fixed))


def _just(fixed: dict[str, Any]) -> dict[str, Any]:
    return {name: st.just(value) for name, value in fixed.items()}


# ---- comparisons --------------------------------------------------------------------------------


@given(case=cases())
def test_one_day(dataset: Path, case: Case) -> None:
    check_drawn(dataset, *case[:3], **case.options)


@given(case=cases(days=4))
def test_windows_of_days(dataset: Path, case: Case) -> None:
    check_drawn(dataset, *case[:3], **case.options)


@given(case=cases(days=3, grid="crop"))
def test_crop(dataset: Path, case: Case) -> None:
    # Cells on the seam of a whole globe lie in the closed box twice; not every reader wants that.
    assume(oracle.longitudes(case.query)[1] - case.query.lon_min < 360.0)
    check_drawn(dataset, *case[:3], **case.options)


@given(case=cases(variables=("l4_sst",)))
def test_a_grid_that_changes_between_days(dataset: Path, case: Case) -> None:
    query = case.query._replace(time_start="2023-04-02", time_end="2023-04-03")
    check_drawn(dataset, query, *case[1:3], **case.options)


@given(
    case=cases(variables=("l4_ssh", "l3_swot", "l3_sss_smos_asc")),
    west=st.sampled_from([-12.0, -4.0, -9.5, 82.0, 88.5, 77.7]),
)
def test_missing_tiles(ocean_with_a_gap: Path, case: Case, west: float) -> None:
    edges = {"lon_min": west, "lon_max": west + 12.0}
    query = case.query._replace(**edges, time_start=DAY, time_end=DAY)
    check_drawn(ocean_with_a_gap, query, *case[1:3], **case.options)


@pytest.mark.parametrize("resample", ["bilinear", "area", "nearest", "auto"])
@pytest.mark.parametrize("variable", GRIDDED)
def test_every_source_where_four_tiles_meet(dataset: Path, variable: str, resample: str) -> None:
    if dataset.suffix == ".parquet" and variable == "l3_sst":
        pytest.skip("the catalogue does not list l3_sst")
    query = oracle.Query(-95.3, -84.9, -5.2, 5.1, DAY, DAY)
    check(dataset, query, variable, (7, 8), resample=resample)


@pytest.mark.parametrize("edges", [(170, 190), (175, -175), (-190, -170), (-180, 180), (0, 360)])
@pytest.mark.parametrize("variable", ["l4_ssh", "l3_sss_smos_desc", "glorys_ssh", "l3_swot"])
def test_every_way_to_write_longitudes(dataset: Path, variable: str, edges: Any) -> None:
    check(dataset, oracle.Query(*edges, -20.0, 25.0, DAY, DAY), variable, (9, 9))


@pytest.mark.parametrize("how", ["exact", "crop"])
def test_an_absent_source_is_absent(dataset: Path, how: str) -> None:
    day = synthetic.DAY_WITHOUT_SWOT.isoformat()
    query = oracle.Query(-40.0, -30.0, 20.0, 30.0, day, day)
    assert not oracle.render(dataset, query, "l3_swot", (4, 4), grid=how).present
    check(dataset, query, "l3_swot", (4, 4), grid=how)


def test_folder_and_zip_give_the_same(ocean: Path, ocean_zip: Path) -> None:
    query = oracle.Query(170.0, -160.0, -12.0, 11.0, DAY, "2023-04-03")
    for variable in GRIDDED:
        first, second = (
            engine_render(root, query, variable, (9, 10)) for root in (ocean, ocean_zip)
        )
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
        assert first[3] == second[3]


# ---- points -------------------------------------------------------------------------------------


@given(case=cases(days=3))
@example(case=Case(oracle.Query(-30.0, -20.0, 20.0, 25.0, DAY, DAY), "argo", (1, 1), {}))
@example(case=Case(oracle.Query(-180.0, 180.0, -90.0, 90.0, DAY, DAY), "argo", (1, 1), {}))
@example(case=Case(oracle.Query(100.0, -100.0, -60.0, 60.0, DAY, "2023-04-03"), "argo", (1, 1), {}))
def test_profiles(ocean: Path, case: Case) -> None:
    query = case.query
    want = oracle.render_points(ocean, query)
    sample = sample_of(ocean, query, "argo", (4, 4))
    got = sample["inputs"]["argo"]
    assert (got is not None) == want.present
    assert int(sample["metadata"]["n_files"]) == len(want.files)
    if got is None:
        return
    columns = [np.asarray(got[name], dtype=np.float64) for name in ("data", "lats", "lons")]
    assert all(column.shape == want.data.shape for column in columns)
    # The order of levels is the engine's own affair.
    order, wanted = np.lexsort(columns[:2]), np.lexsort((want.data, want.lats))
    for column, expected in zip(columns, (want.data, want.lats, want.lons), strict=True):
        np.testing.assert_allclose(column[order], expected[wanted], rtol=1e-6, atol=TOLERANCE)


@pytest.mark.parametrize("resample", ["auto", "bilinear", "area", "nearest"])
def test_crop_of_one_row_of_each_of_two_tiles(dataset: Path, resample: str) -> None:
    """Two stretches of one cell each are two cells, however little is known of their spacing."""
    query = oracle.Query(90.25, 100.25, -2.875, 2.375, *[synthetic.DAYS[2].isoformat()] * 2)
    assert oracle.render(dataset, query, "l4_sst", (2, 2), grid="crop").mask.any()
    check(dataset, query, "l4_sst", (3, 3), grid="crop", resample=resample)
