"""The wheel that `make wheel` left in dist/, in environments that have nothing else."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from oceanarrow.sample_data import write_sample_data

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
QUERIES = """
import oceanarrow
from oceanarrow.dataset import PatchSize, QueryGenerator
queries = QueryGenerator("builtin").generate_training_queries(
    16, PatchSize(10, "deg"), ("2018-12-31", "2019-01-03"), seed=1, verbose=False
)
loader = oceanarrow.Loader("ocean/OceanTACO", queries, ["l4_sst"], ["l4_ssh"], batch_size=8,
                           default_patch_size=(16, 16))
"""
# What a person does with each extra, on sample data in the folder.
SMOKE = {
    "": """
import numpy
(first, second) = (batch.to_numpy() for batch in loader)
assert first["inputs"]["l4_sst"].shape == (8, 16, 16) and first["masks"]["l4_ssh"].any()
assert oceanarrow.statistics("ocean/OceanTACO", queries, ["l4_sst"], progress=False)["l4_sst"].count
""",
    "torch": """
import torch
from torch.utils.data import DataLoader
from oceanarrow.torch import OceanTACOIterableDataset
dataset = OceanTACOIterableDataset("ocean/OceanTACO", queries, ["l4_sst"], ["l4_ssh"],
                                   batch_size=8, default_patch_size=(16, 16))
assert [batch["inputs"]["l4_sst"].shape for batch in DataLoader(dataset, batch_size=None)] == [
    torch.Size([8, 16, 16])] * 2
""",
    "jax": """
import jax
assert all(isinstance(batch.to_jax()["inputs"]["l4_sst"], jax.Array) for batch in loader)
""",
    "huggingface": """
from oceanarrow.huggingface import to_iterable_dataset
(first, _) = to_iterable_dataset("ocean/OceanTACO", queries, ["l4_sst"], batch_size=8,
                                 default_patch_size=(16, 16))
assert first["inputs"]["l4_sst"].shape == (8, 16, 16)
""",
    "plot": """
import matplotlib
matplotlib.use("agg")
from oceanarrow.plot import plot_batch
plot_batch(next(iter(loader))).savefig("batch.png")
""",
    "taco": """
import pyarrow
QueryGenerator.save_queries(queries, "queries")
assert QueryGenerator.load_queries("queries")[0] == queries
assert pyarrow.RecordBatchReader.from_stream(loader).read_all().num_rows == 16
oceanarrow.materialize(loader, "frozen", progress=False)
""",
    "sample": """
from oceanarrow.sample_data import write_sample_data
write_sample_data("more", synthetic=True, scale=64, progress=False)
""",
    "xarray": """
found = oceanarrow.open_patch("ocean/OceanTACO", queries[0], ["l4_sst"])
assert found["l4_sst"].dims == ("time", "lat", "lon")
stitcher = oceanarrow.Stitcher((-180, 180, -60, 60), 1.0)
for batch in loader:
    tree = batch.to_numpy()
    stitcher.add(tree["metadata"], tree["targets"]["l4_ssh"], tree["masks"]["l4_ssh"])
stitcher.flush(stitcher.days[0], "map.nc")
""",
    "ray": """
import os
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
import ray
from oceanarrow.ray import read_patches
ray.init(num_cpus=2, include_dashboard=False)
patches = read_patches(loader).select_columns(["l4_sst"])
assert sum(len(batch["l4_sst"]) for batch in patches.iter_batches()) == 16
""",
    "all": "import datasets, h5py, jax, matplotlib, pyarrow, ray, torch, xarray",
}
OLDEST_NUMPY = "numpy==1.26.0"


@pytest.fixture(scope="module")
def wheel() -> Path:
    wheels = sorted((ROOT / "dist").glob("*x86_64.whl"))
    if not wheels:
        pytest.skip("there is no wheel: make wheel")
    return wheels[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("somewhere")
    write_sample_data(path / "ocean", synthetic=True, scale=32, progress=False)
    return path


@pytest.fixture
def run(wheel: Path, folder: Path, tmp_path: Path) -> Callable[[str, str, str], str]:
    """Installs the wheel and more into an empty environment, and runs a program there."""

    def run(extra: str, program: str, *further: str) -> str:
        python = tmp_path / "environment/bin/python"
        # Nothing of this environment or checkout.
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        clean["PATH"] = f"{python.parent}:/usr/bin:/bin"
        commands = [
            [sys.executable, "-m", "venv", str(tmp_path / "environment")],
            [
                str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                f"{wheel}[{extra}]" if extra else str(wheel), *further,
            ],
            [str(python), "-c", program],
        ]  # fmt: skip
        for command in commands:
            done = subprocess.run(
                command, cwd=folder, env=clean, capture_output=True, text=True, timeout=1200
            )
            assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


def test_it_shows_no_path_of_its_builder(wheel: Path) -> None:
    private = [re.escape(str(path)).encode() + b"/" for path in (Path.home(), ROOT)]
    # A home like /root is also the end of longer paths.
    found = re.compile(rb"(?<![\w.])(" + b"|".join(private) + rb")[\w./-]*")
    with zipfile.ZipFile(wheel) as archive:
        told = {name: found.findall(archive.read(name)) for name in archive.namelist()}
    assert {name: hits[:3] for name, hits in told.items() if hits} == {}
    assert any(name.endswith("_engine.abi3.so") for name in told)
    assert any(name.endswith("py.typed") for name in told)
    assert any(name.endswith("licenses/LICENSE") for name in told)
    assert "manylinux_2_17_x86_64" in wheel.name and "cp311-abi3" in wheel.name


def test_the_oldest_numpy_will_do(run: Callable[..., str]) -> None:
    check = f"assert numpy.__version__ == {OLDEST_NUMPY.partition('==')[2]!r}"
    run("", QUERIES + SMOKE[""] + check, OLDEST_NUMPY)


@pytest.mark.parametrize("extra", SMOKE)
def test_an_extra_is_enough(extra: str, run: Callable[..., str]) -> None:
    run(extra, QUERIES + SMOKE[extra])


def test_the_command_works_without_anything(run: Callable[..., str]) -> None:
    program = """
import subprocess
for words in ("--help", "--version", "info ocean/OceanTACO", "doctor ocean/OceanTACO"):
    print(subprocess.check_output(["oceanarrow", *words.split()], text=True))
"""
    assert "352 in 8 regions" in run("", program)


@pytest.mark.parametrize("checker", ["mypy --strict", "basedpyright --level error"])
def test_types_reach_the_user(checker: str, run: Callable[..., str]) -> None:
    """Of a user's script, what is wrong is found, and nothing else."""
    script = """
import oceanarrow
from oceanarrow.dataset import Query

queries = [Query(-70.0, -60.0, 30.0, 40.0, "2023-04-01", "2023-04-01")]
loader = oceanarrow.Loader("ocean", queries, ["l4_sst"], batch_size=8)
rows: int = sum(len(batch) for batch in loader)
state: dict[str, object] = loader.state_dict()
wrong: str = loader.row_bytes
"""
    program = f"""
import pathlib, subprocess, sys
pathlib.Path("script.py").write_text({script!r})
command = [sys.executable, "-m", *{checker.split()!r}, "script.py"]
print(subprocess.run(command, capture_output=True, text=True).stdout)
"""
    told = run("", program, checker.split()[0])
    errors = [line for line in told.splitlines() if re.search(r"script\.py:\d+.*error", line)]
    assert len(errors) == 1 and "script.py:9:" in errors[0], told
