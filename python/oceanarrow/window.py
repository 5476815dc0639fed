"""`Window`: a variable at other days than the query's, or as another sensor would see it."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal, TypeAlias

from oceanarrow import _engine
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.variables import Variable, check_name, find_variables

TemporalAgg = Literal["mean", "first", "last", "stack"]

_FARTHEST = 1_000_000
"""Days that a window may lie from its query: beyond all that there are data of."""


@dataclass(frozen=True)
class Window:
    """A variable on days relative to the query's own window; stands wherever a name does.

    `Window("l4_ssh", 1, 7)` is read from a day after the query's first day to seven days after its
    last: lead times of a forecast. `Window("l4_ssh", -6, 0)` is the week up to the query. A plain
    name is `Window(name, 0, 0)`. Days outside the dataset count as days without a file.

    Args:
        variable: its name.
        first: days from the query's first day to the window's.
        last: days from the query's last day to the window's; by default `first`.
        name: of the column, and the key everywhere (`inputs`, `masks`, `patch_sizes`, ...); by
            default the variable's. Settings by variable are looked up under this name first.
        temporal_agg: how its days become a patch, where that differs from the loader's.
        where: a gridded variable: a pixel is valid only where that one, on the same days and
            pixels, is too, as if the field had been seen by that sensor.
        holdout: of a variable along tracks (`l3_ssh`, `l3_swot`): the share of its tracks that are
            held out, drawn by their ids, so that a pass is in one part in every tile; or the names
            of satellites whose tracks are. Cells of several tracks belong to neither part.
        part: `"input"`, what is not held out, or `"target"`, what is.
        seed: draws the tracks of a share.

    Raises:
        InvalidInputError: an argument is wrong.
    """

    variable: str
    first: int = 0
    last: int | None = None
    name: str | None = field(default=None, kw_only=True)
    temporal_agg: TemporalAgg | None = field(default=None, kw_only=True)
    where: str | None = field(default=None, kw_only=True)
    holdout: float | Sequence[str] | None = field(default=None, kw_only=True)
    part: Literal["input", "target"] | None = field(default=None, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.variable, str):
            raise InvalidInputError(f"a Window is of the name of a variable, not {self.variable!r}")
        for argument in ("first", "last"):
            value = getattr(self, argument)
            if argument == "last" and value is None:
                continue
            try:
                whole = not isinstance(value, bool) and abs(operator.index(value)) <= _FARTHEST
            except TypeError:
                whole = False
            if not whole:
                raise InvalidInputError(
                    f"{argument} of a Window must be a whole number of days, not {value!r}"
                )
        if self.name is not None:
            check_name(self.name)
        self._check_holdout()

    def _check_holdout(self) -> None:
        if (self.holdout is None) != (self.part is None):
            raise InvalidInputError(
                'holdout= says which tracks, part="input" or "target" what is wanted: give both'
            )
        if self.holdout is None:
            return
        if self.part not in ("input", "target"):
            raise InvalidInputError(f'part must be "input" or "target", not {self.part!r}')
        tracks: object = self.holdout
        if isinstance(tracks, Sequence) and not isinstance(tracks, str):
            # Windows are compared and hashed.
            object.__setattr__(self, "holdout", tuple(tracks))
            fits = len(tracks) > 0 and all(isinstance(name, str) for name in tracks)
        else:
            number = isinstance(tracks, int | float) and not isinstance(tracks, bool)
            fits = number and 0 < tracks < 1  # type: ignore[operator]
        if not fits:
            raise InvalidInputError(
                f"holdout must be a share between 0 and 1, or names of satellites, not "
                f"{self.holdout!r}"
            )
        seed: object = self.seed
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**64:
            raise InvalidInputError(f"seed must be a whole number from 0, not {self.seed!r}")

    @property
    def column(self) -> str:
        """The name of its column."""
        return self.name or self.variable


Asked: TypeAlias = str | Window
"""A variable that is asked for: its name, or a window of it."""

Channels: TypeAlias = Mapping[str, Asked | Iterable[Asked]]
"""Tensors by name: of one variable, or of several as its channels."""

Joint: TypeAlias = Iterable[tuple[str, str]]
"""Pairs of variables that are components of one field."""


@dataclass(frozen=True)
class Column(Variable):
    """A variable as batches have it: under the column's name, on the window's days.

    Attributes:
        of: the variable's own name.
        first, last: days from the ends of the query's window to those of the column's.
        temporal_agg: how the days become a patch; None: as the loader says.
        where: the variable that masks it, if one does.
        joint: the other component of the field that it is one of, and what masks that one.
        minus: what its days are anomalies from, if they are.
        tensor: the column whose channels it is, with others; None: it has one of its own.
        holdout: tracks that are held out, whether it has these and not the others, and a seed.
    """

    of: str = ""
    first: int = 0
    last: int = 0
    temporal_agg: TemporalAgg | None = None
    where: Column | None = None
    joint: tuple[Column, ...] = ()
    minus: Column | None = None
    tensor: str | None = None
    holdout: tuple[float | tuple[str, ...], bool, int] | None = None

    @property
    def others(self) -> list[Column]:
        """What is read for it besides itself."""
        return [other for other in (self.where, *self.joint, self.minus) if other is not None]


def columns_of(
    roles: Mapping[str, Iterable[Asked] | Channels],
    known: Mapping[str, Variable],
    anomaly: Mapping[str, str] | None = None,
    joint: Joint = (),
) -> list[list[Column]]:
    """The columns that each role, of the argument of this name, asks for; `anomaly` has the
    climatology of each variable or column that is an anomaly.

    Raises:
        InvalidInputError: a variable is unknown, a column is asked for twice in a role, or
            `anomaly` or `joint` names a variable that is not asked for, or one of another unit.
    """
    asked = [_tensors(argument, entries) for argument, entries in roles.items()]
    windows = [window for role in asked for _, windows in role for window in windows]
    masks = [window.where for window in windows if window.where is not None]
    find_variables([*(window.variable for window in windows), *masks], known)
    climatologies = _climatologies(anomaly or {}, windows, known)
    columns = [
        [
            _column(window, known, climatologies, tensor)
            for tensor, windows in role
            for window in windows
        ]
        for role in asked
    ]
    return _join(columns, joint)


def _join(roles: list[list[Column]], joint: Joint) -> list[list[Column]]:
    """The columns of which a pixel counts only where the other component of their field does."""
    joint = list(joint)
    if not are_pairs(joint):
        raise InvalidInputError(f"joint must be pairs of variables, not {joint!r}")
    every = [column for role in roles for column in role]
    partners: dict[str, tuple[Column, ...]] = {}
    for pair in joint:
        found = [_named(name, every) for name in pair]
        for own, other in (found, found[::-1]):
            if own == other or own.name in partners:
                raise InvalidInputError(
                    f"joint: {own.name!r} is the component of one field only, beside another"
                )
            if "points" in (own.geometry, other.geometry):
                raise InvalidInputError(
                    f"joint of {own.name!r} and {other.name!r}: both must be gridded; profiles "
                    "have no pixels"
                )
            if (own.first, own.last) != (other.first, other.last):
                raise InvalidInputError(
                    f"joint of {own.name!r} and {other.name!r}: they are read on other days; give "
                    "both the same Window"
                )
            partners[own.name] = (replace(other, tensor=None), *other.others)
    return [
        [replace(column, joint=partners.get(column.name, ())) for column in role] for role in roles
    ]


def are_pairs(given: object) -> bool:
    """Whether it is a sequence of pairs of names."""

    def sequence(value: object) -> bool:
        return isinstance(value, Sequence) and not isinstance(value, str)

    return sequence(given) and all(
        sequence(pair) and len(pair) == 2 and all(isinstance(name, str) for name in pair)
        for pair in given  # type: ignore[attr-defined]
    )


def _named(name: str, columns: Sequence[Column]) -> Column:
    for column in columns:
        if name == column.name:
            return column
    raise InvalidInputError(
        f"joint names {name!r}, which is not among the columns asked for: "
        f"{', '.join(sorted({column.name for column in columns}))}"
    )


def _climatologies(
    anomaly: Mapping[str, str], windows: Iterable[Window], known: Mapping[str, Variable]
) -> dict[str, Variable]:
    if not isinstance(anomaly, Mapping):
        raise InvalidInputError(f"anomaly must be {{variable: climatology}}, not {anomaly!r}")
    names = {name for window in windows for name in (window.column, window.variable)}
    strange = [name for name in anomaly if name not in names]
    if strange:
        raise InvalidInputError(
            f"anomaly names {', '.join(map(repr, strange))}, which is not among the variables "
            f"asked for: {', '.join(sorted(names))}"
        )
    return dict(zip(anomaly, find_variables(anomaly.values(), known), strict=True))


def extra_days(columns: Iterable[Column]) -> int:
    """The most days that a query reads of one thing beside its own: the order's blocks follow."""
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    for column in with_others(columns):
        if column.supply != "daily":
            continue
        thing = (column.source, column.netcdf)
        first, last = spans.get(thing, (column.first, column.last))
        spans[thing] = (min(first, column.first), max(last, column.last))
    return max([0, *(last - first for first, last in spans.values())])


def with_others(columns: Iterable[Column]) -> Iterable[Column]:
    """The columns, those that mask them, and those that they are anomalies from."""
    for column in columns:
        yield column
        yield from column.others


def _tensors(
    argument: str, entries: Iterable[Asked] | Channels
) -> list[tuple[str | None, list[Window]]]:
    """The windows of each tensor of channels, by its name; of None those with columns of their
    own."""
    if not isinstance(entries, Mapping):
        return [(None, _windows(argument, entries))]
    tensors: list[tuple[str | None, list[Window]]] = []
    for name, members in entries.items():
        check_name(name)
        if isinstance(members, str | Window):
            window = members if isinstance(members, Window) else Window(members)
            tensors.append((None, [replace(window, name=name)]))
            continue
        windows = _windows(f"{argument}[{name!r}]", members)
        if not windows:
            raise InvalidInputError(f"{argument}[{name!r}] has no channel")
        tensors.append((name, windows))
    return tensors


def _windows(argument: str, entries: Iterable[Asked]) -> list[Window]:
    if isinstance(entries, str):
        raise InvalidInputError(f"{argument} must be a list of names, not the text {entries!r}")
    if isinstance(entries, Window):
        raise InvalidInputError(f"{argument} must be a list: [{entries!r}]")
    windows = [entry if isinstance(entry, Window) else Window(entry) for entry in entries]
    names = [window.column for window in windows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(
            f"{argument} names {', '.join(twice)} more than once; give windows of one variable "
            "names of their own: Window(..., name=)"
        )
    return windows


def plain(variable: Variable) -> Column:
    """A variable as itself, on the query's days."""
    return _under(variable, variable.name)


def _column(
    window: Window,
    known: Mapping[str, Variable],
    climatologies: Mapping[str, Variable],
    tensor: str | None = None,
) -> Column:
    name = window.column
    last = window.first if window.last is None else window.last
    days = (operator.index(window.first), operator.index(last))
    variable = known[window.variable]
    where = None
    if window.where is not None:
        other = known[window.where]
        if "points" in (variable.geometry, other.geometry):
            raise InvalidInputError(
                f"where={window.where!r} of {name!r}: both must be gridded; profiles have no pixels"
            )
        where = _under(other, other.name, days)
    minus = None
    climatology = climatologies.get(name, climatologies.get(window.variable))
    if climatology is not None:
        _check_anomaly(name, variable, climatology)
        minus = _under(climatology, climatology.name, days, window.temporal_agg)
    own = _under(variable, name, days, window.temporal_agg)
    return replace(own, where=where, minus=minus, tensor=tensor, holdout=_holdout(window, variable))


def _holdout(
    window: Window, variable: Variable
) -> tuple[float | tuple[str, ...], bool, int] | None:
    if window.holdout is None:
        return None
    if variable.geometry == "points" or variable.supply != "daily":
        raise InvalidInputError(
            f"holdout of {window.column!r}: only gridded variables of days have tracks"
        )
    given = window.holdout
    tracks = float(given) if isinstance(given, int | float) else tuple(given)
    return tracks, window.part == "target", window.seed


def _check_anomaly(name: str, variable: Variable, climatology: Variable) -> None:
    if "points" in (variable.geometry, climatology.geometry):
        raise InvalidInputError(
            f"anomaly of {name!r}: both must be gridded; profiles have no pixels"
        )
    if not _engine.same_unit(variable.unit, climatology.unit):
        raise InvalidInputError(
            f"anomaly of {name!r}: it is delivered in {variable.unit!r}, and {climatology.name} in "
            f"{climatology.unit!r}; list one of them in the other's unit: "
            f"Files(..., units={{{climatology.name!r}: {variable.unit!r}}})"
        )


def _under(
    variable: Variable,
    name: str,
    days: tuple[int, int] = (0, 0),
    temporal_agg: TemporalAgg | None = None,
) -> Column:
    own = {field.name: getattr(variable, field.name) for field in fields(Variable)}
    own |= {"name": name, "of": variable.name, "first": days[0], "last": days[1]}
    agg: TemporalAgg | None = "first" if variable.is_constant else temporal_agg
    return Column(**own, temporal_agg=agg)
