"""Ctrl-C ends a prediction and a reader of the Arrow stream soon."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import signal, sys, time
import pyarrow as pa
import oceanarrow
from oceanarrow.dataset import Query

queries = [
    Query(-170 + 0.001 * i, -160 + 0.001 * i, -60, -50, "2023-04-01", "2023-04-03")
    for i in range(60_000)
]
made = oceanarrow.Loader(sys.argv[1], queries, ["l4_sst", "l4_ssh"], batch_size=64, threads=1,
                         default_patch_size=(128, 128))
print("ready", flush=True)
try:
    if sys.argv[2] == "explain":
        made.explain()
    else:
        try:
            for batch in pa.RecordBatchReader.from_stream(made):
                pass
        except pa.ArrowException:
            # The reader reports an error; the interrupt follows at once.
            time.sleep(5)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("kind", ["explain", "stream"])
def test_ctrl_c_ends_it_within_seconds(ocean: Path, kind: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(ocean), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        assert process.poll() is None, "it ended before the signal"
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        text = process.stdout.read()
        process.wait(60)
        # Within a second on an idle machine.
        assert time.monotonic() - sent < 10
    assert text == "interrupted\n"
