"""The command line: `oceanarrow COMMAND ...`, one module a command.

A command's module has `add_parser(commands)`, which adds its parser, and `run(options)`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from oceanarrow import __version__
from oceanarrow.cli import cache, catalog, download, index, sample_data
from oceanarrow.exceptions import OceanArrowError

_COMMANDS = (sample_data, catalog, download, index, cache)
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0, 1 for an error, 130 when interrupted."""
    options = _parser().parse_args(argv)
    try:
        status: int = options.run(options) or 0
        # Says here, not while the interpreter ends, if nobody reads what was printed.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (OceanArrowError, OSError, ImportError) as error:
        print(f"oceanarrow: error: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oceanarrow", description="Feeds ocean data to machine-learning models."
    )
    parser.add_argument("--version", action="version", version=f"oceanarrow {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
