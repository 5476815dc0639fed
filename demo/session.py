"""Writes docs/start/session.md: from an empty directory to a trained epoch, as a person types it.

python demo/session.py            # runs the commands and writes the page
python demo/session.py --check    # only runs them
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "start" / "session.md"

TRAIN = """\
import torch

from oceanarrow import Loader
from oceanarrow.dataset import QueryGenerator

queries, _ = QueryGenerator.load_queries("part_train")
loader = Loader(
    "ocean/OceanTACO", queries, ["l4_sst", "l3_swot"], ["l4_ssh"], default_patch_size=(64, 64)
)
network = torch.nn.Sequential(
    torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 1, 3, padding=1)
)
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
for batch in loader:
    tensors = batch.to_torch()
    inputs, masks = tensors["inputs"], tensors["masks"]
    seen = masks["l3_swot"].float()
    fields = torch.stack([inputs["l4_sst"] / 10, inputs["l3_swot"] * 10, seen], dim=1)
    valid = masks["l4_ssh"]
    error = network(fields)[:, 0] - tensors["targets"]["l4_ssh"] * 10
    loss = error[valid].square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{len(loader)} batches of 16, the last with a loss of {loss.item():.2f}")
"""

COMMANDS = (
    "oceanarrow sample-data ocean --synthetic",
    "oceanarrow info ocean/OceanTACO",
    "oceanarrow coverage ocean/OceanTACO -o coverage.parquet",
    "oceanarrow queries train ocean/OceanTACO -n 800 --patch 10deg --require l3_swot "
    "--coverage coverage.parquet --min-valid l3_swot=0.02 l4_ssh=0.5 -o queries",
    "oceanarrow queries split queries.parquet train=0.8 test=0.2 --by space --block 1 45 -o part",
    "oceanarrow report ocean/OceanTACO --queries part_train.parquet --coverage coverage.parquet "
    "-o report.html",
    "oceanarrow bench ocean/OceanTACO --queries part_train.parquet --inputs l4_sst l3_swot "
    "--targets l4_ssh --patch-size 64 64 --seconds 5",
    "python train.py",
)


def run(folder: Path) -> list[str]:
    """What each command prints, both streams as a terminal shows them."""
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (folder / "train.py").write_text(TRAIN)
    printed = []
    for command in COMMANDS:
        done = subprocess.run(
            command, shell=True, cwd=folder, env={**os.environ, "PATH": here}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{command}: status {done.returncode}\n{done.stdout}")
        printed.append(re.sub(re.escape(f"{folder}/"), "", done.stdout).rstrip())
    return printed


def page(printed: list[str], seconds: float) -> str:
    """The commands and what they print."""
    parts = [
        "# A session\n",
        "From an empty directory to a trained epoch, on made-up data. Written by "
        f"`python demo/session.py`, which took {seconds:.0f} seconds on two cores.\n",
    ]
    for command, text in zip(COMMANDS, printed, strict=True):
        if command.startswith("python"):
            parts.append(f"`train.py`:\n\n```python\n{TRAIN}```\n")
        parts.append(f"```console\n$ {command}\n{text}\n```\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        printed = run(Path(folder))
        took = time.perf_counter() - start
    if not chosen.check:
        PAGE.write_text(page(printed, took))
    print(f"{len(COMMANDS)} commands in {took:.0f} s")


if __name__ == "__main__":
    main()
