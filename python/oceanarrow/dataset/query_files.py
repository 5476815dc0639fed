"""Lists of queries on disk: `<path>.parquet` for the queries, `<path>.json` for what they are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from oceanarrow.atomic_file import replace_file
from oceanarrow.dataset.query import Query
from oceanarrow.exceptions import InvalidInputError, NotFoundError
from oceanarrow.optional import require

_EDGES = ("lon_min", "lon_max", "lat_min", "lat_max")
_TIMES = ("time_start", "time_end")


def save(
    queries: Sequence[Query],
    path: str | os.PathLike[str],
    metadata: Mapping[str, Any] | None,
) -> None:
    """Writes both files; a reader never sees half of one."""
    pa, pq = _pyarrow()
    rows = [query.to_dict() for query in queries]
    columns = {name: pa.array([float(row[name]) for row in rows], pa.float64()) for name in _EDGES}
    columns |= {name: pa.array([row[name] for row in rows], pa.string()) for name in _TIMES}
    about = {
        "n_queries": len(rows),
        "generated_at": datetime.now().isoformat(),
        **(metadata or {}),
    }
    text = json.dumps(about, indent=2, default=str).encode()
    parquet, sidecar = paths(path)
    replace_file(parquet, lambda file: pq.write_table(pa.table(columns), file))
    replace_file(sidecar, lambda file: file.write(text))


def load(path: str | os.PathLike[str]) -> tuple[list[Query], dict[str, Any]]:
    """The queries and what was said about them ({} without a `.json`).

    Raises:
        NotFoundError: there is no `<path>.parquet`.
        InvalidInputError: a file is broken, or the table's columns are not a query's.
    """
    pa, pq = _pyarrow()
    parquet, sidecar = paths(path)
    if not parquet.exists():
        raise NotFoundError(f"{parquet}: no such file; save_queries writes it")
    try:
        table = pq.read_table(parquet)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInputError(f"{parquet}: not a readable Parquet file ({error})") from error
    columns = [_column(pa, table, name, parquet) for name in (*_EDGES, *_TIMES)]
    queries = [Query(*row) for row in zip(*columns, strict=True)]
    return queries, _metadata(sidecar)


def paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """`<path>.parquet` and `<path>.json`; a suffix `.parquet` or `.json` may be there already."""
    stem = Path(path)
    if stem.suffix in (".parquet", ".json"):
        stem = stem.with_suffix("")
    return stem.with_name(stem.name + ".parquet"), stem.with_name(stem.name + ".json")


def _column(pa: Any, table: Any, name: str, parquet: Path) -> list[Any]:
    if name not in table.column_names:
        raise InvalidInputError(
            f"{parquet}: no column {name!r}; a query table has "
            f"{', '.join((*_EDGES, *_TIMES))}, this one {', '.join(table.column_names) or 'none'}"
        )
    column = table.column(name)
    if column.null_count:
        raise InvalidInputError(f"{parquet}: column {name!r} has {column.null_count} empty rows")
    text = name in _TIMES
    kind = column.type
    fits = (
        pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if text
        else pa.types.is_floating(kind) or pa.types.is_integer(kind)
    )
    if not fits:
        wanted = "text" if text else "numbers"
        raise InvalidInputError(f"{parquet}: column {name!r} must hold {wanted}, not {kind}")
    values: list[Any] = column.to_pylist()
    return values


def _metadata(sidecar: Path) -> dict[str, Any]:
    if not sidecar.exists():
        return {}
    try:
        metadata = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInputError(f"{sidecar}: not readable as JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise InvalidInputError(f"{sidecar}: must hold a JSON object")
    return metadata


def _pyarrow() -> tuple[Any, Any]:
    purpose = "saving and loading queries"
    parquet = require("pyarrow.parquet", purpose, extra="taco")
    return require("pyarrow", purpose, extra="taco"), parquet
