"""Tails, weights, shapes of batches, predicted cost and bad input."""

from collections import Counter, OrderedDict

import numpy as np
import pytest

from oceanarrow import _engine
from oceanarrow.exceptions import InvalidInputError

from . import plans


def test_without_a_seed_the_order_is_that_of_the_list() -> None:
    order = plans.EngineOrder(7, 3, None, "partial")
    assert [[q for q, _ in order.step(5, t)] for t in range(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    padded = plans.EngineOrder(7, 3, None, "pad")
    assert padded.step(0, 2) == [(6, False), (0, True), (1, True)]
    endless = plans.EngineOrder(4, 3, None, "continue")
    queries = [q for t in range(4) for q, _ in endless.step(0, t)]
    assert queries == [0, 1, 2, 3] * 3


@pytest.mark.parametrize(
    ("n", "batch", "asked", "lanes"),
    [(1000, 48, 16, 16), (3, 48, 16, 3), (5, 48, 16, 4), (1, 8, 16, 1), (1000, 10, 16, 10)],
)
def test_lanes_shrink_to_a_divisor(n: int, batch: int, asked: int, lanes: int) -> None:
    assert plans.EngineOrder(n, batch, 0, "pad", lanes=asked).lanes == lanes


@pytest.mark.parametrize("n", [5, 51, 257])
def test_lanes_that_run_on_serve_all_queries_alike(n: int) -> None:
    order = plans.EngineOrder(n, 12, 2, "continue", lanes=4)
    rows = order.native.lane_rows
    counts: Counter[int] = Counter(dict.fromkeys(range(n), 0))
    for t in range(n):
        step = order.step(0, t)
        assert len(step) == 12 and not any(padded for _, padded in step)
        counts.update(q for q, _ in step)
        assert max(counts.values()) - min(counts.values()) <= 2 + (n < 12)
        if (t + 1) * rows % n == 0:
            # Each lane has read N places: L whole epochs.
            assert set(counts.values()) == {order.lanes * (t + 1) * rows // n}


def test_an_epoch_that_runs_on_begins_like_any_other() -> None:
    endless = plans.EngineOrder(960, 48, 2, "continue")
    dropping = plans.EngineOrder(960, 48, 2, "drop")
    assert [endless.step(3, t) for t in range(20)] == [dropping.step(3, t) for t in range(20)]
    following = {q for t in range(20, 40) for q, _ in endless.step(3, t)}
    assert following == set(range(960))


def test_weights_are_repeat_counts() -> None:
    weights = plans.weights(500)
    share = 500 / sum(weights)
    total: Counter[int] = Counter()
    for epoch in range(40):
        order = plans.EngineOrder(500, 20, 8, "drop", weights=weights)
        counts = Counter(q for t in range(order.steps()) for q, _ in order.step(epoch, t))
        assert counts.total() == 500
        assert all(abs(counts[i] - w * share) < 1 for i, w in enumerate(weights))
        total.update(counts)
    assert all(abs(total[i] / 40 - w * share) < 0.35 for i, w in enumerate(weights))
    assert len(total) == sum(w > 0 for w in weights)


def test_equal_weights_are_no_weights_in_number() -> None:
    order = plans.EngineOrder(97, 48, 8, "pad", weights=[0.3] * 97)
    slots = [slot for t in range(order.steps()) for slot in order.step(0, t)]
    assert sorted(q for q, padded in slots if not padded) == list(range(97))


def _decodes(order: plans.EngineOrder, world_size: int, cache: int) -> tuple[int, float]:
    """Misses of a least-recently-used cache of clusters on each rank; clusters a batch."""
    cluster_of = {q: c for c, rows in enumerate(order.native.clusters()) for q in rows}
    kept: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(world_size)]
    decodes, distinct = 0, 0
    for t in range(order.steps()):
        batch = set()
        for rank in range(world_size):
            for query, _ in order.step(0, t, rank, world_size):
                cluster = cluster_of[query]
                batch.add(cluster)
                decodes += cluster not in kept[rank]
                kept[rank][cluster] = None
                kept[rank].move_to_end(cluster)
                if len(kept[rank]) > cache:
                    kept[rank].popitem(last=False)
        distinct += len(batch)
    return decodes, distinct / order.steps()


@pytest.mark.parametrize(("world_size", "cache"), [(1, 400), (4, 20), (8, 3)])
def test_the_predicted_cost_is_that_of_a_simulated_cache(world_size: int, cache: int) -> None:
    order = plans.EngineOrder(20_000, 256, 1, "drop", days=60)
    cost = order.native.locality(world_size, cache)
    decodes, distinct = _decodes(order, world_size, cache)
    assert cost["decodes"] == decodes
    assert cost["amplification"] == decodes / cost["distinct"]
    assert cost["distinct_a_batch"] == pytest.approx(distinct)


def test_a_year_of_daily_regions_is_decoded_little_more_than_once() -> None:
    """The table of the design: 109,500 queries in 2,920 clusters, eight ranks with 64 each."""
    order = plans.EngineOrder(109_500, 256, 1, "drop", days=365).native
    cost = order.locality(8, 64)
    assert cost["amplification"] < 1.05
    assert 180 < cost["distinct_a_batch"] < 210
    assert cost["wanted_clusters"] <= 64
    assert order.locality(8, 8)["amplification"] > 2
    assert order.locality(8, 64, 40)["steps"] == 40


def test_clusters_are_days_and_regions() -> None:
    boxes, days = plans.boxes_and_days(5000, 3)
    order = _engine.Order(boxes, days, global_batch=1, seed=0, tail="pad")
    clusters = order.clusters()
    assert sorted(i for rows in clusters for i in rows) == list(range(5000))
    for rows in clusters:
        lon = ((boxes[rows, 0] + boxes[rows, 1]) / 2 + 180) % 360 // 90
        lat = (boxes[rows, 2] + boxes[rows, 3]) // 180
        assert len(rows) <= 64
        assert len(set(zip(days[rows, 0], lon, lat, strict=True))) == 1


BOXES = np.array([[0.0, 1.0, 0.0, 1.0]] * 12)
DAYS = np.zeros((12, 2), dtype=np.int32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"global_batch": 0}, "batch_size must be at least 1"),
        ({"lanes": 0}, "lanes must be at least 1"),
        ({"window": 0}, "window must be at least 1"),
        ({"global_batch": 13, "tail": "drop"}, "12 queries do not fill a batch of 13"),
        ({"tail": "wrap"}, "tail must be one of"),
        ({"weights": np.ones(11)}, "11 weights for 12 queries"),
        ({"weights": np.zeros(12)}, "all weights are 0"),
        ({"weights": np.full(12, np.nan)}, r"weights\[0\] is NaN"),
        ({"weights": np.ones(12), "seed": None}, "shuffle"),
    ],
)
def test_bad_arguments_are_refused(options: dict, message: str) -> None:
    arguments = {"global_batch": 6, "seed": 0, "tail": "pad", **options}
    with pytest.raises(InvalidInputError, match=message):
        _engine.Order(BOXES, DAYS, **arguments)


def test_no_query_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="the list of queries is empty"):
        _engine.Order(BOXES[:0], DAYS[:0], global_batch=1, seed=0, tail="pad")


def test_bad_ranks_are_refused() -> None:
    order = _engine.Order(BOXES, DAYS, global_batch=6, seed=0, tail="pad")
    with pytest.raises(InvalidInputError, match=r"batch of 6; it must be one of 1, 2, 3, 6$"):
        order.slots(0, 0, 0, 4)
    with pytest.raises(InvalidInputError, match="must be one of"):
        order.slots(0, 0, 0, 0)
    with pytest.raises(InvalidInputError, match="ranks 0 to 2"):
        order.slots(0, 0, 3, 3)
    partial = _engine.Order(BOXES, DAYS, global_batch=6, seed=0, tail="partial")
    with pytest.raises(InvalidInputError, match="partial"):
        partial.slots(0, 0, 0, 2)
    with pytest.raises(InvalidInputError, match="cache"):
        order.locality(1, 0)
    with pytest.raises(InvalidInputError, match="one of 1, 2, 3, 6"):
        order.locality(5, 4)
