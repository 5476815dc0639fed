"""The command `oceanarrow`: one module a subcommand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from oceanarrow._engine import __version__
from oceanarrow.cli import index
from oceanarrow.exceptions import OceanArrowError


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = argparse.ArgumentParser(prog="oceanarrow", description=__doc__)
    made.add_argument("--version", action="version", version=__version__)
    commands = made.add_subparsers(title="commands", required=True)
    index.add_parser(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit status: 0, or 1 after an error, or 130 after Ctrl-C.
    """
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except OceanArrowError as error:
        sys.stderr.write(f"oceanarrow: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return status
