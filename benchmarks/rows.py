"""Benchmarks of rows: each is made in a process of its own, turn by turn, beside the others."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from options import add_common, printable
from report import footnote, write_json
from workloads import BBOX

#: By title, the labels of rows by their names; the first is what the others are compared with.
Tables = dict[str, dict[str, str]]


def rows_of(chosen: argparse.Namespace, script: str, rows: dict[str, str]) -> dict[str, list[dict]]:
    """What `script --row NAME` printed, turn by turn."""
    found: dict[str, list[dict]] = {name: [] for name in rows}
    for _ in range(chosen.repetitions):
        for name in rows:
            command = [sys.executable, script, "--row", name, "--samples", str(chosen.samples)]
            command += ["--cores", str(chosen.cores), "--bbox", *map(str, chosen.bbox)]
            for option in ("dataset", "first", "last"):
                if getattr(chosen, option):
                    command += [f"--{option}", getattr(chosen, option)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def run(
    script: str,
    about: str,
    example: str,
    tables: Tables,
    contend: Callable[[argparse.Namespace], None],
    measure: Callable[[argparse.Namespace, dict[str, str]], dict[str, list[dict]]],
    dataset_of: Callable[[argparse.Namespace], Path],
    *,
    samples: int,
) -> None:
    """The program: one row in this process, if it is asked for, else all tables and their file."""
    parser = argparse.ArgumentParser(
        description=about, epilog=example, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_common(parser, samples=samples, repetitions=5)
    names = [name for rows in tables.values() for name in rows]
    parser.add_argument("--row", choices=names, help=argparse.SUPPRESS)
    parser.set_defaults(bbox=list(BBOX))
    chosen = parser.parse_args()
    if chosen.row:
        contend(chosen)
        return
    dataset_of(chosen)
    found = {}
    for title, rows in tables.items():
        print(f"\n### {title}\n")
        found[title] = measure(chosen, rows)
    print("\n" + footnote(f"Medians of {chosen.repetitions} turns, {chosen.cores} cores."))
    results = chosen.results / f"{Path(script).stem}.json"
    write_json(results, {"options": printable(chosen), "tables": found})
