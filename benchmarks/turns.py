"""Turn by turn, each contender in a process of its own."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from contenders import CONTENDERS
from tasks import Task

Rows = list[dict[str, float]]


class Progress:
    """One line on a terminal, nothing in a pipe."""

    def __call__(self, text: str) -> None:
        """Replaces the line; an empty text removes it."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def fill_page_cache(files: Iterable[str]) -> None:
    """Reads the files once."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        while os.read(descriptor, 8 << 20):
            pass
        os.close(descriptor)


def measure(
    task: Task,
    names: Iterable[str],
    repetitions: int,
    python: dict[str, str],
    progress: Progress,
) -> tuple[dict[str, Rows], dict[str, str]]:
    """What each contender took, turn by turn, and why others were skipped.

    `python` names the interpreter of a contender where it is not this one.
    """
    fill_page_cache(
        file for query in task.queries for files in query.files.values() for file in files
    )
    results: dict[str, Rows] = {name: [] for name in names}
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(repetitions):
            # A rotation, so that nobody always follows the same one.
            order = [*results][turn % len(results) :] + [*results][: turn % len(results)]
            for name in order:
                if name in skipped:
                    continue
                progress(f"turn {turn + 1} of {repetitions}: {CONTENDERS[name].label}")
                mine = _share(task, name)
                mine.write(Path(scratch) / "task.json")
                row = contend(name, Path(scratch) / "task.json", python.get(name, sys.executable))
                if "skipped" in row:
                    skipped[name] = str(row["skipped"])
                else:
                    results[name].append(row)
    progress("")
    return {name: results[name] for name in CONTENDERS if results.get(name)}, skipped


def _share(task: Task, name: str) -> Task:
    """The part of a task that a slow contender does: some queries, or all queries of some days."""
    share = CONTENDERS[name].share
    if share == 1:
        return task
    if not task.any_order:
        return replace(task, queries=task.queries[: max(2, round(share * len(task.queries)))])
    days = sorted({query.first for query in task.queries})
    kept = days[: max(1, round(share * len(days)))]
    return replace(task, queries=[query for query in task.queries if query.first in kept])


def contend(name: str, task: Path, python: str) -> dict[str, float | str]:
    """What a contender takes for a task, or why it is skipped; in a process of its own."""
    command = [python, str(Path(__file__).with_name("contend.py")), name, str(task)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not CONTENDERS[name].optional:
        raise SystemExit(f"{CONTENDERS[name].label} failed:\n{done.stderr}")
    if done.returncode:
        return {"skipped": f"it failed: {_reason(done.stderr)}"}
    row: dict[str, float | str] = json.loads(done.stdout.splitlines()[-1])
    return row


def _reason(stderr: str) -> str:
    """The line of a traceback that names the error."""
    named = [
        line for line in stderr.splitlines() if line and not line.startswith((" ", "Traceback"))
    ]
    return named[-1][:300] if named else "it said nothing"


def median(rows: Rows, key: str) -> float:
    """The median over the turns; NaN if the contender does not tell."""
    return statistics.median([row[key] for row in rows]) if key in rows[0] else float("nan")
