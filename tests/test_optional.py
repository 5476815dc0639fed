"""What works without the optional packages, and what their absence says."""

import subprocess
import sys
from pathlib import Path

import pytest

_ABSENT = ("torch", "pyarrow", "matplotlib", "xarray", "h5py", "tqdm", "cartopy", "cmocean")
_PREAMBLE = f"""
import sys
for package in {_ABSENT!r}:
    sys.modules[package] = None
import numpy as np
import oceanarrow
from oceanarrow.dataset import PatchSize, Query, QueryGenerator, collate_ocean_samples
query = Query(-70.0, -60.0, 20.0, 30.0, "2023-04-01", "2023-04-01")
"""


def _run(program: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PREAMBLE + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_batches_need_numpy_alone(ocean: Path) -> None:
    printed = _run(
        """
loader = oceanarrow.Loader(
    sys.argv[1], [query] * 3, ["l4_ssh"], batch_size=2, default_patch_size=(8, 8), threads=1
)
batch = next(iter(loader)).to_numpy()
print(batch["inputs"]["l4_ssh"].shape, batch["masks"]["l4_ssh"].any())
generator = QueryGenerator(land_mask_path="builtin")
days = ("2023-04-01", "2023-04-02")
print(len(generator.generate_training_queries(5, PatchSize(10, "deg"), days, verbose=False)))
""",
        ocean,
    )
    assert printed.splitlines() == ["(2, 8, 8) True", "5"]


@pytest.mark.parametrize(
    ("program", "package", "extra"),
    [
        ("next(iter(loader)).to_torch()", "torch", "torch"),
        ("from oceanarrow.dataset import OceanTACODataset", "torch", "torch"),
        ("collate_ocean_samples([sample])", "torch", "torch"),
        ("QueryGenerator.save_queries([query], 'queries')", "pyarrow", "taco"),
        ("oceanarrow.taco.write_taco('made', [granule])", "pyarrow", "taco"),
        ("oceanarrow.plot.plot_sample(sample)", "matplotlib", "plot"),
    ],
)
def test_absence_names_the_extra(
    program: str, package: str, extra: str, ocean: Path, tmp_path: Path
) -> None:
    (tmp_path / "tile.nc").write_bytes(b"")
    printed = _run(
        f"""
import os
import oceanarrow.plot
import oceanarrow.taco
os.chdir(sys.argv[2])
loader = oceanarrow.Loader(sys.argv[1], [query], ["l4_ssh"], batch_size=1, threads=1)
field = {{"data": np.ones((2, 2)), "lats": np.arange(2.0), "lons": np.arange(2.0), "mask": None}}
sample = {{
    "inputs": {{"l4_ssh": field}},
    "targets": {{}},
    "coords": {{}},
    "metadata": {{"bbox": query.bbox, "time_range": ("2023-04-01", "2023-04-01")}},
}}
granule = oceanarrow.taco.GranuleFile(
    "2023-04-01", "NORTH_ATLANTIC", "l4_ssh", "tile.nc", res_deg_lat=0.25, variable="sla"
)
try:
    {program}
except ImportError as error:
    print(error)
""",
        ocean,
        tmp_path,
    )
    assert f"needs {package}: " in printed
    assert printed.endswith(f'pip install "oceanarrow[{extra}]"\n')
    assert not (tmp_path / "made").exists()
