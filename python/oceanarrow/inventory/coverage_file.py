"""Coverages as Parquet files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from oceanarrow.atomic_file import replace_file
from oceanarrow.exceptions import InvalidDatasetError, NotFoundError
from oceanarrow.optional import require

_MAGIC = b"oceanarrow.coverage"
_VERSION = 1

_GROUP = 64
"""Rows of a row group."""

Row = tuple[str, int, Any]
"""Variable, day since 1970-01-01, and `(state, cells, valid)`, or None where there is no file."""


def write(path: str | os.PathLike[str], cell: float, rows: Iterable[Row]) -> None:
    """Writes the rows of a coverage; what was at `path` stays until they are all written."""
    arrow, parquet = _pyarrow("saving")
    about = json.dumps({"version": _VERSION, "cell": cell})
    counts = arrow.list_(arrow.uint32())
    schema = arrow.schema(
        [
            ("variable", arrow.string()),
            ("day", arrow.date32()),
            ("state", arrow.string()),
            ("cells", counts),
            ("valid", counts),
        ],
        metadata={_MAGIC: about.encode()},
    )

    def lists(counted: list[Any], part: int) -> Any:
        there = [np.empty(0, np.uint32)] + [each[part].ravel() for each in counted if each]
        sizes = [each[part].size if each else 0 for each in counted]
        return arrow.ListArray.from_arrays(
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
            np.concatenate(there).astype(np.uint32),
            mask=arrow.array([each is None for each in counted]),
        )

    def fill(file: Any) -> None:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            left = iter(rows)
            while group := list(islice(left, _GROUP)):
                names, days, counted = map(list, zip(*group, strict=True))
                columns = [
                    arrow.array(names),
                    arrow.array(np.array(days, "datetime64[D]")),
                    arrow.array([each[0] if each else None for each in counted], arrow.string()),
                    lists(counted, 1),
                    lists(counted, 2),
                ]
                writer.write_table(arrow.Table.from_arrays(columns, schema=schema))

    replace_file(Path(path), fill)


def read(path: str | os.PathLike[str]) -> tuple[float, Iterator[Row]]:
    """The side of the coarse cells, and the rows, which are read one after the other.

    Raises:
        NotFoundError: there is no such file.
        InvalidDatasetError: it is no coverage, or one of a newer version; also the rows.
    """
    parquet = _pyarrow("loading")[1]
    path = Path(path)
    if not path.exists():
        raise NotFoundError(f"{path}: no such file; oceanarrow.coverage(..., output=) makes it")
    with _no_coverage(path):
        file = parquet.ParquetFile(path)
        about = json.loads((file.schema_arrow.metadata or {})[_MAGIC])
        version, cell = int(about["version"]), float(about["cell"])
        if not 0.1 <= cell <= 45:
            raise ValueError(f"cells of {cell} degrees")
    if version > _VERSION:
        raise InvalidDatasetError(
            f"{path}: a coverage of version {version}, and this release reads {_VERSION}; "
            "install a newer oceanarrow"
        )

    def rows() -> Iterator[Row]:
        shape = int(np.ceil(180 / cell)), int(np.ceil(360 / cell))
        with _no_coverage(path):
            for group in range(file.num_row_groups):
                yield from _rows(file.read_row_group(group), shape)

    return cell, rows()


@contextmanager
def _no_coverage(path: Path) -> Iterator[None]:
    try:
        yield
    # pyarrow's errors are ValueError, OSError, KeyError, TypeError or this.
    except (ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InvalidDatasetError(f"{path}: no coverage that oceanarrow wrote ({error})") from error


def _rows(table: Any, shape: tuple[int, int]) -> Iterator[Row]:
    names, states = table.column("variable").to_pylist(), table.column("state").to_pylist()
    days = table.column("day").cast("int32").to_pylist()
    for i, (name, day, state) in enumerate(zip(names, days, states, strict=True)):
        if state is None:
            yield name, day, None
            continue
        lists = (table.column(part)[i].values for part in ("cells", "valid"))
        # Copies: a view would keep its whole row group.
        cells, valid = (each.to_numpy(zero_copy_only=False).reshape(shape).copy() for each in lists)
        yield name, day, (state, cells, valid)


def _pyarrow(doing: str) -> tuple[Any, Any]:
    parquet = require("pyarrow.parquet", f"{doing} a coverage", extra="taco")
    return require("pyarrow", f"{doing} a coverage", extra="taco"), parquet
