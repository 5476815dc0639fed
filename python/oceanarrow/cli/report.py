"""`oceanarrow report`: a page that shows what there is in a dataset."""

from __future__ import annotations

import argparse
from typing import Any

from oceanarrow.cli.arguments import add_dataset, add_output, check_output, command, say
from oceanarrow.cli.storage_options import storage_options
from oceanarrow.dataset import query_files
from oceanarrow.report import write_report

_EXAMPLES = """\
  oceanarrow report ocean/OceanTACO -o report.html
  oceanarrow report ocean/OceanTACO --queries train.parquet --coverage coverage.parquet \\
      -o report.html
"""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "report",
        "write a page that shows what there is",
        "Writes one page of HTML that opens in any browser, without a network: days and gaps, a "
        "map, a sample and the values of each variable, what a patch costs, warnings.",
        _EXAMPLES,
    )
    add_dataset(parser)
    parser.add_argument("--queries", metavar="FILE", help="shown on the map")
    parser.add_argument(
        "--coverage", metavar="FILE", help="what `oceanarrow coverage` wrote: shares by day"
    )
    add_output(parser, "such as report.html")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Writes it."""
    check_output(options.output, options.overwrite)
    write_report(
        options.taco if len(options.taco) > 1 else options.taco[0],
        options.output,
        queries=options.queries and query_files.load(options.queries)[0],
        coverage=options.coverage,
        storage_options=storage_options(options),
    )
    say(str(options.output))
