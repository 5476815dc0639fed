"""Synthetic datasets of many days in one region, for the benchmarks.

Only a few days are made; the others are copies of them under other names and with another time, so
that each day has files, pages and chunks of its own for every reader. Where only the size of the
catalog matters, days are hard links instead.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from tiles import REGION, TILES, set_day, write_tile

from oceanarrow.taco import GranuleFile, write_taco

FIRST_DAY = date(2023, 4, 1)
DISTINCT = 4
EPOCH = date(1970, 1, 1)
DATA = Path(__file__).parent / "data"


def ocean(n_days: int) -> Path:
    """The dataset of all sources on so many days, about 18 MB a day; made if it is not there."""
    path = DATA / f"ocean_{n_days}_days"
    if not path.exists():
        print(f"Writing synthetic tiles to {path}", file=sys.stderr)
        write_ocean(path, n_days)
    return path


def write_ocean(path: Path, n_days: int, *, shrink: int = 1) -> None:
    """A TACO folder with every source of `TILES`; `shrink` makes its grids that much coarser."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        draft, made = Path(scratch) / "ocean", Path(scratch) / "tiles"
        made.mkdir()
        for index in range(min(DISTINCT, n_days)):
            for number, (source, tile) in enumerate(TILES.items()):
                rng = np.random.default_rng([index, number])
                write_tile(made / f"{index}_{source}.nc", tile.shrunk(shrink), 0, rng)
        _write_catalog(draft, n_days, TILES)
        for index, day in enumerate(days(n_days)):
            for source in TILES:
                target = _place(draft, day, source)
                shutil.copyfile(made / f"{index % DISTINCT}_{source}.nc", target)
                set_day(target, (day - EPOCH).days)
        draft.rename(path)


def write_linked(path: Path, template: Path, n_days: int, sources: Sequence[str]) -> None:
    """A TACO folder whose days are hard links to the first days of another one of this module."""
    _write_catalog(path, n_days, sources)
    present = [day for day in days(DISTINCT) if _place(template, day, sources[0]).exists()]
    for index, day in enumerate(days(n_days)):
        for source in sources:
            target = _place(path, day, source)
            target.unlink()
            os.link(_place(template, present[index % len(present)], source), target)


def days(n_days: int) -> list[date]:
    return [FIRST_DAY + timedelta(days=index) for index in range(n_days)]


def _place(root: Path, day: date, source: str) -> Path:
    return root / "DATA" / f"{day:%Y_%m_%d}" / REGION / f"{source}.nc"


def _write_catalog(path: Path, n_days: int, sources: Sequence[str] | dict) -> None:
    """A TACO folder with an empty file for every granule."""
    with tempfile.NamedTemporaryFile() as empty:
        granules = [
            GranuleFile(day, REGION, source, empty.name)
            for day in days(n_days)
            for source in sources
        ]
        write_taco(path, granules, container="folder")
