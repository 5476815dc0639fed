"""Writes small TACO containers, whole or broken, without any TACO library.

A container is three lists of rows (dicts, one a row). A test builds them with `tree`, breaks
what it wants to see refused, and writes them as a FOLDER, a ZIP or a TacoCat.
"""

from __future__ import annotations

import copy
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
Flavour = Literal["published", "default", "large"]

DATES = ("2023_03_29", "2023_03_30", "2023_03_31")
REGIONS = {
    "NORTH_ATLANTIC": (-90.0, 0.0, 0.0, 90.0),
    "SOUTH_INDIAN": (0.0, 90.0, -90.0, 0.0),
}
"""Name -> (lon_min, lon_max, lat_min, lat_max)."""
FILES = {
    "glorys.nc": ("glorys", 1 / 12),
    "l3_sss_asc.nc": ("l3_sss_smos_asc", 0.25),
    "argo.nc": ("argo", None),
}
"""File name -> (data_source, res_deg_lat)."""

HEADER_END = 157
"""Where the payload of the first ZIP entry, TACO_HEADER, ends."""

_WRITERS: dict[str, dict[str, Any]] = {
    # As the published dataset was written: V2 pages, no dictionary, no statistics, no Arrow schema.
    "published": {
        "version": "2.6",
        "data_page_version": "2.0",
        "compression": "zstd",
        "compression_level": 22,
        "use_dictionary": False,
        "write_statistics": False,
        "store_schema": False,
        "row_group_size": 65_536,
    },
    # The defaults of pyarrow: V1 pages, dictionaries, statistics, Arrow schema.
    "default": {},
    "large": {},
}

_COMMON = {"id": pa.string(), "type": pa.string()}
_FOOTPRINT = {
    "istac:crs": pa.string(),
    "istac:geometry": pa.binary(),
    "istac:time_start": pa.timestamp("us"),
    "istac:time_end": pa.timestamp("us"),
}
_IDS = {"internal:current_id": pa.int64(), "internal:parent_id": pa.int64()}
_PATH = {"internal:relative_path": pa.string()}
_COLUMNS: tuple[dict[str, pa.DataType], ...] = (
    _COMMON | {"stac:time_start": pa.string()} | _IDS,
    _COMMON | _FOOTPRINT | _IDS | _PATH,
    _COMMON
    | {"data_source": pa.string(), "res_deg_lat": pa.float64(), "sensor": pa.string()}
    | _FOOTPRINT
    | _IDS
    | _PATH,
)
_ARCHIVED = {"internal:offset": pa.int64(), "internal:size": pa.int64()}
_PART = {"internal:source_file": pa.string()}


@dataclass
class Tree:
    """The rows of the three levels and the description of a container."""

    levels: list[list[Row]]
    collection: dict[str, Any]
    columns: list[dict[str, pa.DataType]] = field(
        default_factory=lambda: [dict(c) for c in _COLUMNS]
    )

    def row(self, level: int, **where: object) -> Row:
        """The first row of a level whose columns have these values."""
        return next(r for r in self.levels[level] if all(r[k] == v for k, v in where.items()))

    def drop(self, level: int, column: str) -> None:
        """Leaves a column out."""
        del self.columns[level][column]


def box_wkb(lon_min: float, lon_max: float, lat_min: float, lat_max: float) -> bytes:
    """A box as a little-endian WKB polygon, 93 bytes."""
    ring = [
        (lon_max, lat_min),
        (lon_max, lat_max),
        (lon_min, lat_max),
        (lon_min, lat_min),
        (lon_max, lat_min),
    ]
    return struct.pack("<BIII", 1, 3, 1, 5) + b"".join(struct.pack("<dd", *point) for point in ring)


def _footprint(date: str, box: tuple[float, float, float, float]) -> Row:
    start = datetime.strptime(date, "%Y_%m_%d")
    return {
        "istac:crs": "EPSG:4326",
        "istac:geometry": box_wkb(*box),
        "istac:time_start": start,
        "istac:time_end": start + timedelta(days=1),
    }


def tree(
    dates: Sequence[str] = DATES,
    regions: Mapping[str, tuple[float, float, float, float]] = REGIONS,
    files: Mapping[str, tuple[str, float | None]] = FILES,
    missing: Iterable[tuple[str, str, str]] = (),
    padded: bool = True,
) -> Tree:
    """Rows of dates x regions x files; `missing` ones are padded (old writers) or left out."""
    absent = set(missing)
    levels: list[list[Row]] = [[], [], []]
    for date in dates:
        time = date.replace("_", "-") + "T00:00:00+00:00"
        day = len(levels[0])
        levels[0].append(
            {"id": date, "type": "FOLDER", "stac:time_start": time}
            | {"internal:current_id": day, "internal:parent_id": day}
        )
        for region, box in regions.items():
            tile = len(levels[1])
            levels[1].append(
                {"id": region, "type": "FOLDER", "internal:relative_path": f"{date}/{region}/"}
                | {"internal:current_id": tile, "internal:parent_id": day}
                | _footprint(date, box)
            )
            pads = 0
            for file, (source, resolution) in files.items():
                row: Row = {
                    "id": file,
                    "type": "FILE",
                    "data_source": source,
                    "res_deg_lat": resolution,
                }
                row |= {"sensor": source.upper()} | _footprint(date, box)
                if (date, region, file) in absent:
                    if not padded:
                        continue
                    row = {"id": f"__TACOPAD__{pads}", "type": "FILE"}
                    pads += 1
                row |= {"internal:current_id": len(levels[2]), "internal:parent_id": tile}
                row["internal:relative_path"] = f"{date}/{region}/{row['id']}"
                levels[2].append(row)
    return Tree(levels, _collection(levels, len(regions)))


def _collection(levels: list[list[Row]], n_regions: int) -> dict[str, Any]:
    """The description: level 1 has one pattern, level 2 one for each region."""
    regions = levels[1][:n_regions]
    per_region = []
    for position in range(n_regions):
        rows = [r for r in levels[2] if r["internal:parent_id"] % n_regions == position]
        ids = list(dict.fromkeys(r["id"] for r in rows))
        per_region.append({"n": len(rows), "type": ["FILE"] * len(ids), "id": ids})
    first = {"n": len(levels[1]), "type": ["FOLDER"] * n_regions, "id": [r["id"] for r in regions]}
    return {
        "id": "synthetic",
        "dataset_version": "0.1.0",
        "description": "Synthetic.",
        "licenses": ["CC0-1.0"],
        "providers": [{"name": "synthetic", "roles": ["producer"]}],
        "tasks": ["regression"],
        "taco_version": "0.5.0",
        "title": None,
        "extent": {"spatial": [45.0, -45.0, 135.0, 45.0], "temporal": None},
        "taco:pit_schema": {
            "root": {"n": len(levels[0]), "type": "FOLDER"},
            "hierarchy": {"1": [first], "2": per_region},
        },
        "taco:field_schema": {f"level{k}": [["id", "string", ""]] for k in range(3)},
    }


def payload(path: str) -> bytes:
    """The bytes of a data file: none for padding, else some that depend on its path."""
    return b"" if "__TACOPAD__" in path else f"payload of {path};".encode() * 3


def write_level(
    path: Path,
    rows: Sequence[Row],
    columns: Mapping[str, pa.DataType],
    flavour: Flavour = "published",
) -> None:
    """One level table."""
    types = dict(columns)
    if flavour == "large":
        swap = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
        types = {name: swap.get(kind, kind) for name, kind in types.items()}
    schema = pa.schema([pa.field(name, kind) for name, kind in types.items()])
    table = pa.Table.from_pylist([{name: row.get(name) for name in types} for row in rows], schema)
    pq.write_table(table, path, **_WRITERS[flavour])


def write_folder(root: Path, made: Tree, flavour: Flavour = "published") -> Path:
    """A FOLDER container, with its data files."""
    (root / "METADATA").mkdir(parents=True)
    for level, rows in enumerate(made.levels):
        write_level(root / f"METADATA/level{level}.parquet", rows, made.columns[level], flavour)
    (root / "COLLECTION.json").write_text(json.dumps(made.collection, indent=4))
    for date, region, file in _files(made):
        target = root / "DATA" / date / region / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(payload(f"{date}/{region}/{file}"))
    return root


def _files(made: Tree) -> list[tuple[str, str, str]]:
    """Date, region and file of each row whose ids make a sane path."""
    dates = {row["internal:current_id"]: row["id"] for row in made.levels[0]}
    tiles = {
        row["internal:current_id"]: (row["internal:parent_id"], row["id"]) for row in made.levels[1]
    }
    found = []
    for row in made.levels[2]:
        day, region = tiles.get(row["internal:parent_id"], (None, ""))
        parts = (dates.get(day, ""), region, row["id"])
        if all(isinstance(part, str) and re.fullmatch(r"\w[\w.]*", part) for part in parts):
            found.append(parts)
    return found


class ZipWriter:
    """A ZIP of STORED entries, byte by byte, so that each can be broken."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.directory = bytearray()
        self.count = 0

    def add(self, name: str, data: bytes) -> tuple[int, int]:
        """Adds an entry; returns offset and size of its data."""
        start = len(self.bytes)
        common = struct.pack(
            "<HHHHHIIIHH",
            10,
            0,
            0,
            0x3E96,
            0x5D76,
            zlib.crc32(data),
            len(data),
            len(data),
            len(name),
            0,
        )
        self.bytes += b"PK\x03\x04" + common + name.encode() + data
        self.directory += b"PK\x01\x02" + struct.pack("<H", 10) + common
        self.directory += struct.pack("<HHHII", 0, 0, 0, 0, start) + name.encode()
        self.count += 1
        return len(self.bytes) - len(data), len(data)

    def finish(self) -> bytes:
        """The archive."""
        end = struct.pack(
            "<HHHHIIH", 0, 0, self.count, self.count, len(self.directory), len(self.bytes), 0
        )
        return bytes(self.bytes + self.directory + b"PK\x05\x06" + end)


def pack_header(entries: Sequence[tuple[int, int]], count: int | None = None) -> bytes:
    """The payload of TACO_HEADER: 116 bytes."""
    pairs = [*entries, *[(0, 0)] * (7 - len(entries))]
    return struct.pack("<B3x", len(entries) if count is None else count) + b"".join(
        struct.pack("<QQ", *p) for p in pairs
    )


def write_zip(
    path: Path,
    made: Tree,
    flavour: Flavour = "published",
    edit: Callable[[Tree], None] | None = None,
) -> Tree:
    """A `.tacozip`; returns the rows as written, with offsets. `edit` may break those first."""
    made = copy.deepcopy(made)
    writer = ZipWriter()
    writer.add("TACO_HEADER", bytes(116))
    dates = {row["internal:current_id"]: row["id"] for row in made.levels[0]}
    tiles = {row["internal:current_id"]: row for row in made.levels[1]}
    for row in made.levels[2]:
        tile = tiles[row["internal:parent_id"]]
        inner = f"{dates[tile['internal:parent_id']]}/{tile['id']}/{row['id']}"
        row["internal:offset"], row["internal:size"] = writer.add(f"DATA/{inner}", payload(inner))
    for rows in made.levels[:2]:
        for row in rows:
            row["internal:offset"], row["internal:size"] = writer.add(
                f"DATA/{row['id']}/__meta__", b"PAR1"
            )
    for columns in made.columns:
        columns.update(_ARCHIVED)
    if edit is not None:
        edit(made)
    entries = []
    scratch = path.with_suffix(".scratch")
    for level, rows in enumerate(made.levels):
        write_level(scratch, rows, made.columns[level], flavour)
        entries.append(writer.add(f"METADATA/level{level}.parquet", scratch.read_bytes()))
    scratch.unlink()
    entries.append(writer.add("COLLECTION.json", json.dumps(made.collection, indent=4).encode()))
    writer.bytes[41:HEADER_END] = pack_header(entries)
    path.write_bytes(writer.finish())
    return made


def header_entries(path: Path) -> list[tuple[int, int]]:
    """Offset and size of each metadata entry of an archive."""
    data = path.read_bytes()[41:HEADER_END]
    return [struct.unpack_from("<QQ", data, 4 + 16 * k) for k in range(data[0])]


def patch(path: Path, offset: int, data: bytes) -> None:
    """Overwrites bytes of a file."""
    whole = bytearray(path.read_bytes())
    whole[offset : offset + len(data)] = data
    path.write_bytes(whole)


def write_cat(
    directory: Path,
    parts: Mapping[str, Tree],
    flavour: Flavour = "published",
    edit: Callable[[Tree], None] | None = None,
) -> Path:
    """Parts and their `.tacocat`; ids restart in each part. Returns the `.tacocat` directory."""
    cat = directory / ".tacocat"
    cat.mkdir(parents=True)
    merged = Tree([[], [], []], {}, [dict(c) | _ARCHIVED | _PART for c in _COLUMNS])
    for name, made in parts.items():
        written = write_zip(directory / name, made, flavour)
        merged.collection = merged.collection or copy.deepcopy(written.collection)
        for level, rows in enumerate(written.levels):
            merged.levels[level] += [row | {"internal:source_file": name} for row in rows]
    merged.collection["taco:sources"] = {"count": len(parts), "files": list(parts)}
    if edit is not None:
        edit(merged)
    for level, rows in enumerate(merged.levels):
        # As the writer of TacoCats does: all columns in alphabetical order.
        columns = dict(sorted(merged.columns[level].items()))
        write_level(cat / f"level{level}.parquet", rows, columns, flavour)
    (cat / "COLLECTION.json").write_text(json.dumps(merged.collection))
    return cat


def split(made: Tree) -> dict[str, Tree]:
    """One part a date, each a complete container of its own."""
    parts = {}
    for number, row in enumerate(made.levels[0]):
        parts[f"ocean_part{number + 1:04d}.tacozip"] = tree(dates=[row["id"]])
    return parts
