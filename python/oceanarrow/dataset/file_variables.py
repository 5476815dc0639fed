"""Which variables a file holds on latitude and longitude axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oceanarrow import _engine
from oceanarrow.events import hand_over


def gridded_variables(
    granule: Mapping[str, Any], storage_options: Mapping[str, Any] | None = None
) -> dict[str, str] | None:
    """The variables of a granule's file on 1-D latitude and longitude axes.

    Args:
        granule: a row of `Catalog.granules()`.
        storage_options: {name: value} for a file on a server.

    Returns:
        {name in the file: unit, "" where it tells none}, in alphabetical order; None if that
        cannot be found out: the file lies in an archive, or cannot be read.
    """
    if granule["offset"] is not None:
        return None
    # A file without times needs a day to be surveyed, and one with several refuses it.
    for day in (0, None):
        units = _survey(granule["path"], day, storage_options)
        if units:
            return units
    return None


def _survey(
    path: str, day: int | None, storage_options: Mapping[str, Any] | None
) -> dict[str, str]:
    files = {
        "paths": [(path, path, day)],
        "variables": None,
        "select": [],
        "span_days": None,
        "span_month": False,
        "day_offset": 0,
        "priority": 0,
        "supply": "daily",
    }
    hand_over()
    try:
        survey = _engine.survey_files(
            [files],
            known=None,
            request="",
            storage_options=storage_options,
            progress=lambda done, total: None,
        )
    finally:
        hand_over()
    units = {name: unit or "" for name, unit, _ in survey.units()}
    return {name: units.get(name, "") for name in sorted(survey.names())}
