"""Random queries to train on, and a grid of queries to evaluate on."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset import query_files
from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.dataset.drawing import Stratify, centred, draw, strata
from oceanarrow.dataset.overlap import OverlapIndex
from oceanarrow.dataset.query import PatchSize, Query, query_arrays
from oceanarrow.dataset.regular_grid import RegularGrid
from oceanarrow.dataset.requirements import Boxes, Days, Requirements, as_catalog, as_coverage
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.inventory.coverage import Coverage
from oceanarrow.land import LandMask
from oceanarrow.progress import progress_bar
from oceanarrow.roots import TacoPath
from oceanarrow.window import Window

BBox = tuple[float, float, float, float]
"""`(lon_min, lon_max, lat_min, lat_max)`, degrees."""

_MAX_BATCH = 1000
_EDGE_TOLERANCE = 0.001


class QueryGenerator:
    """Chooses queries; the same arguments and seed give the same queries, to the last bit.

    Attributes:
        land_mask: the mask that keeps patches off land, or None.
        catalog: what there is, or None.
        coverage: how much of it is valid, or None.
    """

    def __init__(
        self,
        land_mask_path: str | os.PathLike[str] | None = None,
        *,
        catalog: Catalog | TacoPath | None = None,
        coverage: Coverage | str | os.PathLike[str] | None = None,
    ) -> None:
        """A generator without land mask, with a `.npy` mask, or with `"builtin"`, the shipped one.

        Where there is no file at `land_mask_path`, the shipped mask is written there and used.

        Args:
            land_mask_path: the land mask.
            catalog: a dataset, for `require=` and `windows=`.
            coverage: what `oceanarrow.coverage` counted, or its file, for `min_valid=`.

        Raises:
            InvalidInputError: the file is no (720, 1440) bool array.
            NotFoundError, InvalidDatasetError: `catalog` is no dataset, `coverage` no coverage.
        """
        self.land_mask: LandMask | None = None
        if land_mask_path == "builtin":
            self.land_mask = LandMask.builtin()
        elif land_mask_path is not None:
            self.land_mask = LandMask.from_npy(land_mask_path)
        self.catalog = as_catalog(catalog)
        self.coverage = as_coverage(coverage)

    def generate_training_queries(
        self,
        n_queries: int,
        patch_size: PatchSize | float,
        date_range: tuple[Time, Time],
        bbox_constraint: BBox = (-180, 180, -60, 60),
        time_window_days: int = 1,
        max_land_fraction: float = 0.3,
        seed: int = 42,
        oversample_factor: float = 2.0,
        verbose: bool = True,
        max_spatial_overlap: float = 1.0,
        *,
        require: Iterable[str] = (),
        min_valid: Mapping[str, float] | None = None,
        windows: Iterable[Window] = (),
        area_uniform: bool = False,
        stratify: Stratify | None = None,
        snap: str | None = None,
    ) -> list[Query]:
        """Patches at random places and days, centred in `bbox_constraint` (and cut at the poles
        and the antimeridian).

        With none of the keyword-only arguments, they are those of the documented library, to the
        last bit. With any of them, candidates are drawn and checked many at once, in another order.

        Args:
            n_queries: how many.
            patch_size: side of a patch; a plain number is degrees.
            date_range: first and last day; every window lies within.
            bbox_constraint: where centres may lie, `(lon_min, lon_max, lat_min, lat_max)`.
            time_window_days: days in a window.
            max_land_fraction: patches with more land are rejected; needs a land mask.
            seed: of `numpy.random.default_rng`.
            oversample_factor: gives up after `10 * int(n_queries * oversample_factor)` candidates.
            verbose: say what happens; a progress bar on terminals, if tqdm is installed.
            max_spatial_overlap: patches whose intersection over union with an accepted patch on
                a common day is larger are rejected; 1 accepts all.
            require: variables (or windows, by name) of which a file must exist in the box on a day
                of the window; needs `catalog`.
            min_valid: {variable: share} of valid cells that the box must have at least, over the
                days of the window that have a file; needs `coverage`.
            windows: variables on other days, which must lie inside the days that exist; needs
                `catalog`.
            area_uniform: places are uniform on the sphere, not in latitude.
            stratify: as many queries of each calendar month, or of each region of 90 degrees.
            snap: a gridded variable; needs `catalog`. Boxes reach from one centre of its cells to
                another, so that `PatchSize(64, "cells")` with a patch size of (64, 64) renders the
                file's own values; sizes in degrees or kilometres become the nearest whole number of
                cells. They cross the antimeridian where the cells do, and are moved away from the
                poles rather than cut.

        Returns:
            `n_queries` queries; fewer, with a `UserWarning`, if too many were rejected.

        Raises:
            InvalidInputError: an argument is wrong, or the range holds no whole window; or what
                `require`, `min_valid` or `windows` ask for is not known.
        """
        _check_count("n_queries", n_queries, minimum=0)
        size = _patch_size(patch_size)
        grid = self._grid(snap, size)
        region = _training_region(bbox_constraint)
        days = _start_days(date_range, time_window_days)
        _check_fraction("max_land_fraction", max_land_fraction)
        _check_fraction("max_spatial_overlap", max_spatial_overlap)
        limit = 10 * int(n_queries * oversample_factor)
        rng = np.random.default_rng(seed)
        wanted = Requirements.of(self.catalog, self.coverage, require, min_valid, windows)
        parts = strata(stratify, region, _within(wanted, days, time_window_days))
        if verbose:
            print(f"Generating {n_queries} training queries...")
        with progress_bar(n_queries, "query", shown=verbose) as bar:
            if not wanted and not area_uniform and stratify is None and grid is None:
                candidates = _Candidates(region, size, days, rng)
                fits = self._acceptance(max_land_fraction, time_window_days, max_spatial_overlap)
                accepted: Iterable[tuple[Any, int]]
                accepted, tried = _accept(candidates, fits, n_queries, limit, bar)
            else:
                good = self._goodness(
                    wanted, max_land_fraction, time_window_days, max_spatial_overlap
                )
                place = partial(centred if grid is None else grid.around, size)
                boxes, spans, tried = draw(
                    parts, n_queries, limit, place, time_window_days, area_uniform, good, rng, bar
                )
                accepted = zip(boxes.tolist(), spans[:, 0].tolist(), strict=True)
        queries = [_query(bbox, day, time_window_days) for bbox, day in accepted]
        if verbose:
            print(f"Generated {len(queries)} queries from {tried} candidates")
        if len(queries) < n_queries:
            warnings.warn(
                f"only {len(queries)} of {n_queries} queries found in {tried} candidates; allow "
                "more land or overlap, ask for less, widen the region or the dates, or raise "
                "oversample_factor",
                stacklevel=2,
            )
        return queries

    def generate_eval_queries(
        self,
        bbox: BBox,
        patch_size: PatchSize | float,
        date_range: tuple[Time, Time],
        spatial_overlap: float = 0.0,
        temporal_stride_days: int = 1,
        time_window_days: int = 1,
        max_land_fraction: float = 0.5,
        verbose: bool = True,
        *,
        require: Iterable[str] = (),
        min_valid: Mapping[str, float] | None = None,
        windows: Iterable[Window] = (),
        snap: str | None = None,
    ) -> list[Query]:
        """Patches on a grid that covers `bbox`, repeated in time, sorted by their first day.

        Args:
            bbox: what to cover, `(lon_min, lon_max, lat_min, lat_max)`.
            patch_size: side of a patch; a plain number is degrees.
            date_range: first and last day; every window lies within.
            spatial_overlap: share of its side a patch has in common with the next, 0 to below 1.
            temporal_stride_days: days from one window's start to the next one's.
            time_window_days: days in a window.
            max_land_fraction: patches with more land are left out; needs a land mask.
            verbose: say what happens.
            require, min_valid, windows: as of `generate_training_queries`; patches that lack it are
                left out.
            snap: as of `generate_training_queries`; patches side by side share no cell, and all
                have as many cells as one at the middle latitude.

        Raises:
            InvalidInputError: as `generate_training_queries`.
        """
        wanted = Requirements.of(self.catalog, self.coverage, require, min_valid, windows)
        size = _patch_size(patch_size)
        (west, south), (east, north) = _corners("bbox", bbox)
        if west == east or south == north:
            raise InvalidInputError(f"bbox has no area: {bbox!r}")
        _check_fraction("max_land_fraction", max_land_fraction)
        if not 0.0 <= spatial_overlap < 1.0:
            raise InvalidInputError(f"spatial_overlap must be in [0, 1), not {spatial_overlap}")
        _check_count("temporal_stride_days", temporal_stride_days, minimum=1)
        days = _start_days(date_range, time_window_days)
        days = _within(wanted, days, time_window_days)[::temporal_stride_days]
        region = (west, east, south, north)
        grid = self._grid(snap, size)
        if grid is None:
            lons, lats, patches = _patches(region, size, spatial_overlap)
        else:
            lons, lats, patches = _snapped(grid, region, size, spatial_overlap)
        total = lons * lats * len(days)
        if verbose:
            print(f"Generating eval grid: {lons}x{lats}x{len(days)} = {total} candidates")
        if total == 0:
            told = _told(size, (south + north) / 2)
            warnings.warn(f"no patch of {told} fits into bbox {bbox}", stacklevel=2)
        queries = []
        for patch in patches:
            if self._is_ocean(patch, max_land_fraction):
                queries += [_query(patch, int(day), time_window_days) for day in days]
        if queries:
            met = wanted.met(*query_arrays(queries)).tolist()
            queries = [query for query, good in zip(queries, met, strict=True) if good]
        queries.sort(key=lambda query: str(query.time_start))
        if verbose:
            print(f"Generated {len(queries)} valid eval queries")
        return queries

    @staticmethod
    def save_queries(
        queries: Sequence[Query],
        path: str | os.PathLike[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes `<path>.parquet` (six columns, times as text) and `<path>.json`.

        The JSON holds `n_queries` and `generated_at`, then `metadata`. Needs pyarrow.
        """
        query_files.save(queries, path, metadata)
        print(f"Saved {len(queries)} queries to {os.fspath(path)}")

    @staticmethod
    def load_queries(path: str | os.PathLike[str]) -> tuple[list[Query], dict[str, Any]]:
        """The queries of `<path>.parquet` and the metadata of `<path>.json` ({} without one).

        Raises:
            NotFoundError: there is no such Parquet file.
            InvalidInputError: a file is broken, or its columns are not a query's.
        """
        return query_files.load(path)

    def _grid(self, snap: str | None, size: PatchSize) -> RegularGrid | None:
        """The grid that boxes are snapped to."""
        if snap is None:
            if size.unit == "cells":
                raise InvalidInputError(
                    f"a patch of {size.value:g} cells needs snap=, the variable that has them"
                )
            return None
        if self.catalog is None:
            raise InvalidInputError(
                "snap needs to know the grid: QueryGenerator(..., catalog=dataset)"
            )
        return self.catalog.grid(snap)

    def _acceptance(
        self, max_land_fraction: float, window_days: int, max_overlap: float
    ) -> Callable[[BBox, int], bool]:
        """Whether to accept a patch and start day, given what was accepted before."""
        overlap = OverlapIndex(window_days, max_overlap)

        def fits(bbox: BBox, day: int) -> bool:
            if not self._is_ocean(bbox, max_land_fraction):
                return False
            if max_overlap < 1.0:
                if overlap.rejects(bbox, day):
                    return False
                overlap.add(bbox, day)
            return True

        return fits

    def _goodness(
        self, wanted: Requirements, max_land_fraction: float, window_days: int, max_overlap: float
    ) -> Callable[[Boxes, Days], npt.NDArray[np.bool_]]:
        """Which candidates to accept, given what was accepted before."""
        overlap = OverlapIndex(window_days, max_overlap)

        def good(boxes: Boxes, days: Days) -> npt.NDArray[np.bool_]:
            kept = np.ones(len(boxes), bool)
            if self.land_mask is not None:
                kept = self.land_mask.land_fractions(boxes) <= max_land_fraction
            left = np.flatnonzero(kept)
            kept[left] = wanted.met(boxes[left], days[left])
            if max_overlap < 1.0:
                for i in np.flatnonzero(kept).tolist():
                    box, day = tuple(boxes[i].tolist()), int(days[i, 0])
                    kept[i] = not overlap.rejects(box, day)
                    if kept[i]:
                        overlap.add(box, day)
            return kept

        return good

    def _is_ocean(self, bbox: BBox, max_land_fraction: float) -> bool:
        return self.land_mask is None or self.land_mask.is_ocean(bbox, max_land_fraction)


@dataclass(frozen=True)
class _Candidates:
    """Random patches and start days, drawn by the batch."""

    region: BBox
    size: PatchSize
    days: npt.NDArray[np.int64]
    rng: np.random.Generator

    def draw(self, count: int) -> Iterator[tuple[BBox, int]]:
        """`count` candidates; all random numbers are drawn at once, in a fixed order."""
        west, east, south, north = self.region
        lats = self.rng.uniform(south, north, count)
        lons = self.rng.uniform(west, east, count)
        days = self.days[self.rng.integers(0, len(self.days), count)]
        for lon, lat, day in zip(lons.tolist(), lats.tolist(), days.tolist(), strict=True):
            yield _patch(lon, lat, self.size), day


def _accept(
    candidates: _Candidates,
    fits: Callable[[BBox, int], bool],
    count: int,
    limit: int,
    bar: Any,
) -> tuple[list[tuple[BBox, int]], int]:
    """The first `count` candidates that fit, and how many were tried; a batch is begun only
    below `limit` tried."""
    accepted: list[tuple[BBox, int]] = []
    tried = 0
    while len(accepted) < count and tried < limit:
        before = len(accepted)
        for bbox, day in candidates.draw(min(_MAX_BATCH, 2 * (count - before))):
            tried += 1
            if fits(bbox, day):
                accepted.append((bbox, day))
                if len(accepted) == count:
                    break
        if bar is not None:
            bar.update(len(accepted) - before)
    return accepted, tried


def _patch(lon: float, lat: float, size: PatchSize) -> BBox:
    """The patch centred there, cut at the poles and the antimeridian."""
    width, height = size.to_degrees(lat)
    return (
        float(max(-180.0, lon - width / 2)),
        float(min(180.0, lon + width / 2)),
        float(max(-90.0, lat - height / 2)),
        float(min(90.0, lat + height / 2)),
    )


def _query(bbox: BBox, start: int, window_days: int) -> Query:
    return Query(*bbox, time_start=iso_day(start), time_end=iso_day(start + window_days - 1))


def _patches(region: BBox, size: PatchSize, overlap: float) -> tuple[int, int, Iterator[BBox]]:
    """How many columns and rows of patches cover a region, and the patches, column by column."""
    west, east, south, north = region
    lon_size, lat_size = size.to_degrees((south + north) / 2)
    lons = _grid_starts(west, east, lon_size, overlap)
    lats = _grid_starts(south, north, lat_size, overlap)

    def patch(lon: float, lat: float) -> BBox:
        width, height = size.to_degrees(float(lat + lat_size / 2))
        return (float(lon), float(lon + width), float(lat), float(lat + height))

    return len(lons), len(lats), (patch(lon, lat) for lon in lons for lat in lats)


def _snapped(
    grid: RegularGrid, region: BBox, size: PatchSize, overlap: float
) -> tuple[int, int, Iterator[BBox]]:
    """The same of patches of whole cells."""
    west, east, south, north = region
    columns, rows = (int(cells) for cells in grid.cells(size, (south + north) / 2))
    lons = grid.starts(grid.lon, west, east, columns, overlap)
    lats = grid.starts(grid.lat, south, north, rows, overlap)
    at = np.meshgrid(lons, lats, indexing="ij")
    boxes = grid.boxes(np.array(columns), np.array(rows), at[0].ravel(), at[1].ravel())
    return len(lons), len(lats), (tuple(box) for box in boxes.tolist())


def _told(size: PatchSize, lat: float) -> str:
    if size.unit == "cells":
        return f"{size.value:g} x {size.value:g} cells"
    width, height = size.to_degrees(lat)
    return f"{width:g} x {height:g} degrees"


def _grid_starts(low: float, high: float, size: float, overlap: float) -> npt.NDArray[np.float64]:
    """Where patches begin so that they cover `low..high`; the last one may be moved inwards."""
    starts = np.arange(low, high - size + _EDGE_TOLERANCE, size * (1 - overlap), dtype=np.float64)
    if len(starts) and starts[-1] + size < high - _EDGE_TOLERANCE:
        starts = np.append(starts, high - size)
    return starts


def _start_days(date_range: tuple[Time, Time], window_days: int) -> npt.NDArray[np.int64]:
    """The days a whole window can start on, since 1970-01-01."""
    _check_count("time_window_days", window_days, minimum=1)
    try:
        first, last = date_range
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"date_range must be (first day, last day), not {date_range!r}"
        ) from error
    days = np.arange(utc_day(first), utc_day(last) + 2 - window_days)
    if not len(days):
        raise InvalidInputError(
            f"Date range too short for time window: no {window_days} days in {first}..{last}"
        )
    return days


def _within(
    wanted: Requirements, days: npt.NDArray[np.int64], window_days: int
) -> npt.NDArray[np.int64]:
    """The days on which all windows lie inside the days that exist."""
    inside = wanted.starts(days, window_days)
    if not inside.size:
        raise InvalidInputError(
            "no day of date_range has all of windows inside the days that exist; "
            "shorten the windows, or widen date_range"
        )
    return inside


def _patch_size(patch_size: PatchSize | float) -> PatchSize:
    return patch_size if isinstance(patch_size, PatchSize) else PatchSize(patch_size, "deg")


def _corners(name: str, bbox: BBox) -> tuple[tuple[float, float], tuple[float, float]]:
    """South-west and north-east (lon, lat)."""
    try:
        lon_min, lon_max, lat_min, lat_max = bbox
        finite = all(math.isfinite(edge) for edge in bbox)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{name} must be (lon_min, lon_max, lat_min, lat_max), not {bbox!r}"
        ) from error
    if not finite or lon_min > lon_max or not -90.0 <= lat_min <= lat_max <= 90.0:
        raise InvalidInputError(
            f"{name} must be (lon_min, lon_max, lat_min, lat_max) with lon_min <= lon_max and "
            f"-90 <= lat_min <= lat_max <= 90, not {bbox!r}"
        )
    return (lon_min, lat_min), (lon_max, lat_max)


def _training_region(bbox: BBox) -> BBox:
    (west, south), (east, north) = _corners("bbox_constraint", bbox)
    if west < -180.0 or east > 180.0:
        raise InvalidInputError(
            f"bbox_constraint must lie within -180..180, not {bbox!r}: patches are cut at the "
            "antimeridian; call once for each side of it"
        )
    return west, east, south, north


def _check_count(name: str, value: int, minimum: int) -> None:
    check: object = value
    if not isinstance(check, (int, np.integer)) or isinstance(check, bool) or check < minimum:
        raise InvalidInputError(f"{name} must be a whole number >= {minimum}, not {value!r}")


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise InvalidInputError(f"{name} must be between 0 and 1, not {value!r}")
