"""The registry: what a variable name stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from oceanarrow import _engine
from oceanarrow.exceptions import InvalidInputError


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
    """

    name: str
    source: str
    file: str
    netcdf: str
    unit: str
    geometry: Literal["grid", "points"] = "grid"


_SUFFIXES = ("_mask", "_present", "_support", "_lat", "_lon", "_time", "_pressure")
"""Of the columns that a batch has beside a variable's own."""

_RESERVED = frozenset(
    # Columns of each row, then computed channels.
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
        "latitude",
        "longitude",
        "sin_latitude",
        "cos_latitude",
        "sin_longitude",
        "cos_longitude",
        "sin_day_of_year",
        "cos_day_of_year",
        "coriolis",
        "cell_area",
        "land_fraction",
        "insolation",
    ]
)
"""Names that mean something else in every batch."""

_BUILT_IN = {v[0]: Variable(*v) for v in _engine.built_in_variables()}
_registered: dict[str, Variable] = {}


def variables() -> dict[str, Variable]:
    """All known variables by name: the OceanTACO ones, then those registered."""
    return {**_BUILT_IN, **_registered}


def register_variable(
    name: str,
    *,
    source: str,
    file: str,
    netcdf: str,
    unit: str,
    geometry: Literal["grid", "points"] = "grid",
) -> Variable:
    """Adds a variable to the registry of this process.

    Args:
        name: a name of letters, digits and underscores, which becomes a column's name.
        source: the `data_source` of its files in the catalog, such as `"l4_ssh"`.
        file: the file's name in a region's folder, such as `"l4_ssh.nc"`.
        netcdf: the variable's name in the file, such as `"adt"`.
        unit: the unit to deliver; a file that says another known unit is converted.
        geometry: `"grid"` or `"points"`.

    Returns:
        The variable.

    Raises:
        InvalidInputError: the name is unusable, reserved for a column of batches, or stands for
            something else already.

    Example:
        >>> register_variable("adt", source="l4_ssh", file="l4_ssh.nc", netcdf="adt", unit="m")
        Variable(name='adt', source='l4_ssh', file='l4_ssh.nc', netcdf='adt', unit='m', \
geometry='grid')
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
    if geometry not in ("grid", "points"):
        raise InvalidInputError(f"geometry must be 'grid' or 'points', not {geometry!r}")
    variable = Variable(name, source, file, netcdf, unit, geometry)
    known = variables().get(name, variable)
    if known != variable:
        raise InvalidInputError(f"{name!r} already stands for {known}")
    if name not in _BUILT_IN:
        _registered[name] = variable
    return variable


def find_variables(names: Iterable[str]) -> list[Variable]:
    """The variables of these names.

    Raises:
        InvalidInputError: a name is unknown; the message lists those and what there is.
    """
    known = variables()
    names = list(names)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInputError(
            f"Unknown variables: {', '.join(map(repr, unknown))}. Known: {', '.join(known)}; "
            "oceanarrow.register_variable adds others"
        )
    return [known[name] for name in names]
