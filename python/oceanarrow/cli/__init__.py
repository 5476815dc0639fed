"""The command line: `oceanarrow COMMAND ...`, one module a command.

A command's module has `add_parser(commands)`, which adds its parser, and `run(options)`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from oceanarrow import __version__
from oceanarrow.cli import (
    bench,
    cache,
    catalog,
    coverage,
    doctor,
    download,
    index,
    info,
    materialize,
    queries,
    report,
    sample,
    sample_data,
    stats,
    verify,
)
from oceanarrow.exceptions import OceanArrowError

_COMMANDS = (
    sample_data, info, catalog, coverage, queries, stats, sample, report, bench, materialize,
    verify, download, index, cache, doctor,
)  # fmt: skip
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0, 1 for an error, 130 when interrupted."""
    parser = _parser()
    _complete(parser)
    options = parser.parse_args(argv)
    try:
        status: int = options.run(options) or 0
        # Says here, not while the interpreter ends, if nobody reads what was printed.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read what is printed has gone: nothing is left to say, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OceanArrowError, OSError, ImportError) as error:
        print(f"oceanarrow: error: {error}", file=sys.stderr)
        return 1
    return status


def _complete(parser: argparse.ArgumentParser) -> None:
    """Completes what is typed in a shell, where argcomplete is installed and set up."""
    with contextlib.suppress(ImportError):
        import_module("argcomplete").autocomplete(parser)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oceanarrow", description="Feeds ocean data to machine-learning models."
    )
    parser.add_argument("--version", action="version", version=f"oceanarrow {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
