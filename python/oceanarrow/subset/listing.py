"""The catalogue of copies: the rows of the originals for the files that are kept."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from oceanarrow.optional import require

_KEY = "oceanarrow.catalog"
_GROUPS, _VARIABLES = f"{_KEY}.groups", f"{_KEY}.variables"
_REQUEST, _WARNINGS = f"{_KEY}.request", f"{_KEY}.warnings"


def places(files: Sequence[tuple[str, str, int | None, str | None]]) -> list[str]:
    """Where in a download's directory each file of `Subset.files()` lies.

    Tiles lie where a TACO folder has them. Listed files keep their paths relative to their
    catalogue, or their names, under `files/`; two that would meet there get folders of their own.
    """
    wanted = [_wanted(path) if address else f"DATA/{path}" for path, _, _, address in files]
    taken: dict[str, int] = {}
    for place in wanted:
        taken[place] = taken.get(place, 0) + 1
    return [
        place if taken[place] == 1 else _apart(place, address or "")
        for place, (_, _, _, address) in zip(wanted, files, strict=True)
    ]


def _wanted(path: str) -> str:
    is_relative = "://" not in path and not path.startswith("/")
    return f"files/{path if is_relative else PurePosixPath(path).name}"


def _apart(place: str, address: str) -> str:
    own = hashlib.sha256(address.encode()).hexdigest()[:8]
    return f"files/{own}/{place.removeprefix('files/')}"


def catalogue_of_copies(
    listings: Sequence[tuple[bytes, str]], place_of: Mapping[str, str], days: Collection[int]
) -> bytes:
    """A catalogue of the copies, for the days that were asked for.

    Other days of the same files are left out: of them, files that count more may not be here.

    Args:
        listings: the bytes of each catalogue, and the folder that its relative paths start from.
        place_of: {address of a file: its place in the directory}.
        days: since 1970-01-01.
    """
    pa = require("pyarrow", "download", extra="taco")
    pc = require("pyarrow.compute", "download", extra="taco")
    pq = require("pyarrow.parquet", "download", extra="taco")
    tables: list[Any] = []
    groups: list[Any] = []
    variables: dict[str, Any] = {}
    metadata: dict[bytes, bytes] = {}
    for content, folder in listings:
        file = pq.ParquetFile(io.BytesIO(content))
        metadata = file.metadata.metadata
        table = file.read()
        kept = [place_of.get(_address(path, folder)) for path in table.column("path").to_pylist()]
        table = _with(table, "path", pa.array(kept, pa.string()))
        table = _with(table, "group", pc.add(table.column("group"), len(groups)))
        # A copy has another time than its original; what opening it read tells that it is the same.
        table = _with(table, "version", pa.nulls(len(table), pa.string()))
        is_kept = pc.and_(
            pc.is_valid(table.column("path")),
            pc.or_(
                pc.is_null(table.column("day")),
                pc.is_in(table.column("day"), pa.array(sorted(days), pa.int64())),
            ),
        )
        tables.append(table.filter(is_kept))
        groups += json.loads(metadata[_GROUPS.encode()])
        variables |= json.loads(metadata[_VARIABLES.encode()])
    told = {
        _KEY: metadata[_KEY.encode()].decode(),
        _GROUPS: json.dumps(groups),
        _VARIABLES: json.dumps(variables, sort_keys=True),
        # Nothing that was asked for: an update looks at all of the files.
        _REQUEST: "",
        _WARNINGS: "[]",
    }
    joined = pa.concat_tables(tables).replace_schema_metadata(told)
    out = io.BytesIO()
    pq.write_table(joined, out, compression="zstd")
    return out.getvalue()


def _address(path: str, folder: str) -> str:
    if "://" in path or path.startswith("/"):
        return path
    return f"{folder.rstrip('/')}/{path}"


def _with(table: Any, name: str, values: Any) -> Any:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(name).with_nullable(True), values)
