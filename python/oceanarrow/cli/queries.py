"""`oceanarrow queries`: boxes and days to train and to evaluate on."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from oceanarrow.cli.arguments import add_bbox, add_dataset, check_output, command, say, talk
from oceanarrow.cli.storage_options import storage_options
from oceanarrow.dataset import query_files
from oceanarrow.dataset.generator import QueryGenerator
from oceanarrow.dataset.query import PatchSize, Query
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.splits import split_queries

_TRAIN = """\
  oceanarrow queries train ocean/OceanTACO -n 1000 --patch 10deg -o train
  oceanarrow queries train ocean/OceanTACO -n 1000 --patch 500km --require l3_swot \\
      --coverage coverage.parquet --min-valid l3_swot=0.05 --seed 1 -o train
"""

_EVAL = """\
  oceanarrow queries eval ocean/OceanTACO --bbox -80 0 20 60 --patch 10deg -o test
"""

_SPLIT = """\
  oceanarrow queries split train.parquet train=0.8 val=0.1 test=0.1 -o part
  oceanarrow queries split train.parquet train=0.9 test=0.1 --by space --block 1 45 \\
      --gap-deg 2 -o part
"""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "queries",
        help="choose boxes and days to train and to evaluate on",
        description="Chooses queries, and splits them. A file of them is what Loader, download and "
        "bench take.",
        epilog=f"examples:\n{_TRAIN}{_EVAL}{_SPLIT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    train = command(
        verbs, "train", "random queries", "Draws boxes and days at random, off land.", _TRAIN
    )
    _add_generation(train, (-180, 180, -60, 60), 0.3)
    train.add_argument("-n", "--count", type=int, required=True, help="how many")
    train.add_argument("--seed", type=int, default=42, help="default: 42")
    train.add_argument(
        "--max-overlap", type=float, default=1.0, help="of two boxes on a day, 0 to 1 (default: 1)"
    )
    train.add_argument("--area-uniform", action="store_true", help="uniform on the sphere")
    train.add_argument("--stratify", choices=("month", "region"), help="as many of each")
    train.set_defaults(run=run_train)
    grid = command(
        verbs, "eval", "a grid of queries", "Covers a box with a grid, day after day.", _EVAL
    )
    _add_generation(grid, None, 0.5)
    grid.add_argument("--overlap", type=float, default=0.0, help="of neighbours, 0 to below 1")
    grid.add_argument("--stride", type=int, default=1, help="days from one window to the next")
    grid.set_defaults(run=run_eval)
    split = command(
        verbs,
        "split",
        "parts that do not leak",
        "Splits queries into parts that do not see the same ocean; those that lie between are "
        "given up. Writes a file a part: OUTPUT_train.parquet and so on.",
        _SPLIT,
    )
    split.add_argument("queries", metavar="FILE", help="a file of queries")
    split.add_argument("shares", nargs="+", type=_share, metavar="NAME=SHARE")
    split.add_argument("--by", choices=("time", "blocks", "space"), default="time")
    split.add_argument("--gap-days", type=int, default=0, help="whole days between parts")
    split.add_argument("--gap-deg", type=float, default=0.0, help="degrees between parts")
    split.add_argument(
        "--block", nargs=2, type=float, default=(30, 15.0), metavar=("DAYS", "DEGREES")
    )
    split.add_argument("--seed", type=int, default=0, help="of the blocks (default: 0)")
    _add_output(split)
    split.set_defaults(run=run_split)


def _add_generation(
    parser: argparse.ArgumentParser, bbox: tuple[float, ...] | None, land: float
) -> None:
    add_dataset(parser)
    parser.add_argument(
        "--patch", required=True, type=_patch, metavar="SIDE", help="such as 10deg or 500km"
    )
    add_bbox(parser, bbox, "where, in degrees" + (" (default: 60 S to 60 N)" if bbox else ""))
    parser.add_argument(
        "--dates", nargs=2, metavar=("FIRST", "LAST"), help="by default all of the dataset"
    )
    parser.add_argument("--days", type=int, default=1, help="days of a window (default: 1)")
    parser.add_argument(
        "--max-land", type=float, default=land, help=f"share of land, 0 to 1 (default: {land})"
    )
    parser.add_argument(
        "--require", nargs="+", default=[], metavar="NAME", help="a file of these must exist"
    )
    parser.add_argument(
        "--min-valid", nargs="+", default=[], type=_share, metavar="NAME=SHARE",
        help="the share of valid cells, at least",
    )  # fmt: skip
    parser.add_argument(
        "--coverage", metavar="FILE", help="what `oceanarrow coverage` wrote, for --min-valid"
    )
    _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", required=True, metavar="NAME", help="NAME.parquet and NAME.json"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def run_train(options: argparse.Namespace) -> None:
    """Draws queries."""
    _check(options, options.output)
    generator, dates = _generator(options)
    drawn = generator.generate_training_queries(
        options.count,
        options.patch,
        dates,
        bbox_constraint=tuple(options.bbox),
        time_window_days=options.days,
        max_land_fraction=options.max_land,
        seed=options.seed,
        verbose=False,
        max_spatial_overlap=options.max_overlap,
        require=options.require,
        min_valid=dict(options.min_valid),
        area_uniform=options.area_uniform,
        stratify=options.stratify,
    )
    _save(drawn, options.output, options)


def run_eval(options: argparse.Namespace) -> None:
    """Lays a grid."""
    _check(options, options.output)
    if options.bbox is None:
        raise InvalidInputError("say what to cover: --bbox W E S N")
    generator, dates = _generator(options)
    grid = generator.generate_eval_queries(
        tuple(options.bbox),
        options.patch,
        dates,
        spatial_overlap=options.overlap,
        temporal_stride_days=options.stride,
        time_window_days=options.days,
        max_land_fraction=options.max_land,
        verbose=False,
        require=options.require,
        min_valid=dict(options.min_valid),
    )
    _save(grid, options.output, options)


def run_split(options: argparse.Namespace) -> None:
    """Splits a file of queries."""
    shares = dict(options.shares)
    for name in shares:
        _check(options, f"{options.output}_{name}")
    days, degrees = options.block
    split = split_queries(
        query_files.load(options.queries)[0],
        shares,
        by=options.by,
        gap_days=options.gap_days,
        gap_deg=options.gap_deg,
        block=(int(days), degrees),
        seed=options.seed,
    )
    for name, part in split.parts.items():
        _save(part, f"{options.output}_{name}", options)
    talk(split.summary())


def _generator(options: argparse.Namespace) -> tuple[QueryGenerator, tuple[str, str]]:
    catalog = Catalog(options.taco, storage_options=storage_options(options))
    generator = QueryGenerator("builtin", catalog=catalog, coverage=options.coverage)
    if options.dates:
        return generator, tuple(options.dates)
    if catalog.days is None:
        raise InvalidInputError("the dataset has no granule; say which days with --dates")
    return generator, (catalog.days.first, catalog.days.last)


def _check(options: argparse.Namespace, name: str) -> None:
    for path in query_files.paths(name):
        check_output(path, options.overwrite)


def _save(found: list[Query], name: str, options: argparse.Namespace) -> None:
    # Storage options may hold secrets.
    left_out = ("run", "output", "storage_options")
    about = {key: value for key, value in vars(options).items() if key not in left_out}
    query_files.save(found, name, {"command": {k: str(v) for k, v in about.items()}})
    path: Path = query_files.paths(name)[0]
    say(f"{path}: {len(found):,} queries")


def _patch(text: str) -> PatchSize:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(deg|km)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no side; write it as 10deg or 500km")
    try:
        return PatchSize(float(found[1]), "deg" if found[2] == "deg" else "km")
    except InvalidInputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _share(text: str) -> tuple[str, float]:
    name, separator, share = text.partition("=")
    try:
        if not name or not separator:
            raise ValueError
        return name, float(share)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=SHARE, such as train=0.8") from None
