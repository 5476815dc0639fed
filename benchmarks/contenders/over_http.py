"""Tiles of a web server without oceanarrow: whole ones, or as much as h5netcdf asks for."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import PurePosixPath

import fsspec
import requests
import xarray as xr
from tasks import Task

from contenders import Result, Work
from contenders.with_xarray import Patches, open_file
from oceanarrow.taco import REGIONS


def whole_tiles(task: Task) -> Work:
    """Downloads the tiles that overlap, one after the other, on one connection.

    A tile goes through a file, which libhdf5 reads faster than a buffer of Python's.
    """
    session = requests.Session()

    def open_tile(address: str) -> xr.Dataset:
        answer = session.get(address)
        answer.raise_for_status()
        with tempfile.NamedTemporaryFile(suffix=".nc") as file:
            file.write(answer.content)
            file.flush()
            return open_file(file.name)

    return _patch_by_patch(Patches(task, open_tile))


def all_regions(task: Task) -> Work:
    """The same with the tiles of all regions, which the documented library does."""

    def everywhere(address: str) -> list[str]:
        path = PurePosixPath(address)
        start = address.removesuffix(f"{path.parent.name}/{path.name}")
        return [f"{start}{region}/{path.name}" for region in REGIONS]

    queries = [
        replace(
            query,
            files={
                name: [file for one in files for file in everywhere(one)]
                for name, files in query.files.items()
            },
        )
        for query in task.queries
    ]
    return whole_tiles(replace(task, queries=queries))


def lazy(task: Task, cache_type: str, block_size: int) -> Work:
    """fsspec's files over HTTP under h5netcdf, which xarray asks for the window alone."""
    system = fsspec.filesystem("http")

    def open_tile(address: str) -> xr.Dataset:
        file = system.open(address, cache_type=cache_type, block_size=block_size)
        return xr.open_dataset(file, engine="h5netcdf")

    return _patch_by_patch(Patches(task, open_tile))


def _patch_by_patch(patches: Patches) -> Work:
    def work() -> Result:
        for index in range(len(patches)):
            patches[index]
        return {"samples": len(patches)}

    return work
