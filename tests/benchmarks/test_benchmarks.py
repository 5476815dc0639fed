"""The benchmarks run: on a tiny dataset, without the other libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CONTENDERS = ["loader", "xarray", "floor"]
WRITE = "import sys; from synthetic_ocean import *; write_ocean(Path(sys.argv[1]), 3, shrink=24)"
# One process for all: most of the time goes into what they import.
HELP = """
import contextlib, runpy, sys
for script in sys.argv[1:]:
    sys.argv = [script, "--help"]
    with contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture(scope="module")
def tiny_ocean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benchmarks") / "ocean"
    subprocess.run([sys.executable, "-c", WRITE, str(path)], check=True, cwd=BENCHMARKS)
    return path


def test_contenders_do_the_same_work_and_are_reported(tiny_ocean: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "samples.py"), "--dataset", str(tiny_ocean)]
    command += ["--samples", "2", "--repetitions", "1", "--workloads", "cold"]
    command += ["--contenders", *CONTENDERS, "--results", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "skipped" not in done.stdout
    assert done.stdout.count("| oceanarrow, Loader |") == 1
    turns = json.loads((tmp_path / "samples.json").read_text())["workloads"]["cold"]["turns"]
    assert {name: [row["samples"] for row in rows] for name, rows in turns.items()} == {
        name: [2] for name in CONTENDERS
    }
    assert turns["loader"][0]["chunks"] == turns["floor"][0]["chunks"] > 0
    assert (tmp_path / "samples.png").stat().st_size > 0


def test_every_script_explains_itself() -> None:
    scripts = [path for path in BENCHMARKS.glob("*.py") if "\ndef main()" in path.read_text()]
    command = [sys.executable, "-c", HELP, *map(str, sorted(scripts))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=BENCHMARKS)
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("usage:")] == [
        path.name for path in sorted(scripts)
    ]
