"""Splits and leaks against all pairs, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oceanarrow import Window, find_leaks, split_queries
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError

DAY = np.datetime64("2020-01-01")


def query(west: float, width: float, south: float, height: float, first: int, length: int) -> Query:
    east = west + width
    return Query(
        west, east - 360 if east > 180 else east, south, min(90.0, south + height),
        str(DAY + first), str(DAY + first + length),
    )  # fmt: skip


NUMBERS = st.tuples(
    st.integers(-18, 17).map(lambda n: 10.0 * n),
    st.integers(1, 20).map(lambda n: 2.5 * n),
    st.integers(-9, 8).map(lambda n: 10.0 * n),
    st.integers(1, 16).map(lambda n: 2.5 * n),
    st.integers(0, 90),
    st.integers(0, 6),
)
QUERIES = st.lists(NUMBERS.map(lambda numbers: query(*numbers)), max_size=25)
GAPS = {
    "gap_days": st.integers(0, 5),
    "gap_deg": st.sampled_from([0.0, 2.5, 5.0, 7.5, 30.0]),
    "windows": st.sampled_from([(), (Window("v", -3, 2),), (Window("v", 4), Window("w", -1, 0))]),
    "shift": st.sampled_from([(0.0, 0.0), (2.5, 0.0), (0.0, 5.0), (10.0, 2.5), (180.0, 90.0)]),
}


def close(
    a: Query,
    b: Query,
    gap_days: int,
    gap_deg: float,
    windows: tuple[Window, ...],
    shift: tuple[float, float],
) -> bool:
    """Whether two come too close, by their text, when both move towards each other."""

    def days(of: Query) -> tuple[int, int]:
        first, last = of.days()
        ends = [(w.first, w.first if w.last is None else w.last) for w in windows]
        return first + min([0, *(e[0] for e in ends)]), last + max([0, *(e[1] for e in ends)])

    (a0, a1), (b0, b1) = days(a), days(b)
    between = max(b0 - a1, a0 - b1) - 1
    if between >= gap_days:
        return False
    if max(b.lat_min - a.lat_max, a.lat_min - b.lat_max) - 2 * shift[1] >= gap_deg:
        return False
    for turn in (-720, -360, 0, 360, 720):
        west, east = a.lon_min + turn, a.lon_max + turn + 360 * (a.lon_max < a.lon_min)
        other = b.lon_max + 360 * (b.lon_max < b.lon_min)
        if max(b.lon_min - east, west - other) - 2 * shift[0] < gap_deg:
            return True
    return False


@given(QUERIES, QUERIES, st.integers(0, 30), st.fixed_dictionaries(GAPS))
def test_leaks_are_all_pairs_that_come_too_close(
    a: list[Query], b: list[Query], most: int, gaps: dict[str, Any]
) -> None:
    due = [(i, j) for i, x in enumerate(a) for j, y in enumerate(b) if close(x, y, **gaps)]
    found = find_leaks(a, b, max_pairs=most, **gaps)
    assert found.count == len(due) and bool(found) == bool(due)
    assert found.pairs.shape == (min(most, len(due)), 2)
    assert found.pairs.tolist() == [list(pair) for pair in due[:most]]


@given(
    st.lists(NUMBERS.map(lambda numbers: query(*numbers)), min_size=1, max_size=60),
    st.sampled_from(["time", "blocks", "space"]),
    st.integers(0, 3),
    st.sampled_from([(30, 15.0), (7, 45.0), (100, 90.0)]),
    st.fixed_dictionaries(GAPS),
)
def test_parts_do_not_leak(
    queries: list[Query], by: Any, seed: int, block: tuple[int, float], gaps: dict[str, Any]
) -> None:
    shares = {"train": 0.6, "val": 0.15, "test": 0.25}
    split = split_queries(queries, shares, by=by, seed=seed, block=block, **gaps)
    assert list(split.parts) == list(shares)
    everything = [*split.left_out, *(q for part in split.parts.values() for q in part)]
    key = [sorted(map(str, some)) for some in (everything, queries)]
    assert key[0] == key[1]
    names = list(shares)
    for i, one in enumerate(names):
        for other in names[:i]:
            leaks = find_leaks(split.parts[one], split.parts[other], **gaps)
            assert not leaks, (one, other, leaks)


def test_a_split_by_space_holds_on_every_day() -> None:
    rng = np.random.default_rng(0)
    queries = [
        query(*map(float, (w, 5, s, 5)), int(d), 0)
        for w, s, d in zip(
            rng.uniform(-180, 175, 3000), rng.uniform(-70, 60, 3000), rng.integers(0, 90, 3000),
            strict=True,
        )
    ]  # fmt: skip
    split = split_queries(queries, {"a": 0.7, "b": 0.3}, by="space", block=(1, 30.0), gap_deg=2.0)
    everywhere = [
        [Query(*q.bbox, str(DAY), str(DAY)) for q in part] for part in split.parts.values()
    ]
    assert not find_leaks(*everywhere, gap_deg=2.0)
    sizes = [len(part) for part in split.parts.values()]
    assert 0.6 < sizes[0] / sum(sizes) < 0.8
    assert 0.4 < sum(sizes) / 3000 < 0.9
    later = split_queries(queries, {"a": 0.7, "b": 0.3}, by="space", block=(1, 30.0), seed=1)
    assert later.parts["a"] != split.parts["a"]


def test_a_split_by_time_meets_its_shares() -> None:
    queries = [query(0, 5, 0, 5, day % 100, 0) for day in range(1000)]
    split = split_queries(queries, {"train": 0.8, "val": 0.1, "test": 0.1}, gap_days=3)
    days = {name: {q.days()[0] for q in part} for name, part in split.parts.items()}
    start = int(DAY.astype(int))
    assert days["train"] == set(range(start, start + 77))
    assert days["val"] == set(range(start + 80, start + 87))
    assert days["test"] == set(range(start + 90, start + 100))
    assert len(split.left_out) == 60
    lines = split.summary().splitlines()
    assert lines[0].split()[:3] == ["train", "770", "77.0%"] and "2020-03-17" in lines[0]
    assert lines[-1].split()[:3] == ["left", "out", "60"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"shares": {}}, "shares must be"),
        ({"shares": {"a": 0.5, "b": 0.4}}, "add up to 1, not 0.9"),
        ({"by": "month"}, 'by must be "time"'),
        ({"gap_days": -1}, "gap_days"),
        ({"gap_days": 0.5}, "gap_days"),
        ({"gap_deg": float("nan")}, "gap_deg"),
        ({"block": (0, 15), "by": "blocks"}, "block"),
        ({"block": 5, "by": "blocks"}, "block must be"),
        ({"windows": ["v"]}, "list of oceanarrow.Window"),
        ({"shift": (-1.0, 0.0)}, "shift must be"),
    ],
)
def test_bad_arguments(options: dict[str, Any], text: str) -> None:
    options = {"shares": {"a": 0.5, "b": 0.5}} | options
    with pytest.raises(InvalidInputError, match=text):
        split_queries([query(0, 5, 0, 5, 0, 0)], **options)


def test_many_queries() -> None:
    """Duplicates of one place, and a count beyond the pairs that are listed."""
    one = [query(0, 5, 0, 5, 3, 0)] * 2000
    found = find_leaks(one, one[:500], max_pairs=3)
    assert found.count == 1_000_000
    assert found.pairs.tolist() == [[0, 0], [0, 1], [0, 2]]
    assert repr(found) == "Leaks(1,000,000 pairs; the first is a[0] and b[0])"
    assert repr(find_leaks(one, [])) == "Leaks(none)"
