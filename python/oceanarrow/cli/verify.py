"""`oceanarrow verify`: whether a receipt holds."""

from __future__ import annotations

import argparse
from typing import Any

from oceanarrow.cli.arguments import command, say
from oceanarrow.cli.storage_options import add_storage_options, storage_options
from oceanarrow.dataset import query_files
from oceanarrow.verification import verify

_EXAMPLES = """\
  oceanarrow verify receipt.json ocean/OceanTACO --queries train.parquet
  oceanarrow verify frozen
"""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "verify",
        "compare a receipt with a dataset",
        "Replays the steps of a receipt that Loader.receipt(steps=...) gave and compares digests, "
        "or compares the files of a frozen set with its manifest. Exits with 1 and says what "
        "differs: the fields of the content, and the first row, variable and file.",
        _EXAMPLES,
    )
    parser.add_argument(
        "receipt", metavar="RECEIPT", help="a JSON file, or a frozen set's directory"
    )
    parser.add_argument("taco", nargs="*", metavar="TACO", help="the dataset; not of a frozen set")
    add_storage_options(parser)
    parser.add_argument("--queries", metavar="FILE", help="a file of queries")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compares; returns 1 if something differs."""
    queries = None if options.queries is None else query_files.load(options.queries)[0]
    found = verify(
        options.receipt, options.taco or None, queries, storage_options=storage_options(options)
    )
    for problem in found.problems:
        say(problem)
    if found:
        say(f"all holds ({found.checked} compared)")
    return 0 if found else 1
