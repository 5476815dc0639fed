"""`Files`: NetCDF files that a catalogue lists by the same rules."""

from __future__ import annotations

import glob
import operator
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.variables import CellRule, Supply, ValidRules, check_name, valid_rules

Level = float | tuple[str, int] | Sequence[float] | tuple[str, Sequence[int]]
"""Places along a further dimension; see `Files`."""

SelectedLevels = tuple[tuple[str, bool, bool, tuple[float, ...]], ...]
"""Dimension, whether a list was asked for, whether by position, and where, each."""

_EPOCH = date(1970, 1, 1).toordinal()
_DATE_GROUPS = ("year", "month", "day")


@dataclass(frozen=True)
class Files:
    """NetCDF files that hold the same variables, for `write_catalog`.

    Files may be daily or hold many days or several times a day, cover the globe or a part of it on
    -180..180 or 0..360 degrees, and differ in grid and packing from one another.

    Args:
        paths: a glob (`**` matches folders), a path, or a list of these and of addresses
            (`https://`, `s3://`, `gs://`, `az://`, `hf://`), which are listed one by one.
        variables: {name: NetCDF variable}; a name has letters, digits and underscores. None takes
            every variable on 1-D latitude and longitude axes, under its own name.
        units: {name: unit} to deliver a variable in; by default the first file's own.
        select: {dimension: place} for dimensions besides latitude, longitude and time. A number is
            the nearest level, no further than half a step away, in the file's unit; `("index", 0)`
            is by position. A list of either keeps the levels: patches are then (Z, H, W), or
            (T, Z, H, W) where days are stacked.
        valid: {quality variable: rule}: a cell counts only where that variable of the same file, at
            the same cell, obeys; see `register_variable`. One without time, or without the levels,
            is about all of them.
        day: the day of files of one time step, or without time: a date, or a regular expression
            with the groups `year`, `month` and `day`, looked for in the file's name, then in its
            whole path. Where the file has its own times, they count unless this is given.
        span: what a step stands for where the file has no bounds of its time: `"8D"` for eight days
            from its stamp on, `"month"` for the month. It serves each of those days. By default a
            step stands for its day; steps of one day are averaged.
        static: they hold on every day (bathymetry, mean dynamic topography): patches are always
            (H, W). Of several time steps, `day` says which.
        cycle: they hold every year: the twelve months (`"month"`) or the 365 or 366 days
            (`"day_of_year"`) of a climatology, as time steps of a file, or in a file each, of which
            the time or `day` tells the place. Without a 366th day the 365th serves.
        cycle_interpolate: months stand in their middle, and the days between two lie on a line; or,
            if False, each day takes its month's.
        day_offset: days added to the stamps, such as -1 for stamps at the end of their day.
        priority: of one variable and day, only files of the highest priority count, such as
            reprocessed ones before near-real-time ones.

    Raises:
        InvalidInputError: an argument is wrong.
    """

    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    variables: Mapping[str, str] | None = None
    units: Mapping[str, str] | None = field(default=None, kw_only=True)
    select: Mapping[str, Level] | None = field(default=None, kw_only=True)
    valid: Mapping[str, CellRule] | None = field(default=None, kw_only=True)
    day: date | str | None = field(default=None, kw_only=True)
    span: str | None = field(default=None, kw_only=True)
    static: bool = field(default=False, kw_only=True)
    cycle: Literal["month", "day_of_year"] | None = field(default=None, kw_only=True)
    cycle_interpolate: bool = field(default=True, kw_only=True)
    day_offset: int = field(default=0, kw_only=True)
    priority: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        for name in self.variables or ():
            check_name(name)
        if self.variables is not None and not self.variables:
            raise InvalidInputError("variables is empty; leave it out to list all variables")
        strange = sorted(set(self.units or ()) - set(self.variables or self.units or ()))
        if strange:
            raise InvalidInputError(f"units names {', '.join(strange)}, which is no variable here")
        for argument in ("day_offset", "priority"):
            value = getattr(self, argument)
            if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**31:
                raise InvalidInputError(f"{argument} must be a whole number, not {value!r}")
        # Said here, where the argument is given.
        self.levels()
        self.rules()
        self.span_days()
        self.day_of(Path("x"), check_only=True)
        if self.supply() != "daily" and (self.span is not None or self.day_offset):
            raise InvalidInputError(
                "span and day_offset are for files of days, not static or cycle"
            )

    def levels(self) -> SelectedLevels:
        """What is selected of further dimensions."""
        found = tuple((name, *_level(name, place)) for name, place in (self.select or {}).items())
        if sum(listed for _, listed, _, _ in found) > 1:
            raise InvalidInputError("select may have a list for one dimension only")
        return found

    def rules(self) -> ValidRules:
        """The rules of quality variables."""
        return valid_rules(self.valid or {})

    def supply(self) -> Supply:
        """On which days the files hold."""
        if self.cycle not in (None, "month", "day_of_year"):
            raise InvalidInputError(f'cycle must be "month" or "day_of_year", not {self.cycle!r}')
        if self.static and self.cycle is not None:
            raise InvalidInputError("files are static or of a cycle, not both")
        if self.static:
            return "static"
        if self.cycle == "month":
            return "month" if self.cycle_interpolate else "month_steps"
        return self.cycle or "daily"

    def span_days(self) -> int | None:
        """The days that a step stands for; 0 is its month."""
        if self.span is None:
            return None
        if self.span == "month":
            return 0
        found = re.fullmatch(r"([1-9][0-9]{0,3})D", self.span)
        if found is None:
            raise InvalidInputError(f'span must be "month" or days such as "8D", not {self.span!r}')
        return int(found[1])

    def day_of(self, path: PurePosixPath | Path, *, check_only: bool = False) -> int | None:
        """The day of a file, since 1970-01-01, as its name or `day` tells it.

        Raises:
            InvalidInputError: `day` is no date and no such expression, or does not fit the name.
        """
        if self.day is None:
            return None
        if isinstance(self.day, date):
            return self.day.toordinal() - _EPOCH
        try:
            return date.fromisoformat(self.day).toordinal() - _EPOCH
        except (TypeError, ValueError):
            pass
        try:
            pattern = re.compile(self.day)
        except (TypeError, re.error) as error:
            raise InvalidInputError(
                f"day must be a date or a regular expression, not {self.day!r}: {error}"
            ) from None
        if not set(_DATE_GROUPS) <= set(pattern.groupindex):
            raise InvalidInputError(
                f"day must be a date or have the groups year, month and day, such as "
                f'r"(?P<year>\\d{{4}})(?P<month>\\d{{2}})(?P<day>\\d{{2}})", not {self.day!r}'
            )
        if check_only:
            return None
        found = pattern.search(path.name) or pattern.search(path.as_posix())
        if found is None:
            raise InvalidInputError(f"day={self.day!r} does not fit the file's path; file: {path}")
        try:
            return date(*(int(found[group]) for group in _DATE_GROUPS)).toordinal() - _EPOCH
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"day={self.day!r} finds no date in the file's path ({error}); file: {path}"
            ) from None

    def find(self) -> list[str]:
        """The files' absolute paths and addresses, in order, each once.

        Raises:
            InvalidInputError: a glob finds nothing, or a path is a folder.
        """
        given = self.paths
        patterns = [given] if isinstance(given, (str, os.PathLike)) else list(given)
        if not patterns:
            raise InvalidInputError("paths is an empty list")
        found: dict[str, None] = {}
        for pattern in patterns:
            found.update(dict.fromkeys(_matches(os.fspath(pattern))))
        return list(found)

    def request(self) -> dict[str, Any]:
        """All but the paths, as JSON has it; what an equal one lists need not be opened again."""
        return {
            "variables": None if self.variables is None else dict(self.variables),
            "units": dict(self.units or {}),
            "select": self.levels(),
            "valid": self.rules(),
            "day": None if self.day is None else str(self.day),
            "span": self.span_days(),
            "day_offset": self.day_offset,
            "priority": self.priority,
            **({} if self.supply() == "daily" else {"supply": self.supply()}),
        }


def _matches(pattern: str) -> Iterable[str]:
    if "://" in pattern:
        return [pattern]
    path = Path(pattern)
    if path.is_dir():
        raise InvalidInputError(
            f"{pattern} is a folder; name its files, such as {path / '**' / '*.nc'}"
        )
    if path.exists():
        return [_absolute(pattern)]
    # Not Path.glob, which takes no absolute pattern.
    matches = glob.iglob(pattern, recursive=True)  # noqa: PTH207
    found = sorted(match for match in matches if Path(match).is_file())
    if not found:
        raise InvalidInputError(
            f"no file matches {pattern!r} (seen from {Path.cwd()}); ** matches folders"
        )
    return [_absolute(match) for match in found]


def _absolute(path: str) -> str:
    # Not Path.resolve, which follows links out of the catalogue's folder.
    return os.path.abspath(path)  # noqa: PTH100


def _level(dimension: str, place: Any) -> tuple[bool, bool, tuple[float, ...]]:
    """Whether a list was asked for, whether by position, and where."""
    wrong = InvalidInputError(
        f'select[{dimension!r}] must be a number, ("index", number), or a list of these, '
        f"not {place!r}"
    )
    try:
        match place:
            case ("index", list() | tuple() | range() as indices) if len(indices):
                return True, True, tuple(_index(index, wrong) for index in indices)
            case ("index", index):
                return False, True, (_index(index, wrong),)
            case str():
                raise wrong
            case list() | tuple() if place:
                return True, False, tuple(_finite(value, wrong) for value in place)
            case _ if hasattr(place, "__len__") and len(place):
                return True, False, tuple(_finite(value, wrong) for value in place)
            case _:
                return False, False, (_finite(place, wrong),)
    except (TypeError, ValueError):
        raise wrong from None


def _index(value: Any, wrong: InvalidInputError) -> float:
    index = operator.index(value)
    if not 0 <= index < 2**53:
        raise wrong
    return float(index)


def _finite(value: Any, wrong: InvalidInputError) -> float:
    number = float(value)
    if number - number != 0:
        raise wrong
    return number
