"""The notebooks run as they are, on the synthetic ocean and on a catalogue of its files, without a
network or a screen."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))
PARAMETERS = """\
DATASET = {dataset!r}
TRAIN_DATES = ("2023-04-01", "2023-04-03")
EVAL_DATES = ("2023-04-01", "2023-04-03")
"""


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(source: Path, dataset: Path, tmp_path: Path) -> None:
    notebook = jupytext.read(source)
    (parameters,) = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    ]
    parameters.source = PARAMETERS.format(dataset=str(dataset))
    NotebookClient(
        notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
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
