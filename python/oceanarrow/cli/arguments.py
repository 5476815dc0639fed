"""Arguments that several commands take, and what they print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oceanarrow.cli.storage_options import add_storage_options
from oceanarrow.exceptions import InvalidInputError


def command(
    commands: Any, name: str, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Adds a command whose help ends in examples."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Adds the dataset and how it is reached."""
    parser.add_argument(
        "taco", nargs="+", metavar="TACO", help="paths or addresses of a dataset, or of several"
    )
    add_storage_options(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_bbox(parser: argparse.ArgumentParser, default: Sequence[float] | None, why: str) -> None:
    """Adds `--bbox W E S N`."""
    parser.add_argument(
        "--bbox", nargs=4, type=float, metavar=("W", "E", "S", "N"), default=default, help=why
    )


def add_output(parser: argparse.ArgumentParser, why: str, required: bool = True) -> None:
    """Adds `-o` and `--overwrite`; `check_output` looks at them."""
    parser.add_argument("-o", "--output", required=required, type=Path, metavar="FILE", help=why)
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def check_output(path: Path, overwrite: bool) -> None:
    """Refuses to replace a file, before any work.

    Raises:
        InvalidInputError: there is one, and nobody said `--overwrite`; or there is no folder.
    """
    if path.exists() and not overwrite:
        raise InvalidInputError(f"{path} exists; give --overwrite to replace it, or another name")
    if not path.absolute().parent.is_dir():
        raise InvalidInputError(f"{path}: there is no folder {path.absolute().parent}")


def say(text: str) -> None:
    """Prints a result."""
    sys.stdout.write(f"{text}\n")


def say_json(value: Any) -> None:
    """Prints a result for programs."""
    say(json.dumps(value, indent=2))


def talk(text: str) -> None:
    """Says what happens, where it is no part of the result."""
    sys.stderr.write(f"{text}\n")
