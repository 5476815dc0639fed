"""`Statistics`: what queries see, in numbers."""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.dataset.days import iso_day
from oceanarrow.dataset.query import Query
from oceanarrow.display import curve, view
from oceanarrow.exceptions import InvalidInputError, PlanMismatchError
from oceanarrow.json_file import read_json, write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESERVED = "oceanarrow"
"""The key of a file's provenance, beside its variables."""

_FORMAT = 1
_OF_THE_WHOLE = ("content_id", "by", "area_weighted", "quantiles", "queries")
"""What parts of one whole have in common."""


@dataclass(frozen=True)
class Summary:
    """What is known of one variable's values, in the unit that they are delivered in.

    Attributes:
        count: valid cells, and `cells` of all, of queries that have a file.
        mean, std: their mean and standard deviation (divided by the count, as `numpy.std` does);
            None if no cell was valid.
        min, max: the least and the greatest; None likewise.
        quantiles: {share: value}, None likewise; right within 0.5 % of rank.
        histogram: edges (65,) between the 0.1 % and the 99.9 % quantile, and how many values lie
            between each two (64,), within 0.5 % of all; None likewise.
        unit: of all of these.
        anomaly: the climatology that the values are anomalies from, or None.
    """

    count: int
    cells: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    quantiles: dict[float, float | None]
    histogram: tuple[list[float], list[float]] | None = field(repr=False)
    unit: str
    anomaly: str | None = None

    @property
    def valid_share(self) -> float | None:
        """Valid cells of all; None of none."""
        return self.count / self.cells if self.cells else None

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        own = {name: getattr(self, name) for name in ("unit", "count", "cells", "valid_share")}
        own |= {name: getattr(self, name) for name in ("mean", "std", "min", "max")}
        own["quantiles"] = {str(share): value for share, value in self.quantiles.items()}
        if self.histogram is not None:
            own["histogram"] = dict(zip(("edges", "counts"), self.histogram, strict=True))
        return own if self.anomaly is None else {**own, "anomaly": self.anomaly}

    @classmethod
    def _of(cls, plain: Mapping[str, Any]) -> Summary:
        histogram = plain.get("histogram")
        return cls(
            **{name: plain[name] for name in ("count", "cells", "mean", "std", "min", "max")},
            quantiles={float(share): value for share, value in plain["quantiles"].items()},
            histogram=None if histogram is None else (histogram["edges"], histogram["counts"]),
            unit=str(plain["unit"]),
            anomaly=plain.get("anomaly"),
        )


@dataclass(frozen=True, repr=False)
class Statistics(Mapping[str, Summary]):
    """A `Summary` of each variable, by the name of its column.

    `oceanarrow.statistics` makes them, `Loader(normalize=)` and `find_leaks` take them, or the
    file that they were saved in.

    Attributes:
        summaries: of all values.
        differences: of variables with a stack of days: of the differences from each day to the
            next, where both are valid.
        groups: {variable: {group: summary}}, by what `by` says: months `"01"` to `"12"`, days, or
            regions.
        provenance: of what they were made: `content_id`, `by`, `area_weighted`, `queries` (how
            many), `part` and `version`, and more that `merge` and `find_leaks` need.
    """

    summaries: dict[str, Summary]
    differences: dict[str, Summary]
    groups: dict[str, dict[str, Summary]]
    provenance: dict[str, Any]

    def __getitem__(self, variable: str) -> Summary:
        return self.summaries[variable]

    def __iter__(self) -> Iterator[str]:
        return iter(self.summaries)

    def __len__(self) -> int:
        return len(self.summaries)

    def __repr__(self) -> str:
        rows = [_HEAD, *(_row(name, summary) for name, summary in self._named())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            [text.rjust(width) for text, width in zip(row, widths, strict=True)] for row in rows
        )
        named = (
            "  ".join([row[0].ljust(widths[0]), *line[1:]])
            for row, line in zip(rows, lines, strict=True)
        )
        return "\n".join(named)

    def _repr_html_(self) -> str:
        rows = [
            (*_row(name, summary), curve(summary.histogram[1] if summary.histogram else ()))
            for name, summary in self._named()
        ]
        facts = [("queries", f"{self.provenance['queries']:,}")]
        return view("Statistics", ", ".join(self), facts, (*_HEAD, ""), rows)

    def _named(self) -> Iterator[tuple[str, Summary]]:
        """Each summary under what it is of, groups below their variable."""
        for name, summary in self.summaries.items():
            yield name, summary
            if name in self.differences:
                yield f"  {name}, day to day", self.differences[name]
            groups = self.groups.get(name, {})
            yield from ((f"  {group}", groups[group]) for group in sorted(groups))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Writes them as JSON, at once.

        Raises:
            UnwritableError, OSError: it cannot be written.
        """
        variables: dict[str, Any] = {}
        for name, summary in self.summaries.items():
            told = summary.to_dict()
            if name in self.differences:
                told["differences"] = self.differences[name].to_dict()
            if name in self.groups:
                told["groups"] = {g: s.to_dict() for g, s in self.groups[name].items()}
            variables[name] = told
        write_json(path, {**variables, RESERVED: self.provenance})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Statistics:
        """What `to_json` wrote.

        Raises:
            NotFoundError: there is no such file.
            InvalidInputError: it is none of `oceanarrow.statistics`, or of a later release.
        """
        where = os.fspath(path)
        told = read_json(path, "statistics file")
        try:
            provenance = told.pop(RESERVED)
            if provenance["format"] != _FORMAT:
                raise InvalidInputError(
                    f"{where} is of a release whose statistics are of format "
                    f"{provenance['format']!r}; this one reads {_FORMAT}"
                )
            return cls(
                {name: Summary._of(plain) for name, plain in told.items()},
                {n: Summary._of(p["differences"]) for n, p in told.items() if "differences" in p},
                {
                    name: {group: Summary._of(s) for group, s in plain["groups"].items()}
                    for name, plain in told.items()
                    if "groups" in plain
                },
                provenance,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(
                f"{where} is no file of oceanarrow.statistics: {error!r}"
            ) from error

    @classmethod
    def merge(cls, parts: Sequence[Statistics]) -> Statistics:
        """The whole, out of all the parts that `oceanarrow.statistics(part=(i, n))` made, in any
        order: the same digits as without parts.

        Raises:
            InvalidInputError: one is missing or there twice, or they are no parts.
            PlanMismatchError: they are of different queries, variables, datasets or settings.
        """
        parts = list(parts)
        if not parts or any("state" not in part.provenance for part in parts):
            raise InvalidInputError(
                "merge takes all the parts that oceanarrow.statistics(part=(i, n)) made"
            )
        first = parts[0].provenance
        for other in (part.provenance for part in parts[1:]):
            differing = [key for key in _OF_THE_WHOLE if other[key] != first[key]]
            if differing:
                fields = set(first["content"]) | set(other["content"])
                content = [f for f in fields if first["content"].get(f) != other["content"].get(f)]
                raise PlanMismatchError(
                    "these are parts of different statistics; they differ in "
                    f"{', '.join(sorted(content) or differing)}"
                )
        states = [base64.b64decode(part.provenance["state"]) for part in parts]
        return cls.of_states(states, {**first, "part": None})

    @classmethod
    def of_states(cls, states: Sequence[bytes], provenance: Mapping[str, Any]) -> Statistics:
        """What the engine's passes over parts tell together; those of one part by itself keep its
        state, so that it can be merged."""
        shares = provenance["quantiles"]
        columns = provenance["columns"]
        made = cls({}, {}, {}, {k: v for k, v in provenance.items() if k != "state"})
        if provenance["part"] is not None:
            made.provenance["state"] = base64.b64encode(states[0]).decode()
        nothing = {"count": 0, "cells": 0, "mean": None, "std": None, "min": None, "max": None}

        def summary(column: Mapping[str, Any], numbers: Mapping[str, Any]) -> Summary:
            values = numbers.get("quantiles", [None] * len(shares))
            return Summary._of(
                {
                    **nothing,
                    **numbers,
                    "quantiles": dict(zip(map(str, shares), values, strict=True)),
                    "histogram": _histogram(numbers),
                    "unit": column["unit"],
                    "anomaly": column["anomaly"],
                }
            )

        for column in columns:
            made.summaries[column["name"]] = summary(column, {})
        partial = provenance["part"] is not None
        for request, differences, group, numbers in _engine.summarize(states, shares, partial):
            column = columns[request]
            found = summary(column, numbers)
            if differences:
                if group is None:
                    made.differences[column["name"]] = found
            elif group is None:
                made.summaries[column["name"]] = found
            else:
                made.groups.setdefault(column["name"], {})[group] = found
        return made

    def queries(self) -> list[Query]:
        """Boxes of whole degrees and days that hold all that was seen, and a little more: what
        `find_leaks` compares."""
        seen = self.provenance["seen"]
        maps = [_rectangles(_unpacked(text)) for text in seen["maps"]]
        found: list[Query] = []
        runs: list[tuple[int, int, int]] = []
        for day, number in zip(seen["days"], seen["map_of_day"], strict=True):
            if runs and runs[-1][1] == day - 1 and runs[-1][2] == number:
                runs[-1] = (runs[-1][0], day, number)
            else:
                runs.append((day, day, number))
        for first, last, number in runs:
            found += [Query(*box, iso_day(first), iso_day(last)) for box in maps[number]]
        return found

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The histograms: see `oceanarrow.plot.plot_statistics`."""
        from oceanarrow.plot import plot_statistics

        return plot_statistics(self, ax=ax)


def seen_by(boxes: npt.NDArray[np.float64], days: npt.NDArray[np.int32]) -> dict[str, Any]:
    """Where and when queries look, by cells of a degree, as JSON: days since 1970-01-01, distinct
    maps (deflated bits in base64), and which map each day has."""
    there, bits = _engine.seen_days(boxes, days)
    if not there.size:
        return {"days": [], "map_of_day": [], "maps": []}
    maps, places = np.unique(bits, axis=0, return_inverse=True)
    packed = [base64.b64encode(zlib.compress(one.tobytes(), 9)).decode() for one in maps]
    return {"days": there.tolist(), "map_of_day": places.ravel().tolist(), "maps": packed}


_HEAD = ("variable", "valid", "of all", "mean", "std", "min", "max")


def _row(name: str, summary: Summary) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.6g}"

    share = summary.valid_share
    valid = "-" if share is None else f"{100 * share:.1f} %"
    numbers = (summary.mean, summary.std, summary.min, summary.max)
    return (f"{name} {summary.unit}".rstrip(), f"{summary.count:,}", valid, *map(number, numbers))


def _histogram(numbers: Mapping[str, Any]) -> dict[str, list[float]] | None:
    if "histogram" not in numbers:
        return None
    edges, counts = numbers["histogram"]
    return {"edges": edges, "counts": counts}


def _unpacked(text: str) -> npt.NDArray[np.bool_]:
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits, bitorder="little").astype(bool).reshape(180, 360)


def _rectangles(cells: npt.NDArray[np.bool_]) -> list[tuple[float, float, float, float]]:
    """Boxes that hold the set cells and no other, `(west, east, south, north)` in degrees."""
    open_runs: dict[tuple[int, int], int] = {}
    found = []
    # A row of nothing ends what reaches the pole.
    for row, line in enumerate([*cells, np.zeros(360, bool)]):
        edges = np.flatnonzero(np.diff(line, prepend=False, append=False)).tolist()
        runs = set(zip(edges[::2], edges[1::2], strict=True))
        for run in open_runs.keys() - runs:
            west, east = run[0] - 180.0, run[1] - 180.0
            found.append((west, east, open_runs.pop(run) - 90.0, row - 90.0))
        for run in runs - open_runs.keys():
            open_runs[run] = row
    return sorted(found)
