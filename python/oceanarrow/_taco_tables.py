"""The tables and the collection file of a TACO container, as bytes."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require

Box = tuple[float, float, float, float]
Places = Mapping[str, tuple[int, int]]

PADDING = "__TACOPAD__"
_KM_PER_DEGREE = 110.574  # of latitude at the equator (WGS 84), as the published tables have it
_ISTAC = {
    "istac:centroid": "binary",
    "istac:crs": "string",
    "istac:geometry": "binary",
    "istac:time_end": "timestamp[us]",
    "istac:time_middle": "timestamp[us]",
    "istac:time_start": "timestamp[us]",
}
# What each level's rows say about themselves, in column order; ids and places come after.
_COLUMNS: list[dict[str, str]] = [
    {"id": "string", "type": "string", "stac:time_start": "string"},
    {"id": "string", "type": "string", **_ISTAC},
    {
        "id": "string",
        "type": "string",
        "data_source": "string",
        **_ISTAC,
        "modality": "string",
        "res_deg_lat": "double",
        "res_km_lat": "double",
        "sensor": "string",
        "variable": "string",
    },
]
_IDS = {"internal:current_id": "int64", "internal:parent_id": "int64"}
_PATH = {"internal:relative_path": "string"}
_SPAN = {"internal:offset": "int64", "internal:size": "int64"}


@dataclass(frozen=True)
class Leaf:
    """One file of a region."""

    name: str
    path: Path
    source: str
    sensor: str
    modality: str
    variable: str
    box: Box
    res_deg_lat: float


@dataclass(frozen=True)
class Node:
    """One row: a folder, a file or padding. ``path`` is relative to DATA; a folder's ends in /."""

    path: str
    row: dict[str, Any]
    leaf: Leaf | None = None

    @property
    def is_folder(self) -> bool:
        return self.path.endswith("/")


@dataclass(frozen=True)
class Folder:
    """A day or a region, with what it holds."""

    path: str
    level: int
    children: list[Node]


@dataclass(frozen=True)
class Tree:
    """Days, regions and files; every day has every region, every region ``width`` rows."""

    days: list[date]
    regions: list[str]
    boxes: dict[str, Box]
    leaves: dict[tuple[date, str], list[Leaf]]
    width: int

    def folders(self) -> list[Folder]:
        """Every day and region, in depth-first order."""
        return [folder for group in self._groups for folder in group]

    def levels(self) -> list[list[tuple[int, Node]]]:
        """The rows of each level, with the index of their parent."""
        days: list[tuple[int, Node]] = []
        regions: list[tuple[int, Node]] = []
        files: list[tuple[int, Node]] = []
        for i, (day, (top, *folders)) in enumerate(zip(self.days, self._groups, strict=True)):
            row = {
                "id": f"{day:%Y_%m_%d}",
                "type": "FOLDER",
                "stac:time_start": f"{day.isoformat()}T00:00:00+00:00",
            }
            days.append((i, Node(top.path, row)))
            for node, folder in zip(top.children, folders, strict=True):
                files += [(len(regions), child) for child in folder.children]
                regions.append((i, node))
        return [days, regions, files]

    @cached_property
    def _groups(self) -> list[list[Folder]]:
        return [
            [self._top(day), *(self._region(day, r) for r in self.regions)] for day in self.days
        ]

    def _top(self, day: date) -> Folder:
        end = timedelta(days=1) - timedelta(seconds=1)
        return Folder(
            f"{day:%Y_%m_%d}/",
            1,
            [
                Node(
                    f"{day:%Y_%m_%d}/{region}/",
                    {"id": region, "type": "FOLDER", **_istac(self.boxes[region], day, end)},
                )
                for region in self.regions
            ],
        )

    def _region(self, day: date, region: str) -> Folder:
        path = f"{day:%Y_%m_%d}/{region}/"
        leaves = self.leaves.get((day, region), [])
        files = [Node(path + leaf.name, _file_row(leaf, day), leaf) for leaf in leaves]
        names = [f"{PADDING}{k}" for k in range(self.width - len(leaves))]
        pads = [Node(path + name, {"id": name, "type": "FILE"}) for name in names]
        return Folder(path, 2, files + pads)


def _file_row(leaf: Leaf, day: date) -> dict[str, Any]:
    return {
        "id": leaf.name,
        "type": "FILE",
        "data_source": leaf.source,
        **_istac(leaf.box, day, timedelta(days=1)),
        "modality": leaf.modality,
        "res_deg_lat": leaf.res_deg_lat,
        "res_km_lat": leaf.res_deg_lat * _KM_PER_DEGREE,
        "sensor": leaf.sensor,
        "variable": leaf.variable,
    }


def _istac(box: Box, day: date, length: timedelta) -> dict[str, Any]:
    west, east, south, north = box
    start = datetime.combine(day, time())
    return {
        "istac:centroid": struct.pack("<BI2d", 1, 1, (west + east) / 2, (south + north) / 2),
        "istac:crs": "EPSG:4326",
        "istac:geometry": box_polygon(box),
        "istac:time_end": start + length,
        "istac:time_middle": start + length / 2,
        "istac:time_start": start,
    }


def box_polygon(box: Box) -> bytes:
    """A box as WKB."""
    west, east, south, north = box
    ring = [(east, south), (east, north), (west, north), (west, south), (east, south)]
    return struct.pack("<BIII", 1, 3, 1, 5) + b"".join(struct.pack("<2d", *p) for p in ring)


def _schema(level: int, extra: Mapping[str, str]) -> dict[str, str]:
    return {**_COLUMNS[level], **extra}


def _encode(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], options: Mapping[str, Any]
) -> bytes:
    pa = require("pyarrow", "writing a container", extra="taco")
    pq = require("pyarrow.parquet", "writing a container", extra="taco")
    types = {
        "string": pa.string(),
        "binary": pa.binary(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "timestamp[us]": pa.timestamp("us"),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    data = {name: [row.get(name) for row in rows] for name in columns}
    out = io.BytesIO()
    pq.write_table(pa.table(data, schema=schema), out, **options)
    return out.getvalue()


def _span(path: str, places: Places | None) -> dict[str, int]:
    if places is None:
        return {}
    offset, size = places[path]
    return {"internal:offset": offset, "internal:size": size}


def meta_table(folder: Folder, parquet: Mapping[str, Any], places: Places | None = None) -> bytes:
    """A folder's ``__meta__``: its children, in an archive with their places."""
    rows = [{**child.row, **_span(child.path, places)} for child in folder.children]
    return _encode(rows, _schema(folder.level, _SPAN if places is not None else {}), parquet)


def level_tables(
    tree: Tree, parquet: Mapping[str, Any], places: Places | None = None
) -> list[bytes]:
    """``level0.parquet`` and on; in an archive a folder's place is that of its ``__meta__``."""
    spans = _SPAN if places is not None else {}
    out = []
    for level, nodes in enumerate(tree.levels()):
        rows = [
            {
                **node.row,
                "internal:current_id": i,
                "internal:parent_id": parent,
                "internal:relative_path": node.path,
                **_span(node.path, places),
            }
            for i, (parent, node) in enumerate(nodes)
        ]
        columns = _schema(level, {**_IDS, **(_PATH if level else {}), **spans})
        out.append(_encode(rows, columns, parquet))
    return out


def collection(tree: Tree, about: Mapping[str, Any]) -> dict[str, Any]:
    """``COLLECTION.json`` of a container."""
    boxes = list(tree.boxes.values())
    days = len(tree.days)
    folders = {"n": days * len(tree.regions), "type": ["FOLDER"] * len(tree.regions)}
    patterns = [
        {"n": days * tree.width, "type": ["FILE"] * tree.width, "id": _fullest(tree, region)}
        for region in tree.regions
    ]
    return {
        "id": about["id"],
        "dataset_version": "0.1.0",
        "description": about["description"],
        "licenses": about["licenses"],
        "providers": [{"name": "oceanarrow", "roles": ["producer"], "url": None, "links": None}],
        "tasks": ["regression"],
        "taco_version": "0.5.0",
        "title": None,
        "curators": None,
        "keywords": ["ocean"],
        "extent": {
            "spatial": [
                min(b[0] for b in boxes),
                min(b[2] for b in boxes),
                max(b[1] for b in boxes),
                max(b[3] for b in boxes),
            ],
            "temporal": [f"{tree.days[0]}T00:00:00Z", f"{tree.days[-1]}T23:59:59Z"],
        },
        "taco:pit_schema": {
            "root": {"n": days, "type": "FOLDER"},
            "hierarchy": {"1": [{**folders, "id": tree.regions}], "2": patterns},
        },
        "taco:field_schema": {
            f"level{level}": [
                [name, kind, ""]
                for name, kind in _schema(level, {**_IDS, **(_PATH if level else {})}).items()
            ]
            for level in range(3)
        },
    }


def _fullest(tree: Tree, region: str) -> list[str]:
    folder = max((tree.leaves.get((day, region), []) for day in tree.days), key=len)
    names = [leaf.name for leaf in folder]
    return names + [f"{PADDING}{k}" for k in range(tree.width - len(names))]


def join_level(parts: Sequence[tuple[str, bytes]], parquet: Mapping[str, Any]) -> bytes:
    """One level of several archives in one table, columns sorted, each row with its archive."""
    pa = require("pyarrow", "writing a container", extra="taco")
    pq = require("pyarrow.parquet", "writing a container", extra="taco")
    found = []
    for name, content in parts:
        table = pq.read_table(io.BytesIO(content))
        found.append(
            table.append_column("internal:source_file", pa.array([name] * len(table), pa.string()))
        )
    joined = pa.concat_tables(found, promote_options="default")
    out = io.BytesIO()
    pq.write_table(joined.select(sorted(joined.column_names)), out, **parquet)
    return out.getvalue()


def join_collections(names: Sequence[str], parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """``COLLECTION.json`` of joined archives: the first one's, with row counts added up."""
    joined: dict[str, Any] = json.loads(json.dumps(parts[0]))
    schemas = [part["taco:pit_schema"] for part in parts]
    joined["taco:pit_schema"]["root"]["n"] = sum(schema["root"]["n"] for schema in schemas)
    for depth, patterns in joined["taco:pit_schema"]["hierarchy"].items():
        if any(len(s["hierarchy"][depth]) != len(patterns) for s in schemas):
            raise InvalidInputError(
                "the parts differ in their regions; write each with all of them"
            )
        for k, pattern in enumerate(patterns):
            pattern["n"] = sum(s["hierarchy"][depth][k]["n"] for s in schemas)
    extents = [part["extent"] for part in parts]
    spatial = list(zip(*(extent["spatial"] for extent in extents), strict=True))
    joined["extent"] = {
        "spatial": [min(spatial[0]), min(spatial[1]), max(spatial[2]), max(spatial[3])],
        "temporal": [
            min(extent["temporal"][0] for extent in extents),
            max(extent["temporal"][1] for extent in extents),
        ],
    }
    joined["taco:sources"] = {
        "count": len(names),
        "ids": [part["id"] for part in parts],
        "files": list(names),
        "extents": [
            {"file": name, "id": part["id"], **part["extent"]}
            for name, part in zip(names, parts, strict=True)
        ],
    }
    return joined


def to_json(value: Mapping[str, Any]) -> bytes:
    """UTF-8 with the format's indent."""
    return json.dumps(value, indent=4, ensure_ascii=False).encode()
