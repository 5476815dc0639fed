"""Catalogues on a server, and catalogues of files on servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oceanarrow import Catalog, Files, download, write_catalog
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidDatasetError,
    InvalidInputError,
    TransientIoError,
)
from oceanarrow.loader import Loader

from .conftest import QUICK
from .datasets import QUERIES, assert_equal, batches
from .fault_server import FaultServer, answers

NAMES = ["l4_ssh", "l3_ssh", "l4_sst"]


@pytest.fixture
def served(ocean_listed: Path) -> Iterator[FaultServer]:
    """The catalogue, its index and its files, as they lie beside each other."""
    with FaultServer(ocean_listed.parent) as running:
        yield running


def loader(place: object, **options: object) -> Loader:
    options = {"batch_size": 2, "default_patch_size": (16, 16), "cache_dir": None} | options
    return Loader(place, QUERIES, NAMES, storage_options=QUICK, **options)  # type: ignore[arg-type]


def edited(path: Path, column: str, value: object, target: Path) -> Path:
    table = pq.read_table(path)
    at = table.column_names.index(column)
    field = table.schema.field(column)
    table = table.set_column(at, field, pa.array([value] * len(table), field.type))
    metadata = dict(pq.read_metadata(path).metadata)
    metadata.pop(b"ARROW:schema", None)
    pq.write_table(table.replace_schema_metadata(metadata), target)
    return target


def test_a_catalogue_on_a_server(ocean_listed: Path, served: FaultServer) -> None:
    """Its files are found beside it, and its index too."""
    address = f"{served.home}/ocean.parquet"
    made = loader(address)
    assert_equal(batches(made), batches(loader(ocean_listed)))
    assert made.stats()["files_opened"] == 0
    assert any(r.path.endswith("ocean.index.parquet") for r in served.requests)
    wanted = {r.path for r in served.requests if r.path.endswith(".nc")}
    assert 3 < len(wanted) < 40
    # Ranges, and not whole files.
    assert all(r.range is not None for r in served.requests if r.path.endswith(".nc"))


def test_without_an_index(ocean_listed: Path, served: FaultServer) -> None:
    served.rule(answers(404), lambda request: request.path.endswith("index.parquet"))
    made = loader(f"{served.home}/ocean.parquet")
    assert_equal(batches(made), batches(loader(ocean_listed)))
    assert made.stats()["files_opened"] > 3


def test_files_on_a_server_are_listed(
    ocean_listed: Path, served: FaultServer, tmp_path: Path
) -> None:
    folder = ocean_listed.parent / "ocean"
    addresses = [
        f"{served.home}/{path.relative_to(folder.parent)}"
        for path in sorted(folder.glob("DATA/*/*/l4_ssh.nc"))
    ]
    path = tmp_path / "mine.parquet"
    write_catalog(path, Files(addresses, {"l4_ssh": "sla"}), storage_options=QUICK)
    made = Loader(
        path,
        QUERIES,
        ["l4_ssh"],
        batch_size=2,
        default_patch_size=(16, 16),
        storage_options=QUICK,
        cache_dir=None,
    )
    due = Loader(ocean_listed, QUERIES, ["l4_ssh"], batch_size=2, default_patch_size=(16, 16))
    assert_equal(batches(made), batches(due))
    assert made.stats()["files_opened"] == 0
    assert {g["path"] for g in Catalog(path).granules()} == set(addresses)
    served.requests.clear()
    write_catalog(path, Files(addresses, {"l4_ssh": "sla"}), update=True, storage_options=QUICK)
    assert all(r.range is None or r.range == (0, 0) or r.method == "HEAD" for r in served.requests)


def test_a_file_that_was_replaced_on_its_server(
    ocean_listed: Path, server: FaultServer, tmp_path: Path
) -> None:
    source = ocean_listed.parent / "ocean/DATA/2023_04_01/NORTH_ATLANTIC/l4_ssh.nc"
    (server.folder / "one.nc").write_bytes(source.read_bytes())
    path = tmp_path / "mine.parquet"
    write_catalog(path, Files(f"{server.home}/one.nc", {"l4_ssh": "sla"}), storage_options=QUICK)
    (server.folder / "one.nc").write_bytes(source.read_bytes() + b"and more")
    made = Loader(
        path,
        QUERIES[:1],
        ["l4_ssh"],
        batch_size=1,
        default_patch_size=(16, 16),
        storage_options=QUICK,
        cache_dir=None,
    )
    with pytest.raises(CorruptGranuleError, match=r"(?s)changed since it was listed.*one\.nc"):
        batches(made)


def test_a_server_names_no_other_place(ocean_listed: Path, server: FaultServer) -> None:
    for bad in ("http://127.0.0.1:9/x.nc", "/etc/passwd", "../up.nc", "s3://bucket/x.nc"):
        edited(ocean_listed, "path", bad, server.folder / "bad.parquet")
        with pytest.raises(InvalidDatasetError, match=r"(?s)bad\.parquet"):
            Catalog(f"{server.home}/bad.parquet", storage_options=QUICK)


def test_a_failing_server(server: FaultServer, tmp_path: Path) -> None:
    server.rule(answers(503), lambda request: request.path.endswith("one.nc"))
    (server.folder / "one.nc").write_bytes(b"x" * 5000)
    with pytest.raises(TransientIoError, match=r"one\.nc"):
        write_catalog(tmp_path / "c.parquet", Files(f"{server.home}/one.nc"), storage_options=QUICK)
    assert not (tmp_path / "c.parquet").exists()
    with pytest.raises(InvalidInputError, match="written to a local file"):
        write_catalog(f"{server.home}/c.parquet", Files(f"{server.home}/one.nc"))


def test_a_server_that_fails_is_no_file_that_changed(
    ocean_listed: Path, served: FaultServer
) -> None:
    served.rule(answers(503), lambda request: request.path.endswith(".nc"))
    with pytest.raises(TransientIoError, match=r"503.*\.nc"):
        batches(loader(f"{served.home}/ocean.parquet"))


def test_a_download(ocean_listed: Path, served: FaultServer, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    done = download(f"{served.home}/ocean.parquet", QUERIES, NAMES, target, storage_options=QUICK)
    assert done.datasets == [target / "catalog.parquet"] and done.fetched.files > 3
    assert_equal(batches(loader(target / "catalog.parquet")), batches(loader(ocean_listed)))


def test_a_dataset_here_and_one_there(ocean: Path, ocean_listed: Path, served: FaultServer) -> None:
    made = loader([ocean, f"{served.home}/ocean.parquet"])
    assert_equal(batches(made), batches(loader(ocean_listed)))
