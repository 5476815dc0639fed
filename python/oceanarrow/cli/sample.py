"""`oceanarrow sample`: one box and day, as a picture or a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from oceanarrow.atomic_file import replace_file
from oceanarrow.cli.arguments import (
    add_bbox,
    add_dataset,
    add_output,
    check_output,
    command,
    say,
    talk,
)
from oceanarrow.cli.storage_options import storage_options
from oceanarrow.dataset.query import Query
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require

_EXAMPLES = """\
  oceanarrow sample ocean/OceanTACO --bbox -80 -40 20 50 --date 2019-01-01 \\
      --variables l4_sst l4_ssh l3_swot -o gulf_stream.png
  oceanarrow sample ocean/OceanTACO --bbox -80 -40 20 50 --date 2019-01-01 2019-01-03 \\
      --variables l4_ssh --patch-size 128 128 -o gulf_stream.nc
"""

_SUFFIXES = (".png", ".pdf", ".svg", ".nc", ".npz")


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "sample",
        "look at one box and day",
        "Reads a box and a day, or several, and writes a picture (.png, .pdf, .svg), a NetCDF file "
        "(.nc, by xarray) or NumPy arrays (.npz: values, mask, lat and lon of each variable).",
        _EXAMPLES,
    )
    add_dataset(parser)
    add_bbox(parser, None, "where, in degrees")
    parser.add_argument(
        "--date", nargs="+", required=True, metavar="DATE", help="a day, or the first and the last"
    )
    parser.add_argument("--variables", nargs="+", required=True, metavar="NAME")
    parser.add_argument(
        "--patch-size", nargs=2, type=int, metavar=("H", "W"), help="by default the native cells"
    )
    add_output(parser, "its suffix says what is written")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Reads and writes it."""
    path: Path = options.output
    if path.suffix.lower() not in _SUFFIXES:
        raise InvalidInputError(f"{path}: the suffix must be one of {', '.join(_SUFFIXES)}")
    if options.bbox is None:
        raise InvalidInputError("say where: --bbox W E S N")
    if len(options.date) > 2:
        raise InvalidInputError("--date takes a day, or the first and the last")
    check_output(path, options.overwrite)
    west, east, south, north = options.bbox
    query = Query(west, east, south, north, options.date[0], options.date[-1])
    write = _write_netcdf if path.suffix.lower() == ".nc" else _write_sample
    there = write(options, query, path)
    missing = [name for name in options.variables if name not in there]
    say(f"{path}: {', '.join(there) or 'nothing'}")
    if missing:
        talk(f"no file of {', '.join(missing)}")


def _write_sample(options: argparse.Namespace, query: Query, path: Path) -> list[str]:
    """Writes arrays or a picture; returns the variables that have a file."""
    # Needs PyTorch, which NetCDF and the other commands do without.
    from oceanarrow.dataset import OceanTACODataset

    dataset = OceanTACODataset(
        options.taco,
        [query],
        options.variables,
        [],
        default_patch_size=options.patch_size and tuple(options.patch_size),
        storage_options=storage_options(options),
    )
    sample = dataset[0]
    suffix = path.suffix.lower()[1:]
    if suffix == "npz":
        arrays = _arrays(sample)
        replace_file(path, lambda file: np.savez_compressed(file, **arrays))
    else:
        require("matplotlib", "drawing a picture", extra="plot").use("agg")
        figure = dataset.visualize_sample(sample)
        replace_file(path, lambda file: figure.savefig(file, format=suffix, dpi=150))
    return [name for name, found in sample["inputs"].items() if found is not None]


def _write_netcdf(options: argparse.Namespace, query: Query, path: Path) -> list[str]:
    """Writes a dataset; returns the variables that have a file."""
    from oceanarrow.patch import open_patch

    for module in ("xarray", "h5netcdf", "h5py"):
        require(module, "writing NetCDF", extra="xarray")
    shape = options.patch_size and tuple(options.patch_size)
    patch = open_patch(
        options.taco, query, options.variables, shape, storage_options=storage_options(options)
    )
    replace_file(path, lambda file: file.write(bytes(patch.to_netcdf(engine="h5netcdf"))))
    return [name for name in options.variables if name in patch]


def _arrays(sample: dict[str, Any]) -> dict[str, Any]:
    arrays = {}
    for name, found in sample["inputs"].items():
        if found is None:
            continue
        arrays[name] = np.asarray(found["data"])
        for key, suffix in (("mask", "mask"), ("lats", "lat"), ("lons", "lon")):
            if found.get(key) is not None:
                arrays[f"{name}_{suffix}"] = np.asarray(found[key])
    return arrays
