"""`download` of files that catalogues list: copies, and a catalogue of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from oceanarrow import Catalog, Files, Loader, download, write_catalog
from oceanarrow.cli import main
from oceanarrow.exceptions import InvalidInputError

from .conftest import QUERIES
from .same import assert_equal

VARIABLES = ["l4_sst", "l3_swot", "l4_ssh", "glorys_sst"]


def batches(place: object, names: list[str] = VARIABLES) -> list[dict[str, object]]:
    loader = Loader(
        place,  # type: ignore[arg-type]
        QUERIES,
        names,
        batch_size=2,
        default_patch_size=(12, 16),
        shuffle=False,
        index=None,
    )
    found = [batch.to_numpy() for batch in loader]
    assert len(found) == 2
    return found


def opened(place: object) -> int:
    loader = Loader(place, QUERIES, VARIABLES, batch_size=4, default_patch_size=(4, 4))  # type: ignore[arg-type]
    for _ in loader:
        pass
    return int(loader.stats()["files_opened"])


@pytest.fixture(scope="module")
def copy(ocean_listed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("download") / "copy"
    done = download(ocean_listed, QUERIES, VARIABLES, target)
    assert done.datasets == [target / "catalog.parquet"] and done.fetched == done.total
    return target


def test_batches_are_the_same(ocean_listed: Path, copy: Path) -> None:
    path = copy / "catalog.parquet"
    assert_equal(batches(path), batches(ocean_listed))
    assert opened(path) == 0
    assert not (copy / "COLLECTION.json").exists()


def test_the_copy_may_move_and_is_all_there_is(
    ocean_listed: Path, copy: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(copy, tmp_path / "moved", copy_function=shutil.copyfile)
    due = batches(ocean_listed)
    assert_equal(batches(moved / "catalog.parquet"), due)
    files = list(moved.rglob("*.nc"))
    assert {Path(g["path"]) for g in Catalog(moved / "catalog.parquet").granules()} == set(files)
    original = {path.name + str(path.stat().st_size) for path in ocean_listed.parent.rglob("*.nc")}
    assert {path.name + str(path.stat().st_size) for path in files} <= original


def test_only_days_that_were_asked_for_are_listed(tmp_path: Path) -> None:
    """Of others, files that count more may not be here."""
    values = np.arange(4.0)[:, None, None] + np.zeros((4, 10, 20))
    coordinates = {
        "time": np.array(
            ["2023-04-01", "2023-04-02", "2023-04-03", "2023-04-04"], "datetime64[ns]"
        ),
        "lat": ("lat", np.linspace(20, 35, 10), {"units": "degrees_north"}),
        "lon": ("lon", np.linspace(-55, -25, 20), {"units": "degrees_east"}),
    }
    dataset = xr.Dataset({"sla": (("time", "lat", "lon"), values, {"units": "m"})}, coordinates)
    dataset.to_netcdf(tmp_path / "year.nc", engine="h5netcdf")
    write_catalog(tmp_path / "c.parquet", Files(tmp_path / "year.nc", {"ssh": "sla"}))
    download(tmp_path / "c.parquet", QUERIES[:1], ["ssh"], tmp_path / "copy")
    assert Catalog(tmp_path / "copy/catalog.parquet").days == ("2023-04-01", "2023-04-01", [])


def test_what_is_there_is_not_fetched_again(ocean_listed: Path, copy: Path, tmp_path: Path) -> None:
    target = shutil.copytree(copy, tmp_path / "copy")
    lost, torn = sorted(target.rglob("*.nc"))[:2]
    lost.unlink()
    torn.write_bytes(torn.read_bytes()[:-1])
    done = download(ocean_listed, QUERIES, VARIABLES, target)
    assert done.fetched.files == 2
    assert_equal(batches(target / "catalog.parquet"), batches(ocean_listed))
    (target / "catalog.parquet").unlink()
    assert download(ocean_listed, QUERIES, VARIABLES, target).fetched.files == 0
    assert_equal(batches(target / "catalog.parquet"), batches(ocean_listed))
    with pytest.raises(InvalidInputError, match="other queries"):
        download(ocean_listed, QUERIES[:1], VARIABLES, target)


def test_an_updated_catalogue_is_another_dataset(ocean_listed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(ocean_listed.parent / "ocean", tmp_path / "ocean")
    files = Files(f"{folder}/DATA/*/*/l4_ssh.nc", {"ssh": "sla"})
    write_catalog(tmp_path / "c.parquet", files)
    download(tmp_path / "c.parquet", QUERIES, ["ssh"], tmp_path / "copy")
    shutil.rmtree(folder / "DATA/2023_04_04")
    write_catalog(tmp_path / "c.parquet", files)
    with pytest.raises(InvalidInputError, match="before its metadata changed"):
        download(tmp_path / "c.parquet", QUERIES, ["ssh"], tmp_path / "copy")


def test_tiles_and_files_together(
    ocean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], query_file: Path
) -> None:
    """And files of one name in two folders."""
    sources = [f"{ocean}/DATA/2023_04_0{n}/*/l4_ssh.nc" for n in (1, 2, 3)]
    write_catalog(tmp_path / "a.parquet", Files(sources, {"height": "sla"}))
    names = ["l4_sst", "height"]
    target = tmp_path / "copy"
    datasets = [str(ocean), str(tmp_path / "a.parquet")]
    options = ["--queries", str(query_file), "--variables", *names, "-o", str(target)]
    assert main(["download", *datasets, *options]) == 0
    both = [target, target / "catalog.parquet"]
    assert f"open {both[0]} and {both[1]}" in capsys.readouterr().out
    assert_equal(batches(both, names), batches([ocean, tmp_path / "a.parquet"], names))
    copies = [path.relative_to(target / "files") for path in (target / "files").rglob("*.nc")]
    assert len(copies) > 3 and {path.name for path in copies} == {"l4_ssh.nc"}
    catalogue = Catalog(target / "catalog.parquet")
    assert {Path(g["path"]).relative_to(target / "files") for g in catalogue.granules()} == set(
        copies
    )
