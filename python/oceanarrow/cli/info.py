"""`oceanarrow info`: what there is in a dataset."""

from __future__ import annotations

import argparse
from typing import Any

from oceanarrow.cli.arguments import add_dataset, add_json, command, say, say_json
from oceanarrow.cli.storage_options import storage_options
from oceanarrow.dataset.days import iso_day
from oceanarrow.inventory.catalog import Catalog

_EXAMPLES = """\
  oceanarrow info ocean/OceanTACO
  oceanarrow info hf://datasets/nilsleh/OceanTACO --json
"""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "info",
        "say what there is in a dataset",
        "Says which days, regions and variables a dataset has, and what is odd about it. No data "
        "file is opened.",
        _EXAMPLES,
    )
    add_dataset(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints it."""
    catalog = Catalog(options.taco, storage_options=storage_options(options))
    if not options.json:
        say(catalog.describe())
        return
    days = catalog.days
    variables = {}
    for name, variable in catalog.variables.items():
        there = catalog.days_of(variable)
        variables[name] = {
            "source": variable.source,
            "unit": variable.unit,
            "geometry": variable.geometry,
            "days": int(there.size),
            "first": iso_day(int(there[0])),
            "last": iso_day(int(there[-1])),
        }
    say_json(
        {
            "granules": len(catalog),
            "days": None if days is None else days._asdict(),
            "regions": catalog.regions,
            "sources": catalog.sources,
            "variables": variables,
            "warnings": catalog.warnings,
        }
    )
