"""The registry: what a variable name stands for."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from oceanarrow import _engine
from oceanarrow.exceptions import InvalidDatasetError, InvalidInputError

CellRule = (
    tuple[float | None, float | None]
    | set[float]
    | frozenset[float]
    | set[str]
    | frozenset[str]
    | str
    | tuple[str, int, int]
)
"""What a quality variable must be where a cell counts; see `register_variable`."""

Geometry = Literal["grid", "points"]

Supply = Literal["daily", "static", "month", "month_steps", "day_of_year", "computed"]
"""On which days a variable's fields hold, and where they come from; see `Variable`."""

ValidRules = tuple[tuple[str, str, tuple[float | str, ...]], ...]
"""The name in the file of a quality variable, the kind of its rule, and its numbers or the names of
flags, each."""


@dataclass(frozen=True)
class Variable:
    """What a variable name stands for.

    Attributes:
        name: the name in queries, samples and batches.
        source: the `data_source` of its files in the catalog.
        file: the name of its file in a region's folder.
        netcdf: the variable's name in the file.
        unit: the unit it is delivered in; files that say another one are converted.
        geometry: `"grid"` (1-D latitude and longitude axes) or `"points"` (profiles).
        valid: the rules that say which cells count: the name in the file of a quality variable, the
            kind of the rule (`"within"`, `"one of"`, `"bits"`, `"named"`) and its numbers or
            names, each.
        select: what is read of dimensions besides latitude, longitude and time: the dimension,
            whether a list was asked for, whether by position, and the places, each.
        supply: `"daily"` (files of days), `"static"` (files that hold on every day), `"month"` or
            `"month_steps"` (the months of a climatology, with or without a line between their
            middles), `"day_of_year"`, or `"computed"` (a formula at the pixels' coordinates).
    """

    name: str
    source: str
    file: str
    netcdf: str
    unit: str
    geometry: Geometry = "grid"
    valid: ValidRules = ()
    select: tuple[tuple[str, bool, bool, tuple[float, ...]], ...] = ()
    supply: Supply = "daily"

    @property
    def is_constant(self) -> bool:
        """Whether one field serves all days: (H, W) also where days are stacked."""
        of_day = ("sin_day_of_year", "cos_day_of_year", "insolation")
        return self.supply == "static" or (self.supply == "computed" and self.netcdf not in of_day)

    @property
    def levels(self) -> tuple[str, tuple[float, ...]] | None:
        """The dimension of which a list of places is read, and these; None without one."""
        listed = [(dimension, places) for dimension, is_list, _, places in self.select if is_list]
        return listed[0] if listed else None


_SUFFIXES = ("_mask", "_present", "_support", "_lat", "_lon", "_time", "_pressure")
"""Of the columns that a batch has beside a variable's own."""

_BUILT_IN = {v[0]: Variable(*v[:6], supply=v[6]) for v in _engine.built_in_variables()}
_COMPUTED = frozenset(v.name for v in _BUILT_IN.values() if v.supply == "computed")
_RESERVED = _COMPUTED | frozenset(
    [
        "query",
        "lon_min",
        "lon_max",
        "lat_min",
        "lat_max",
        "time_start",
        "time_end",
        "n_files",
        "status",
        "sample_weight",
        "augmentation",
        "oceanarrow",
        "digests",
    ]
)
"""Names that mean something else in every batch."""

_registered: dict[str, Variable] = {}


def variables() -> dict[str, Variable]:
    """All known variables by name: the OceanTACO ones, those that are computed at the pixels' own
    coordinates (`docs/how_to/channels.md`), then those registered."""
    return {**_BUILT_IN, **_registered}


def register_variable(
    name: str,
    *,
    source: str,
    file: str,
    netcdf: str,
    unit: str,
    geometry: Geometry = "grid",
    valid: Mapping[str, CellRule] | None = None,
) -> Variable:
    """Adds a variable to the registry of this process.

    Args:
        name: a name of letters, digits and underscores, which becomes a column's name.
        source: the `data_source` of its files in the catalog, such as `"l4_ssh"`.
        file: the file's name in a region's folder, such as `"l4_ssh.nc"`.
        netcdf: the variable's name in the file, such as `"adt"`.
        unit: the unit to deliver; a file that says another known unit is converted.
        geometry: `"grid"` or `"points"`.
        valid: {quality variable: rule}: a cell counts only where that variable of the same file, at
            the same cell, obeys. A rule is `(low, high)`, both ends included and None for none; a
            set of values; the name of a flag (`flag_meanings` of CF, each file's own), or a set of
            names; or `("bits", mask, value)`: the bits of `mask` are those of `value`, as
            `flag_masks` of CF has them. A cell of which the quality is missing does not count.

    Returns:
        The variable.

    Raises:
        InvalidInputError: the name is unusable, reserved for a column of batches, or stands for
            something else already.

    Example:
        >>> register_variable("adt", source="l4_ssh", file="l4_ssh.nc", netcdf="adt", unit="m")
        Variable(name='adt', source='l4_ssh', file='l4_ssh.nc', netcdf='adt', unit='m', \
geometry='grid', valid=(), select=(), supply='daily')
    """
    check_name(name)
    if geometry not in ("grid", "points"):
        raise InvalidInputError(f"geometry must be 'grid' or 'points', not {geometry!r}")
    rules = valid_rules(valid or {})
    if rules and geometry == "points":
        raise InvalidInputError("valid= is for gridded variables; profiles have no cells")
    variable = Variable(name, source, file, netcdf, unit, geometry, rules)
    known = variables().get(name, variable)
    if known != variable:
        raise InvalidInputError(f"{name!r} already stands for {known}")
    if name not in _BUILT_IN:
        _registered[name] = variable
    return variable


def check_name(name: str) -> None:
    """Checks that a variable may be called so.

    Raises:
        InvalidInputError: the name is unusable, or reserved for a column of batches.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InvalidInputError(
            f"a variable's name has letters, digits and underscores, not {name!r}"
        )
    if name in _RESERVED or name.endswith(_SUFFIXES):
        raise InvalidInputError(
            f"{name!r} cannot be a variable: batches have columns of such names. Names that end in "
            f"{', '.join(_SUFFIXES)} are reserved, and so are {', '.join(sorted(_RESERVED))}"
        )


def valid_rules(valid: Mapping[str, CellRule]) -> ValidRules:
    """The rules of quality variables, as `register_variable` takes them.

    Raises:
        InvalidInputError: one is no rule.
    """
    return tuple((flag, *_cell_rule(flag, rule)) for flag, rule in valid.items())


def _cell_rule(flag: str, rule: Any) -> tuple[str, tuple[float | str, ...]]:
    """The kind of a rule, and its numbers or names."""
    wrong = InvalidInputError(
        f"valid[{flag!r}] must be (low, high), a set of numbers, a flag's name or a set of them, "
        f"or ('bits', mask, value), not {rule!r}"
    )
    try:
        match rule:
            case str() if rule.strip():
                return "named", (rule.strip(),)
            case set() | frozenset() if rule and all(isinstance(name, str) for name in rule):
                if not all(map(str.strip, rule)):
                    raise wrong
                return "named", tuple(sorted(map(str.strip, rule)))
            case ("bits", mask, value):
                mask, value = operator.index(mask), operator.index(value)
                # Numbers travel as float64, which counts to 2**53.
                if not 0 < mask < 2**53 or value & ~mask:
                    raise wrong
                return "bits", (float(mask), float(value))
            case set() | frozenset() if rule:
                return "one of", tuple(sorted(float(value) for value in rule))
            case (low, high):
                low = -math.inf if low is None else float(low)
                high = math.inf if high is None else float(high)
                if not low <= high:
                    raise wrong
                return "within", (low, high)
    except (TypeError, ValueError):
        raise wrong from None
    raise wrong


def listed_to_json(listed: Mapping[str, Variable]) -> str:
    """The variables of a catalogue, as it keeps them."""
    return json.dumps(variables_to_json(listed), sort_keys=True)


def variables_to_json(definitions: Mapping[str, Variable]) -> dict[str, Any]:
    """What variables stand for, as JSON; infinite numbers as null, and what is as in a catalogue
    (a source of the variable's name, grids of days) absent."""

    def numbers(values: Iterable[float | str]) -> list[float | str | None]:
        return [v if isinstance(v, str) or math.isfinite(v) else None for v in values]

    told = {}
    for name, variable in definitions.items():
        select = [
            [dimension, listed, by_index, list(places)]
            for dimension, listed, by_index, places in variable.select
        ]
        usual = {"source": name, "file": "", "geometry": "grid", "supply": "daily"}
        told[name] = {
            "netcdf": variable.netcdf,
            "unit": variable.unit,
            "valid": [[flag, kind, numbers(rule)] for flag, kind, rule in variable.valid],
            "select": select,
            **{k: getattr(variable, k) for k, v in usual.items() if getattr(variable, k) != v},
        }
    return told


def parse_variables(definitions: Mapping[str, Any]) -> dict[str, Variable]:
    """What `variables_to_json` told.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is not that.
    """

    def rule(kind: str, numbers: list[Any]) -> tuple[float | str, ...]:
        if kind == "named":
            return tuple(map(str, numbers))
        if kind == "within":
            low, high = numbers
            return (
                -math.inf if low is None else float(low),
                math.inf if high is None else float(high),
            )
        return tuple(float(number) for number in numbers if number is not None)

    listed = {}
    for name, told in definitions.items():
        if name not in _COMPUTED:
            check_name(name)
        listed[name] = Variable(
            name,
            source=str(told.get("source", name)),
            file=str(told.get("file", "")),
            netcdf=str(told["netcdf"]),
            unit=str(told["unit"]),
            geometry=_word(Geometry, told.get("geometry", "grid")),
            valid=tuple((str(flag), str(kind), rule(kind, ns)) for flag, kind, ns in told["valid"]),
            select=tuple(
                (str(dimension), bool(listed), bool(by_index), tuple(map(float, places)))
                for dimension, listed, by_index, places in told["select"]
            ),
            supply=_word(Supply, told.get("supply", "daily")),
        )
    return listed


def _word(words: Any, word: str) -> Any:
    if word not in get_args(words):
        raise ValueError(f"{word!r} is none of {', '.join(get_args(words))}")
    return word


def register_missing(definitions: Mapping[str, Variable], known: Mapping[str, Variable]) -> None:
    """Registers those that are not known.

    Raises:
        InvalidInputError: one is known as something else.
    """
    for name, variable in definitions.items():
        if known.get(name, variable) != variable:
            raise InvalidInputError(f"{name!r} is {variable} there, but {known[name]} here")
    _registered.update({n: v for n, v in definitions.items() if n not in known})


def dataset_variables(
    roots: Sequence[str], storage_options: Mapping[str, Any] | None = None
) -> dict[str, Variable]:
    """The variables that a dataset may be asked for: those registered, and those of catalogues.

    A catalogue's definition hides a built-in one.

    Raises:
        InvalidDatasetError: two catalogues, or a catalogue and `register_variable`, give one name
            different meanings; or a catalogue is damaged.
        NotFoundError, TransientIoError: a catalogue cannot be read.
    """
    found: dict[str, tuple[str, Variable]] = {}
    catalogues = [root for root in roots if root.lower().endswith(".parquet")]
    told = _engine.listed_variables(catalogues, storage_options) if catalogues else []
    for root, text in told:
        try:
            listed = parse_variables(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidDatasetError(
                f"the catalogue defines its variables in a way that is not read ({error!r}); "
                f"file: {root}"
            ) from error
        for name, variable in listed.items():
            where, known = found.setdefault(name, (root, variable))
            if known != variable:
                raise InvalidDatasetError(
                    f"{name!r} is {known} in {where}, but {variable} in {root}; list one of them "
                    "under another name"
                )
            registered = _registered.get(name, variable)
            if registered != variable:
                raise InvalidDatasetError(
                    f"{name!r} is registered as {registered}, but is {variable} in {root}; use "
                    "another name for one of them"
                )
    return {**variables(), **{name: variable for name, (_, variable) in found.items()}}


def find_variables(names: Iterable[str], known: Mapping[str, Variable]) -> list[Variable]:
    """The variables of these names among the known ones.

    Raises:
        InvalidInputError: a name is unknown; the message lists those and what there is.
    """
    names = list(names)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInputError(
            f"Unknown variables: {', '.join(map(repr, unknown))}. Known: {', '.join(known)}; "
            "oceanarrow.register_variable adds others"
        )
    return [known[name] for name in names]
