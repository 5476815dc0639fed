"""`oceanarrow cache`: the disk cache's directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oceanarrow import _engine
from oceanarrow.cache_directory import (
    DEFAULT_DISK_CACHE_BYTES,
    VARIABLE,
    default_cache_directory,
)
from oceanarrow.cli.sizes import size, written
from oceanarrow.exceptions import NotFoundError

_EXAMPLES = f"""
Without --dir it is the cache of remote datasets: {VARIABLE}, else oceanarrow in the user's
directory for caches. Nothing is removed but what oceanarrow wrote, and training that uses the
cache meanwhile goes on.

examples:
  oceanarrow cache info
  oceanarrow cache prune --max-size 10GB
  oceanarrow cache clear --dir /scratch/ocean_cache
"""


def add_parser(commands: Any) -> None:
    """Adds the command and its three actions."""
    parser = commands.add_parser(
        "cache",
        help="look at the disk cache, or make it smaller",
        description="Looks at the disk cache, or makes it smaller.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for name, run, purpose in (
        ("info", info, "print where it is and what it takes"),
        ("prune", prune, "remove what has not been used for longest"),
        ("clear", clear, "remove all that is cached"),
    ):
        action = actions.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
        action.add_argument("--dir", type=Path, metavar="DIR", help="the cache's directory")
        action.set_defaults(run=run)
        if name == "prune":
            action.add_argument(
                "--max-size",
                type=size,
                default=DEFAULT_DISK_CACHE_BYTES,
                metavar="SIZE",
                help="what may stay, such as 10GB or 512MiB; by default 32GiB",
            )


def info(options: argparse.Namespace) -> None:
    """Prints where the cache is and what it takes."""
    directory = _directory(options)
    found = _engine.measure_disk_cache(directory)
    print(f"directory: {directory}")
    if found is None:
        print("there is no cache")
        return
    files, count = found
    print(f"format: {_engine.DISK_CACHE_FORMAT}")
    print(f"files: {files:,}")
    print(f"on disk: {written(count)} ({count:,} bytes)")


def prune(options: argparse.Namespace) -> None:
    """Removes the least recently used files until the rest fit."""
    _remove(options, options.max_size)


def clear(options: argparse.Namespace) -> None:
    """Removes all that is cached; the directory stays a cache."""
    _remove(options, None)


def _remove(options: argparse.Namespace, max_bytes: int | None) -> None:
    directory = _directory(options)
    if options.dir is not None and not directory.exists():
        raise NotFoundError(f"{directory}: no such directory")
    files, count = _engine.prune_disk_cache(directory, max_bytes)
    noun = "file" if files == 1 else "files"
    print(f"removed {files:,} {noun}, {written(count)}, from {directory}")


def _directory(options: argparse.Namespace) -> Path:
    chosen: Path | None = options.dir
    return default_cache_directory() if chosen is None else chosen.absolute()
