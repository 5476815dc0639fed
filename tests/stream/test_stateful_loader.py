"""torchdata's StatefulDataLoader: the rest of an interrupted run is the rest of the whole one."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from oceanarrow.torch import OceanTACOIterableDataset

from . import runs

stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is missing")

N, STEPS = 65, 6
#: Workers, steps a snapshot, workers that live on.
CASES = [
    (0, 1, False),
    (2, 1, False),
    (2, 5, True),
    *(
        pytest.param(*case, marks=pytest.mark.full)
        for case in [(0, 5, False), (2, 5, False), (2, 1, True), (3, 2, True)]
    ),
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
]


def make(path, workers: int, every: int, persistent: bool = False):
    data = OceanTACOIterableDataset(
        path, runs.asked(N), runs.INPUTS, runs.TARGETS, **runs.options(tail="pad")
    )
    loader = stateful.StatefulDataLoader(
        data,
        batch_size=None,
        num_workers=workers,
        snapshot_every_n_steps=every,
        persistent_workers=persistent,
        multiprocessing_context="fork" if workers else None,
    )
    return data, loader


@pytest.fixture(scope="module")
def epochs(ocean):
    loader = runs.make(ocean, N, tail="pad")
    return [runs.steps(loader) for _ in range(3)]


@pytest.mark.parametrize(("workers", "every", "persistent"), CASES)
@pytest.mark.parametrize(
    "taken", [0, 1, 5, *(pytest.param(k, marks=pytest.mark.full) for k in (2, 3, 4))]
)
def test_head_and_tail_are_the_whole_run(ocean, epochs, workers, every, persistent, taken):
    _, first = make(ocean, workers, every, persistent)
    head = runs.steps(islice(first, taken))
    assert head == epochs[0][:taken]
    state = json.loads(json.dumps(first.state_dict()))
    data, second = make(ocean, workers, every, persistent)
    second.load_state_dict(state)
    assert head + runs.steps(second) == epochs[0]
    if persistent or not workers:
        assert runs.steps(second) == epochs[1]
        assert runs.steps(second) == epochs[2]
    data.set_epoch(1)
    assert runs.steps(second) == epochs[1]


@pytest.mark.parametrize(("workers", "every", "persistent"), CASES)
def test_interrupted_twice(ocean, epochs, workers, every, persistent):
    rows = []
    state = None
    for taken in (1, 2, None):
        _, loader = make(ocean, workers, every, persistent)
        if state is not None:
            loader.load_state_dict(state)
        rows += runs.steps(islice(loader, taken))
        state = json.loads(json.dumps(loader.state_dict()))
    assert rows == epochs[0]


@pytest.mark.parametrize(("workers", "every", "persistent"), CASES)
def test_a_loop_that_sets_the_epoch_goes_on_in_the_middle_of_it(
    ocean, epochs, workers, every, persistent
):
    """`set_epoch` at the head of each epoch does not undo the state of the loader."""
    data, first = make(ocean, workers, every, persistent)
    data.set_epoch(0)
    assert runs.steps(first) == epochs[0]
    data.set_epoch(1)
    head = runs.steps(islice(first, 3))
    state = json.loads(json.dumps(first.state_dict()))
    data, second = make(ocean, workers, every, persistent)
    second.load_state_dict(state)
    data.set_epoch(1)
    assert head + runs.steps(second) == epochs[1]
    data.set_epoch(2)
    assert runs.steps(second) == epochs[2]


@pytest.mark.parametrize(("workers", "every", "persistent"), CASES)
def test_the_state_of_an_epoch_that_has_ended(ocean, epochs, workers, every, persistent):
    _, first = make(ocean, workers, every, persistent)
    assert runs.steps(first) == epochs[0]
    state = json.loads(json.dumps(first.state_dict()))
    data, second = make(ocean, workers, every, persistent)
    second.load_state_dict(state)
    data.set_epoch(1)
    assert runs.steps(second) == epochs[1]
    data.set_epoch(2)
    assert runs.steps(second) == epochs[2]


def test_the_state_at_the_last_batch(ocean, epochs):
    """Workers have an empty rest of the epoch; one process goes on with the next epoch at once."""
    for workers in (0, 2):
        data, first = make(ocean, workers, 1)
        assert runs.steps(islice(first, STEPS)) == epochs[0]
        _, second = make(ocean, workers, 1)
        second.load_state_dict(first.state_dict())
        assert runs.steps(second) == ([] if workers else epochs[1])
        data.set_epoch(1)
        assert runs.steps(first) == epochs[1]


def test_the_state_after_an_epoch_that_was_left(ocean, epochs):
    _, first = make(ocean, 2, 1, persistent=True)
    for _ in islice(first, 3):
        pass
    assert runs.steps(islice(first, 1)) == epochs[1][:1]
    _, second = make(ocean, 2, 1)
    second.load_state_dict(first.state_dict())
    assert runs.steps(second) == epochs[1][1:]


def test_a_dataset_that_was_resumed_by_a_cursor_can_be_resumed_again(ocean, epochs):
    loader = runs.make(ocean, N, tail="pad")
    cursor = next(iter(loader)).metadata["oceanarrow.cursor"]
    data, first = make(ocean, 2, 1)
    data.load_state_dict(cursor)
    head = runs.steps(islice(first, 1))
    state = first.state_dict()
    data, second = make(ocean, 2, 1)
    second.load_state_dict(state)
    assert head + runs.steps(second) == epochs[0][1:]
