"""Random boxes and days, many at once, of which those that are good are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.query import PatchSize
from oceanarrow.dataset.requirements import Boxes, Days
from oceanarrow.exceptions import InvalidInputError

Stratify = Literal["month", "region"]

_BLOCK = 1 << 18
"""Candidates drawn at once."""

_REGION = 90.0
"""The side of a region in degrees."""

Region = tuple[float, float, float, float]
Degrees = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stratum:
    """A part of the places and days that queries are drawn from.

    Attributes:
        region: where centres lie: west, east, south and north edge, degrees.
        days: the first days of windows.
    """

    region: Region
    days: npt.NDArray[np.int64]


def strata(stratify: Stratify | None, region: Region, days: npt.NDArray[np.int64]) -> list[Stratum]:
    """Calendar months, or regions of 90 degrees, as far as they are there; None: all in one.

    Raises:
        InvalidInputError: `stratify` is another word.
    """
    if stratify is None:
        return [Stratum(region, days)]
    if stratify == "month":
        month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
        return [Stratum(region, days[month == number]) for number in np.unique(month)]
    if stratify != "region":
        raise InvalidInputError(f'stratify must be "month", "region" or None, not {stratify!r}')
    west, east, south, north = region
    parts = []
    for lon in np.arange(-180, 180, _REGION):
        for lat in np.arange(-90, 90, _REGION):
            part = (
                max(west, float(lon)),
                min(east, float(lon + _REGION)),
                max(south, float(lat)),
                min(north, float(lat + _REGION)),
            )
            if part[0] < part[1] and part[2] < part[3]:
                parts.append(Stratum(part, days))
    return parts or [Stratum(region, days)]


def draw(
    strata: Sequence[Stratum],
    count: int,
    limit: int,
    place: Callable[[Degrees, Degrees], Boxes],
    window_days: int,
    area_uniform: bool,
    good: Callable[[Boxes, Days], npt.NDArray[np.bool_]],
    rng: np.random.Generator,
    bar: Any,
) -> tuple[Boxes, Days, int]:
    """`count` boxes and days that are good, as many of each stratum, in a random order; fewer where
    `limit` candidates do not yield them. Also how many candidates there were. `place` makes boxes
    of the longitudes and latitudes of their centres."""
    boxes, days, tried = [], [], 0
    for i, stratum in enumerate(strata):
        due = count * (i + 1) // len(strata) - count * i // len(strata)
        found = attempts = 0
        most = -(-limit // len(strata))
        while found < due and attempts < most:
            n = min(_BLOCK, most - attempts, max(1024, 2 * (due - found)))
            drawn = _candidates(stratum, n, place, window_days, area_uniform, rng)
            kept = np.flatnonzero(good(*drawn))[: due - found]
            boxes.append(drawn[0][kept])
            days.append(drawn[1][kept])
            found += kept.size
            # Those after the last one that was wanted were not looked at.
            attempts += n if found < due else int(kept[-1]) + 1 if kept.size else n
            if bar is not None:
                bar.update(kept.size)
        tried += attempts
    every = np.concatenate([np.empty((0, 4)), *boxes])
    order = rng.permutation(len(every))
    return every[order], np.concatenate([np.empty((0, 2), np.int32), *days])[order], tried


def centred(size: PatchSize, lons: Degrees, lats: Degrees) -> Boxes:
    """Boxes of that size around these centres, cut at the poles and the antimeridian."""
    width, height = size.to_degrees(lats)
    return np.column_stack(
        [
            np.maximum(-180.0, lons - width / 2),
            np.minimum(180.0, lons + width / 2),
            np.maximum(-90.0, lats - height / 2),
            np.minimum(90.0, lats + height / 2),
        ]
    )


def _candidates(
    stratum: Stratum,
    count: int,
    place: Callable[[Degrees, Degrees], Boxes],
    window_days: int,
    area_uniform: bool,
    rng: np.random.Generator,
) -> tuple[Boxes, Days]:
    west, east, south, north = stratum.region
    if area_uniform:
        # Bands of equal height of the sphere's axis have equal areas (Archimedes).
        low, high = np.sin(np.radians([south, north]))
        lats = np.degrees(np.arcsin(rng.uniform(low, high, count)))
    else:
        lats = rng.uniform(south, north, count)
    lons = rng.uniform(west, east, count)
    first = stratum.days[rng.integers(0, stratum.days.size, count)]
    return place(lons, lats), np.column_stack([first, first + window_days - 1]).astype(np.int32)
