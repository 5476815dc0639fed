"""What there is in a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.dataset.days import iso_day
from oceanarrow.dataset.regular_grid import RegularGrid
from oceanarrow.display import bar, view
from oceanarrow.events import hand_over
from oceanarrow.optional import require
from oceanarrow.roots import StorageOptions, TacoPath, dataset_roots
from oceanarrow.variables import Variable, dataset_variables

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 4
"""Names, gaps or warnings that a `repr` spells out."""


class Days(NamedTuple):
    """The days of a dataset, as ISO dates.

    Attributes:
        first: the first one that has a file.
        last: the last one.
        missing: those between them that have none.
    """

    first: str
    last: str
    missing: list[str]


class Catalog:
    """What there is in a dataset: its granules, sorted by day, region, source and file.

    A granule is one day of one source in one file: a tile of a TACO container, a time step of a
    file that a catalogue lists. No data file is opened. Shown in a notebook or printed, it says
    what there is in some ten lines.

    Args:
        taco_path: path or address of a dataset (a TACO folder, `.tacozip` or `.tacocat`, or a
            catalogue of one's own files), or a list of several.
        storage_options: {name: value} for a remote dataset; see
            `docs/reference/storage_options.md`.

    Raises:
        NotFoundError: there is no dataset (`oceanarrow.exceptions`; also a FileNotFoundError).
        InvalidDatasetError: its metadata break the TACO specification (also a ValueError).
    """

    def __init__(
        self, taco_path: TacoPath, *, storage_options: StorageOptions | None = None
    ) -> None:
        self._roots = dataset_roots(taco_path)
        self._storage_options = storage_options
        hand_over()
        try:
            self._native = _engine.Catalog(self._roots, storage_options=storage_options)
        finally:
            hand_over()

    def __len__(self) -> int:
        """How many granules there are."""
        return len(self._native)

    @property
    def days(self) -> Days | None:
        """First and last day that have a granule and those between that have none; None if there is
        no granule."""
        there = np.unique(self.columns["day"])
        return _span(there) if there.size else None

    @property
    def regions(self) -> dict[str, tuple[float, float, float, float]]:
        """Footprint of each region by name: (lon_min, lon_max, lat_min, lat_max), degrees."""
        return self._native.regions

    @property
    def sources(self) -> list[str]:
        """The names of the data sources, in alphabetical order."""
        return self._native.sources

    @cached_property
    def variables(self) -> dict[str, Variable]:
        """The variables that may be asked for, by name: registered ones of which there is a file,
        and those that the catalogue defines."""
        known = dataset_variables(self._roots, self._storage_options)
        there = set(self._native.product_table())
        return {name: v for name, v in known.items() if (v.source, v.file) in there}

    @property
    def warnings(self) -> list[str]:
        """What is odd about the dataset, but no reason to refuse it."""
        return self._native.warnings

    @cached_property
    def columns(self) -> Mapping[str, Any]:
        """The granules by column, as NumPy arrays and lists: what `to_arrow` makes its table of."""
        return self._native.columns()

    def granules(self) -> list[dict[str, Any]]:
        """The granules as dicts: `day` (ISO), `region`, `source`, `file`, `res_deg_lat` (NaN:
        unknown), `path`, and, in an archive, `offset` and `size` in bytes (else None)."""
        return self._native.granules()

    def days_of(self, variable: Variable) -> npt.NDArray[np.int32]:
        """The days on which a variable has a file, since 1970-01-01, ascending."""
        return np.unique(self.columns["day"][self.rows_of(variable)])

    def rows_of(self, variable: Variable) -> npt.NDArray[np.bool_]:
        """Which granules hold a variable."""
        products = self._native.product_table()
        numbers = [i for i, p in enumerate(products) if p == (variable.source, variable.file)]
        return np.isin(self.columns["product"], numbers)

    def grid(self, name: str) -> RegularGrid:
        """The cells of a gridded variable, on the first day that has a file of it.

        Raises:
            InvalidInputError: there is no such variable, or its cells are not equally far apart.
        """
        # Planning knows queries, whose generator knows catalogs.
        from oceanarrow.inventory.cells import read_grid

        return read_grid(self._roots, name, self.variables, self._storage_options)

    def footprints(self) -> npt.NDArray[np.float64]:
        """West, east (beyond west), south and north edge of each granule: `(N, 4)` degrees."""
        regions = np.array([row[1:] for row in self._native.region_table()]).reshape(-1, 4)
        edges: npt.NDArray[np.float64] = regions[self.columns["region"]]
        return edges

    def check_zip_entry(self, index: int) -> None:
        """Checks the ZIP local header of granule `index`; nothing to check in a folder."""
        self._native.check_zip_entry(index)

    def to_arrow(self) -> pa.Table:
        """A row a granule: `day` (date32), `region`, `source`, `file` (dictionaries of text),
        `lon_min`, `lon_max`, `lat_min`, `lat_max` (degrees), `res_deg_lat` (NaN: unknown), `path`,
        and, in an archive, `offset` and `size` in bytes (else null).

        Raises:
            ImportError: pyarrow is not installed.
        """
        arrow = require("pyarrow", "Catalog.to_arrow", extra="taco")
        columns = self.columns
        regions = [row[0] for row in self._native.region_table()]
        products = self._native.product_table()
        edges = self.footprints()

        def texts(numbers: npt.NDArray[np.int32], names: Sequence[str]) -> Any:
            values = arrow.array(names, arrow.string())
            return arrow.DictionaryArray.from_arrays(arrow.array(numbers), values)

        names = ("lon_min", "lon_max", "lat_min", "lat_max")
        table: pa.Table = arrow.table(
            {
                "day": arrow.array(columns["day"].astype("datetime64[D]")),
                "region": texts(columns["region"], regions),
                "source": texts(columns["product"], [source for source, _ in products]),
                "file": texts(columns["product"], [file for _, file in products]),
                **{name: arrow.array(edges[:, i]) for i, name in enumerate(names)},
                "res_deg_lat": arrow.array(columns["res_deg_lat"]),
                "path": arrow.array(columns["path"], arrow.string()),
                "offset": arrow.array(columns["offset"], arrow.uint64()),
                "size": arrow.array(columns["size"], arrow.uint64()),
            }
        )
        return table

    def __repr__(self) -> str:
        return self._told(2 * _SHOWN, _SHOWN)

    def _repr_html_(self) -> str:
        days = self.days
        if days is None:
            return view("Catalog", f"{', '.join(self._roots)}: no granule")
        facts: list[tuple[str, object]] = [
            ("days", f"{days.first} to {days.last}, {_gaps(days.missing)}"),
            ("granules", f"{len(self):,} in {len(self.regions):,} regions"),
            *(("warning", text) for text in self.warnings),
        ]
        span = int((np.datetime64(days.last) - np.datetime64(days.first)).astype(int)) + 1
        rows = [
            (v.name, v.unit, f"{self.days_of(v).size:,}", bar(self.days_of(v).size / span))
            for v in self.variables.values()
        ]
        head = ("variable", "unit", "days with a file", "of all")
        return view("Catalog", ", ".join(self._roots), facts, head, rows)

    def describe(self) -> str:
        """What a `repr` says, with all variables and warnings."""
        return self._told(len(self.variables), len(self.warnings))

    def _told(self, most_variables: int, most_warnings: int) -> str:
        days = self.days
        if days is None:
            return f"Catalog of {', '.join(self._roots)}: no granule"
        lines = [
            f"Catalog of {', '.join(self._roots)}",
            f"  days       {days.first} to {days.last}, {_gaps(days.missing)}",
            f"  granules   {len(self):,} in {len(self.regions):,} regions",
            "  variables  (days that have a file)",
        ]
        named = list(self.variables.values())
        shown = named if len(named) <= most_variables else named[: most_variables - 1]
        lines += [f"    {v.name:<18} {self.days_of(v).size:>6,}  {v.unit}" for v in shown]
        if len(shown) < len(named):
            lines.append(f"    and {len(named) - len(shown)} more")
        odd = self.warnings
        lines += [f"  warning    {text}" for text in odd[:most_warnings]]
        if len(odd) > most_warnings:
            lines.append(f"  warnings   {len(odd) - most_warnings} more: Catalog.warnings")
        return "\n".join(lines)


def _span(there: npt.NDArray[np.int32]) -> Days:
    first, last = int(there[0]), int(there[-1])
    missing = np.setdiff1d(np.arange(first, last + 1), there)
    return Days(iso_day(first), iso_day(last), [iso_day(day) for day in missing.tolist()])


def _gaps(missing: Sequence[str]) -> str:
    if not missing:
        return "every one"
    shown = ", ".join(missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"without {shown}{more}"
