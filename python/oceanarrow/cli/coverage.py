"""`oceanarrow coverage`: how much of each variable is valid, by day and coarse cell."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oceanarrow.cli.arguments import add_dataset, command, say
from oceanarrow.cli.storage_options import storage_options
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.inventory.measure import coverage

_EXAMPLES = """\
  oceanarrow coverage ocean/OceanTACO -o coverage.parquet
  oceanarrow coverage ocean/OceanTACO --variables l3_swot l3_sst --cell 1 -o fine.parquet
"""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "coverage",
        "count valid cells by day and place",
        "Reads every file once and counts cells and valid cells in coarse cells of the globe: what "
        "`queries --min-valid` chooses by. An output that is there is updated: only files that are "
        "new or have changed are read.",
        _EXAMPLES,
    )
    add_dataset(parser)
    parser.add_argument(
        "--variables", nargs="+", metavar="NAME", help="by default all that there are"
    )
    parser.add_argument(
        "--cell", type=float, default=2.0, help="side of the coarse cells, degrees (default: 2)"
    )
    parser.add_argument("--dates", nargs=2, metavar=("FIRST", "LAST"), help="by default all")
    parser.add_argument("-o", "--output", required=True, type=Path, help="such as coverage.parquet")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Counts."""
    storage = storage_options(options)
    names = options.variables or list(Catalog(options.taco, storage_options=storage).variables)
    found = coverage(
        options.taco,
        names,
        cell=options.cell,
        days=options.dates and tuple(options.dates),
        output=options.output,
        storage_options=storage,
    )
    say(repr(found))
