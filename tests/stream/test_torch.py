"""The real DataLoader: one order for any number of ranks and workers, however they start."""

from __future__ import annotations

import json
import pickle
import warnings
from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader

import oceanarrow.torch
from oceanarrow.torch import OceanTACOIterableDataset

from . import runs

N = 29
METHODS = ["fork", "spawn", "forkserver"]
PAIRS = [(w, v) for w in (1, 2, 3, 4) for v in (0, 1, 3)]
#: Besides all forks: processes that begin anew import torch, which takes seconds.
QUICK = {(2, 1, "spawn"), (1, 3, "forkserver")}

pytestmark = [
    # About machines with few cores, and without an accelerator.
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:.*pin_memory"),
]


def dataset(path, n: int = N, inputs=("l4_sst", "l4_ssh"), **changes) -> OceanTACOIterableDataset:
    options = runs.options(tail="pad", **changes)
    return OceanTACOIterableDataset(path, runs.asked(n), inputs, runs.TARGETS, **options)


def deal(data, workers: int, method: str | None = "fork", **options) -> DataLoader:
    context = method if workers else None
    return DataLoader(
        data, batch_size=None, num_workers=workers, multiprocessing_context=context, **options
    )


def epoch(loader) -> list[list[str]]:
    """The rows of one epoch; a warning is an error, here and in forked workers."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return runs.steps(loader)


@pytest.fixture(scope="module")
def epochs(ocean):
    """The rows of four epochs, of one process without torch."""
    loader = runs.make(ocean, N, inputs=("l4_sst", "l4_ssh"), tail="pad")
    return [runs.steps(loader) for _ in range(4)]


def _combinations():
    for method in METHODS:
        for world_size, workers in PAIRS:
            quick = method == "fork" or (world_size, workers, method) in QUICK
            marks = [] if quick else [pytest.mark.full]
            yield pytest.param(world_size, workers, method, marks=marks)


@pytest.mark.parametrize(("world_size", "workers", "method"), list(_combinations()))
def test_one_order_for_all_ranks_workers_and_start_methods(
    ocean, epochs, world_size, workers, method
):
    ranks = [
        deal(dataset(ocean, rank=rank, world_size=world_size), workers, method)
        for rank in range(world_size)
    ]
    assert runs.joined(ranks) == epochs[0]
    assert {len(rank) for rank in ranks} == {len(epochs[0])}


def test_more_workers_than_steps(ocean, epochs):
    assert runs.steps(deal(dataset(ocean), 5)) == epochs[0]


def test_ranks_and_workers_without_processes(ocean, epochs):
    for world_size in (1, 2, 3, 4, 6, 12):
        ranks = [deal(dataset(ocean, rank=r, world_size=world_size), 0) for r in range(world_size)]
        assert runs.joined(ranks) == epochs[0]
        assert runs.joined(ranks) == epochs[1]


def test_without_workers_epochs_follow_each_other(ocean, epochs):
    data = dataset(ocean)
    loader = deal(data, 0)
    assert [epoch(loader) for _ in range(3)] == epochs[:3]
    data.set_epoch(1)
    assert epoch(loader) == epochs[1]
    assert data.loader.epoch == 2


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.full)])
def test_persistent_workers_advance_and_hear_of_set_epoch(ocean, epochs, method):
    data = dataset(ocean)
    loader = deal(data, 2, method, persistent_workers=True)
    assert [epoch(loader) for _ in range(3)] == epochs[:3]
    data.set_epoch(1)
    assert epoch(loader) == epochs[1]
    assert epoch(loader) == epochs[2]
    data.set_epoch(0)
    data.set_epoch(3)
    assert epoch(loader) == epochs[3]


def test_persistent_workers_agree_after_an_epoch_that_was_left(ocean, epochs):
    """One of them has made all its steps by then, the other has not."""
    for workers in (2, 3):
        data = dataset(ocean)
        loader = deal(data, workers, persistent_workers=True)
        assert runs.row_digests(next(iter(loader))) == epochs[0][0]
        assert runs.steps(loader) == epochs[1]
        assert runs.row_digests(next(iter(loader))) == epochs[2][0]
        data.set_epoch(1)
        assert runs.steps(loader) == epochs[1]


def test_new_workers_take_the_epoch_that_was_set(ocean, epochs):
    data = dataset(ocean)
    loader = deal(data, 2)
    for number in (0, 1, 3):
        data.set_epoch(number)
        assert epoch(loader) == epochs[number]


def test_workers_start_where_the_main_process_is_iterating(ocean, epochs):
    """A fork takes nothing of an iteration that runs in the parent."""
    data = dataset(ocean)
    running = iter(data)
    first = runs.row_digests(next(running))
    assert epoch(deal(data, 2)) == epochs[0]
    assert [first, *runs.steps(running)] == epochs[0]


@pytest.mark.parametrize("taken", [1, 2, 3])
@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 1), (2, 0)])
def test_a_cursor_goes_on_with_any_number_of_workers(ocean, epochs, before, after, taken):
    """The cursor counts what was trained on, whatever the workers have made ahead."""
    trained = list(islice(deal(dataset(ocean), before), taken))
    resumed = dataset(ocean)
    resumed.load_state_dict(trained[-1]["metadata"]["cursor"])
    loader = deal(resumed, after)
    if taken < len(epochs[0]):
        assert len(loader) == len(resumed) == len(epochs[0]) - taken
        assert runs.steps(trained) + epoch(loader) == epochs[0]
        resumed.set_epoch(1)
    assert resumed.loader.epoch == 1
    assert len(loader) == len(epochs[1])
    assert epoch(loader) == epochs[1]


def test_a_cursor_goes_on_with_other_ranks_workers_and_batches(ocean):
    """From 2 ranks x 2 workers and 12 rows to 4 ranks x 1 worker and 8: every query once."""
    n, options = 101, {"lanes": 4}
    first = [dataset(ocean, n, rank=r, world_size=2, **options) for r in range(2)]
    trained = [list(islice(deal(data, 2), 3)) for data in first]
    cursors = {batches[-1]["metadata"]["cursor"] for batches in trained}
    assert len(cursors) == 1
    rows = [row for batches in trained for row in runs.query_rows(batches)]
    cursor = cursors.pop()
    second = [
        dataset(ocean, n, rank=r, world_size=4, global_batch_size=8, **options) for r in range(4)
    ]
    for data in second:
        data.load_state_dict(cursor)
    assert {len(data) for data in second} == {9}
    for data in second:
        rows += runs.query_rows(deal(data, 1))
    assert sorted(query for query, weight in rows if weight == 1.0) == list(range(n))
    assert len(rows) == 3 * 12 + 9 * 8


def test_each_batch_of_workers_has_the_state_after_it(ocean):
    expected = [b["metadata"]["cursor"] for b in deal(dataset(ocean), 0)]
    assert [b["metadata"]["cursor"] for b in deal(dataset(ocean), 2)] == expected
    places = [(json.loads(c)["epoch"], json.loads(c)["lane_offset"]) for c in expected]
    assert places == [(0, 1), (0, 2), (1, 0)]


@pytest.mark.parametrize("workers", [0, 1])
def test_tensors_may_be_written_to_and_share_nothing(ocean, workers):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = list(deal(dataset(ocean, inputs=("l4_sst", "argo")), workers))
    before = [runs.row_digests(batch) for batch in batches]
    values = batches[0]["inputs"]["l4_sst"]
    assert values.dtype == torch.float32 and values.shape == (12, 4, 4)
    assert batches[0]["masks"]["l4_sst"].dtype == torch.bool
    values.add_(1.0)
    batches[0]["inputs"]["argo"]["data"].mul_(2.0)
    batches[0]["metadata"]["sample_weight"].zero_()
    assert runs.row_digests(batches[0]) != before[0]
    assert [runs.row_digests(batch) for batch in batches[1:]] == before[1:]


@pytest.mark.parametrize("workers", [0, 1])
def test_pinning_keeps_the_structure(ocean, epochs, workers):
    """Without an accelerator DataLoader says so and pins nothing."""
    loader = deal(dataset(ocean), workers, pin_memory=True)
    batches = list(loader)
    assert runs.steps(batches) == epochs[0]
    assert isinstance(batches[0]["metadata"]["cursor"], str)
    assert batches[0]["inputs"]["l4_sst"].is_pinned() == torch.cuda.is_available()


def test_to_moves_tensors_and_leaves_the_rest(ocean):
    batch = next(iter(dataset(ocean, inputs=("l4_sst", "argo"))))
    for non_blocking in (False, True):
        moved = oceanarrow.torch.to(batch, "cpu", non_blocking=non_blocking)
        assert runs.row_digests(moved) == runs.row_digests(batch)
        assert moved["metadata"]["cursor"] == batch["metadata"]["cursor"]
    elsewhere = oceanarrow.torch.to(batch, torch.device("meta"))
    assert elsewhere["inputs"]["argo"]["data"].device.type == "meta"
    assert elsewhere["targets"]["l4_ssh"].shape == (12, 4, 4)
    assert batch["targets"]["l4_ssh"].device.type == "cpu"


def test_a_pickled_dataset_goes_on(ocean, epochs):
    data = dataset(ocean)
    batches = iter(data)
    data.load_state_dict(next(batches)["metadata"]["cursor"])
    copy = pickle.loads(pickle.dumps(data))
    assert epoch(copy) == epochs[0][1:]
    copy.set_epoch(2)
    assert epoch(copy) == epochs[2]
    assert epoch(data) == epochs[0][1:], "the copy's epochs are its own"


def test_an_error_in_a_worker_names_the_file(ocean, tmp_path):
    import shutil

    path = tmp_path / "ocean"
    shutil.copytree(ocean, path)
    data = dataset(path)
    for file in path.glob("DATA/*/*/l4_ssh.nc"):
        file.write_bytes(b"no file")
    with pytest.raises(Exception, match=r"l4_ssh\.nc"):
        list(deal(data, 1))
