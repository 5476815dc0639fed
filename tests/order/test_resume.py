"""A state goes on where it was taken: other ranks, another batch size, the same queries once."""

import json

import numpy as np
import pytest

from oceanarrow import _engine
from oceanarrow.exceptions import InvalidInputError, OceanArrowError, PlanMismatchError

from . import plans

FIELDS = {"variables": b"l4_ssh", "rendering": b"bilinear"}


def engine(n=1009, batch=48, seed=1, tail="pad", days=7, **options) -> _engine.Order:
    boxes, window = plans.boxes_and_days(n, days)
    return _engine.Order(boxes, window, global_batch=batch, seed=seed, tail=tail, **options)


def rest(order, epoch, lane_offset, world_size=1) -> list[list[tuple[int, bool]]]:
    """The global batches from a position to the end of the epoch, put together from the ranks."""
    batches = []
    for _ in range(order.steps_left(lane_offset)):
        ranks = [order.slots(epoch, lane_offset, r, world_size) for r in range(world_size)]
        queries, padded = (np.concatenate(part).tolist() for part in zip(*ranks, strict=True))
        batches.append(list(zip(queries, padded, strict=True)))
        lane_offset += order.lane_rows
    return batches


@pytest.mark.parametrize("tail", ["drop", "pad"])
@pytest.mark.parametrize("seed", [None, 1])
def test_other_ranks_go_on_at_any_step(tail: str, seed: int | None) -> None:
    order = engine(tail=tail, seed=seed, window=32)
    expected = rest(order, 2, 0)
    for taken, world_size in enumerate([1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 1, 2, 3, 4, 6, 8, 12]):
        state = order.state(2, taken * order.lane_rows, FIELDS)
        resumed, epoch, lane_offset = engine(tail=tail, seed=seed, window=32).resume(state, FIELDS)
        assert rest(resumed, epoch, lane_offset, world_size) == expected[taken:]


@pytest.mark.parametrize("tail", ["drop", "pad", "partial"])
@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("batch", [16, 64, 144, 1008])
def test_another_batch_size_keeps_each_query_once(tail: str, seed: int | None, batch: int) -> None:
    first = engine(tail=tail, seed=seed)
    for taken in (1, 7, 19):
        state = first.state(0, taken * first.lane_rows, FIELDS)
        second, epoch, offset = engine(batch=batch, tail=tail, seed=seed).resume(state, FIELDS)
        assert second.lanes == first.lanes
        batches = rest(first, 0, 0)[:taken] + rest(second, epoch, offset)
        queries = [q for step in batches for q, padded in step if not padded]
        assert len(queries) == len(set(queries))
        if tail == "drop":
            assert 1009 - len(queries) < batch
        else:
            assert sorted(queries) == list(range(1009))


def test_lanes_that_do_not_divide_the_batch_size() -> None:
    state = engine(batch=48).state(0, 3, FIELDS)
    with pytest.raises(PlanMismatchError, match=r"16.*batch of 40.*such as 32, 48, 64, 80"):
        engine(batch=40).resume(state, FIELDS)


def test_after_the_last_step_the_next_epoch_begins() -> None:
    order = engine(n=100, batch=48, tail="drop")
    assert order.steps_left() == 2
    assert order.advance(4, 0) == (4, order.lane_rows)
    assert order.advance(4, order.lane_rows) == (5, 0)
    endless = engine(n=100, batch=48, tail="continue")
    assert endless.steps_left() is None
    assert endless.advance(4, 900) == (4, 903)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("queries", {"n": 1010}),
        ("queries", {"days": 8}),
        ("seed", {"seed": 2}),
        ("window", {"window": 512}),
        ("tail", {"tail": "drop"}),
        ("weights", {"weights": np.ones(1009)}),
    ],
)
def test_a_mismatch_names_its_field(field: str, options: dict) -> None:
    state = engine().state(0, 3, FIELDS)
    with pytest.raises(PlanMismatchError, match=f": {field} differs; "):
        engine(**options).resume(state, FIELDS)


def test_a_mismatch_of_a_field_of_the_caller() -> None:
    order = engine()
    state = order.state(0, 3, FIELDS)
    with pytest.raises(PlanMismatchError, match=": rendering differs; "):
        order.resume(state, {**FIELDS, "rendering": b"nearest"})
    with pytest.raises(PlanMismatchError, match=": rendering, seed, window differ; "):
        engine(seed=None, window=1).resume(
            engine(window=1).state(0, 3, FIELDS), {**FIELDS, "rendering": b"nearest"}
        )
    assert issubclass(PlanMismatchError, OceanArrowError)
    assert issubclass(PlanMismatchError, ValueError)


def test_the_state_is_small_and_free_of_ranks() -> None:
    state = engine(seed=2**64 - 1).state(2**40, 2**50, {**FIELDS, "extra": b"x" * 10_000})
    assert len(state) < 512
    parsed = json.loads(state)
    assert set(parsed) == {"v", "epoch", "lane_offset", "lanes", "rules", "digests"}
    assert all(len(digest) == 16 for digest in parsed["digests"].values())
    ids = [engine(batch=b, lanes=k).plan_id(FIELDS) for b, k in [(48, 16), (96, 16), (48, 8)]]
    assert len(set(ids)) == 1
    assert engine(seed=2).plan_id(FIELDS) != ids[0]


def _state(**changes: object) -> str:
    state = {"v": 2, "epoch": 0, "lane_offset": 0, "lanes": 1, "rules": 2, "digests": {}}
    return json.dumps(state | changes)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("", "not a state"),
        ("[]", "not a state"),
        ('{"v": 2, "epoch": 0}', "not a state"),
        (_state(epoch=-1), "not a state"),
        (_state(lane_offset=1e30), "not a state"),
        (_state(rules=None), "not a state"),
        (_state(lane_offset=2**60), "large"),
        (_state(v=1), "version 1.*an older release saved it.*set_epoch"),
        (_state(v=3), "version 3.*a newer release saved it"),
    ],
)
def test_what_is_no_state_is_refused(state: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        engine().resume(state, FIELDS)


def test_impossible_lanes_are_refused() -> None:
    for lanes in (0, 1010):
        state = json.dumps({**json.loads(engine().state(0, 0, FIELDS)), "lanes": lanes})
        with pytest.raises(PlanMismatchError, match="lanes"):
            engine().resume(state, FIELDS)
