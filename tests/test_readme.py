"""The examples of the README and of the docs run as they stand, on synthetic data."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from oceanarrow.cli import _parser
from oceanarrow.sample_data import write_sample_data

ROOT = Path(__file__).parents[1]


def examples_of(page: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


EXAMPLES = examples_of("README.md")
RECIPES = examples_of("docs/training.md")
OWN_FILES = examples_of("docs/own_files.md")
CHOOSING = examples_of("docs/choosing.md")
CHANNELS = examples_of("docs/channels.md")
PATCHES = examples_of("docs/patches.md")
STATISTICS = examples_of("docs/statistics.md")
FROZEN = examples_of("docs/frozen.md")
MAPS = examples_of("docs/maps.md")
CLUSTERS = examples_of("docs/clusters.md")
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
def test_example_runs(example: str, check: str, tmp_path: Path) -> None:
    write_sample_data(tmp_path / "ocean", synthetic=True, scale=32)
    run(f"{example}\n{check}", None, tmp_path)
    figures = re.findall(r'save_path="(.*?)"', example)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in figures)


@pytest.mark.parametrize(
    ("recipe", "check"),
    [
        (RECIPES[0], "assert dataset.loader.epoch == 2 and '\"epoch\":2' in cursor"),
        (RECIPES[1], "assert frames.shape == (16, 2, 64, 64) and valid.any()"),
        (RECIPES[2], ""),
        (RECIPES[3], "assert example['inputs']['l4_sst'].shape == (16, 64, 64)"),
    ],
    ids=["torch", "windows", "resume", "huggingface"],
)
def test_recipe_runs(recipe: str, check: str, ocean: Path, tmp_path: Path) -> None:
    if "huggingface" in recipe:
        pytest.importorskip("datasets")
    run(f"{recipe}\n{check}", ocean, tmp_path)


def test_from_a_subset_to_a_batch_in_ten_lines(ocean: Path, tmp_path: Path) -> None:
    example, _ = OWN_FILES
    own_files(tmp_path / "cmems/sea_level.nc", 91, sla="m", ugos="m/s")
    check = (
        "assert tensors['targets']['ssh'].shape == (16, 64, 64) and tensors['masks']['ssh'].all()"
    )
    run(f"{example}\n{check}", ocean, tmp_path)
    statements = re.sub(r"\n( +|\))", " ", example)
    assert len([line for line in statements.splitlines() if line]) <= 10


def test_what_files_says(ocean: Path, tmp_path: Path) -> None:
    _, example = OWN_FILES
    own_files(tmp_path / "cmems/a/b.nc", 2, sla="m")
    own_files(tmp_path / "near_real_time/b.nc", 4, sla="m")
    own_files(
        tmp_path / "ghrsst/b.nc", 1, analysed_sst="kelvin", quality_level="1", sea_ice_fraction="1"
    )
    own_files(tmp_path / "model/b.nc", 1, depth=[0.494, 47.4, 100.0, 318.1], thetao="degC")
    own_files(tmp_path / "composites/b.nc", 1, CHL="mg m-3")
    check = """
from oceanarrow import Catalog
days = {}
for granule in Catalog("all.parquet").granules():
    days.setdefault(granule["source"], []).append(granule["day"][-2:])
assert {name: (len(found), found[-1]) for name, found in days.items()} == {
    "ssh": (4, "04"), "sst": (1, "01"), "theta": (1, "01"), "chl": (8, "08")
}"""
    run(f"{example}\n{check}", ocean, tmp_path)


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


def test_choosing_runs_from_top_to_bottom(ocean: Path, tmp_path: Path) -> None:
    checks = "assert 0 <= share <= 1 and len(queries) == 100 and table.num_rows == len(catalog)"
    run("\n".join([*CHOOSING, checks]), ocean, tmp_path)


def test_channels_run_from_top_to_bottom(ocean: Path, tmp_path: Path) -> None:
    coordinates = {
        "lat": ("lat", np.arange(-89.5, 90), {"units": "degrees_north"}),
        "lon": ("lon", np.arange(-179.5, 180), {"units": "degrees_east"}),
    }
    depth = (("lat", "lon"), np.ones((180, 360), "f4"), {"units": "m"})
    xr.Dataset({"elevation": depth}, coordinates).to_netcdf(tmp_path / "bathymetry.nc")
    months = np.arange("2000-01", "2001-01", dtype="datetime64[M]").astype("datetime64[ns]")
    sst = (("time", "lat", "lon"), np.ones((12, 180, 360), "f4"), {"units": "degC"})
    xr.Dataset({"sst": sst}, coordinates | {"time": months}).to_netcdf(tmp_path / "sst_months.nc")
    checks = """
assert x.shape == valid.shape == (1, 5, 64, 64) and velocity.shape == (1, 2, 64, 64)
assert names == ["l4_sst", "l4_ssh[-1]", "l4_ssh[0]", "sst_normal", "sin_latitude"]"""
    run("\n".join([*CHANNELS, checks]), ocean, tmp_path)


def test_patches_run_from_top_to_bottom(ocean: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/query_sets/queryset_v2", tmp_path / "querysets/256-training")
    checks = "assert how.shape == (16,) and where.shape == (16, 4) and len(queries) > 0"
    run("\n".join([*PATCHES, checks]), ocean, tmp_path)


def test_statistics_run_from_top_to_bottom(ocean: Path, tmp_path: Path) -> None:
    checks = "assert found['l4_sst'].count and list(found.differences) == ['l4_ssh']"
    run("\n".join([*STATISTICS, checks]), ocean, tmp_path)


def test_frozen_sets_run_from_top_to_bottom(ocean: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    checks = "assert len(table) == 40 and len(list(flipped)) == 5 and len(list(frozen)) == 5"
    run("\n".join([*FROZEN, checks]), ocean, tmp_path)


def test_maps_run_from_top_to_bottom(ocean: Path, tmp_path: Path) -> None:
    checks = "assert errors.dims == score.dims[:1] == ('lead',) and table.num_rows == 1"
    run("\n".join([*MAPS, checks]), ocean, tmp_path)


def test_clusters_run_from_top_to_bottom(ocean: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    quiet = "import os\nos.environ |= {'RAY_USAGE_STATS_ENABLED': '0', 'RAY_AUTH_MODE': 'disabled'}"
    checks = "assert numbers['l4_sst'].count and os.path.exists('frozen_by_ray/manifest.json')"
    run("\n".join([quiet, *CLUSTERS, checks]), ocean, tmp_path)


def test_the_session_is_the_one_that_the_script_runs() -> None:
    page = (ROOT / "docs/session.md").read_text()
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


def run(program: str, ocean: Path | None, tmp_path: Path) -> None:
    if ocean is not None:
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
