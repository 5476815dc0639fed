"""The examples of the README and of docs/training.md run as they stand, on the synthetic ocean."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def examples_of(page: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


EXAMPLES = examples_of("README.md")
RECIPES = examples_of("docs/training.md")
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
    run(f"{example}\n{check}", ocean, tmp_path)
    figures = re.findall(r'save_path="(.*?)"', example)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in figures)


@pytest.mark.parametrize(
    ("recipe", "check"),
    [
        (RECIPES[0], "assert dataset.loader.epoch == 2 and '\"epoch\":2' in cursor"),
        (RECIPES[1], ""),
        (RECIPES[2], "assert example['inputs']['l4_sst'].shape == (16, 64, 64)"),
    ],
    ids=["torch", "resume", "huggingface"],
)
def test_recipe_runs(recipe: str, check: str, ocean: Path, tmp_path: Path) -> None:
    if "huggingface" in recipe:
        pytest.importorskip("datasets")
    run(f"{recipe}\n{check}", ocean, tmp_path)


def run(program: str, ocean: Path, tmp_path: Path) -> None:
    (tmp_path / "OceanTACO").symlink_to(ocean)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"MPLBACKEND": "Agg", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
