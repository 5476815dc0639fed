"""`oceanarrow catalog`: a catalogue of NetCDF files where they lie."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from oceanarrow.catalog_writer import list_files
from oceanarrow.cli.storage_options import add_storage_options, storage_options
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.files import Files, Level
from oceanarrow.variables import CellRule

_SHOWN = 5
"""Skipped files that are named."""

_EXAMPLES = """\
examples:
  oceanarrow catalog 'cmems/ssh/**/*.nc' --variables ssh=sla ugos=ugos -o ocean.parquet
  oceanarrow catalog 'ghrsst/*.nc' --variables sst=analysed_sst --units sst=degC \\
      --valid quality_level=4:5 sea_ice_fraction=:0.15 -o sst.parquet
  oceanarrow catalog 'glorys/*.nc' --variables t=thetao --select depth=0.494,47.4 -o deep.parquet
  oceanarrow catalog bathymetry.nc --variables depth=elevation --static -o depth.parquet
  oceanarrow catalog sst_months.nc --variables normal=sst --cycle month -o normal.parquet
  oceanarrow catalog 'cmems/ssh/**/*.nc' --variables ssh=sla -o ocean.parquet --update

then, in Python: Loader("ocean.parquet", queries, ["ssh"], default_patch_size=(64, 64))
"""


def add_parser(commands: Any) -> None:
    """Adds the command to those of the parser."""
    parser = commands.add_parser(
        "catalog",
        help="list your own NetCDF files as a dataset",
        description="Lists NetCDF files in one small Parquet file that stands wherever a dataset's "
        "path does. No data are copied; an index of the files' chunks is written beside it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", help="globs, paths or addresses of NetCDF files")
    parser.add_argument("-o", "--output", required=True, help="such as ocean.parquet")
    parser.add_argument(
        "--variables",
        nargs="+",
        metavar="NAME[=NETCDF]",
        help="what to list, and its name in the files; by default all gridded variables",
    )
    parser.add_argument(
        "--units", nargs="+", default=[], metavar="NAME=UNIT", help="deliver in these units"
    )
    parser.add_argument(
        "--select",
        nargs="+",
        default=[],
        metavar="DIMENSION=PLACE",
        help="the nearest level (0.5), several (0.5,10,100), or positions (#0 or #0,#1)",
    )
    parser.add_argument(
        "--valid",
        nargs="+",
        default=[],
        metavar="VARIABLE=RULE",
        help="cells that count: LOW:HIGH, either left out for none; 3,4,5; names of flags, such "
        "as best_quality,good; or bits&MASK=VALUE",
    )
    parser.add_argument(
        "--day", help="of files without time: a date, or a regular expression with year, month, day"
    )
    parser.add_argument("--span", help="what a time step stands for: month, or days such as 8D")
    always = parser.add_mutually_exclusive_group()
    always.add_argument("--static", action="store_true", help="the files hold on every day")
    always.add_argument(
        "--cycle",
        choices=["month", "day_of_year"],
        help="a climatology: its steps serve every year",
    )
    parser.add_argument(
        "--steps",
        action="store_true",
        help="a day of --cycle month has its month's step, not one on the line between two",
    )
    parser.add_argument("--day-offset", type=int, default=0, metavar="DAYS")
    parser.add_argument("--priority", type=int, default=0, help="higher ones replace lower ones")
    parser.add_argument(
        "--update", action="store_true", help="open only what is new or has changed"
    )
    parser.add_argument(
        "--skip-errors", action="store_true", help="leave out files that cannot be listed"
    )
    add_storage_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Writes the catalogue.

    Returns:
        The exit status: 0, or 1 if files were left out.
    """
    files = Files(
        options.files,
        None if options.variables is None else dict(map(_variable, options.variables)),
        units=dict(_pair("--units", text) for text in options.units) or None,
        select={name: _level(text) for name, text in _pairs("--select", options.select)} or None,
        valid={name: _rule(text) for name, text in _pairs("--valid", options.valid)} or None,
        day=options.day,
        span=options.span,
        day_offset=options.day_offset,
        priority=options.priority,
        static=options.static,
        cycle=options.cycle,
        cycle_interpolate=not options.steps,
    )
    written = list_files(
        options.output,
        files,
        update=options.update,
        on_error="skip" if options.skip_errors else "raise",
        storage_options=storage_options(options),
        progress=True,
    )
    sys.stdout.write(
        f"{options.output}: {written.granules} granules of {written.files} files, "
        f"{written.opened} opened\n"
    )
    for warning in written.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    for reason in written.skipped[:_SHOWN]:
        sys.stderr.write(f"skipped: {reason}\n")
    if len(written.skipped) > _SHOWN:
        sys.stderr.write(f"skipped: {len(written.skipped) - _SHOWN} more\n")
    return 1 if written.skipped else 0


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise InvalidInputError(f"{option} takes NAME=VALUE, not {text!r}")
    return name, value


def _pairs(option: str, texts: list[str]) -> list[tuple[str, str]]:
    return [_pair(option, text) for text in texts]


def _variable(text: str) -> tuple[str, str]:
    name, _, netcdf = text.partition("=")
    return name, netcdf or name


def _level(text: str) -> Level:
    places = text.split(",")
    try:
        if all(place.startswith("#") for place in places):
            indices = [int(place[1:]) for place in places]
            return ("index", indices) if len(indices) > 1 else ("index", indices[0])
        values = [float(place) for place in places]
    except ValueError:
        raise InvalidInputError(f"--select takes numbers or positions (#0), not {text!r}") from None
    return values if len(values) > 1 else values[0]


def _rule(text: str) -> CellRule:
    try:
        if text.startswith("bits&"):
            mask, value = text.removeprefix("bits&").split("=")
            return ("bits", int(mask, 0), int(value, 0))
        if ":" in text:
            low, high = text.split(":")
            return (float(low) if low else None, float(high) if high else None)
        values = [value.strip() for value in text.split(",")]
        if all(map(str.isidentifier, values)):
            return set(values)
        return {float(value) for value in values}
    except ValueError:
        raise InvalidInputError(
            f"--valid takes LOW:HIGH, values 3,4,5, names of flags or bits&MASK=VALUE, not {text!r}"
        ) from None
