"""A catalogue's life: moved, copied, updated, its files replaced; what its names mean."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr
from own_files import BOX, LAT, LON, catalogue, means, plane, write

import oceanarrow
from oceanarrow import Catalog, Files, Loader, write_catalog
from oceanarrow.cli import main
from oceanarrow.dataset import Query
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidDatasetError,
    InvalidInputError,
    NotFoundError,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*have no day in the dataset")

DAYS = ["2021-03-01", "2021-03-02", "2021-03-03"]


def a_folder(path: Path, values: tuple[float, ...] = (1, 2, 3)) -> Path:
    for value, day in zip(values, DAYS, strict=False):
        write(path / f"files/{day}.nc", [value], [day])
    return path


def listed(folder: Path, **options: Any) -> Path:
    return catalogue(folder / "c.parquet", Files(f"{folder}/files/*.nc", {"ssh": "sla"}), **options)


def opened(path: Path, name: str = "ssh") -> int:
    """How many files a first batch opens."""
    loader = Loader(
        path,
        [Query(*BOX, day, day) for day in DAYS],
        [name],
        default_patch_size=(4, 4),
        batch_size=3,
        cache_bytes=0,
    )
    for _ in loader:
        pass
    return int(loader.stats()["files_opened"])


def test_a_first_batch_opens_nothing(tmp_path: Path) -> None:
    path = listed(a_folder(tmp_path))
    assert (tmp_path / "c.index.parquet").exists()
    assert opened(path) == 0
    (tmp_path / "c.index.parquet").unlink()
    assert opened(path) == 3
    assert means(path, "ssh", DAYS) == [1, 2, 3]


def test_the_folder_may_move(tmp_path: Path) -> None:
    listed(a_folder(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    path = tmp_path / "there/c.parquet"
    assert means(path, "ssh", DAYS) == [1, 2, 3] and opened(path) == 0


def test_the_folder_may_be_copied(tmp_path: Path) -> None:
    """Also so that the files' times change."""
    listed(a_folder(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "copy", copy_function=shutil.copyfile)
    for file in (tmp_path / "copy/files").iterdir():
        os.utime(file, (1e9, 1e9))
    path = tmp_path / "copy/c.parquet"
    assert means(path, "ssh", DAYS) == [1, 2, 3] and opened(path) == 0


def test_files_elsewhere_keep_their_paths(tmp_path: Path) -> None:
    a_folder(tmp_path / "data")
    (tmp_path / "lists").mkdir()
    path = catalogue(
        tmp_path / "lists/c.parquet", Files(f"{tmp_path}/data/files/*.nc", {"ssh": "sla"})
    )
    (tmp_path / "lists").rename(tmp_path / "moved")
    assert means(tmp_path / "moved/c.parquet", "ssh", DAYS) == [1, 2, 3]
    assert not path.exists()


def test_a_link_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "store/x.nc", [5], DAYS[:1])
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.nc").symlink_to(tmp_path / "store/x.nc")
    path = catalogue(tmp_path / "set/c.parquet", Files(f"{tmp_path}/set/*.nc", {"ssh": "sla"}))
    assert pq.read_table(path).column("path").to_pylist() == ["a.nc"]
    assert means(path, "ssh", DAYS[:1]) == [5]


def test_update_opens_what_is_new(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, (1, 2))
    files = Files(f"{folder}/files/*.nc", {"ssh": "sla"})
    path = folder / "c.parquet"

    def update(files: Any = files) -> int:
        return oceanarrow.catalog_writer.list_files(
            path, files, update=True, on_error="raise", storage_options=None, progress=False
        ).opened

    import oceanarrow.catalog_writer

    assert update() == 2
    assert update() == 0 and opened(path) == 0
    write(folder / "files/2021-03-03.nc", [3], DAYS[2:])
    assert update() == 1
    assert means(path, "ssh", DAYS) == [1, 2, 3] and opened(path) == 0
    # One that changed, one that is gone.
    write(folder / "files/2021-03-02.nc", [20, 30], DAYS[1:])
    (folder / "files/2021-03-01.nc").unlink()
    assert update() == 1
    assert means(path, "ssh", DAYS) == [None, 20, 16.5] and opened(path) == 0
    # Another request looks at all of them.
    assert update(Files(f"{folder}/files/*.nc", {"ssh": "sla"}, units={"ssh": "cm"})) == 2


def test_an_updated_catalogue_is_a_new_one(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    listed(folder)
    first = (folder / "c.parquet").read_bytes()
    listed(folder, update=True)
    assert (folder / "c.parquet").read_bytes() == first
    listed(folder)
    assert (folder / "c.parquet").read_bytes() == first


@pytest.mark.parametrize("index", [True, False])
def test_a_replaced_file_is_an_error(tmp_path: Path, index: bool) -> None:
    path = listed(a_folder(tmp_path))
    if not index:
        (tmp_path / "c.index.parquet").unlink()
    write(tmp_path / "files/2021-03-02.nc", [20, 21], DAYS[1:])
    assert means(path, "ssh", DAYS[:1]) == [1]
    with pytest.raises(CorruptGranuleError, match=r"(?s)changed.*update=True.*2021-03-02\.nc"):
        means(path, "ssh", DAYS[1:2])
    # The same numbers of other size and time are another file, too: its chunks may lie elsewhere.
    listed(tmp_path, update=True)
    assert means(path, "ssh", DAYS) == [1, 20, 12]


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    path = listed(a_folder(tmp_path))
    (tmp_path / "files/2021-03-02.nc").unlink()
    with pytest.raises(NotFoundError, match=r"2021-03-02\.nc"):
        means(path, "ssh", DAYS[1:2])


def test_variables_travel_along(tmp_path: Path) -> None:
    """A fresh process knows what the names mean."""
    write(tmp_path / "a.nc", [100], DAYS[:1], units="cm")
    path = catalogue(
        tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}, units={"ssh": "m"})
    )
    code = f"""
from oceanarrow import Catalog, Loader
from oceanarrow.dataset import Query
(batch,) = Loader({str(path)!r}, [Query(*{BOX!r}, "2021-03-01", "2021-03-01")], ["ssh"],
                  default_patch_size=(3, 3), batch_size=1)
print(round(float(batch.to_numpy()["inputs"]["ssh"].mean()), 3), batch.schema.field("ssh").metadata)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, told = done.stdout.split(" ", 1)
    assert abs(float(value) - 1.0) < 0.01 and "'m'" in told


def test_all_variables_by_default(tmp_path: Path) -> None:
    extra = {
        "ice": (("lat", "lon"), plane(0.5), {"units": "1"}),
        "crs": ((), 0, {}),
        "profile": (("n",), np.arange(3.0), {}),
    }
    write(tmp_path / "a.nc", [1], DAYS[:1], extra=extra)
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc"))
    assert means(path, "sla", DAYS[:1]) == [1] and means(path, "ice", DAYS[:1]) == [0.5]
    with pytest.raises(InvalidInputError, match="profile"):
        means(path, "profile", DAYS[:1])


def test_a_catalogue_hides_a_built_in_name(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [4], DAYS[:1])
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"l4_sst": "sla"}))
    assert means(path, "l4_sst", DAYS[:1]) == [4]


def test_a_registered_name_that_differs(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [4], DAYS[:1])
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"mine": "sla"}))
    oceanarrow.register_variable("mine", source="x", file="x.nc", netcdf="other", unit="m")
    with pytest.raises(
        InvalidDatasetError, match=r"(?s)'mine' is registered.*netcdf='sla'.*c\.parquet"
    ):
        means(path, "mine", DAYS[:1])


def test_two_catalogues_that_differ_about_a_name(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [4], DAYS[:1])
    write(tmp_path / "b.nc", [5], DAYS[1:2], name="adt")
    a = catalogue(tmp_path / "a.parquet", Files(tmp_path / "a.nc", {"ssh": "sla"}))
    b = catalogue(tmp_path / "b.parquet", Files(tmp_path / "b.nc", {"ssh": "adt"}))
    with pytest.raises(InvalidDatasetError, match=r"(?s)ssh.*a\.parquet.*b\.parquet"):
        means([a, b], "ssh", DAYS[:1])


def test_two_files_that_differ_about_a_name(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", [4], DAYS[:1])
    write(tmp_path / "b.nc", [5], DAYS[1:2], name="adt")
    pair = [Files(tmp_path / "a.nc", {"ssh": "sla"}), Files(tmp_path / "b.nc", {"ssh": "adt"})]
    with pytest.raises(InvalidInputError, match="different meanings: netcdf 'sla' and 'adt'"):
        write_catalog(tmp_path / "c.parquet", pair)


def test_units_differ_from_file_to_file(tmp_path: Path) -> None:
    """The first file's own counts for all; a file without says nothing."""
    for number, (value, unit) in enumerate(((1, "m"), (200, "cm"), (3, None))):
        write(tmp_path / f"{number}.nc", [value], [DAYS[number]], units=unit)
    path = catalogue(tmp_path / "c.parquet", Files(str(tmp_path / "*.nc"), {"ssh": "sla"}))
    (batch,) = Loader(
        path,
        [Query(*BOX, day, day) for day in DAYS],
        ["ssh"],
        default_patch_size=(2, 2),
        batch_size=3,
        shuffle=False,
    )
    values = batch.to_numpy()["inputs"]["ssh"].mean(axis=(1, 2))
    plain = float(plane(0)[2:8, 3:10].mean())
    np.testing.assert_allclose(values, [1 + plain, 2 + plain / 100, 3 + plain], atol=0.02)
    write(tmp_path / "3.nc", [1], ["2021-03-04"], units="K")
    with pytest.raises(CorruptGranuleError, match=r"(?s)K.*m.*3\.nc"):
        catalogue(tmp_path / "d.parquet", Files(str(tmp_path / "*.nc"), {"ssh": "sla"}))


def test_what_parquet_readers_see(tmp_path: Path) -> None:
    path = listed(a_folder(tmp_path))
    table = pq.read_table(path)
    assert table.num_rows == 3
    assert table.column("path").to_pylist() == [f"files/{day}.nc" for day in DAYS]
    metadata = pq.read_metadata(path).metadata
    told = {key.decode(): value.decode() for key, value in metadata.items()}
    assert told["oceanarrow.catalog"] == "1"
    variables = json.loads(told["oceanarrow.catalog.variables"])
    assert variables["ssh"] | {"netcdf": "sla", "unit": "m"} == variables["ssh"]
    assert {"cycle", "day", "first_step"} <= set(table.column_names)


def test_regional_files_are_joined(tmp_path: Path) -> None:
    """Two halves, and one that covers the globe on another grid."""
    with xr.open_dataset(write(tmp_path / "whole.nc", [3], DAYS[:1])) as opened_file:
        whole = opened_file.load()
    (tmp_path / "halves").mkdir()
    whole.isel(lon=slice(0, 8)).to_netcdf(tmp_path / "halves/west.nc", engine="h5netcdf")
    whole.isel(lon=slice(8, None)).to_netcdf(tmp_path / "halves/east.nc", engine="h5netcdf")
    path = catalogue(tmp_path / "c.parquet", Files(f"{tmp_path}/halves/*.nc", {"ssh": "sla"}))
    assert means(path, "ssh", DAYS[:1]) == [3]
    assert not Catalog(path).warnings and len(Catalog(path)) == 2


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_folder(tmp_path)
    (folder / "files/bad.nc").write_bytes(b"no file")
    flags = {"q": (("time", "lat", "lon"), np.full((1, LAT.size, LON.size), 3, np.int8), {})}
    write(folder / "more/a.nc", [7], ["2021-03-09"], extra=flags)
    out = str(folder / "c.parquet")
    order = ["catalog", f"{folder}/files/*.nc", "--variables", "ssh=sla", "-o", out]
    assert main(order) == 1
    assert "1 of 4 files cannot be listed" in capsys.readouterr().err
    assert not (folder / "c.parquet").exists()
    assert main([*order, "--skip-errors"]) == 1
    said = capsys.readouterr()
    assert "3 granules of 3 files, 3 opened" in said.out and "bad.nc" in said.err
    (folder / "files/bad.nc").unlink()
    assert main([*order, "--update"]) == 0
    assert "3 granules of 3 files, 0 opened" in capsys.readouterr().out
    assert means(out, "ssh", DAYS) == [1, 2, 3]
    order = ["catalog", f"{folder}/more/a.nc", "--variables", "ssh=sla", "-o", out]
    for rule, value in (("q=3:", 7), ("q=:2", None), ("q=3,4", 7), ("q=bits&2=2", 7)):
        assert main([*order, "--valid", rule, "--units", "ssh=m"]) == 0
        if value is not None:
            assert means(out, "ssh", ["2021-03-09"]) == [value]
    for wrong in (["--valid", "q"], ["--valid", "q=1;2"], ["--units", "ssh"], ["--select", "z=a"]):
        assert main([*order, *wrong]) == 1
        assert "oceanarrow: error:" in capsys.readouterr().err
