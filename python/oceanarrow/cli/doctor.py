"""`oceanarrow doctor`: what a bug report needs."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from oceanarrow import __version__
from oceanarrow.cache_directory import default_cache_directory
from oceanarrow.cli.arguments import add_json, command, say, say_json
from oceanarrow.cli.storage_options import add_storage_options, storage_options
from oceanarrow.dataset.query import Query
from oceanarrow.exceptions import OceanArrowError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.loader import Loader

_EXAMPLES = """\
  oceanarrow doctor
  oceanarrow doctor ocean/OceanTACO
"""

_EXTRAS = (
    "numpy", "pyarrow", "torch", "jax", "datasets", "xarray", "h5netcdf", "h5py", "matplotlib",
    "cartopy", "tqdm", "argcomplete",
)  # fmt: skip


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "doctor",
        "say what a bug report needs, and check a dataset",
        "Prints versions, cores, memory and cache. With a dataset, reads one patch of each "
        "variable on its last day, from end to end.",
        _EXAMPLES,
    )
    parser.add_argument("taco", nargs="*", metavar="TACO", help="a dataset to check")
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints it.

    Returns:
        The exit status: 0, or 1 if a variable of the dataset cannot be read.
    """
    found: dict[str, Any] = {"machine": _machine(), "packages": _packages()}
    if options.taco:
        found["dataset"] = _check(options)
    if options.json:
        say_json(found)
    else:
        for title, lines in found.items():
            say(f"{title}")
            for name, value in lines.items():
                say(f"  {name:<18} {value}")
    return int(any(text.startswith("error") for text in found.get("dataset", {}).values()))


def _machine() -> dict[str, str]:
    cache = default_cache_directory()
    return {
        "oceanarrow": __version__,
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()})",
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "avx2": "yes" if "avx2" in (_first("/proc/cpuinfo", "flags") or "").split() else "no",
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "memory": _first("/proc/meminfo", "MemTotal") or "unknown",
        "cache": f"{cache} ({'there' if Path(cache).is_dir() else 'not there'})",
    }


def _first(path: str, key: str) -> str | None:
    """The value of the first line of a file that has this key."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    values = (line.partition(":")[2].strip() for line in lines if line.startswith(key))
    return next(values, None)


def _packages() -> dict[str, str]:
    found = {}
    for name in _EXTRAS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _check(options: argparse.Namespace) -> dict[str, str]:
    """What came of reading a patch of each variable."""
    storage = storage_options(options)
    catalog = Catalog(options.taco, storage_options=storage)
    days = catalog.days
    if days is None:
        return {"days": "error: there is no granule"}
    found = {"days": f"{days.first} to {days.last}, {len(days.missing)} missing"}
    for name, variable in catalog.variables.items():
        last = str(catalog.days_of(variable)[-1].astype("datetime64[D]"))
        row = catalog.rows_of(variable).nonzero()[0][-1]
        west, east, south, north = catalog.footprints()[row].tolist()
        query = Query(west, min(east, west + 20), south, min(north, south + 20), last, last)
        try:
            loader = Loader(
                options.taco, [query], [name], batch_size=1, default_patch_size=(32, 32),
                shuffle=False, storage_options=storage, cache_dir=None,
            )  # fmt: skip
            (batch,) = loader
            present = bool(batch.to_numpy()["present"][name][0])
            found[name] = f"read on {last}" if present else f"no file there on {last}"
        except OceanArrowError as error:
            found[name] = f"error: {error}"
    return found
