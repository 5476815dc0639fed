"""A dataset whose catalogue has been read: which of its files lie where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from oceanarrow.dataset.days import iso_day
from oceanarrow.dataset.file_variables import gridded_variables
from oceanarrow.exceptions import InvalidInputError, UnsupportedError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.roots import StorageOptions, TacoPath, dataset_roots
from oceanarrow.variables import Variable, dataset_variables, variables

BBox = tuple[float, float, float, float]
Granule = Mapping[str, Any]
"""A row of `Catalog.granules()`."""

_TURNS = (-720.0, -360.0, 0.0, 360.0, 720.0)


class OpenedDataset:
    """A dataset whose catalogue has been read.

    Args:
        taco_path: the dataset, as in `oceanarrow.Loader`.
        storage_options: {name: value} for a remote dataset; see
            `docs/reference/storage_options.md`.

    Attributes:
        roots: its paths or addresses.
        catalog: what it holds.
        storage_options: as given.

    Raises:
        InvalidInputError: `taco_path` is an empty list.
        NotFoundError, InvalidDatasetError: there is no sound dataset.
        AccessDeniedError, TransientIoError: its server refuses, or cannot be reached.
    """

    def __init__(self, taco_path: TacoPath, storage_options: StorageOptions | None = None) -> None:
        self.roots = dataset_roots(taco_path)
        self.storage_options = storage_options
        self.catalog = Catalog(self.roots, storage_options=storage_options)

    def __repr__(self) -> str:
        days = self.catalog.days
        span = f"{days[0]} to {days[1]}" if days else "no days"
        return f"OpenedDataset({', '.join(self.roots)}: {len(self.catalog)} files, {span})"

    @cached_property
    def _by_day(self) -> dict[str, list[Granule]]:
        found: dict[str, list[Granule]] = {}
        for granule in self.catalog.granules():
            found.setdefault(granule["day"], []).append(granule)
        return found

    @cached_property
    def _files(self) -> dict[str, set[tuple[str, str]]]:
        """(source, file) of all granules, by each of their names: source, file, and its stem."""
        pairs = {(g["source"], g["file"]) for rows in self._by_day.values() for g in rows}
        in_files = [v for v in variables().values() if v.supply != "computed"]
        pairs |= {(variable.source, variable.file) for variable in in_files}
        found: dict[str, set[tuple[str, str]]] = {}
        for source, file in pairs:
            names = {source, f"{source}.nc"} | ({file, file.removesuffix(".nc")} if file else set())
            for name in names:
                found.setdefault(name, set()).add((source, file))
        return found

    def find_files(self, name: str) -> set[tuple[str, str]]:
        """The (source, file name) that the name of a source or of a file stands for.

        Raises:
            InvalidInputError: neither the dataset nor `oceanarrow.variables()` knows it.
        """
        if name not in self._files:
            raise InvalidInputError(
                f"unknown data source {name!r}; the dataset has {', '.join(self.catalog.sources)}"
            )
        return self._files[name]

    def footprint(self, region: str) -> BBox:
        """The box `(lon_min, lon_max, lat_min, lat_max)` of a region, degrees.

        Raises:
            InvalidInputError: there is no such region.
        """
        regions = self.catalog.regions
        if region not in regions:
            raise InvalidInputError(
                f"unknown tile {region!r}; the dataset has {', '.join(regions) or 'none'}"
            )
        return regions[region]

    def select(
        self, files: set[tuple[str, str]], box: BBox, first: int, last: int
    ) -> list[Granule]:
        """The granules of these (source, file name) whose regions share an area with a box.

        Args:
            files: pairs of `find_files`.
            box: `(lon_min, lon_max, lat_min, lat_max)`.
            first, last: days since 1970-01-01, both included.

        Returns:
            In the order of days, regions, sources and files.
        """
        near = {
            name for name, footprint in self.catalog.regions.items() if share_area(box, footprint)
        }
        return [
            granule
            for day in self._days(first, last)
            for granule in self._by_day[day]
            if granule["region"] in near and (granule["source"], granule["file"]) in files
        ]

    def _days(self, first: int, last: int) -> Iterable[str]:
        if last - first < len(self._by_day):
            return filter(self._by_day.__contains__, map(iso_day, range(first, last + 1)))
        return (day for day in sorted(self._by_day) if iso_day(first) <= day <= iso_day(last))

    def file_variables(self, granules: Iterable[Granule]) -> list[Variable]:
        """The variables of the files of granules, each under its name in the file.

        One file of each name is looked into: the first. Of a catalogue of `write_catalog`, it is
        the variables that it lists, under its names.

        Raises:
            UnsupportedError: a file has none that can be read.
        """
        known = dataset_variables(self.roots, self.storage_options)
        first: dict[tuple[str, str], Granule] = {}
        for granule in granules:
            first.setdefault((granule["source"], granule["file"]), granule)
        found: list[Variable] = []
        for (source, file), granule in first.items():
            registered = [v for v in known.values() if (v.source, v.file) == (source, file)]
            found += self._variables_of(granule, registered) if file else registered
        return found

    def _variables_of(self, granule: Granule, registered: list[Variable]) -> list[Variable]:
        # Where names differ by rules about quality only, the plain one says the unit.
        plain = {variable.netcdf: variable for variable in registered if not variable.valid}
        listed = gridded_variables(granule, self.storage_options) or {}
        units = {v.netcdf: v.unit for v in plain.values() if listed == {} or v.geometry == "points"}
        units |= {name: plain[name].unit if name in plain else listed[name] for name in listed}
        if not units:
            raise UnsupportedError(
                "no variable with latitudes and longitudes is known of the file; "
                f"oceanarrow.register_variable adds one; file: {granule['path']}"
            )
        return [
            Variable(
                netcdf,
                granule["source"],
                granule["file"],
                netcdf,
                unit,
                plain[netcdf].geometry if netcdf in plain else "grid",
            )
            for netcdf, unit in units.items()
        ]


def share_area(a: BBox, b: BBox) -> bool:
    """Whether two boxes share more than an edge, in whichever turn their longitudes are."""
    (a_west, a_east, a_south, a_north), (b_west, b_east, b_south, b_north) = a, b
    a_east += 360.0 * (a_east < a_west)
    b_east += 360.0 * (b_east < b_west)
    meets = any(max(a_west, b_west + turn) < min(a_east, b_east + turn) for turn in _TURNS)
    return meets and max(a_south, b_south) < min(a_north, b_north)


def read_box(bbox: BBox) -> BBox:
    """`(lon_min, lat_min, lon_max, lat_max)` as `(lon_min, lon_max, lat_min, lat_max)`.

    Raises:
        InvalidInputError: it is no such box.
    """
    wrong = InvalidInputError(
        "bbox must be (lon_min, lat_min, lon_max, lat_max) in degrees, with lat_min < lat_max and "
        f"-90..90; lon_min > lon_max crosses the antimeridian; not {bbox!r}"
    )
    try:
        west, south, east, north = bbox
        if any(isinstance(edge, (str, bytes)) for edge in bbox):
            raise wrong
        west, south, east, north = map(float, (west, south, east, north))
    except (TypeError, ValueError):
        raise wrong from None
    if not all(map(math.isfinite, (west, south, east, north))):
        raise wrong
    width = east - west + 360.0 * (east < west)
    if not (0 < width <= 360 and max(abs(west), abs(east)) <= 540):
        raise InvalidInputError(
            "bbox must be more than 0 and at most 360 degrees wide, its longitudes between -540 "
            f"and 540; the order is (lon_min, lat_min, lon_max, lat_max); not {bbox!r}"
        )
    if not -90 <= south < north <= 90:
        raise wrong
    return west, east, south, north
