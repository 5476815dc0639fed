"""`oceanarrow sample-data`: a small ocean to try things with."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from oceanarrow.sample_data import write_sample_data

_EXAMPLES = """\
examples:
  oceanarrow sample-data ocean                     four days of real sea level, the rest made up
  oceanarrow sample-data ocean --synthetic         without a download
  oceanarrow sample-data tiny --synthetic --scale 32 --days 2 --start 2023-04-01

then, in Python: Loader("ocean/OceanTACO", queries, ["l4_ssh"], default_patch_size=(64, 64))
"""


def add_parser(commands: Any) -> None:
    """Adds the command to those of the parser."""
    parser = commands.add_parser(
        "sample-data",
        help="write a small ocean to try things with",
        description="Writes DIR/OceanTACO, a dataset in the published layout, and DIR/files, the "
        "same ocean as plain files. DIR/README.md says what is real.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", help="a folder to make")
    parser.add_argument(
        "--synthetic", action="store_true", help="make up sea level too: nothing is downloaded"
    )
    parser.add_argument("--start", metavar="DATE", help="the first day (default: 2018-12-31)")
    parser.add_argument("--days", type=int, default=4, help="how many (default: 4)")
    parser.add_argument(
        "--scale",
        type=float,
        default=4.0,
        help="how many times grids are coarsened: 1 is the published size, about 3 GB; 4, the "
        "default, about 100 MB; 32 less than 15 MB",
    )
    parser.add_argument(
        "--sources",
        nargs="+",
        metavar="NAME",
        help="only these, such as l4_ssh, and no plain files (default: all)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Writes the data."""
    path = write_sample_data(
        options.directory,
        synthetic=options.synthetic,
        start=options.start,
        days=options.days,
        scale=options.scale,
        sources=options.sources,
    )
    sys.stdout.write(f"{path}: see {path / 'README.md'}\n")
