"""`oceanarrow stats`: mean, deviation, quantiles of what queries see."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oceanarrow.cli.arguments import add_json, add_output, check_output, command, say, say_json
from oceanarrow.cli.storage_options import add_storage_options, storage_options
from oceanarrow.dataset import query_files
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.statistics import statistics
from oceanarrow.summary import Statistics

_EXAMPLES = """\
  oceanarrow stats ocean/OceanTACO --queries train.parquet --variables l4_sst l4_ssh -o stats.json
  oceanarrow stats ocean/OceanTACO --queries train.parquet --variables l4_sst --patch-size 64 64 \\
      --by month -o stats.json
  oceanarrow stats ocean/OceanTACO --queries train.parquet --variables l4_sst --part 0 4 -o 0.json
  oceanarrow stats --merge 0.json 1.json 2.json 3.json -o stats.json
"""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "stats",
        "mean, deviation and quantiles of what queries see",
        "Goes once through the cells that queries see, and writes numbers that "
        "Loader(normalize=...) takes and find_leaks checks. Parts are for many machines; the "
        "digits are the same.",
        _EXAMPLES,
    )
    parser.add_argument(
        "taco", nargs="*", metavar="TACO", help="paths or addresses of a dataset, or of several"
    )
    add_storage_options(parser)
    parser.add_argument("--queries", metavar="FILE", help="a file of queries")
    parser.add_argument("--variables", nargs="+", metavar="NAME")
    parser.add_argument(
        "--patch-size", nargs=2, type=int, metavar=("H", "W"),
        help="pixels of rendered patches; by default the cells of the source are counted",
    )  # fmt: skip
    parser.add_argument("--by", choices=("month", "region", "day"), help="tell these apart, too")
    parser.add_argument(
        "--area-weighted", action="store_true", help="weigh by the cosine of the latitude"
    )
    parser.add_argument(
        "--part", nargs=2, type=int, default=(0, 1), metavar=("I", "N"), help="part I of N, from 0"
    )
    parser.add_argument("--merge", nargs="+", type=Path, metavar="FILE", help="join all parts")
    add_output(parser, "such as stats.json", required=False)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Counts, or merges."""
    if options.output is not None:
        check_output(options.output, options.overwrite)
    if options.merge:
        if options.taco or options.queries or options.variables:
            raise InvalidInputError("--merge joins files; it takes no dataset or queries")
        made = Statistics.merge([Statistics.load(path) for path in options.merge])
    elif not options.taco or not options.queries or not options.variables:
        raise InvalidInputError("name the dataset, --queries and --variables; or --merge parts")
    else:
        made = statistics(
            options.taco,
            query_files.load(options.queries)[0],
            options.variables,
            default_patch_size=options.patch_size and tuple(options.patch_size),
            by=options.by,
            area_weighted=options.area_weighted,
            part=tuple(options.part),
            storage_options=storage_options(options),
        )
    if options.output is not None:
        made.to_json(options.output)
    if options.json:
        say_json({name: summary.to_dict() for name, summary in made.items()})
    else:
        say(repr(made))
