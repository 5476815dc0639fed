"""The options that the benchmarks share."""

import argparse
from pathlib import Path

from synthetic_ocean import ocean
from workloads import BBOX

DAYS = 56
QUICK_DAYS = 15


def add_common(
    parser: argparse.ArgumentParser, *, samples: int, repetitions: int, cores: int = 1
) -> None:
    parser.add_argument("--dataset", help="TACO folder (default: a synthetic one, made once)")
    parser.add_argument(
        "--samples", type=int, default=samples, help=f"queries a turn (default {samples})"
    )
    parser.add_argument(
        "--repetitions", type=int, default=repetitions, help=f"turns (default {repetitions})"
    )
    parser.add_argument(
        "--cores", type=int, default=cores, help=f"cores that may be used (default {cores})"
    )
    parser.add_argument("--first", help="first day of the dataset to use, ISO")
    parser.add_argument("--last", help="last day to use")
    parser.add_argument(
        "--bbox", nargs=4, type=float, default=list(BBOX),
        metavar=("LON_MIN", "LON_MAX", "LAT_MIN", "LAT_MAX"),
        help="where the centres of patches lie (default %(default)s)",
    )  # fmt: skip
    add_results(parser)


def add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results",
        help="folder for raw numbers and charts (default benchmarks/results)",
    )


def printable(options: argparse.Namespace) -> dict:
    """The options of a run without paths: results may be published."""
    return {
        name: value
        for name, value in vars(options).items()
        if not name.startswith(("documented", "results", "dataset")) and value is not None
    }


def dataset_of(options: argparse.Namespace) -> Path:
    """The dataset that was asked for, or the synthetic one."""
    if options.dataset:
        return Path(options.dataset)
    return ocean(QUICK_DAYS if options.samples < QUICK_DAYS else DAYS)


def pick_days(options: argparse.Namespace, days: list[str]) -> list[str]:
    """Those between the first and the last that were asked for."""
    return [day for day in days if (options.first or "") <= day and day <= (options.last or "9999")]
