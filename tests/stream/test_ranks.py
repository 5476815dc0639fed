"""Ranks share one order: their rows, one after the other, are the batches of a single rank."""

from __future__ import annotations

import hashlib
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from oceanarrow.exceptions import InvalidInputError

from . import runs

WORLDS = [2, 3, 4, 6, 12]
#: 1, G-1, G, G+1, a prime, 2^6+1
SIZES = [1, 11, 12, 13, 29, 65]
INPUTS, TARGETS = ("l4_sst", "l3_swot", "argo"), ("l4_ssh", "l4_sst")


def columns(ranks) -> dict[str, bytes]:
    """All columns of one global batch, as bytes: values, also of null rows, validity, lengths."""
    digests = {}
    for name in ranks[0].schema.names:
        arrow = [pa.record_batch(batch).column(name) for batch in ranks]
        digest = hashlib.blake2b()
        for batch in ranks:
            digest.update(batch[name].numpy().tobytes())
        for column in arrow:
            digest.update(np.asarray(column.is_valid()).tobytes())
        if pa.types.is_list(arrow[0].type) or pa.types.is_large_list(arrow[0].type):
            for column in arrow:
                digest.update(np.asarray(pc.list_value_length(column).fill_null(0)).tobytes())
        digests[name] = digest.digest()
    return digests


def streams(path, world_size, n, tail, take):
    """The columns, and what all ranks say of themselves, of each step."""
    loaders = runs.world(
        path,
        world_size,
        n,
        inputs=INPUTS,
        targets=TARGETS,
        tail=tail,
        patch_sizes={"l3_swot": (3, 5)},
    )
    epochs = 1 if tail == "continue" else 2
    result = []
    for _ in range(epochs):
        iterators = [islice(loader, take) for loader in loaders]
        for batches in zip(*iterators, strict=True):
            about = [
                {k: v for k, v in batch.metadata.items() if k != "oceanarrow.masked"}
                for batch in batches
            ]
            assert all(entry == about[0] for entry in about)
            result.append((columns(batches), about[0]))
    return result


@pytest.mark.parametrize("tail", ["drop", "pad", "continue"])
def test_joined_ranks_are_the_batches_of_one_rank_byte_for_byte(dataset, tail):
    n = 29
    take = 2 * -(-n // 12) + 1 if tail == "continue" else None
    expected = streams(dataset, 1, n, tail, take)
    assert len(expected) == {"drop": 4, "pad": 6, "continue": 7}[tail]
    names = set(expected[0][0])
    assert {"l4_sst", "l4_sst_mask", "l3_swot_present", "argo", "argo_lat", "query"} <= names
    assert len({step["l4_ssh"] for step, _ in expected}) == len(expected)
    for world_size in WORLDS:
        assert streams(dataset, world_size, n, tail, take) == expected


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("tail", ["drop", "pad"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_query_once_and_equal_steps(dataset, n, tail, shuffle):
    if tail == "drop" and n < 12:
        for rank in range(3):
            with pytest.raises(InvalidInputError, match='tail="pad"'):
                runs.make(dataset, n, tail=tail, shuffle=shuffle, rank=rank, world_size=3)
        return
    expected = None
    for world_size in [1, *WORLDS]:
        loaders = runs.world(dataset, world_size, n, tail=tail, shuffle=shuffle)
        assert {len(loader) for loader in loaders} == {n // 12 if tail == "drop" else -(-n // 12)}
        epochs = []
        for _ in range(2):
            ranks = [list(loader) for loader in loaders]
            assert {len(batches) for batches in ranks} == {len(loaders[0])}
            epochs.append(runs.joined(ranks))
            rows = [row for batches in ranks for row in runs.query_rows(batches)]
            kept = sorted(query for query, weight in rows if weight == 1.0)
            if tail == "pad":
                assert kept == list(range(n))
                assert [w for _, w in rows if w != 1.0] == [0.0] * (len(rows) - n)
            else:
                assert len(kept) == len(set(kept)) == len(rows)
                assert set(kept) <= set(range(n)) and n - len(kept) < 12
        expected = expected or epochs
        assert epochs == expected


@pytest.mark.parametrize("n", SIZES)
def test_a_continued_run_gives_each_epoch_its_queries_once(dataset, n):
    """Lane by lane: the first n_l places of a lane are its queries, and then the next epoch's."""
    loaders = runs.world(dataset, 3, n, tail="continue")
    for loader in loaders:
        with pytest.raises(TypeError, match="continue"):
            len(loader)
    take = 2 * -(-n // 12)
    ranks = [list(islice(loader, take)) for loader in loaders]
    alone = list(islice(runs.make(dataset, n, tail="continue"), take))
    assert runs.joined(ranks) == runs.steps(alone)
    rows = runs.query_rows(alone)
    assert {weight for _, weight in rows} == {1.0}
    counts = np.bincount([query for query, _ in rows], minlength=n)
    # 24 to 35 rows are over for two whole epochs at most, and lanes differ by one query.
    assert counts.min() >= 1 and counts.sum() == 12 * take
    lanes = runs.make(dataset, n, tail="continue").state_dict()["lanes"]
    assert _first_epoch(alone, n, lanes) == list(range(n))


def _first_epoch(batches, n: int, lanes: int) -> list[int]:
    """The queries of epoch 0, picked out of each lane's rows."""
    wide = 12 // lanes
    queries = np.stack([batch.to_numpy()["metadata"]["query"] for batch in batches])
    found = []
    for lane in range(lanes):
        length = (lane + 1) * n // lanes - lane * n // lanes
        found += queries[:, lane * wide : (lane + 1) * wide].ravel()[:length].tolist()
    return sorted(found)


def test_lanes_that_ranks_share_change_nothing(dataset):
    """12 rows from 4 lanes: with 3 ranks every rank has a part of some lane."""
    expected = runs.steps(runs.make(dataset, lanes=4, tail="pad"))
    for world_size in WORLDS:
        assert runs.joined(runs.world(dataset, world_size, lanes=4, tail="pad")) == expected
    assert runs.steps(runs.make(dataset, lanes=3, tail="pad")) != expected


def test_batch_size_is_a_rank_s_and_global_batch_size_is_all_ranks_(dataset):
    whole = runs.world(dataset, 3, tail="pad")
    share = runs.world(dataset, 3, tail="pad", global_batch_size=None, batch_size=4)
    assert runs.joined(whole) == runs.joined(share)
    with pytest.raises(InvalidInputError, match="not both"):
        runs.make(dataset, batch_size=4)


def test_a_world_that_does_not_divide_the_batch_names_those_that_do(dataset):
    for world_size in (5, 24):
        with pytest.raises(InvalidInputError, match="one of 1, 2, 3, 4, 6, 12"):
            runs.make(dataset, rank=0, world_size=world_size)
    for rank in (3, -1):
        with pytest.raises(InvalidInputError, match="rank"):
            runs.make(dataset, rank=rank, world_size=3)
    with pytest.raises(InvalidInputError, match="partial"):
        runs.make(dataset, rank=0, world_size=3, tail="partial")
