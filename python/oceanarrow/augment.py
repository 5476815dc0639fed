"""Augmentation as a part of the plan: boxes that move, patches that are flipped and turned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from oceanarrow.dataset.query import QueryArrays, widened
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.request import PatchShape, Rendering
from oceanarrow.roots import StorageOptions, TacoPath
from oceanarrow.window import Column, are_pairs

_MOST_SHIFT = (180.0, 90.0)


@dataclass(frozen=True)
class Augment:
    """What chance does to each query that is drawn: the same for any number of ranks, workers and
    threads, and after a resume, for it is drawn from the loader's seed, the epoch and the draw's
    place in the order alone.

    The row's `augmentation` says how its patches lie (bit 0: flipped in longitude, bit 1: in
    latitude, bits 2 and 3: quarter turns counter-clockwise on a map, after the flips); its
    `lon_min` and the like are the box that was read. `Batch.to_xarray` undoes flips and turns.

    Args:
        shift: degrees `(lon, lat)` that a box moves by at most, to either side; latitudes stay on
            the globe. One number is both.
        snap: a gridded variable of the dataset: boxes move by whole cells of its grid.
        flip_lon: half of the patches have east and west exchanged.
        flip_lat: half of them north and south. This changes the sign of Coriolis' force, and with
            it the sense of every eddy: not for models that are to know the hemisphere.
        rotate: they are turned by 0, 1, 2 or 3 quarters; only square ones are.
        vectors: pairs of an eastward and a northward component, `[("glorys_uo", "glorys_vo")]`,
            which change sign and place as their patches are flipped and turned. Both are rendered
            alike, and normalised by one standard deviation and a mean of 0, or not at all.

    Profiles are where they were measured, and are left as they are.

    Raises:
        InvalidInputError: a number is out of range, or nothing would be done.
    """

    shift: tuple[float, float] | float = (0.0, 0.0)
    snap: str | None = None
    flip_lon: bool = False
    flip_lat: bool = False
    rotate: bool = False
    vectors: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        for degrees, most in zip(self.degrees, _MOST_SHIFT, strict=True):
            if not 0.0 <= degrees <= most:
                raise InvalidInputError(
                    f"shift is at most 180 degrees of longitude and 90 of latitude, not "
                    f"{self.shift!r}"
                )
        moves = self.flip_lon or self.flip_lat or self.rotate
        if not moves and self.degrees == (0.0, 0.0):
            raise InvalidInputError("an Augment that neither shifts, flips nor turns does nothing")
        if self.snap is not None and self.degrees == (0.0, 0.0):
            raise InvalidInputError("snap is the grid that boxes are shifted on: give shift=")
        if not are_pairs(self.vectors):
            raise InvalidInputError(f"vectors must be pairs of variables, not {self.vectors!r}")

    @property
    def degrees(self) -> tuple[float, float]:
        """The most that a box moves by, longitude and latitude."""
        given = self.shift
        try:
            lon, lat = given if isinstance(given, Sequence) else (given, given)
            return float(lon), float(lat)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"shift must be degrees of longitude and latitude, not {given!r}"
            ) from error

    def plan(
        self,
        seed: int,
        columns: Sequence[Column],
        shapes: Sequence[PatchShape | None],
        rendering: Rendering,
        taco_path: TacoPath,
        storage_options: StorageOptions | None,
    ) -> dict[str, Any]:
        """What the engine needs to know of it.

        Raises:
            InvalidInputError: it cannot be done to these columns, or `snap` has no regular grid.
        """
        self._check_pixels(columns, shapes, rendering)
        cell = None
        if self.snap is not None:
            grid = Catalog(taco_path, storage_options=storage_options).grid(self.snap)
            cell = (grid.lon.step, grid.lat.step)
        return {
            "seed": seed,
            "shift": self.degrees,
            "cell": cell,
            "flip_lon": bool(self.flip_lon),
            "flip_lat": bool(self.flip_lat),
            "rotate": bool(self.rotate),
            "vectors": self._vectors(columns, shapes, rendering),
        }

    def widened(self, queries: QueryArrays) -> QueryArrays:
        """Boxes that hold all that may be read."""
        boxes, days = queries
        return widened(boxes, self.degrees), days

    def _check_pixels(
        self,
        columns: Sequence[Column],
        shapes: Sequence[PatchShape | None],
        rendering: Rendering,
    ) -> None:
        if not (self.flip_lon or self.flip_lat or self.rotate):
            return
        for column, shape, (rules, _) in zip(columns, shapes, rendering.of(columns), strict=True):
            if column.geometry == "points":
                continue
            if rules["grid"] == "crop":
                raise InvalidInputError(
                    f'{column.name!r} lies on its own cells (grid="crop"), whose latitudes and '
                    'longitudes are columns of the batch; flip and turn grid="exact"'
                )
            if self.rotate and shape is not None and shape[0] != shape[1]:
                raise InvalidInputError(
                    f"rotate turns square patches, and {column.name!r} has {shape[0]} x {shape[1]} "
                    "pixels"
                )

    def _vectors(
        self,
        columns: Sequence[Column],
        shapes: Sequence[PatchShape | None],
        rendering: Rendering,
    ) -> list[tuple[int, int]]:
        """The numbers of the columns of each pair."""
        rules = [own for own, _ in rendering.of(columns)]
        found: list[tuple[int, int]] = []
        for pair in self.vectors:
            numbers = [[i for i, c in enumerate(columns) if c.name == name] for name in pair]
            for name, those in zip(pair, numbers, strict=True):
                if not those or pair[0] == pair[1]:
                    raise InvalidInputError(
                        f"vectors names {name!r}, which is not among the columns asked for, or "
                        "names it twice"
                    )
            east, north = numbers
            together = [
                (i, j) for i in east for j in north if columns[i].tensor == columns[j].tensor
            ]
            if len(together) != max(len(east), len(north)) and len(east) == len(north) == 1:
                together = [(east[0], north[0])]
            if len(together) != len(east) or len(together) != len(north):
                raise InvalidInputError(
                    f"vectors of {pair[0]!r} and {pair[1]!r}: each tensor must have both or neither"
                )
            for i, j in together:
                self._check_pair(
                    (columns[i], columns[j]), (shapes[i], shapes[j]), (rules[i], rules[j])
                )
            found += together
        flat = [number for numbers in found for number in numbers]
        if len(flat) != len(set(flat)):
            raise InvalidInputError("vectors: a variable is a component of one vector only")
        return found

    def _check_pair(
        self,
        columns: tuple[Column, Column],
        shapes: tuple[PatchShape | None, PatchShape | None],
        rules: tuple[dict[str, Any], dict[str, Any]],
    ) -> None:
        u, v = columns
        what = f"vectors of {u.name!r} and {v.name!r}"
        if "points" in (u.geometry, v.geometry):
            raise InvalidInputError(f"{what}: both must be gridded; profiles have no pixels")
        neutral: dict[str, Any] = dict.fromkeys(("name", "of", "netcdf", "file", "source"), "")
        neutral |= {"where": None, "joint": (), "minus": None, "valid": ()}
        alike = replace(u, **neutral) == replace(v, **neutral) and shapes[0] == shapes[1]
        same = all(_equal(rules[0][key], rules[1][key]) for key in rules[0])
        if not alike or not same:
            raise InvalidInputError(
                f"{what}: a turn gives one the other's place, so that both must be rendered alike: "
                "the same days, levels, pixels, resample, min_support, fill_value and normalize"
            )
        moments = rules[0]["normalize"]
        if moments is not None and moments[0] != 0.0:
            raise InvalidInputError(
                f"{what}: normalize both with a mean of 0 and one standard deviation, so that a "
                "turn is a change of sign"
            )


def _equal(a: Any, b: Any) -> bool:
    nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    return nan or bool(a == b)
