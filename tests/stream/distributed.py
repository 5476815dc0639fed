"""A program for torch.distributed: trains three epochs, meeting the other ranks at each step.

    python distributed.py DATASET PORT RANK WORLD_SIZE TAIL

Prints JSON: the place, the steps of each epoch, the sums of what all ranks saw, and the digests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader

from oceanarrow.torch import OceanTACOIterableDataset

sys.path.insert(0, str(Path(__file__).parents[1]))

from stream import runs

N, EPOCHS = 65, 3


def main(path: str, port: str, rank: str, world_size: str, tail: str) -> None:
    dist.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=int(rank),
        world_size=int(world_size),
    )
    data = OceanTACOIterableDataset(
        path, runs.asked(N), runs.INPUTS, runs.TARGETS, **runs.options(tail=tail)
    )
    loader = DataLoader(data, batch_size=None)
    place = data.loader.place
    seen: dict = {"place": [place.rank, place.world_size, place.source], "epochs": [], "sums": []}
    for epoch in range(EPOCHS):
        data.set_epoch(epoch)
        digests = []
        for batch in loader:
            total = torch.tensor([1.0, float(batch["metadata"]["sample_weight"].sum())])
            dist.all_reduce(total)
            seen["sums"].append(total.tolist())
            digests.append(runs.row_digests(batch))
        seen["epochs"].append(digests)
    dist.destroy_process_group()
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
