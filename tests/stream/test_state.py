"""A state goes on where it was taken: on other ranks, with another batch size, once each query."""

from __future__ import annotations

import json
import pickle
import warnings
from itertools import islice

import pytest

from oceanarrow import Loader
from oceanarrow.exceptions import InvalidInputError, PlanMismatchError

from . import runs

N, STEPS = 65, 6


def advance(loaders, taken: int) -> list[list[str]]:
    """Takes a few steps on all ranks, and leaves."""
    return runs.joined([islice(loader, taken) for loader in loaders])


def go_on(loaders, state):
    for loader in loaders:
        loader.load_state_dict(state)
    return loaders


@pytest.fixture(scope="module")
def epochs(dataset):
    """The rows of epochs 0 and 1."""
    loader = runs.make(dataset, N, tail="pad")
    return [runs.steps(loader) for _ in range(2)]


@pytest.mark.parametrize("taken", [0, 1, 3, STEPS - 1])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (4, 6), (12, 2), (3, 1)])
def test_another_world_goes_on_at_the_next_step(dataset, epochs, before, after, taken):
    first = runs.world(dataset, before, N, tail="pad")
    assert advance(first, taken) == epochs[0][:taken]
    states = [json.dumps(loader.state_dict()) for loader in first]
    assert len(set(states)) == 1
    assert len(states[0]) < 512
    second = go_on(runs.world(dataset, after, N, tail="pad"), json.loads(states[0]))
    assert {len(loader) for loader in second} == {STEPS - taken}
    assert {loader.epoch for loader in second} == {0}
    assert runs.joined(second) == epochs[0][taken:]
    assert {len(loader) for loader in second} == {STEPS}
    assert {loader.epoch for loader in second} == {1}
    assert runs.joined(second) == epochs[1], "the epoch after is a whole one"


@pytest.mark.parametrize("tail", ["drop", "pad"])
@pytest.mark.parametrize(("before", "after"), [(12, 24), (24, 12), (12, 36), (12, 4), (12, 28)])
def test_another_batch_size_within_an_epoch_keeps_each_query_once(dataset, tail, before, after):
    many = 101
    for taken in (1, 2):
        options = {"tail": tail, "lanes": 4}
        first = runs.world(dataset, 2, many, global_batch_size=before, **options)
        rows = [row for loader in first for row in runs.query_rows(islice(loader, taken))]
        state = first[1].state_dict()
        second = go_on(runs.world(dataset, 4, many, global_batch_size=after, **options), state)
        left = many - taken * before
        assert {len(loader) for loader in second} == {
            left // after if tail == "drop" else -(-left // after)
        }
        rows += [row for loader in second for row in runs.query_rows(loader)]
        kept = [query for query, weight in rows if weight == 1.0]
        assert len(kept) == len(set(kept))
        if tail == "pad":
            assert sorted(kept) == list(range(many))
        else:
            assert len(rows) == len(kept) > many - after
        assert {loader.epoch for loader in second} == {1}
        following = [row for loader in second for row in runs.query_rows(loader)]
        assert len({query for query, _ in following}) == (
            many if tail == "pad" else many // after * after
        )


def test_the_batch_of_other_lanes_names_the_sizes_that_work(dataset):
    state = runs.make(dataset, N, lanes=4).state_dict()
    assert state["lanes"] == 4
    with pytest.raises(PlanMismatchError, match=r"4.*batch of 10.*8, 12"):
        runs.make(dataset, N, global_batch_size=10).load_state_dict(state)


@pytest.mark.parametrize("tail", ["drop", "pad"])
def test_the_cursor_of_each_batch_is_the_state_after_it(dataset, tail):
    loader = runs.make(dataset, N, tail=tail)
    expected = runs.steps(loader)
    following = runs.steps(loader)
    loader.set_epoch(0)
    for step, batch in enumerate(loader, start=1):
        cursor = batch.metadata["oceanarrow.cursor"]
        assert json.loads(cursor) == loader.state_dict()
        assert len(cursor) < 512
        resumed = runs.make(dataset, N, tail=tail)
        resumed.load_state_dict(cursor)
        left = runs.steps(resumed)
        assert left == (expected[step:] if step < len(expected) else following)


def test_the_end_of_an_epoch_is_the_start_of_the_next(dataset, epochs):
    loader = runs.make(dataset, N, tail="pad")
    for _ in loader:
        pass
    state = loader.state_dict()
    assert (state["epoch"], state["lane_offset"]) == (1, 0)
    assert loader.epoch == 1
    (resumed,) = go_on([runs.make(dataset, N, tail="pad")], state)
    assert (resumed.epoch, len(resumed)) == (1, STEPS)
    assert runs.steps(resumed) == epochs[1]


def test_a_continued_run_goes_on(dataset):
    def take(loader, count):
        return runs.steps(islice(loader, count))

    whole = take(runs.make(dataset, N, tail="continue"), 20)
    loader = runs.make(dataset, N, tail="continue", rank=0, world_size=1)
    assert take(loader, 13) == whole[:13], "two whole epochs and a part"
    state = loader.state_dict()
    ranks = go_on(runs.world(dataset, 4, N, tail="continue"), state)
    assert runs.joined([islice(loader, 7) for loader in ranks]) == whole[13:]


def test_set_epoch_after_a_state_starts_an_epoch(dataset, epochs):
    loader = runs.make(dataset, N, tail="pad")
    advance([loader], 3)
    (resumed,) = go_on([runs.make(dataset, N, tail="pad")], loader.state_dict())
    resumed.set_epoch(1)
    assert len(resumed) == STEPS
    assert runs.steps(resumed) == epochs[1]


def test_loading_ends_a_running_iteration(dataset, epochs):
    loader = runs.make(dataset, N, tail="pad")
    start = loader.state_dict()
    running = iter(loader)
    next(running)
    loader.load_state_dict(start)
    assert list(running) == []
    assert runs.steps(loader) == epochs[0]


def test_a_pickled_loader_goes_on_where_it_stood(dataset, epochs):
    loader = runs.make(dataset, N, tail="pad", rank=0, world_size=1)
    copy = pickle.loads(pickle.dumps(loader))
    assert runs.steps(copy) == epochs[0]
    advance([loader], 4)
    (resumed,) = go_on([runs.make(dataset, N, tail="pad")], loader.state_dict())
    copy = pickle.loads(pickle.dumps(resumed))
    assert (copy.epoch, len(copy)) == (0, STEPS - 4)
    assert copy.state_dict() == resumed.state_dict()
    assert copy.place == resumed.place
    assert runs.steps(copy) == epochs[0][4:]
    assert pickle.loads(pickle.dumps(copy)).epoch == 1
    assert runs.steps(pickle.loads(pickle.dumps(copy))) == epochs[1]
    assert runs.steps(resumed) == epochs[0][4:], "the original has not moved"


def test_pickling_a_loader_in_use_copies_where_its_next_iteration_starts(dataset, epochs):
    """The copy is what a worker of a DataLoader gets, and forked workers do the same."""
    loader = runs.make(dataset, N, tail="pad")
    running = iter(loader)
    next(running)
    copy = pickle.loads(pickle.dumps(loader))
    assert runs.steps(copy) == epochs[0]
    assert runs.steps(running) == epochs[0][1:]


def test_a_resumed_loader_keeps_the_lanes_of_the_state_through_pickling(dataset):
    first = runs.make(dataset, N, lanes=4)
    advance([first], 2)
    (second,) = go_on([runs.make(dataset, N, global_batch_size=24)], first.state_dict())
    copy = pickle.loads(pickle.dumps(second))
    assert copy.state_dict() == second.state_dict() == first.state_dict()
    assert runs.steps(copy) == runs.steps(second)


CHANGED: dict[str, dict] = {
    "queries": {"n": N - 1},
    "rendering, variables": {"inputs": ("l4_sst", "l4_sss")},
    "seed": {"seed": 12},
    "window": {"window": 6},
    "tail": {"tail": "drop"},
    "weights": {"weights": [1.0] * N},
    "rendering": {"resample": "nearest"},
}


@pytest.mark.parametrize("field", CHANGED)
def test_a_mismatch_names_what_differs(dataset, field):
    state = runs.make(dataset, **{"n": N, "tail": "pad"}).state_dict()
    other = runs.make(dataset, **({"n": N, "tail": "pad"} | CHANGED[field]))
    before = other.state_dict()
    with pytest.raises(PlanMismatchError, match=rf"another plan: {field} differ"):
        other.load_state_dict(state)
    assert other.state_dict() == before, "a refused state changes nothing"
    assert isinstance(PlanMismatchError("x"), ValueError)


def test_one_changed_query_and_an_order_of_queries_are_other_plans(dataset):
    queries = runs.asked(N)
    state = runs.make(dataset, N).state_dict()
    moved = [*queries[:-1], queries[0]]
    for changed in (moved, queries[::-1]):
        loader = Loader(dataset, changed, runs.INPUTS, runs.TARGETS, **runs.options())
        with pytest.raises(PlanMismatchError, match="queries differs"):
            loader.load_state_dict(state)


def test_what_is_no_part_of_the_plan_may_change(dataset):
    loader = runs.make(dataset, N)
    advance([loader], 2)
    other = runs.make(
        dataset, N, threads=2, cache_bytes=0, prefetch_bytes=1, on_error="mask", lanes=3,
        rank=1, world_size=2, global_batch_size=24,
    )  # fmt: skip
    other.load_state_dict(loader.state_dict())
    assert other.plan_id == loader.plan_id
    assert other.state_dict() == loader.state_dict()


@pytest.mark.parametrize(
    "garbage",
    [
        "", "[]", "null", "{", {}, {"v": 1}, {"v": 2}, None, 7, [1, 2], b"{}",
        {"v": 2, "epoch": 0, "lane_offset": float("nan"), "lanes": 1, "rules": 2, "digests": {}},
        {"v": 2, "epoch": 0, "lane_offset": object(), "lanes": 1, "rules": 2, "digests": {}},
        {"v": 2, "epoch": -1, "lane_offset": 0, "lanes": 12, "rules": 2, "digests": {}},
    ],
)  # fmt: skip
def test_what_is_no_state_is_refused_at_once(dataset, garbage):
    loader = runs.make(dataset, N)
    with pytest.raises(InvalidInputError, match="state"):
        loader.load_state_dict(garbage)
    assert len(list(loader)) == N // 12


@pytest.mark.parametrize("change", [{"lanes": 0}, {"lane_offset": 2**60}, {"v": 9}])
def test_a_damaged_state_is_refused(dataset, change):
    loader = runs.make(dataset, N)
    with pytest.raises((InvalidInputError, PlanMismatchError), match=r"lanes|position|version"):
        loader.load_state_dict(loader.state_dict() | change)


def test_a_state_of_other_rules_goes_on_with_a_warning(dataset, recwarn):
    loader = runs.make(dataset, N)
    advance([loader], 2)
    state = loader.state_dict()
    other = runs.make(dataset, N)
    other.load_state_dict(state)
    assert not recwarn.list, "the same rules are nothing to warn of"
    older = state | {"rules": state["rules"] - 1}
    again = runs.make(dataset, N)
    message = rf"rules version {older['rules']} .* has {state['rules']}"
    with pytest.warns(UserWarning, match=message) as seen:
        again.load_state_dict(older)
    assert [warning.filename for warning in seen] == [__file__]
    assert again.plan_id == other.plan_id
    assert again.state_dict() == state
    assert runs.steps(again) == runs.steps(other)


def test_a_warning_that_is_an_error_changes_nothing(dataset):
    loader = runs.make(dataset, N)
    before = loader.state_dict()
    moved = before | {"rules": 99, "epoch": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="rules version 99"):
            loader.load_state_dict(moved)
    assert loader.state_dict() == before


def test_a_state_beyond_the_end_is_an_epoch_that_is_over(dataset, epochs):
    loader = runs.make(dataset, N, tail="pad")
    loader.load_state_dict(loader.state_dict() | {"lane_offset": 1000})
    assert len(loader) == 0
    assert list(loader) == []
    assert runs.steps(loader) == epochs[1]
