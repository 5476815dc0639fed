"""The metadata of a smaller dataset: the original's own, for the rows that are kept."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oceanarrow._taco_tables import Box, box_polygon, to_json
from oceanarrow.optional import require
from oceanarrow.subset.rows import (
    CURRENT,
    GEOMETRY,
    ID,
    PARENT,
    PATH,
    TYPE,
    MetadataFiles,
    Row,
    Selection,
    read_levels,
    select_rows,
)
from oceanarrow.taco import PUBLISHED_PARQUET

_INTERNAL = "internal:"


@dataclass(frozen=True)
class SubsetMetadata:
    """The metadata files of a TACO FOLDER as bytes, by their places in it."""

    collection: bytes
    levels: dict[str, bytes]
    metas: dict[str, bytes]
    """Each folder's own table of what it holds."""
    padding: list[str]
    """Places of the empty files."""


def subset_metadata(
    containers: Sequence[MetadataFiles],
    wanted: Collection[str],
    boxes: Mapping[str, Box],
) -> SubsetMetadata:
    """The metadata of the files `wanted`, given as `date/region/file`.

    All columns of the original tables stay; ids, parents and padding are made anew. Where a
    region's footprint differs from day to day, its first row takes the whole of it, so that queries
    find the same regions. `boxes` are these footprints, by region.
    """
    levels = read_levels(containers)
    selection = select_rows(levels, wanted)
    tables = [
        _level(levels[0], selection.days, "FOLDER", with_path=False),
        _whole_footprints(
            _level(levels[1], selection.regions, "FOLDER"), levels[1], selection, boxes
        ),
        _level(levels[2], selection.files, "FILE"),
    ]
    original = json.loads(containers[0][0].decode("utf-8-sig"))
    return SubsetMetadata(
        collection=to_json(_collection(original, selection, tables, boxes)),
        levels={f"METADATA/level{k}.parquet": _parquet(table) for k, table in enumerate(tables)},
        metas=_metas(selection, tables),
        padding=[f"DATA/{path}" for path in selection.padding()],
    )


def _level(original: Any, rows: Sequence[Row], kind: str, *, with_path: bool = True) -> Any:
    """The rows of a level, with ids of their own."""
    pa = require("pyarrow", "making a dataset", extra="taco")
    names = [n for n in original.column_names if n != "part" and (n != PATH or with_path)]
    table = original.select(names).take(pa.array([row.origin for row in rows], pa.int64()))
    columns: dict[str, tuple[list[Any], Any]] = {
        ID: ([row.id for row in rows], pa.string()),
        TYPE: ([kind] * len(rows), pa.string()),
        CURRENT: (list(range(len(rows))), pa.int64()),
        PARENT: ([row.parent for row in rows], pa.int64()),
    }
    if with_path:
        columns[PATH] = ([row.path for row in rows], pa.string())
    for name, (values, column_type) in columns.items():
        table = _with_column(table, name, pa.array(values, column_type))
    return table


def _with_column(table: Any, name: str, values: Any) -> Any:
    if name not in table.column_names:
        return table.append_column(name, values)
    return table.set_column(table.column_names.index(name), name, values)


def _whole_footprints(
    table: Any, original: Any, selection: Selection, boxes: Mapping[str, Box]
) -> Any:
    """Level 1, where no region's footprint has become smaller than it was."""
    if GEOMETRY not in original.column_names:
        return table
    pa = require("pyarrow", "making a dataset", extra="taco")
    geometries = table.column(GEOMETRY).to_pylist()
    before = _footprints(original.column(ID).to_pylist(), original.column(GEOMETRY).to_pylist())
    after = _footprints([row.id for row in selection.regions], geometries)
    for position, name in enumerate(selection.names):
        if not before[name] <= after[name]:
            geometries[position] = box_polygon(boxes[name])
    return _with_column(table, GEOMETRY, pa.array(geometries, pa.binary()))


def _footprints(names: Sequence[str], geometries: Sequence[bytes | None]) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = {}
    for name, geometry in zip(names, geometries, strict=True):
        footprints = found.setdefault(name, set())
        if geometry is not None:
            footprints.add(geometry)
    return found


def _metas(selection: Selection, tables: Sequence[Any]) -> dict[str, bytes]:
    """Each folder's table: the rows of its children, without their ids."""
    metas = {}
    for level, folders, width in (
        (1, selection.days, len(selection.names)),
        (2, selection.regions, selection.width),
    ):
        names = [n for n in tables[level].column_names if not n.startswith(_INTERNAL)]
        children = tables[level].select(names)
        for position, folder in enumerate(folders):
            content = _parquet(children.slice(position * width, width))
            metas[f"DATA/{folder.path}__meta__"] = content
    return metas


def _collection(
    original: Mapping[str, Any],
    selection: Selection,
    tables: Sequence[Any],
    boxes: Mapping[str, Box],
) -> dict[str, Any]:
    """`COLLECTION.json`: the original's, with the shape and the extent of what is kept."""
    days, names, width = selection.days, selection.names, selection.width
    kept = [boxes[name] for name in names]
    west, east, south, north = zip(*kept, strict=True)
    first, last = (row.id.replace("_", "-") for row in (days[0], days[-1]))
    folders = {"n": len(days) * len(names), "type": ["FOLDER"] * len(names), "id": names}
    patterns = [
        {"n": len(days) * width, "type": ["FILE"] * width, "id": ids} for ids in _fullest(selection)
    ]
    described = original.get("taco:field_schema") or {}
    made = {
        **original,
        "extent": {
            "spatial": [min(west), min(south), max(east), max(north)],
            "temporal": [f"{first}T00:00:00Z", f"{last}T23:59:59Z"],
        },
        "taco:pit_schema": {
            "root": {"n": len(days), "type": "FOLDER"},
            "hierarchy": {"1": [folders], "2": patterns},
        },
        "taco:field_schema": {
            f"level{k}": _fields(table, described.get(f"level{k}") or [])
            for k, table in enumerate(tables)
        },
    }
    made.pop("taco:sources", None)
    return made


def _fullest(selection: Selection) -> list[list[str]]:
    """For each region, the names in its folder on the day that has the most files."""
    width, names = selection.width, selection.names
    found: list[list[Row]] = [[] for _ in names]
    for position in range(len(selection.regions)):
        files = selection.files[position * width : (position + 1) * width]
        of_region = position % len(names)
        if _real(files) > _real(found[of_region]) or not found[of_region]:
            found[of_region] = files
    return [[row.id for row in files] for files in found]


def _real(files: Sequence[Row]) -> int:
    return sum(row.origin is not None for row in files)


def _fields(table: Any, described: Sequence[Sequence[str]]) -> list[list[str]]:
    """The columns of a level as [name, type, what the original says about it]."""
    texts = {field[0]: field[2] for field in described if len(field) > 2}
    return [[field.name, str(field.type), texts.get(field.name, "")] for field in table.schema]


def _parquet(table: Any) -> bytes:
    pq = require("pyarrow.parquet", "making a dataset", extra="taco")
    out = io.BytesIO()
    pq.write_table(table, out, **PUBLISHED_PARQUET)
    return out.getvalue()
