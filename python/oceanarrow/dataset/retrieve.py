"""Whole files' variables in a tile or box, as xarray datasets of native cells.

In this module alone, `bbox` is `(lon_min, lat_min, lon_max, lat_max)`, degrees; `lon_min > lon_max`
crosses the antimeridian, as in a `Query`, and longitudes then run on from `lon_min`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from oceanarrow.cache_directory import CacheDirectory
from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.dataset.opened_dataset import (
    BBox,
    Granule,
    OpenedDataset,
    read_box,
)
from oceanarrow.dataset.query import Query
from oceanarrow.exceptions import InvalidInputError, UnsupportedError
from oceanarrow.optional import require
from oceanarrow.roots import StorageOptions, TacoPath

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = [
    "HF_DEFAULT_URL",
    "load_bbox_nc",
    "load_bbox_swot_nc",
    "load_hf_dataset",
    "load_multisource_time_series_nc",
    "load_region_product_nc",
    "load_tile_nc",
    "query_files",
]

HF_DEFAULT_URL = "https://huggingface.co/datasets/nilsleh/OceanTACO/resolve/main/"
"""Root of OceanTACO on the Hugging Face Hub; give it as `taco_path`."""


def load_hf_dataset(
    url: TacoPath = HF_DEFAULT_URL, *, storage_options: StorageOptions | None = None
) -> OpenedDataset:
    """Reads the catalogue of a dataset, which the other functions then need not read again.

    Args:
        url: the dataset's address; a path, or a list of them, as in `oceanarrow.Loader`, will do.
        storage_options: {name: value} for a remote dataset; see
            `docs/reference/storage_options.md`.

    Returns:
        The dataset, to be given as `dataset`. Its `catalog` has `days`, `regions` and `sources`.

    Raises:
        NotFoundError: there is no dataset (also a FileNotFoundError).
        AccessDeniedError: a server refuses access to it (also a PermissionError).
        TransientIoError: a server cannot be reached, or keeps failing (also an OSError).
        InvalidDatasetError: its metadata break the TACO specification (also a ValueError).
    """
    return OpenedDataset(url, storage_options)


def query_files(
    dataset: OpenedDataset | TacoPath,
    date: Time,
    bbox: tuple[float, float, float, float],
    needed_files: Iterable[str],
) -> pandas.DataFrame:
    """The files of a day whose regions share an area with a box.

    Args:
        dataset: what `load_hf_dataset` returns, or a path or address.
        date: the UTC day, such as `"2023-04-01"`.
        bbox: `(lon_min, lat_min, lon_max, lat_max)`, degrees; `lon_min > lon_max` crosses the
            antimeridian.
        needed_files: names of files, such as `{"l4_ssh.nc"}`, or of sources.

    Returns:
        A row for each file: `l2:id` (its name), `day`, `region`, `source`, `path`, and `offset`
        and `size` in bytes of one in an archive (else None). There may be none.

    Raises:
        ImportError: pandas, which xarray brings, is not installed.
        InvalidInputError: `date` is no date, `bbox` no box, or a file or source is unknown.
    """
    frames = require("pandas", "query_files", extra="xarray")
    opened = _opened(dataset)
    if isinstance(needed_files, str):
        raise InvalidInputError(f"needed_files must be names, not the text {needed_files!r}")
    files = set().union(*(opened.find_files(_name(needed)) for needed in needed_files))
    day = _day("date", date)
    found = opened.select(files, read_box(bbox), day, day)
    columns = ("day", "region", "source", "path", "offset", "size")
    rows = [{"l2:id": row["file"], **{name: row[name] for name in columns}} for row in found]
    table: pandas.DataFrame = frames.DataFrame(rows, columns=["l2:id", *columns])
    return table


def load_tile_nc(
    dataset: OpenedDataset | TacoPath,
    date: Time,
    tile: str,
    data_source: str,
    cache_dir: CacheDirectory = None,
) -> xarray.Dataset | None:
    """What a source has of a region and day.

    Args:
        dataset: what `load_hf_dataset` returns, or a path or address.
        date: the UTC day, such as `"2023-04-01"`.
        tile: the region, such as `"NORTH_ATLANTIC"`.
        data_source: the source or its file, such as `"l4_ssh"` or `"l4_ssh.nc"`.
        cache_dir: the directory of the disk cache, as in `oceanarrow.Loader`; None for none.

    Returns:
        None if there is no file. Otherwise the variables on 1-D latitude and longitude axes, under
        their names in the file, float32, NaN where invalid: `(lat, lon)`, with the day as `time`.
        Variables that `oceanarrow.variables()` knows are in its unit, others in the file's own; of
        files in an archive, only known ones are read. A variable whose axes are not those of the
        first has `lat_<name>` and `lon_<name>`. Profiles have the dimension `obs` (or
        `obs_<name>`) with `lat`, `lon`, `time` and the pressure, `PRES`, in dbar.

    Raises:
        ImportError: xarray is not installed.
        InvalidInputError: `date` is no date, or the tile or source is unknown.
        UnsupportedError: another region's files lie in the same place, or a file is not read.
        NotFoundError, CorruptGranuleError: a file is missing or damaged, or the files of a source
            do not hold the same variables.
        AccessDeniedError, TransientIoError: a server refuses, or keeps failing.
    """
    opened = _opened(dataset)
    box = _tile_box(opened, tile)
    day = _day("date", date)
    return _load(opened, data_source, box, (day, day), tile, False, cache_dir)


def load_region_product_nc(
    dataset: OpenedDataset | TacoPath,
    date: Time,
    region: str,
    data_source: str,
    cache_dir: CacheDirectory = None,
) -> xarray.Dataset | None:
    """What a source has of a region and day: `load_tile_nc` under another name.

    Args:
        dataset: what `load_hf_dataset` returns, or a path or address.
        date: the UTC day, such as `"2023-04-01"`.
        region: the region, such as `"NORTH_ATLANTIC"`.
        data_source: the source or its file, such as `"glorys"` or `"glorys.nc"`.
        cache_dir: the directory of the disk cache, as in `oceanarrow.Loader`; None for none.

    Returns:
        As `load_tile_nc`.

    Raises:
        As `load_tile_nc`.
    """
    return load_tile_nc(dataset, date, region, data_source, cache_dir)


def load_bbox_nc(
    dataset: OpenedDataset | TacoPath,
    date: Time,
    bbox: tuple[float, float, float, float],
    data_source: str,
    cache_dir: CacheDirectory = None,
) -> xarray.Dataset | None:
    """What a source has of a box and day, its tiles joined; chunks outside are not read.

    Args:
        dataset: what `load_hf_dataset` returns, or a path or address.
        date: the UTC day, such as `"2023-04-01"`.
        bbox: `(lon_min, lat_min, lon_max, lat_max)`, degrees; `lon_min > lon_max` crosses the
            antimeridian, and the longitudes returned run on from `lon_min`.
        data_source: the source or its file, such as `"l4_ssh"` or `"l4_ssh.nc"`.
        cache_dir: the directory of the disk cache, as in `oceanarrow.Loader`; None for none.

    Returns:
        The cells whose centres lie in the box, edges included, as `load_tile_nc` gives them; axes
        of no length if there are none. None if no file's region shares an area with the box.

    Raises:
        ImportError: xarray is not installed.
        InvalidInputError: `date` is no date, `bbox` no box, or the source is unknown.
        UnsupportedError, NotFoundError, CorruptGranuleError, AccessDeniedError, TransientIoError:
            as `load_tile_nc`.
    """
    day = _day("date", date)
    return _load(_opened(dataset), data_source, read_box(bbox), (day, day), None, False, cache_dir)


def load_bbox_swot_nc(
    dataset: OpenedDataset | TacoPath,
    date: Time,
    bbox: tuple[float, float, float, float],
    cache_dir: CacheDirectory = None,
) -> xarray.Dataset | None:
    """What SWOT (`l3_swot`) has of a box and day, without what is told for each track.

    Args:
        dataset: what `load_hf_dataset` returns, or a path or address.
        date: the UTC day, such as `"2023-04-01"`.
        bbox: `(lon_min, lat_min, lon_max, lat_max)`, degrees; see `load_bbox_nc`.
        cache_dir: the directory of the disk cache, as in `oceanarrow.Loader`; None for none.

    Returns:
        As `load_bbox_nc`.

    Raises:
        As `load_bbox_nc`.
    """
    return load_bbox_nc(dataset, date, bbox, "l3_swot", cache_dir)


def load_multisource_time_series_nc(
    dataset: OpenedDataset | TacoPath,
    data_sources: Iterable[str],
    date_start: Time,
    date_end: Time,
    *,
    tile: str | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    cache_dir: CacheDirectory = None,
) -> dict[str, xarray.Dataset | None]:
    """What sources have of a tile or box, the days of each stacked along `time`.

    Args:
        dataset: what `load_hf_dataset` returns, or a path or address.
        data_sources: sources or their files, such as `["l4_ssh", "glorys.nc"]`.
        date_start: the first UTC day.
        date_end: the last UTC day, included.
        tile: a region, such as `"NORTH_ATLANTIC"`; give this or `bbox`.
        bbox: `(lon_min, lat_min, lon_max, lat_max)`, degrees; see `load_bbox_nc`.
        cache_dir: the directory of the disk cache, as in `oceanarrow.Loader`; None for none.

    Returns:
        {source, as given but without `.nc`: dataset, or None if it has no file at all}. Datasets
        are as of `load_tile_nc`, gridded variables `(time, lat, lon)`; `time` has the days of
        which there is a file. Profiles of all the days follow each other along `obs`.

    Raises:
        ImportError: xarray is not installed.
        InvalidInputError: a time is no date, `date_end` lies before `date_start`, not exactly one
            of `tile` and `bbox` is given, or one of these or a source is wrong.
        UnsupportedError: a source's cells are not the same on all the days, or as `load_tile_nc`.
        NotFoundError, CorruptGranuleError, AccessDeniedError, TransientIoError: as `load_tile_nc`.
    """
    if isinstance(data_sources, str):
        raise InvalidInputError(
            f"data_sources must be a list of names, not the text {data_sources!r}"
        )
    first, last = _day("date_start", date_start), _day("date_end", date_end)
    if first > last:
        raise InvalidInputError(f"date_end {date_end} must not lie before date_start {date_start}")
    opened = _opened(dataset)
    if (tile is None) == (bbox is None):
        raise InvalidInputError("give exactly one of tile and bbox")
    box = read_box(bbox) if bbox is not None else _tile_box(opened, str(tile))
    sources = list(dict.fromkeys(_name(source).removesuffix(".nc") for source in data_sources))
    for source in sources:
        opened.find_files(source)
    return {
        source: _load(opened, source, box, (first, last), tile, True, cache_dir)
        for source in sources
    }


def _load(
    opened: OpenedDataset,
    data_source: str,
    box: BBox,
    days: tuple[int, int],
    tile: str | None,
    stacked: bool,
    cache_dir: CacheDirectory,
) -> xarray.Dataset | None:
    """The native cells of a source in a box, of one region only where a tile is named."""
    require("xarray", "retrieving a dataset", extra="xarray")
    from oceanarrow.dataset.native_cells import read_native

    files = opened.find_files(_name(data_source))
    granules = opened.select(files, box, *days)
    if tile is not None:
        granules = _of_tile(opened, granules, tile)
    if not granules:
        return None
    with_files = sorted({utc_day(granule["day"]) for granule in granules})
    return read_native(
        opened,
        Query(*box, iso_day(days[0]), iso_day(days[1])),
        with_files if stacked else None,
        opened.file_variables(granules),
        cache_dir,
    )


def _of_tile(opened: OpenedDataset, granules: list[Granule], tile: str) -> list[Granule]:
    """The granules of a region, if no other's lie in the same place: those would be joined."""
    own = [granule for granule in granules if granule["region"] == tile]
    others = [granule for granule in granules if granule["region"] != tile]
    if own and others:
        raise UnsupportedError(
            f"the region {others[0]['region']} overlaps the tile {tile}: read them together, with "
            f"bbox; file: {others[0]['path']}"
        )
    return own


def _opened(dataset: OpenedDataset | TacoPath) -> OpenedDataset:
    return dataset if isinstance(dataset, OpenedDataset) else OpenedDataset(dataset)


def _tile_box(opened: OpenedDataset, tile: str) -> BBox:
    """A region's box, within the poles."""
    west, east, south, north = opened.footprint(tile)
    return west, east, max(south, -90.0), min(north, 90.0)


def _name(data_source: object) -> str:
    if not isinstance(data_source, str) or not data_source.strip():
        raise InvalidInputError(f"a data source is a name such as 'l4_ssh', not {data_source!r}")
    return data_source.strip()


def _day(argument: str, time: Time) -> int:
    try:
        return utc_day(time)
    except InvalidInputError as error:
        raise InvalidInputError(f"{argument}: {error}") from error
