"""`oceanarrow materialize`: rows rendered once, into files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oceanarrow.cli.arguments import command, say
from oceanarrow.cli.storage_options import add_storage_options, storage_options
from oceanarrow.dataset import query_files
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.frozen.materialize import materialize, materialize_finish
from oceanarrow.loader import Loader

_EXAMPLES = """\
  oceanarrow materialize ocean/OceanTACO frozen --queries train.parquet --inputs l4_sst l3_swot \\
      --targets l4_ssh --patch-size 64 64
  oceanarrow materialize ocean/OceanTACO frozen --queries train.parquet --config loader.json
  oceanarrow materialize ocean/OceanTACO frozen --queries train.parquet --config loader.json \\
      --part 0 4
  oceanarrow materialize frozen --finish
"""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "materialize",
        "freeze a training set",
        "Renders the rows of a loader once, into Arrow files that Loader.from_materialized reads "
        "at the speed of memory, or Parquet files for datasets.load_dataset. Run again after an "
        "interruption, it goes on where it was. Parts are for many machines that share a "
        "directory; --finish completes the set when all are there.",
        _EXAMPLES,
    )
    parser.add_argument(
        "taco", nargs="*", metavar="TACO", help="paths or addresses of a dataset, or of several"
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the set will lie")
    add_storage_options(parser)
    parser.add_argument("--queries", metavar="FILE", help="a file of queries, a row each")
    parser.add_argument("--inputs", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--targets", nargs="+", default=[], metavar="NAME")
    parser.add_argument(
        "--patch-size", nargs=2, type=int, metavar=("H", "W"), help="default: 128 128"
    )
    parser.add_argument(
        "--config", metavar="FILE", help="what Loader.config() gave, in the place of the three"
    )
    parser.add_argument("--format", choices=("arrow", "parquet"), default="arrow")
    parser.add_argument("--shard-rows", type=int, default=1024, help="rows a file (default: 1024)")
    parser.add_argument(
        "--part", nargs=2, type=int, default=(0, 1), metavar=("I", "N"), help="part I of N, from 0"
    )
    parser.add_argument("--finish", action="store_true", help="complete a set made in parts")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Writes, or completes."""
    if options.finish:
        if options.taco:
            raise InvalidInputError("--finish takes the directory alone")
        materialize_finish(options.directory)
        say(f"{options.directory} is complete")
        return
    if not options.taco or not options.queries:
        raise InvalidInputError("name the dataset, the directory and --queries")
    queries = query_files.load(options.queries)[0]
    storage = storage_options(options)
    if options.config:
        if options.inputs or options.targets or options.patch_size:
            raise InvalidInputError("--config has the variables and the patch size already")
        loader = Loader.from_config(options.config, options.taco, queries, storage_options=storage)
    else:
        loader = Loader(
            options.taco,
            queries,
            options.inputs,
            options.targets,
            default_patch_size=tuple(options.patch_size or (128, 128)),
            tail="pad",
            storage_options=storage,
        )
    materialize(
        loader,
        options.directory,
        format=options.format,
        shard_rows=options.shard_rows,
        part=tuple(options.part),
    )
    own, parts = options.part
    done = f"part {own} of {parts}" if parts > 1 else f"{len(queries)} rows, {loader.content_id}"
    say(f"{options.directory}: {done}")
