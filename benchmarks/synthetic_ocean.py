"""Synthetic datasets of many days in one region, for the benchmarks.

Only a few days are made; the others are copies of them under other names and with another time, so
that each day has files, pages and chunks of its own for every reader. Where only the size of the
catalog matters, days are hard links instead. One region holds data; the files of the others are
there, because a library may look into all of them.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import numpy as np
from tiles import REGION, TILES, set_day, write_tile

from oceanarrow.taco import REGIONS, GranuleFile, write_taco

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
    """A TACO folder with every source of `TILES` in all regions, and data in one.

    `shrink` makes its grids that much coarser.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        draft, made = Path(scratch) / "ocean", Path(scratch) / "tiles"
        _write_templates(made, min(DISTINCT, n_days), shrink)
        _write_catalog(draft, n_days, list(TILES), list(REGIONS))
        for index, day in enumerate(days(n_days)):
            for source, region in product(TILES, REGIONS):
                target = _place(draft, day, region, source)
                if region == REGION:
                    shutil.copyfile(made / f"{index % DISTINCT}_{source}.nc", target)
                    set_day(target, (day - EPOCH).days)
                else:
                    _link(made / f"{region}_{source}.nc", target)
        draft.rename(path)


def _write_templates(folder: Path, n_days: int, shrink: int) -> None:
    """The tiles of the distinct days, and of each region without data one for all days."""
    folder.mkdir()
    for number, (source, full) in enumerate(TILES.items()):
        tile = full.shrunk(shrink)
        for index in range(n_days):
            rng = np.random.default_rng([index, number])
            write_tile(folder / f"{index}_{source}.nc", tile, 0, rng)
        for region in REGIONS.keys() - {REGION}:
            write_tile(folder / f"{region}_{source}.nc", tile, 0, None, region)


def write_linked(path: Path, template: Path, n_days: int, sources: Sequence[str]) -> None:
    """A TACO folder of one region, its days hard links to the first days of another one."""
    _write_catalog(path, n_days, sources, [REGION])
    present = [d for d in days(DISTINCT) if _place(template, d, REGION, sources[0]).exists()]
    for index, day in enumerate(days(n_days)):
        for source in sources:
            original = _place(template, present[index % len(present)], REGION, source)
            _link(original, _place(path, day, REGION, source))


def days(n_days: int) -> list[date]:
    return [FIRST_DAY + timedelta(days=index) for index in range(n_days)]


def _place(root: Path, day: date, region: str, source: str) -> Path:
    return root / "DATA" / f"{day:%Y_%m_%d}" / region / f"{source}.nc"


def _link(original: Path, target: Path) -> None:
    target.unlink()
    os.link(original, target)


def _write_catalog(path: Path, n_days: int, sources: Sequence[str], regions: Sequence[str]) -> None:
    """A TACO folder with an empty file for every granule."""
    with tempfile.NamedTemporaryFile() as empty:
        granules = [
            GranuleFile(day, region, source, empty.name, res_deg_lat=90 / TILES[source].shape[0])
            for day, region, source in product(days(n_days), regions, sources)
        ]
        write_taco(path, granules, container="folder")
