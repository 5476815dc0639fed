"""`oceanarrow download`: the part of a dataset that a set of queries needs."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from oceanarrow.cli.sizes import written
from oceanarrow.cli.storage_options import add_storage_options, storage_options
from oceanarrow.dataset import query_files
from oceanarrow.exceptions import TransientIoError, UnwritableError
from oceanarrow.subset.transfer import Amount, Download, DownloadSummary

_EXAMPLES = """
The result is a dataset of its own: train with its path in place of the original's. It holds whole
files, those under the queries' boxes and their neighbours. Run again after an interruption, the
command fetches what is missing.

examples:
  oceanarrow download hf://datasets/nilsleh/OceanTACO --queries train.parquet \\
      --variables l4_sst l4_ssh -o ocean_train --dry-run
  oceanarrow download ocean.tacozip --queries train.parquet --variables l4_sst -o ocean_train
  oceanarrow download s3://bucket/ocean --queries train.parquet --variables l4_sst \\
      -o ocean_train --storage-option region=eu-central-1
"""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "download",
        help="fetch what a set of queries needs, as a dataset of its own",
        description="Fetches the files that a set of queries needs, as a smaller dataset: a TACO "
        "folder, or, of files that a catalogue lists, a catalogue of the copies.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "taco", nargs="+", metavar="TACO", help="paths or addresses of a dataset, or of several"
    )
    parser.add_argument(
        "--queries", required=True, metavar="FILE", help="what QueryGenerator.save_queries wrote"
    )
    parser.add_argument(
        "--variables", required=True, nargs="+", metavar="NAME", help="inputs and targets alike"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="where the new dataset will be"
    )
    add_storage_options(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="only print how much it is; nothing is written"
    )
    parser.add_argument(
        "--no-progress",
        action="store_false",
        dest="progress",
        help="no progress bar; in pipes and files there is none anyway",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    queries, _ = query_files.load(options.queries)
    download = Download(
        options.taco[0] if len(options.taco) == 1 else options.taco,
        queries,
        options.variables,
        options.output,
        storage_options=storage_options(options),
        progress=options.progress,
    )
    print(_text(download.summary), flush=True)
    if options.dry_run:
        return
    try:
        download.run()
    except (KeyboardInterrupt, TransientIoError, UnwritableError):
        print(
            "oceanarrow: stopped; what has come stays, run the same command again to go on",
            file=sys.stderr,
        )
        raise
    datasets = " and ".join(str(path) for path in download.summary.datasets)
    print(f"{options.output} is complete: open {datasets}")


def _text(summary: DownloadSummary) -> str:
    """How much it is, in all and by source."""
    lines = [_amount(summary.total)]
    width = max(map(len, summary.sources))
    lines += [f"  {name:<{width}}  {_amount(found)}" for name, found in summary.sources.items()]
    if summary.fetched != summary.total:
        lines.append(f"to fetch: {_amount(summary.fetched)}; the rest is there")
    return "\n".join(lines)


def _amount(amount: Amount) -> str:
    files = "file" if amount.files == 1 else "files"
    return f"{amount.files:,} {files}, {written(amount.bytes)} ({amount.bytes:,} bytes)"
