"""`write_catalog`: a catalogue of NetCDF files where they lie."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from oceanarrow import _engine
from oceanarrow.events import hand_over
from oceanarrow.exceptions import CorruptGranuleError, InvalidInputError
from oceanarrow.files import Files
from oceanarrow.progress import progress_bar, reporter
from oceanarrow.variables import Variable, listed_to_json, parse_variables

_SHOWN = 5
"""Unreadable files that an error names."""


@dataclass(frozen=True)
class WrittenCatalog:
    """What a catalogue came to hold.

    Attributes:
        path: the catalogue; its index lies beside it.
        granules: days of files.
        files: files.
        opened: files that were opened for it; the others had not changed.
        skipped: why files were left out.
        warnings: what is odd about the files.
    """

    path: Path
    granules: int
    files: int
    opened: int
    skipped: list[str]
    warnings: list[str]


def write_catalog(
    path: str | os.PathLike[str],
    files: Files | Sequence[Files],
    *,
    update: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> list[str]:
    """Lists NetCDF files in one small file that stands wherever a dataset's path does.

    No data are copied. Each file is opened once, in parallel; where its chunks lie is written to
    an index beside the catalogue (`ocean.index.parquet` beside `ocean.parquet`), so that training
    opens none again. Files under the catalogue's folder are named relative to it: the folder may
    be moved or copied, also to a server. What the variables stand for travels along.

    Args:
        path: the catalogue to write, which ends in `.parquet`.
        files: one or several `Files`. Those that give a variable the same name must agree on what
            it stands for.
        update: open only files that are new or have changed since `path` was written; if it was
            asked to list something else, or is not there, all are opened.
        on_error: `"raise"` one error that names the files that cannot be listed, once all others
            have been looked at; or `"skip"` them.
        storage_options: {name: value} for files on servers; see
            `docs/reference/storage_options.md`.
        progress: show a bar on a terminal.

    Returns:
        Why files were skipped, one text each.

    Raises:
        InvalidInputError: an argument is wrong, a glob finds nothing, or there is nothing to list.
        CorruptGranuleError: files cannot be listed; the message names the first of them.
        TransientIoError, AccessDeniedError: a file cannot be read now.

    Example:
        >>> from oceanarrow import Files, Loader, write_catalog
        >>> write_catalog("ocean.parquet", [
        ...     Files("cmems/ssh/**/*.nc", {"ssh": "sla"}),
        ...     Files("ghrsst/*.nc", {"sst": "analysed_sst"}, valid={"quality_level": (4, 5)}),
        ... ])  # doctest: +SKIP
    """
    written = list_files(
        path,
        files,
        update=update,
        on_error=on_error,
        storage_options=storage_options,
        progress=progress,
    )
    for warning in written.warnings:
        warnings.warn(warning, stacklevel=2)
    return written.skipped


def list_files(
    path: str | os.PathLike[str],
    files: Files | Sequence[Files],
    *,
    update: bool,
    on_error: Literal["raise", "skip"],
    storage_options: Mapping[str, Any] | None,
    progress: bool,
) -> WrittenCatalog:
    """As `write_catalog`; returns all that there is to say."""
    target = _target(path)
    if on_error not in ("raise", "skip"):
        raise InvalidInputError(f'on_error must be "raise" or "skip", not {on_error!r}')
    specs = [files] if isinstance(files, Files) else list(files)
    if not specs or not all(isinstance(spec, Files) for spec in specs):
        raise InvalidInputError("files must be one Files or a list of them")
    named = _definitions(specs)
    found = [spec.find() for spec in specs]
    request = json.dumps([spec.request() for spec in specs], sort_keys=True)
    hand_over()
    with progress_bar(sum(map(len, found)), "file", progress) as bar:
        survey = _engine.survey_files(
            [_argument(spec, paths, target) for spec, paths in zip(specs, found, strict=True)],
            known=target if update and target.exists() else None,
            request=request,
            storage_options=storage_options,
            progress=reporter(bar),
        )
    hand_over()
    variables = _in_units(survey, specs, named)
    unreadable = survey.unreadable({name: v.unit for name, v in variables.items()})
    if unreadable and (on_error == "raise" or not survey.names()):
        raise CorruptGranuleError(_complaint(unreadable, sum(map(len, found))))
    held = {name: variables[name] for name in survey.names()}
    granules, count, odd = survey.write(target, listed_to_json(held), request)
    return WrittenCatalog(target, granules, count, survey.opened, unreadable, odd)


def _target(path: str | os.PathLike[str]) -> Path:
    if "://" in os.fspath(path):
        raise InvalidInputError("a catalogue is written to a local file; upload it afterwards")
    target = Path(path).absolute()
    if target.suffix.lower() != ".parquet" or target.name.lower().endswith(".index.parquet"):
        raise InvalidInputError(
            f"a catalogue's name ends in .parquet (and not in .index.parquet), not {target.name!r}"
        )
    if target.is_dir():
        raise InvalidInputError(f"{target} is a folder")
    return target


def _definitions(specs: Sequence[Files]) -> dict[str, Variable]:
    """What the names stand for, units still those that were asked for."""
    found: dict[str, Variable] = {}
    for spec in specs:
        for name, netcdf in (spec.variables or {}).items():
            variable = _variable(name, netcdf, spec)
            known = found.setdefault(name, variable)
            _check_agree(known, variable)
    return found


def _variable(name: str, netcdf: str, spec: Files) -> Variable:
    unit = (spec.units or {}).get(name, "")
    return Variable(
        name, source=name, file="", netcdf=netcdf, unit=unit, valid=spec.rules(),
        select=spec.levels(), supply=spec.supply(),
    )  # fmt: skip


def _check_agree(a: Variable, b: Variable) -> None:
    """Two definitions of a name differ in nothing but that one of them leaves the unit open."""
    for what in ("netcdf", "valid", "select", "supply", "unit"):
        left, right = getattr(a, what), getattr(b, what)
        if left != right and not (what == "unit" and not (left and right)):
            raise InvalidInputError(
                f"two Files give {a.name!r} different meanings: {what} {left!r} and {right!r}; "
                "use two names"
            )


def _argument(spec: Files, paths: Sequence[str], target: Path) -> dict[str, Any]:
    variables = spec.variables
    flags = [
        (flag, [name for name in marks if isinstance(name, str)]) for flag, _, marks in spec.rules()
    ]
    span = spec.span_days()
    return {
        "paths": [(path, _kept(path, target), spec.day_of(Path(path))) for path in paths],
        "variables": None
        if variables is None
        else [(name, netcdf, flags) for name, netcdf in variables.items()],
        "select": list(spec.levels()),
        "span_days": span or None,
        "span_month": span == 0,
        "day_offset": spec.day_offset,
        "priority": spec.priority,
        "supply": spec.supply(),
    }


def _kept(path: str, target: Path) -> str:
    """What the catalogue calls a file: relative to its folder where it lies under it."""
    try:
        return Path(path).relative_to(target.parent).as_posix()
    except ValueError:
        return path


def _in_units(
    survey: _engine.Survey, specs: Sequence[Files], named: dict[str, Variable]
) -> dict[str, Variable]:
    """The variables with the unit to deliver: as asked for, as before, or the files' own."""
    known = (
        {}
        if survey.known_variables is None
        else parse_variables(json.loads(survey.known_variables))
    )
    units = {name: variable.unit for name, variable in known.items()}
    for name, unit, _ in survey.units():
        units.setdefault(name, unit or "")
    open_specs = [spec for spec in specs if spec.variables is None]
    for name in survey.names():
        if name not in named:
            named[name] = _variable(name, name, open_specs[0])
    for spec in specs:
        units.update(spec.units or {})
    return {
        name: Variable(**{**vars(variable), "unit": variable.unit or units.get(name, "")})
        for name, variable in named.items()
    }


def _complaint(unreadable: Sequence[str], total: int) -> str:
    shown = "\n  ".join(unreadable[:_SHOWN])
    more = len(unreadable) - _SHOWN
    rest = f"\n  and {more} more" if more > 0 else ""
    return (
        f"{len(unreadable)} of {total} files cannot be listed; mend them or leave them out with "
        f'on_error="skip":\n  {shown}{rest}'
    )
