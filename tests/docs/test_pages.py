"""The code of the README and of every page runs as it stands, from top to bottom, and prints what
the page says that it prints."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr

from oceanarrow import exceptions
from oceanarrow.cli import _parser
from oceanarrow.sample_data import write_sample_data

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    if not {"_build", "generated", "_notebooks"} & set(path.parts)
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_REMOTE = re.compile(r"\b(hf|s3|https)://")
_MARK = "-- the output of block {} ends here --"


class Example(NamedTuple):
    """A block of Python, and what the page says that it prints."""

    code: str
    output: str | None


def examples_of(page: str) -> list[Example]:
    """Those that need no network; a block of text that follows at once is the output."""
    text = (ROOT / page).read_text()
    blocks = list(_BLOCK.finditer(text))
    found = []
    for block, after in pairwise([*blocks, None]):
        assert block is not None
        if block[1] != "python" or _REMOTE.search(block[2]):
            continue
        follows = after is not None and after[1] == "text" and after.start() == block.end() + 1
        found.append(Example(block[2], after[2] if follows and after else None))
    return found


# `demo/session.py --check` runs the session.
WITH_CODE = [page for page in PAGES if examples_of(page) and page != "docs/start/session.md"]


def own_files(path: Path, days: int, depth: list[float] | None = None, **units: str) -> None:
    """Daily fields from 2023-04-01 on, in one file."""
    coordinates: dict[str, object] = {
        "time": np.datetime64("2023-04-01", "ns") + np.arange(days) * np.timedelta64(1, "D"),
        "latitude": ("latitude", np.arange(10.5, 55), {"units": "degrees_north"}),
        "longitude": ("longitude", np.arange(-79.5, -10), {"units": "degrees_east"}),
    }
    dims, shape = ["time", "latitude", "longitude"], [days, 45, 70]
    if depth is not None:
        coordinates["depth"] = ("depth", np.array(depth), {"units": "m"})
        dims, shape = ["time", "depth", *dims[1:]], [days, len(depth), 45, 70]
    fields = {name: (dims, np.ones(shape, "f4"), {"units": unit}) for name, unit in units.items()}
    path.parent.mkdir(parents=True)
    xr.Dataset(fields, coordinates).to_netcdf(path, engine="h5netcdf")


def files_of_all_kinds(folder: Path) -> None:
    own_files(folder / "cmems/sea_level.nc", 91, sla="m", ugos="m/s")
    own_files(folder / "near_real_time/b.nc", 4, sla="m")
    own_files(
        folder / "ghrsst/b.nc", 1, analysed_sst="kelvin", quality_level="1", sea_ice_fraction="1"
    )
    own_files(folder / "model/b.nc", 1, depth=[0.494, 47.4, 100.0, 318.1], thetao="degC")
    own_files(folder / "composites/b.nc", 1, CHL="mg m-3")


def constants_and_a_climatology(folder: Path) -> None:
    coordinates = {
        "lat": ("lat", np.arange(-89.5, 90), {"units": "degrees_north"}),
        "lon": ("lon", np.arange(-179.5, 180), {"units": "degrees_east"}),
    }
    depth = (("lat", "lon"), np.ones((180, 360), "f4"), {"units": "m"})
    xr.Dataset({"elevation": depth}, coordinates).to_netcdf(folder / "bathymetry.nc")
    months = np.arange("2000-01", "2001-01", dtype="datetime64[M]").astype("datetime64[ns]")
    sst = (("time", "lat", "lon"), np.ones((12, 180, 360), "f4"), {"units": "degC"})
    xr.Dataset({"sst": sst}, coordinates | {"time": months}).to_netcdf(folder / "sst_months.nc")


def published_queries(folder: Path) -> None:
    shutil.copytree(ROOT / "tests/query_sets/queryset_v2", folder / "querysets/256-training")


def a_zarr_store(folder: Path) -> None:
    pytest.importorskip("zarr")
    own_files(folder / "cmems/sea_level.nc", 2, sla="m")
    with xr.open_dataset(folder / "cmems/sea_level.nc") as source:
        source.to_zarr(folder / "sea_level.zarr")


def two_days(folder: Path) -> None:
    for day in (1, 2):
        own_files(folder / f"{day}/b.nc", 1, sla="m")
        target = folder / f"sea_level/sla_2023-04-0{day}.nc"
        target.parent.mkdir(exist_ok=True)
        shutil.move(folder / f"{day}/b.nc", target)


# What must lie in the folder where a page is run, beside the sample data.
BEFORE: dict[str, Callable[[Path], None]] = {
    "docs/how_to/own_files.md": files_of_all_kinds,
    "docs/how_to/channels.md": constants_and_a_climatology,
    "docs/how_to/patches.md": published_queries,
    "docs/how_to/zarr.md": a_zarr_store,
    "docs/how_to/sharing.md": two_days,
}
# Modules that a page cannot do without.
NEEDS = {
    "docs/how_to/huggingface.md": "datasets",
    "docs/how_to/freezing.md": "datasets",
    "docs/how_to/jax.md": "jax",
    "docs/how_to/lightning.md": "accelerate",
    "docs/how_to/ray.md": "ray",
}
# What must hold after a page was run.
AFTER = {
    "README.md": "assert ssh.shape == measured.shape == (16, 64, 64) and loss > 0",
    "docs/how_to/channels.md": (
        "assert x.shape == valid.shape == (1, 5, 64, 64) and velocity.shape == (1, 2, 64, 64)\n"
        'assert names == ["l4_sst", "l4_ssh[-1]", "l4_ssh[0]", "sst_normal", "sin_latitude"]'
    ),
    "docs/how_to/choosing.md": (
        "assert 0 <= share <= 1 and len(queries) == 100 and table.num_rows == len(catalog)"
    ),
    "docs/how_to/forecasting.md": "assert frames.shape == (16, 2, 64, 64) and valid.any()",
    "docs/how_to/freezing.md": (
        "assert len(table) == 40 and len(list(flipped)) == 5 and len(list(frozen)) == 5"
    ),
    "docs/how_to/huggingface.md": (
        "assert example['inputs']['l4_sst'].shape == (16, 64, 64)\nassert table.num_rows == 64"
    ),
    "docs/how_to/jax.md": "assert isinstance(ssh, jax.Array) and 0 < float(loss) < 1",
    "docs/how_to/lightning.md": "assert torch.isfinite(loss)",
    "docs/how_to/maps.md": (
        "assert errors.dims == score.dims[:1] == ('lead',) and table.num_rows == 1"
    ),
    "docs/how_to/own_files.md": """
assert tensors['targets']['ssh'].shape == (16, 64, 64) and tensors['masks']['ssh'].all()
from oceanarrow import Catalog
days = {}
for granule in Catalog("all.parquet").granules():
    days.setdefault(granule["source"], []).append(granule["day"])
assert {name: (len(set(found)), max(found)) for name, found in days.items()} == {
    "ssh": (91, "2023-06-30"), "sst": (1, "2023-04-01"), "theta": (1, "2023-04-01"),
    "chl": (8, "2023-04-08"),
}""",
    "docs/how_to/patches.md": (
        "assert how.shape == (16,) and where.shape == (16, 4) and len(queries) > 0"
    ),
    "docs/how_to/pytorch.md": "assert dataset.loader.epoch == 2 and '\"epoch\":2' in cursor",
    "docs/how_to/ray.md": (
        "import os\n"
        "assert numbers['l4_sst'].count and os.path.exists('frozen_by_ray/manifest.json')"
    ),
    "docs/how_to/several_processes.md": "assert torch.isfinite(loss)",
    "docs/how_to/sharing.md": (
        "from oceanarrow import Catalog\nassert len(Catalog('ocean_for_all')) == 2"
    ),
    "docs/how_to/statistics.md": (
        "assert found['l4_sst'].count and list(found.differences) == ['l4_ssh']"
    ),
    "docs/how_to/zarr.md": (
        "from oceanarrow import Catalog\n"
        "assert tuple(Catalog('sea_level.parquet').days)[:2] == ('2023-04-01', '2023-04-02')\n"
        "assert float(xr.open_dataset('sea_level/sla_2023-04-02.nc').sla.mean()) == 1.0"
    ),
}
ENVIRONMENT = {
    "docs/how_to/ray.md": {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"},
    # As torchrun sets them, for one process.
    "docs/how_to/several_processes.md": {
        "RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517",
    },
}  # fmt: skip


@pytest.mark.parametrize("page", WITH_CODE)
def test_page_runs(page: str, ocean: Path, tmp_path: Path) -> None:
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    examples = examples_of(page)
    program = ""
    for number, (code, _) in enumerate(examples):
        program += f"{code}\nprint({_MARK.format(number)!r})\n"
    (tmp_path / "OceanTACO").symlink_to(ocean)
    if "ocean/" in program:
        write_sample_data(tmp_path / "ocean", synthetic=True, scale=32)
    BEFORE.get(page, lambda folder: None)(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program + AFTER.get(page, "")],
        cwd=tmp_path,
        env={"MPLBACKEND": "Agg", "HOME": str(tmp_path)} | ENVIRONMENT.get(page, {}),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rest = done.stdout
    for number, (_, promised) in enumerate(examples):
        printed, _, rest = rest.partition(_MARK.format(number) + "\n")
        if promised is not None:
            assert printed == promised
    figures = re.findall(r'save(?:fig|_path=)\("?(.*?)"', program)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in figures)


def test_most_pages_have_code_that_runs() -> None:
    how_to = {page for page in PAGES if page.startswith("docs/how_to/")} - {"docs/how_to/index.md"}
    without = {"many_machines", "slurm"}
    assert how_to - set(WITH_CODE) == {f"docs/how_to/{name}.md" for name in without}


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_those_of_the_parser(page: str) -> None:
    text = (ROOT / page).read_text()
    for kind, block in _BLOCK.findall(text):
        if kind != "sh":
            continue
        for line in block.replace("\\\n", " ").splitlines():
            program, *words = shlex.split(line, comments=True) or [""]
            if program == "oceanarrow":
                _parser().parse_args(words)


def test_from_a_subset_to_a_batch_in_ten_lines() -> None:
    code = examples_of("docs/how_to/own_files.md")[0].code
    statements = re.sub(r"\n( +|\))", " ", code)
    assert len([line for line in statements.splitlines() if line]) <= 10


def test_the_readme_is_short() -> None:
    code = [line for example in examples_of("README.md") for line in example.code.splitlines()]
    assert len([line for line in code if line]) <= 16
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90


def test_every_error_is_on_the_page_of_errors() -> None:
    text = (DOCS / "reference/errors.md").read_text()
    rows = dict(re.findall(r"^## (\w+Error)\n\n`(\w+)`", text, re.MULTILINE))
    kinds = {name: getattr(exceptions, name).kind for name in exceptions.__all__}
    assert rows == {name: kind for name, kind in kinds.items() if name != "OceanArrowError"}


def test_the_session_is_the_one_that_the_script_runs() -> None:
    page = (DOCS / "start/session.md").read_text()
    script = runpy.run_path(str(ROOT / "demo/session.py"))
    assert len(script["COMMANDS"]) == 8
    assert script["TRAIN"] in page
    for command in script["COMMANDS"]:
        assert f"$ {command}\n" in page
        program, *words = shlex.split(command)
        if program == "oceanarrow":
            _parser().parse_args(words)


@pytest.mark.full
def test_the_session_runs() -> None:
    command = [sys.executable, str(ROOT / "demo/session.py"), "--check"]
    subprocess.run(command, check=True, timeout=300)
