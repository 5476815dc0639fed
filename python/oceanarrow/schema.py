"""The columns of batches: their names, types, shapes and units."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from oceanarrow import _engine

POINT_COLUMNS = {"data": "", "lats": "_lat", "lons": "_lon", "time": "_time"} | {
    "pressure": "_pressure"
}
"""What `to_numpy` calls the columns of a point variable, and how their names end."""

_ROW_COLUMNS = ("query", "n_files", "status", "sample_weight", "augmentation")


def row_columns(names: Iterable[str]) -> list[str]:
    """The columns that `to_numpy` gives as metadata as they are, of those that there are."""
    there = set(names)
    return [name for name in _ROW_COLUMNS if name in there]


@dataclass(frozen=True)
class Field:
    """One column.

    Attributes:
        name: the column's name.
        dtype: of its numbers.
        shape: of one row: `()` for a number, `(H, W)` for a patch, `(None,)` for a list.
        metadata: of a variable's own column `role`, `unit`, `resample` and the like
            (`docs/reference/batch.md`), and what Arrow needs to know of a tensor.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def unit(self) -> str | None:
        """The unit of a variable's values; None of other columns.

        If the values are normalised it is that of the mean and the deviation in `metadata`.
        """
        return self.metadata.get("unit")

    @property
    def roles(self) -> tuple[str, ...]:
        """`"input"`, `"target"` or both of a variable's own column, else none."""
        return tuple(filter(None, self.metadata.get("role", "").split(",")))

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels of a tensor of several variables, else none."""
        return tuple(json.loads(self.metadata.get("channels", "[]")))


class Schema:
    """An Arrow schema: give it to `pyarrow.schema`, or look at its fields and metadata."""

    def __init__(self, source: _engine.Batch | _engine.Engine) -> None:
        self._source = source

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return self._source.column_names

    @property
    def fields(self) -> list[Field]:
        """The columns, in order."""
        return [
            Field(name, np.dtype(dtype), (None,) if dims is None else tuple(dims), metadata)
            for name, dtype, dims, metadata in self._source.fields()
        ]

    @property
    def metadata(self) -> dict[str, str]:
        """What is said of all columns together; `docs/reference/batch.md` lists the keys."""
        return self._source.metadata

    def field(self, name: str) -> Field:
        """The column of this name.

        Raises:
            KeyError: there is none.
        """
        for found in self.fields:
            if found.name == name:
                return found
        raise KeyError(f"no column {name!r}; there are {', '.join(self.names)}")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __arrow_c_schema__(self) -> object:
        return self._source.__arrow_c_schema__()

    def __repr__(self) -> str:
        return f"Schema({', '.join(self.names)})"


def told(schema: Schema) -> Iterator[tuple[str, str, str, str, str]]:
    """Of each variable what people want to see: name, role, shape of a row, type and unit."""
    for column in schema:
        if column.roles:
            shape = " x ".join("n" if size is None else str(size) for size in column.shape)
            roles = ", ".join(column.roles)
            yield column.name, roles, shape, str(column.dtype), column.unit or ""


class ArraySpec(NamedTuple):
    """An array to come.

    Attributes:
        shape: None where a length is not known before.
        dtype: of its elements.
        unit: of its values, if they have one.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    unit: str | None = None


def element_spec(schema: Schema, rows: int | None) -> dict[str, Any]:
    """An `ArraySpec` in the place of each array that `Batch.to_numpy` gives, of so many rows."""
    columns = {column.name: column for column in schema}

    def spec(name: str, dtype: type | None = None, unit: str | None = None) -> ArraySpec:
        column = columns[name]
        return ArraySpec((rows, *column.shape), np.dtype(dtype or column.dtype), unit)

    result: dict[str, Any] = {"inputs": {}, "targets": {}, "masks": {}, "present": {}}
    for name, column in columns.items():
        if not column.roles:
            continue
        points = f"{name}_mask" not in columns
        data: Any = spec(name, unit=column.unit)
        if points:
            units = {"data": column.unit, "lats": "degrees_north", "lons": "degrees_east"}
            units |= {"time": "days since 1970-01-01", "pressure": "dbar"}
            data = {key: spec(name + end, unit=units[key]) for key, end in POINT_COLUMNS.items()}
            data["mask"] = ArraySpec((rows, None), np.dtype(bool))
        else:
            result["masks"][name] = spec(f"{name}_mask", bool)
        for role in column.roles:
            result[f"{role}s"][name] = data
        result["present"][name] = spec(f"{name}_present")
        if f"{name}_support" in columns:
            result.setdefault("support", {})[name] = spec(f"{name}_support")
        if not points and f"{name}_lat" in columns:
            lat = spec(f"{name}_lat", unit="degrees_north")
            lon = spec(f"{name}_lon", unit="degrees_east")
            result.setdefault("coords", {})[name] = {"lat": lat, "lon": lon}
    days = ArraySpec((rows,), np.dtype(np.int64), "days since 1970-01-01")
    result["metadata"] = {name: spec(name) for name in row_columns(columns)} | {
        "bbox": ArraySpec((rows, 4), np.dtype(np.float64), "degrees"),
        "time_start": days,
        "time_end": days,
    }
    return result
