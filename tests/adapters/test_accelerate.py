"""The recipe for accelerate: prepare the model, not the stream, which is sharded already."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("accelerate")

PROGRAM = textwrap.dedent("""
    import json, sys
    import torch
    from accelerate import Accelerator
    from oceanarrow.dataset import Query
    from oceanarrow.torch import OceanTACOIterableDataset, to

    accelerator = Accelerator(cpu=True)
    queries = [Query(-60 + i, -40 + i, 10, 30, "2023-04-01", "2023-04-01") for i in range(13)]
    dataset = OceanTACOIterableDataset(
        sys.argv[1], queries, ["l4_sst"], ["l4_ssh"], batch_size=2, default_patch_size=(4, 4),
        tail="pad",
    )
    loader = torch.utils.data.DataLoader(dataset, batch_size=None)
    model = torch.nn.Conv2d(1, 1, 1)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.01))
    steps = []
    for batch in loader:
        batch = to(batch, accelerator.device)
        error = model(batch["inputs"]["l4_sst"][:, None]) - batch["targets"]["l4_ssh"][:, None]
        loss = (error.square().mean((1, 2, 3)) * batch["metadata"]["sample_weight"]).mean()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        kept = batch["metadata"]["sample_weight"] > 0
        steps.append(batch["metadata"]["query"][kept].tolist())
    weight = [p.detach().flatten().tolist() for p in model.parameters()]
    place = [dataset.loader.place.rank, dataset.loader.place.world_size]
    print(json.dumps({"place": place, "steps": steps, "weight": weight}))
    accelerator.end_training()
""")


def test_two_processes_train_on_every_query_once(ocean):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(2):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", PROGRAM, str(ocean)]
        children.append(
            subprocess.Popen(
                command, env=os.environ | place | address, stdout=subprocess.PIPE, text=True
            )
        )
    results = []
    for child in children:
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 0
        results.append(json.loads(output.splitlines()[-1]))
    assert [result["place"] for result in results] == [[0, 2], [1, 2]]
    assert len(results[0]["steps"]) == len(results[1]["steps"]) == 4
    seen = [query for result in results for step in result["steps"] for query in step]
    assert sorted(seen) == list(range(13))
    assert results[0]["weight"] == results[1]["weight"], "gradients were averaged"
