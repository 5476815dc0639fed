"""The notebooks run as they are, on the synthetic ocean and on a catalogue of its files, without a
network or a screen."""

import runpy
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
DAYS = ("2023-04-01", "2023-04-03")


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(source: Path, dataset: Path, tmp_path: Path) -> None:
    run = runpy.run_path(str(ROOT / "docs/notebooks.py"))["run"]
    notebook = run(source, str(dataset), DAYS, DAYS, tmp_path)
    figures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(figures) >= 2


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_ipynb_is_the_text_notebook_without_outputs(source: Path) -> None:
    """When this fails: `make notebooks`."""
    text = jupytext.read(source)
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)

    def cells(book: nbformat.NotebookNode) -> list[tuple[str, str]]:
        return [(cell.cell_type, cell.source) for cell in book.cells]

    assert cells(notebook) == cells(text)
    assert not any(cell.get("outputs") for cell in notebook.cells)
