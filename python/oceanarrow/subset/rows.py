"""Which rows of a dataset's level tables make a smaller one of the same form."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from oceanarrow._taco_tables import PADDING
from oceanarrow.exceptions import InternalError
from oceanarrow.optional import require

MetadataFiles = tuple[bytes, list[bytes]]
"""`COLLECTION.json` and the level tables of a container."""

ID, TYPE = "id", "type"
CURRENT, PARENT = "internal:current_id", "internal:parent_id"
PATH = "internal:relative_path"
GEOMETRY = "istac:geometry"
_SOURCE_FILE = "internal:source_file"
_IN_ARCHIVE = ("internal:offset", "internal:size", _SOURCE_FILE)
_PART = "part"

Key = tuple[str, int]
"""A row's part and id: ids restart in every part."""


@dataclass(frozen=True)
class Row:
    """A row to be: its id, its parent's position, its place, and the row it is taken from.

    `origin` is None for padding, and for a region that the dataset lacks on that day.
    """

    id: str
    parent: int
    path: str
    origin: int | None


@dataclass(frozen=True)
class Selection:
    """The rows of the three levels; every day has every region, every region `width` files."""

    days: list[Row]
    regions: list[Row]
    files: list[Row]
    names: list[str]
    """Of the regions, in order."""
    width: int

    def padding(self) -> list[str]:
        """The places of the padding files."""
        return [row.path for row in self.files if row.origin is None]


def read_levels(containers: Sequence[MetadataFiles]) -> list[Any]:
    """The level tables of all containers joined, without their places in archives.

    A column `part` tells the containers, or the archives of a TacoCat, apart.
    """
    pa = require("pyarrow", "making a dataset", extra="taco")
    pq = require("pyarrow.parquet", "making a dataset", extra="taco")
    joined = []
    for level in range(3):
        tables = []
        for number, (_, levels) in enumerate(containers):
            table = pq.read_table(io.BytesIO(levels[level]))
            part = pa.array([str(number)] * len(table), pa.string())
            if _SOURCE_FILE in table.column_names:
                part = table.column(_SOURCE_FILE).cast(pa.string())
            kept = [name for name in table.column_names if name not in _IN_ARCHIVE]
            tables.append(table.select(kept).append_column(_PART, part))
        joined.append(pa.concat_tables(tables, promote_options="permissive"))
    return joined


def select_rows(levels: Sequence[Any], wanted: Collection[str]) -> Selection:
    """The rows of the files `wanted` (`date/region/file`) and of all above them, renumbered."""
    day_ids, region_rows, file_rows = _find(levels, frozenset(wanted))
    used = {region for _, region in file_rows}
    names = [name for name in dict.fromkeys(name for _, name in region_rows) if name in used]
    width = max(map(len, file_rows.values()))
    days: list[Row] = []
    regions: list[Row] = []
    files: list[Row] = []
    for day in sorted({day for day, _ in file_rows}):
        days.append(Row(day, len(days), f"{day}/", day_ids[day]))
        for region in names:
            above = f"{day}/{region}/"
            found = file_rows.get((day, region), [])
            pads = [(f"{PADDING}{k}", None) for k in range(width - len(found))]
            files += [Row(name, len(regions), above + name, row) for name, row in [*found, *pads]]
            regions.append(Row(region, len(days) - 1, above, region_rows.get((day, region))))
    return Selection(days, regions, files, names, width)


_Tile = tuple[str, str]
"""Day and region."""


def _find(
    levels: Sequence[Any], wanted: frozenset[str]
) -> tuple[dict[str, int], dict[_Tile, int], dict[_Tile, list[tuple[str, int | None]]]]:
    """The row of each day, and of each region of a day; the wanted files of each, with theirs.

    The engine has checked the ids and the parents of these tables. Where parts share a day or a
    region of it, the first row counts.
    """
    day_of: dict[Key, str] = {}
    day_ids: dict[str, int] = {}
    for row, (part, own, _, name) in enumerate(_links(levels[0])):
        day_of[part, own] = name
        day_ids.setdefault(name, row)
    tile_of: dict[Key, _Tile] = {}
    region_rows: dict[_Tile, int] = {}
    for row, (part, own, parent, name) in enumerate(_links(levels[1])):
        if not name.startswith(PADDING) and (part, parent) in day_of:
            tile = (day_of[part, parent], name)
            tile_of[part, own] = tile
            region_rows.setdefault(tile, row)
    file_rows: dict[_Tile, list[tuple[str, int | None]]] = {}
    for row, (part, _, parent, name) in enumerate(_links(levels[2])):
        found = tile_of.get((part, parent))
        if found is not None and "/".join((*found, name)) in wanted:
            file_rows.setdefault(found, []).append((name, row))
    count = sum(map(len, file_rows.values()))
    if count != len(wanted):
        raise InternalError(f"{count} rows of {len(wanted)} granules were found; please report it")
    return day_ids, region_rows, file_rows


def _links(table: Any) -> list[tuple[str, int, int, str]]:
    """The part, id, parent and name of each row; level 2 may lack ids of its own."""
    blank = [0] * len(table)
    columns = [
        table.column(name).to_pylist() if name in table.column_names else blank
        for name in (_PART, CURRENT, PARENT, ID)
    ]
    return list(zip(*columns, strict=True))
