"""One contender, one task, one process: `python contend.py NAME TASK.json` prints JSON."""

import json
import os
import sys
import warnings
from pathlib import Path

from stopwatch import Stopwatch, peak, resident
from tasks import Skipped, Task


def contend(name: str, task: Task) -> dict[str, float | str]:
    """Do the task; what it took, or why the contender cannot do it."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.cores])
    import torch

    torch.set_num_threads(task.cores)
    imported = resident()
    from contenders import CONTENDERS

    try:
        CONTENDERS[name].prepare(task.practice())()
        with Stopwatch() as preparing:
            work = CONTENDERS[name].prepare(task)
    except Skipped as why:
        return {"skipped": str(why)}
    if task.warm:
        work()
    with Stopwatch() as watch:
        result = work()
    samples = result.pop("samples")
    return {
        "samples": samples,
        "prepared": preparing.wall,
        "wall": watch.wall / samples,
        "cpu": watch.cpu / samples,
        "read": watch.read / samples,
        "peak": peak(),
        "beyond_import": peak() - imported,
        **{key: value / samples if key == "chunks" else value for key, value in result.items()},
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(contend(sys.argv[1], Task.read(Path(sys.argv[2])))))
