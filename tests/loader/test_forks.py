"""What a forked child inherits it drops without waiting for threads that it does not have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FORK = """
import os, signal, sys, tempfile
import oceanarrow
from oceanarrow.dataset import OceanTACODataset, Query
box = Query(-70.0, -40.0, -30.0, 20.0, "2023-04-01", "2023-04-01")
kind, way = sys.argv[2:]
cache = tempfile.mkdtemp() + "/cache"
if kind == "download":
    from oceanarrow.subset.transfer import Download
    made = Download(sys.argv[1], [box], ["l4_sst"], cache, progress=False)
elif kind == "dataset":
    made = OceanTACODataset(sys.argv[1], [box] * 8, ["l4_sst"], [], cache_dir=cache)
    made[0]
else:
    made = oceanarrow.Loader(sys.argv[1], [box] * 64, ["l4_sst"], batch_size=4, cache_dir=cache,
                             default_patch_size=(16, 16))
    batches = iter(made)
    next(batches)
    if kind == "stream":
        made = batches
if (pid := os.fork()) == 0:
    signal.alarm(20)
    if way == "del":
        del made
    sys.exit(0)
print("child", os.waitpid(pid, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("kind", ["loader", "stream", "dataset", "download"])
@pytest.mark.parametrize("way", ["del", "exit"])
def test_a_forked_child_that_drops_what_it_inherited_ends_at_once(
    ocean: Path, kind: str, way: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FORK, str(ocean), kind, way],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    # Threads of the parent run on; the child prints nothing and ends well.
    assert (ran.returncode, ran.stdout.strip(), ran.stderr.strip()) == (0, "child 0", "")
