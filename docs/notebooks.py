"""Runs the notebooks on sample data, for the pages that show them: `_notebooks/*.ipynb`."""

import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from oceanarrow.sample_data import write_sample_data

DOCS = Path(__file__).parent
SOURCES = sorted((DOCS.parent / "notebooks").glob("*.py"))
TIMEOUT = 180
PARAMETERS = """\
DATASET = {dataset!r}
TRAIN_DATES = {train!r}
EVAL_DATES = {evaluate!r}
"""
TRAIN, EVALUATE = ("2023-04-01", "2023-04-08"), ("2023-04-10", "2023-04-12")


def run(
    source: Path, dataset: str, train: tuple[str, str], evaluate: tuple[str, str], folder: Path
) -> nbformat.NotebookNode:
    """The notebook with its outputs, run in `folder`; a cell tagged so has its parameters."""
    notebook = jupytext.read(source)
    (parameters,) = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    ]
    parameters.source = PARAMETERS.format(dataset=dataset, train=train, evaluate=evaluate)
    where = {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=where).execute()
    return notebook


def main() -> None:
    written = DOCS / "_notebooks"
    written.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_sample_data(
            folder / "ocean", synthetic=True, start=TRAIN[0], days=12, scale=8, progress=False
        )
        for source in SOURCES:
            work = folder / source.stem
            work.mkdir()
            # A short name, as it is shown.
            (work / "OceanTACO").symlink_to(folder / "ocean/OceanTACO")
            (work / "files").symlink_to(folder / "ocean/files")
            notebook = run(source, "OceanTACO", TRAIN, EVALUATE, work)
            nbformat.write(notebook, written / f"{source.stem}.ipynb")


if __name__ == "__main__":
    main()
