"""Adapters show the parameters that they pass on, and say how they are to be used."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from oceanarrow import Loader
from oceanarrow.dataset import Query
from oceanarrow.huggingface import to_iterable_dataset
from oceanarrow.torch import OceanTACOIterableDataset

QUERIES = [Query(-60 + 4 * i, -30 + 4 * i, 5, 35, "2023-04-01", "2023-04-01") for i in range(8)]


def test_they_have_the_parameters_of_the_loader() -> None:
    loader = inspect.signature(Loader).parameters
    assert len(loader) > 25
    assert inspect.signature(OceanTACOIterableDataset).parameters == loader
    shown = dict(inspect.signature(to_iterable_dataset).parameters)
    own = {name: shown.pop(name).default for name in ("num_shards", "epoch")}
    assert shown == dict(loader) and own == {"num_shards": 1, "epoch": 0}


def stream(ocean: Path) -> OceanTACOIterableDataset:
    return OceanTACOIterableDataset(
        ocean, QUERIES, ["l4_sst"], batch_size=2, default_patch_size=(4, 4), threads=1
    )


def test_batches_of_batches_are_warned_about_once(ocean: Path) -> None:
    with pytest.warns(UserWarning, match="batch_size=None") as caught:
        items = list(DataLoader(stream(ocean), batch_size=2, collate_fn=lambda items: items))
    assert len(caught) == 1 and [len(item) for item in items] == [2, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_documented_way_warns_of_nothing(
    ocean: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for batch in DataLoader(stream(ocean), batch_size=None, num_workers=workers):
            assert isinstance(batch["inputs"]["l4_sst"], torch.Tensor)
        list(stream(ocean))
    assert "batch_size=None" not in capfd.readouterr().err


def test_one_of_several_workers_warns(ocean: Path) -> None:
    program = f"""
import sys
from torch.utils.data import DataLoader
from oceanarrow.dataset import Query
from oceanarrow.torch import OceanTACOIterableDataset
queries = [Query(-60, -30, 5, 35, "2023-04-01", "2023-04-01")] * 8
dataset = OceanTACOIterableDataset(
    {str(ocean)!r}, queries, ["l4_sst"], batch_size=2, default_patch_size=(4, 4), threads=1
)
loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=len)
print(sum(loader))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["4"]
    assert done.stderr.count("use DataLoader(dataset, batch_size=None)") == 1, done.stderr
