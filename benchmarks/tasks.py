"""What every contender of a turn is asked to do, as plain data: it reaches them as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path


class Skipped(Exception):  # noqa: N818 -- no error: the others go on
    """Says why a contender cannot do a task."""


@dataclass(frozen=True)
class Where:
    """One query: a box in degrees, the first and the last day, and the files of each variable.

    Files are listed day by day; finding them is not part of the work.
    """

    lon_min: float
    lon_max: float
    lat_min: float
    lat_max: float
    first: str
    last: str
    files: dict[str, list[str]]

    @property
    def days(self) -> list[str]:
        """All days of the window, ISO."""
        start, end = date.fromisoformat(self.first), date.fromisoformat(self.last)
        return [(start + timedelta(days=i)).isoformat() for i in range((end - start).days + 1)]


@dataclass(frozen=True)
class Task:
    """The queries of one turn and what to make of them."""

    dataset: str
    queries: list[Where]
    #: A query on days that no other has: renders first and does not count, so that imports and
    #: thread pools are not taken for work.
    first_of_all: Where
    inputs: list[str]
    targets: list[str]
    sizes: dict[str, tuple[int, int]]
    #: The name of each variable in its files.
    netcdf: dict[str, str]
    cores: int
    batch: int = 16
    #: A layer a day instead of one for the window.
    stack: bool = False
    #: Each contender may take the queries in the order that suits it best.
    any_order: bool = False
    #: The whole task has been done once before it counts.
    warm: bool = False
    #: A checkout of the documented library.
    documented: str | None = None

    @property
    def variables(self) -> list[str]:
        """Inputs, then targets."""
        return [*self.inputs, *self.targets]

    def practice(self) -> Task:
        """With nothing but the query that does not count."""
        return replace(self, queries=[self.first_of_all], any_order=False, warm=False)

    def by_day(self) -> list[Where]:
        """The queries, in the order of days if any order will do."""
        if not self.any_order:
            return self.queries
        return sorted(self.queries, key=lambda query: query.first)

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @staticmethod
    def read(path: Path) -> Task:
        """What `write` wrote."""
        fields = json.loads(path.read_text())
        fields["queries"] = [Where(**query) for query in fields["queries"]]
        fields["first_of_all"] = Where(**fields["first_of_all"])
        fields["sizes"] = {name: tuple(size) for name, size in fields["sizes"].items()}
        return Task(**fields)


def chosen(queries: Sequence[Where], variable: str) -> list[str]:
    """The distinct files of a variable, in the order of days."""
    return sorted({file for query in queries for file in query.files[variable]})
