"""The examples of the README run as they stand, on the synthetic ocean."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
LONGEST = 20


def test_there_are_short_examples() -> None:
    assert len(EXAMPLES) == 2
    assert [
        len(example.splitlines()) for example in EXAMPLES if example.count("\n") > LONGEST
    ] == []


@pytest.mark.parametrize(
    ("example", "check"),
    [
        # The last 8 of 200 patches.
        (EXAMPLES[0], "assert sst.shape == measured.shape == (8, 64, 64)"),
        (EXAMPLES[1], "assert ssh.shape == measured.shape == (16, 64, 64) and loss > 0"),
    ],
    ids=["dataset", "loader"],
)
def test_example_runs(example: str, check: str, ocean: Path, tmp_path: Path) -> None:
    (tmp_path / "OceanTACO").symlink_to(ocean)
    done = subprocess.run(
        [sys.executable, "-c", f"{example}\n{check}"],
        cwd=tmp_path,
        env={"MPLBACKEND": "Agg", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = re.findall(r'save_path="(.*?)"', example)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in figures)
