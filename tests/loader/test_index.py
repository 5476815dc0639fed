"""An index spares opening granules, and never changes a value."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from disk_cache_run import QUERIES, VARIABLES, loader, values

from oceanarrow import Loader
from oceanarrow.cli import main
from oceanarrow.dataset import OceanTACODataset
from oceanarrow.exceptions import InvalidInputError, NotFoundError


def make(*arguments: object) -> int:
    return main(["index", *map(str, arguments)])


def assert_same(some: list[np.ndarray], others: list[np.ndarray]) -> None:
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def index(ocean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the synthetic dataset."""
    path = tmp_path_factory.mktemp("index") / "index.parquet"
    assert make(ocean, "-o", path) == 0
    return path


@pytest.fixture(scope="module")
def plain(ocean: Path) -> list[np.ndarray]:
    """The values without an index."""
    expected, stats = values(ocean)
    assert stats["files_opened"] > 10 and stats["index_hits"] == 0
    assert stats["index_failure"] is None
    return expected


def copy(ocean: Path, path: Path) -> Path:
    """The files elsewhere, with times of their own."""
    return shutil.copytree(ocean, path, copy_function=shutil.copyfile)


def test_no_file_is_opened(ocean, index, plain):
    got, stats = values(ocean, index=index)
    assert_same(got, plain)
    assert stats["files_opened"] == 0 and stats["index_hits"] > 10
    assert stats["index_failure"] is None
    again = pickle.loads(pickle.dumps(loader(ocean, index=str(index))))
    for ours, theirs in zip(again, loader(ocean), strict=True):
        assert str(ours.to_numpy()["inputs"]) == str(theirs.to_numpy()["inputs"])
    assert again.stats()["files_opened"] == 0


def test_samples_need_no_file_either(ocean, index):
    options = {"default_patch_size": None, "temporal_agg": "last"}
    made = OceanTACODataset(ocean, QUERIES, VARIABLES, [], **options, index=index)
    shown = OceanTACODataset(ocean, QUERIES, VARIABLES, [], **options)
    for i in range(len(QUERIES)):
        for name in VARIABLES:
            ours, theirs = made[i]["inputs"][name], shown[i]["inputs"][name]
            for key in ("data", "mask", "lats", "lons"):
                np.testing.assert_array_equal(ours[key], theirs[key])


def test_the_index_is_sorted_and_holds_every_gridded_variable(ocean, index):
    table = pq.read_table(index, columns=["path", "variable", "size"]).to_pydict()
    keys = list(zip(table["path"], table["variable"], strict=True))
    assert keys == sorted(set(keys))
    files = {str(file.relative_to(ocean / "DATA")) for file in ocean.rglob("*.nc")}
    assert set(table["path"]) == {file for file in files if not file.endswith("argo.nc")}
    sizes = [(ocean / "DATA" / path).stat().st_size for path in table["path"]]
    assert table["size"] == sizes


def test_an_index_serves_copies_and_archives(ocean, ocean_zip, index, plain, tmp_path):
    for place in (copy(ocean, tmp_path / "copy"), ocean_zip):
        got, stats = values(place, index=index)
        assert_same(got, plain)
        assert stats["files_opened"] == 0


def test_an_index_of_an_archive_serves_the_folder(ocean, ocean_zip, plain, tmp_path):
    assert make(ocean_zip, "-o", tmp_path / "deep" / "index.parquet") == 0
    got, stats = values(ocean, index=tmp_path / "deep" / "index.parquet")
    assert_same(got, plain)
    assert stats["files_opened"] == 0


def test_a_second_engine_with_a_disk_cache_opens_no_file(ocean, plain, tmp_path):
    cold = values(ocean, cache_dir=tmp_path)[1]
    got, warm = values(ocean, cache_dir=tmp_path)
    assert_same(got, plain)
    assert warm["files_opened"] == warm["bytes_read"] == warm["disk_bytes_written"] == 0
    assert warm["index_hits"] == cold["files_opened"] > 10


def test_a_file_of_another_size_is_opened(ocean, index, tmp_path):
    path = copy(ocean, tmp_path / "ocean")
    target = sorted(path.glob("DATA/2023_04_01/*ATLANTIC/l4_ssh.nc"))[0]
    shutil.copyfile(path / "DATA" / "2023_04_03" / target.parent.name / target.name, target)
    expected, _ = values(path)
    got, stats = values(path, index=index)
    assert_same(got, expected)
    assert stats["files_opened"] == 1


@pytest.mark.parametrize("source", ["l4_ssh.nc", "l3_swot.nc", "l4_sst.nc"])
@pytest.mark.parametrize("cached", [False, True])
def test_another_file_of_the_same_size_is_noticed(ocean, index, tmp_path, source, cached):
    path, options = copy(ocean, tmp_path / "ocean"), {}
    if cached:
        options = {"cache_dir": tmp_path / "cache"}
    replaced = 0
    for first in sorted(path.glob(f"DATA/2023_04_01/*/{source}")):
        third = path / "DATA" / "2023_04_03" / first.parent.name / source
        smaller, larger = sorted((first, third), key=lambda file: file.stat().st_size)
        content, size = smaller.read_bytes(), larger.stat().st_size
        if content != larger.read_bytes():
            larger.write_bytes(content.ljust(size, b"\0"))
            replaced += 1
    assert replaced > 0
    expected, _ = values(path)
    for _ in range(2):
        got, _ = values(path, index=index, **options)
        assert_same(got, expected)
    assert_same(values(path, **options)[0], expected)


def test_what_an_index_lacks_is_opened(ocean, plain, tmp_path):
    path = tmp_path / "index.parquet"
    chosen = ["--variables", "l4_ssh", "l4_sst", "--end-date", "2023-04-02"]
    assert make(ocean, "-o", path, *chosen, "--start-date", "2023-04-02") == 0
    days = {name[:10] for name in pq.read_table(path)["path"].to_pylist()}
    assert days == {"2023_04_02"}
    got, stats = values(ocean, index=path)
    assert_same(got, plain)
    assert stats["files_opened"] > 0 < stats["index_hits"]


def test_what_is_no_index_is_refused(ocean, index, tmp_path):
    for wrong, message in [
        (ocean / "METADATA" / "level0.parquet", "no index of granules"),
        (ocean / "COLLECTION.json", "no sound Parquet file"),
    ]:
        for made in (loader, lambda *a, **k: OceanTACODataset(*a, QUERIES, ["l4_ssh"], [], **k)):
            with pytest.raises(InvalidInputError, match=message) as caught:
                made(ocean, index=wrong)
            assert "oceanarrow index" in str(caught.value) and str(wrong) in str(caught.value)
    with pytest.raises(NotFoundError, match="oceanarrow index"):
        loader(ocean, index=tmp_path / "index.parquet")
    with pytest.raises(InvalidInputError, match="local file"):
        Loader(ocean, QUERIES, VARIABLES, index="https://example.org/index.parquet")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(index.read_bytes()[:-9])
    with pytest.raises(InvalidInputError, match="no sound Parquet file"):
        loader(ocean, index=cut)


def test_damage_costs_time_alone(ocean, index, plain, tmp_path):
    path, rng = tmp_path / "index.parquet", np.random.default_rng(3)
    content = np.frombuffer(index.read_bytes(), np.uint8)
    for _ in range(4):
        damaged = content.copy()
        # The footer, which opening reads, is at the end.
        damaged[rng.integers(4, content.size // 2, 40)] ^= 0x20
        damaged.tofile(path)
        got, stats = values(ocean, index=path)
        assert_same(got, plain)
        assert stats["files_opened"] > 0
    made = loader(ocean, index=index)
    lost = loader(ocean, index=path)
    path.unlink()
    for ours, theirs in zip(lost, made, strict=True):
        assert str(ours.to_numpy()["inputs"]) == str(theirs.to_numpy()["inputs"])
    assert "oceanarrow index" in lost.stats()["index_failure"]


def test_the_command_says_what_is_wrong(ocean, tmp_path, capsys):
    output = tmp_path / "index.parquet"
    for arguments, message in [
        (["--variables", "l4_shs"], "l4_shs"),
        (["--variables", "argo"], "profiles need no index"),
        (["--start-date", "2031-01-01"], "no granule"),
        (["--start-date", "2023-04-02", "--end-date", "2023-04-01"], "after"),
        (["--storage-option", "tokn=x"], "tokn"),
    ]:
        assert make(ocean, "-o", output, *arguments) == 1
        said = capsys.readouterr()
        assert message in said.err and said.out == ""
    assert make(tmp_path, "-o", output) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_granule_that_cannot_be_opened_has_no_entry(ocean, tmp_path, capsys):
    path, output = copy(ocean, tmp_path / "ocean"), tmp_path / "index.parquet"
    broken = sorted(path.glob("DATA/2023_04_01/*/l4_ssh.nc"))[0]
    broken.write_bytes(b"no file")
    assert make(path, "-o", output, "--variables", "l4_ssh") == 1
    said = capsys.readouterr()
    assert str(broken) in said.err
    rows = pq.read_table(output)["path"].to_pylist()
    assert len(rows) == len(list(path.glob("DATA/*/*/l4_ssh.nc"))) - 1
    assert f"{len(rows)} entries" in said.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.parquet", "ocean"]
