"""`write_sample_data`: a dataset and plain files of one small ocean."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require
from oceanarrow.progress import progress_bar
from oceanarrow.sample_data import plain
from oceanarrow.sample_data.about import readme
from oceanarrow.sample_data.download import download
from oceanarrow.sample_data.netcdf import Variable, write_netcdf
from oceanarrow.sample_data.ocean import Ocean
from oceanarrow.sample_data.orbit import Orbit, swot
from oceanarrow.sample_data.sea_level import (
    FIRST_DAY,
    REAL_DAYS,
    RealSeaLevel,
    SeaLevel,
    SyntheticSeaLevel,
)
from oceanarrow.sample_data.tiles import SOURCES, Day
from oceanarrow.taco import REGIONS, GranuleFile, write_taco

_SCALES = (1.0, 64.0)
_MOST_DAYS = 366


def write_sample_data(
    path: str | os.PathLike[str],
    *,
    synthetic: bool = False,
    start: Time | None = None,
    days: int = 4,
    scale: float = 4.0,
    sources: Iterable[str] | None = None,
    progress: bool = True,
) -> Path:
    """Writes a small ocean: a dataset as OceanTACO is published, and plain files of the same.

    `path/OceanTACO` is a TACO folder of all eight regions and eleven sources, in the published
    layouts, packings and chunks; `path/files` has the same ocean as data centres deliver theirs:
    daily global files, one of sixty days, a GHRSST-like one with quality levels and ice, a model's
    levels, a bathymetry and a climatology. `path/README.md` says what is real. Fields belong
    together: eddies of sea level are warm or cold, and currents flow around them.

    Args:
        path: a folder to make.
        synthetic: make sea level up. By default it is real (4 days of DUACS maps, 5 MB, downloaded
            with pip), and SWOT's orbit too.
        start: the first day; by default 2018-12-31, the first real one.
        days: how many.
        scale: how many times grids are coarsened: 1 has the published size (about 3 GB), 4 takes
            about 100 MB, 32 less than 15 MB.
        sources: those to write, such as `["l4_ssh"]`, and then no plain files; by default all.
        progress: show a bar on a terminal.

    Returns:
        `path`.

    Raises:
        ImportError: h5py or pyarrow is not installed; the extra `sample` brings them.
        InvalidInputError: an argument is wrong, `path` exists, or there is no real sea level of a
            day.
        NotFoundError: the download is impossible (also a FileNotFoundError).
    """
    target = Path(path)
    first = FIRST_DAY if start is None else date.fromisoformat(iso_day(utc_day(start)))
    wanted = _days(first, days)
    if not _SCALES[0] <= scale <= _SCALES[1]:
        raise InvalidInputError(f"scale must be 1 to 64, not {scale!r}")
    if not synthetic and not set(wanted) <= set(REAL_DAYS):
        raise InvalidInputError(
            f"real sea level is of {REAL_DAYS[0]} to {REAL_DAYS[-1]} only; other days need "
            "--synthetic (synthetic=True)"
        )
    if target.exists():
        raise InvalidInputError(f"{target} exists; remove it first or write elsewhere")
    chosen = _chosen(sources)
    for module in ("h5py", "pyarrow"):
        require(module, "sample data", "sample")
    source, orbit = _sea_level(synthetic)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        draft = Path(scratch) / "draft"
        total = len(wanted) * len(chosen) * len(REGIONS)
        if sources is None:
            total += 3 * len(wanted) + 3
        with progress_bar(total, "file", progress) as bar:
            ocean = Ocean(source, scale)
            written = []
            for made in _files(ocean, orbit, wanted, chosen, sources is None, scale, draft):
                if isinstance(made, GranuleFile):
                    written.append(made)
                if bar is not None:
                    bar.update()
        write_taco(draft / "OceanTACO", written, id="oceanarrow_sample_data")
        shutil.rmtree(draft / "tiles")
        (draft / "README.md").write_text(
            readme(synthetic, wanted, scale, None if sources is None else chosen)
        )
        draft.rename(target)
    return target


def _days(first: date, count: int) -> list[date]:
    if count not in range(1, _MOST_DAYS + 1):
        raise InvalidInputError(f"days must be 1 to {_MOST_DAYS}, not {count!r}")
    try:
        return [first + timedelta(days=n) for n in range(count)]
    except OverflowError:
        raise InvalidInputError(f"there are no {count} days from {first} on") from None


def _chosen(sources: Iterable[str] | None) -> list[str]:
    if isinstance(sources, str):
        raise InvalidInputError(f"sources must be a list of names, not the text {sources!r}")
    chosen = list(SOURCES) if sources is None else list(dict.fromkeys(sources))
    unknown = [name for name in chosen if name not in SOURCES]
    if unknown or not chosen:
        raise InvalidInputError(
            f"sources must be some of {', '.join(SOURCES)}, not {', '.join(unknown) or 'none'}"
        )
    return chosen


def _sea_level(synthetic: bool) -> tuple[SeaLevel, Orbit]:
    if synthetic:
        return SyntheticSeaLevel(), swot(None)
    real = download()
    return RealSeaLevel(real.maps), swot(real.ephemeris)


def _files(
    ocean: Ocean,
    orbit: Orbit,
    days: list[date],
    sources: list[str],
    with_plain: bool,
    scale: float,
    draft: Path,
) -> Iterator[GranuleFile | Path]:
    """Writes all files, one after another."""
    for each in days:
        day = Day(each, ocean.at(each), scale, orbit)
        for region in REGIONS:
            for source in sources:
                path = draft / "tiles" / f"{each:%Y%m%d}_{region}_{source}.nc"
                yield _tile(path, day, region, source, SOURCES[source](day, region))
        if with_plain:
            yield from plain.day_files(day, draft / "files")
    if with_plain:
        yield from plain.other_files(ocean, days[0], scale, draft / "files")


def _tile(
    path: Path, day: Day, region: str, source: str, content: dict[str, Variable]
) -> GranuleFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_netcdf(path, content, {"title": f"{source}, oceanarrow sample data"})
    lat, lon = (content[name].values for name in ("lat", "lon"))
    box = (float(lon.min()), float(lon.max()), float(lat.min()), float(lat.max()))
    step = math.nan if source == "argo" else float((box[3] - box[2]) / (lat.size - 1))
    return GranuleFile(day.date, region, source, path, bbox=box, res_deg_lat=step)
