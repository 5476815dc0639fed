"""A program that trains: it writes down what it saw and where it stood, until it is killed.

    python trainer.py DATASET LOG RANK WORLD_SIZE THREADS STATE

Each line of LOG is JSON: the digests of the rows of a batch, and the cursor after it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from stream import runs

N, EPOCHS = 53, 3


def loader(path, rank, world_size, threads, state):
    made = runs.make(path, N, tail="pad", rank=rank, world_size=world_size, threads=threads)
    if state:
        made.load_state_dict(state)
    return made


def main(path: str, log: str, rank: str, world_size: str, threads: str, state: str) -> None:
    stream = loader(path, int(rank), int(world_size), int(threads), state)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    while stream.epoch < EPOCHS:
        for batch in stream:
            line = {
                "rows": runs.row_digests(batch.to_numpy()),
                "cursor": batch.metadata["oceanarrow.cursor"],
            }
            os.write(file, (json.dumps(line) + "\n").encode())
            os.fsync(file)
            time.sleep(0.002)  # the step's own work


if __name__ == "__main__":
    main(*sys.argv[1:])
