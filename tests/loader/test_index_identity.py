"""What an index says of a file counts only while the file is in the state that was indexed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from disk_cache_run import values

from oceanarrow.cli import main

TILE = "DATA/2023_04_02/NORTH_ATLANTIC/l4_ssh.nc"


def scale_factor(file: h5py.File) -> None:
    file["sla"].attrs.modify("scale_factor", file["sla"].attrs["scale_factor"] * 2)


def fill_value(file: h5py.File) -> None:
    taken = file["sla"][file["sla"].shape[0] // 2, 5]
    file["sla"].attrs.modify("_FillValue", taken)


def latitudes(file: h5py.File) -> None:
    file["lat"][...] = file["lat"][...] - 0.25


def values_in_place(file: h5py.File) -> None:
    file["sla"][...] = file["sla"][...] // 2 + 7


def rewrite(path: Path, chunks: tuple[int, ...] | None, backwards: bool = False) -> None:
    """The tile's numbers without compression, in one run or in chunks, the last written first."""
    with h5py.File(path) as file:
        axes = {name: file[name][...] for name in ("lat", "lon")}
        data = file["sla"][...]
    data = np.squeeze(data)
    if data.dtype.kind == "f":
        data = np.where(np.isfinite(data), data * 1e4, -32768)
    packed = data.astype("i2")
    path.unlink()
    with h5py.File(path, "w") as file:
        for name, units in (("lat", "degrees_north"), ("lon", "degrees_east")):
            file[name] = axes[name]
            file[name].attrs["units"] = units
            file[name].make_scale(name)
        sla = file.create_dataset("sla", packed.shape, "i2", chunks=chunks)
        rows = sla.chunks[0] if chunks else len(packed)
        starts = range(0, len(packed), rows)
        for start in reversed(starts) if backwards else starts:
            sla[start : start + rows] = packed[start : start + rows]
            file.flush()
        for dim, name in zip(sla.dims, ("lat", "lon"), strict=True):
            dim.attach_scale(file[name])
        sla.attrs.update({"scale_factor": 1e-4, "_FillValue": np.int16(-32768), "units": "m"})


@pytest.fixture
def copied(ocean: Path, tmp_path: Path) -> Path:
    """The dataset, one tile of it written without compression."""
    path = shutil.copytree(ocean, tmp_path / "ocean")
    rewrite(path / TILE, None)
    return path


def index_of(path: Path, output: Path) -> Path:
    assert main(["index", str(path), "-o", str(output)]) == 0
    return output


@pytest.mark.parametrize("change", [scale_factor, fill_value, latitudes])
def test_what_an_edit_changes_is_read_anew(
    copied: Path, tmp_path: Path, change: Callable[[h5py.File], None]
) -> None:
    index = index_of(copied, tmp_path / "index.parquet")
    old, stats = values(copied, index=index)
    assert stats["files_opened"] == 0
    size = (copied / TILE).stat().st_size
    with h5py.File(copied / TILE, "r+") as file:
        change(file)
    assert (copied / TILE).stat().st_size == size
    new, _ = values(copied)
    assert any(not np.array_equal(a, b) for a, b in zip(old, new, strict=True)), "it matters"
    got, stats = values(copied, index=index)
    for ours, due in zip(got, new, strict=True):
        np.testing.assert_array_equal(ours, due)
    assert stats["files_opened"] == 1


@pytest.mark.parametrize("cached", [False, True])
def test_data_that_change_in_place_are_never_old(
    copied: Path, tmp_path: Path, cached: bool
) -> None:
    options = {"cache_dir": tmp_path / "cache"} if cached else {}
    index = index_of(copied, tmp_path / "index.parquet")
    old, _ = values(copied, index=index, **options)
    with h5py.File(copied / TILE, "r+") as file:
        values_in_place(file)
    new, _ = values(copied)
    assert any(not np.array_equal(a, b) for a, b in zip(old, new, strict=True)), "it matters"
    for ours, due in zip(values(copied, index=index, **options)[0], new, strict=True):
        np.testing.assert_array_equal(ours, due)


def test_chunks_that_moved_are_found(copied: Path, tmp_path: Path) -> None:
    tile = copied / TILE
    with h5py.File(tile) as file:
        n, m = file["sla"].shape
    rewrite(tile, (n // 3 + 1, m))
    size = tile.stat().st_size
    index = index_of(copied, tmp_path / "index.parquet")
    due, _ = values(copied)
    rewrite(tile, (n // 3 + 1, m), backwards=True)
    assert tile.stat().st_size == size
    got, stats = values(copied, index=index)
    for ours, theirs in zip(got, due, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert stats["files_opened"] == 1


def test_copies_with_other_times_are_the_same(copied: Path, tmp_path: Path) -> None:
    index = index_of(copied, tmp_path / "index.parquet")
    due, _ = values(copied, index=index)
    for file in copied.rglob("*.nc"):
        os.utime(file, (1, 1))
    got, stats = values(copied, index=index)
    assert stats["files_opened"] == 0 < stats["index_hits"]
    for ours, theirs in zip(got, due, strict=True):
        np.testing.assert_array_equal(ours, theirs)
