"""The Hugging Face adapter gives the loader's own steps."""

from __future__ import annotations

import numpy as np
import pytest

from oceanarrow import Loader
from oceanarrow.dataset import Query

datasets = pytest.importorskip("datasets")
from oceanarrow.huggingface import to_iterable_dataset  # noqa: E402

QUERIES = [Query(-60 + i, -40 + i, 10, 30, "2023-04-01", "2023-04-02") for i in range(22)]
ARGUMENTS = {"batch_size": 4, "default_patch_size": (5, 6), "seed": 3, "tail": "pad"}


def make(path, **options):
    return to_iterable_dataset(path, QUERIES, ["l4_sst", "argo"], ["l4_ssh"], **ARGUMENTS | options)


def steps(path, **options):
    loader = Loader(path, QUERIES, ["l4_sst", "argo"], ["l4_ssh"], **ARGUMENTS | options)
    return [batch.to_numpy() for batch in loader]


def queries(examples):
    return [np.asarray(example["metadata"]["query"]).tolist() for example in examples]


def test_examples_are_the_batches(ocean):
    expected = steps(ocean)
    got = list(make(ocean))
    assert queries(got) == queries(expected)
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(mine["inputs"]["l4_sst"], theirs["inputs"]["l4_sst"])
        np.testing.assert_array_equal(mine["masks"]["l4_ssh"], theirs["masks"]["l4_ssh"])
        np.testing.assert_array_equal(
            mine["inputs"]["argo"]["data"], theirs["inputs"]["argo"]["data"]
        )
        assert isinstance(mine["inputs"]["l4_sst"], np.ndarray)


def test_a_rank_and_another_epoch(ocean):
    place = {"rank": 1, "world_size": 2}
    loader = Loader(ocean, QUERIES, ["l4_sst", "argo"], ["l4_ssh"], **ARGUMENTS | place)
    loader.set_epoch(2)
    expected = queries(batch.to_numpy() for batch in loader)
    assert queries(make(ocean, epoch=2, **place)) == expected
    assert queries(make(ocean, epoch=2)) != expected


def test_workers_keep_the_order(ocean):
    from torch.utils.data import DataLoader

    dataset = make(ocean, num_shards=2)
    got = queries(DataLoader(dataset, batch_size=None, num_workers=2))
    assert got == queries(steps(ocean))


@pytest.mark.parametrize("after", [1, 3])
def test_resume(ocean, after):
    dataset = make(ocean, num_shards=2)
    whole = queries(dataset)
    iterator = iter(dataset)
    head = queries(next(iterator) for _ in range(after))
    state = dataset.state_dict()
    resumed = make(ocean, num_shards=2)
    resumed.load_state_dict(state)
    assert head + queries(resumed) == whole


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_formats(ocean, kind):
    first = next(iter(make(ocean).with_format(kind)))
    expected = steps(ocean)[0]
    values = np.asarray(first["inputs"]["l4_sst"])
    np.testing.assert_array_equal(values, expected["inputs"]["l4_sst"])
