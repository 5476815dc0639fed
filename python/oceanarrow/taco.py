"""Write TACO containers: the layout oceanarrow reads, from NetCDF files you already have.

A container holds days, each day holds regions, each region holds one NetCDF file a source.
Three Parquet tables (one a level) and ``COLLECTION.json`` say what there is.  Needs pyarrow
(``pip install "oceanarrow[taco]"``).

    from oceanarrow.taco import GranuleFile, write_taco

    write_taco("my_ocean", [GranuleFile("2023-04-01", "NORTH_ATLANTIC", "l4_ssh", "sla.nc")])
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from oceanarrow import _taco_tables as tables
from oceanarrow._taco_tables import Folder, Leaf, Tree
from oceanarrow._zip_store import StoredZip, read_header
from oceanarrow.exceptions import InvalidInputError

__all__ = ["PUBLISHED_PARQUET", "REGIONS", "GranuleFile", "write_taco", "write_tacocat"]

Box = tuple[float, float, float, float]

#: The eight OceanTACO regions: (lon_min, lon_max, lat_min, lat_max) in degrees.
REGIONS: dict[str, Box] = {
    "NORTH_ATLANTIC": (-90.0, 0.0, 0.0, 90.0),
    "NORTH_INDIAN": (0.0, 90.0, 0.0, 90.0),
    "NORTH_PACIFIC_EAST": (90.0, 180.0, 0.0, 90.0),
    "NORTH_PACIFIC_WEST": (-180.0, -90.0, 0.0, 90.0),
    "SOUTH_ATLANTIC": (-90.0, 0.0, -90.0, 0.0),
    "SOUTH_INDIAN": (0.0, 90.0, -90.0, 0.0),
    "SOUTH_PACIFIC_EAST": (90.0, 180.0, -90.0, 0.0),
    "SOUTH_PACIFIC_WEST": (-180.0, -90.0, -90.0, 0.0),
}

#: How the published OceanTACO tables are encoded (arguments of ``pyarrow.parquet.write_table``).
PUBLISHED_PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 22,
    "use_dictionary": False,
    "write_statistics": False,
    "data_page_size": 256 * 1024,
    "write_batch_size": 1024,
    "store_schema": False,
    "use_content_defined_chunking": True,
    "data_page_version": "2.0",
    "version": "2.6",
}

_TACOCAT_PARQUET: dict[str, Any] = {"compression": "zstd", "compression_level": 19}
# OceanTACO's own names where the file is not called after its source.
_FILE_NAMES = {"l3_sss_smos_asc": "l3_sss_asc.nc", "l3_sss_smos_desc": "l3_sss_desc.nc"}
_MODALITIES = {"glorys": "model", "argo": "in_situ"}


@dataclass(frozen=True)
class GranuleFile:
    """One NetCDF file: what one source saw of one region on one day.

    ``file_name`` is its name in the container (default: OceanTACO's name for the source).
    ``bbox`` (lon_min, lon_max, lat_min, lat_max) is the extent of its cell centres (default: the
    region's box) and ``res_deg_lat`` its latitude step in degrees; both are informative.
    """

    day: date | str
    region: str
    source: str
    path: str | os.PathLike[str]
    file_name: str | None = None
    bbox: Box | None = None
    res_deg_lat: float = math.nan
    sensor: str | None = None
    variable: str | None = None

    def name(self) -> str:
        """The file's name in the container."""
        return self.file_name or _FILE_NAMES.get(self.source, f"{self.source}.nc")


def write_taco(
    path: str | os.PathLike[str],
    granules: Iterable[GranuleFile],
    *,
    container: Literal["folder", "zip"] = "folder",
    id: str = "oceanarrow_dataset",
    description: str = "Ocean data, Date > Region > Files.",
    licenses: Sequence[str] = ("other",),
    regions: Mapping[str, Box] = REGIONS,
    pad_to: int | None = None,
    parquet: Mapping[str, Any] = PUBLISHED_PARQUET,
) -> Path:
    """Make a TACO container of NetCDF files; return its path.

    ``container="folder"`` copies the files into a directory, ``"zip"`` into one ``.tacozip``
    (less than 4 GiB).  Regions with fewer files than the fullest one (or than ``pad_to``) get
    empty padding files, as the format wants equal counts.  The container appears at ``path`` only
    when it is complete; nothing is overwritten.

    Raises ``InvalidInputError`` for an unknown region, a missing file, a bad name or date, two
    files of one place and name, no file at all, or a ``path`` that exists.
    """
    target = Path(path)
    if container not in ("folder", "zip"):
        raise InvalidInputError(f'container must be "folder" or "zip", not {container!r}')
    tree = _grow(granules, regions, pad_to)
    about = {"id": id, "description": description, "licenses": list(licenses)}
    with _appears_at(target, directory=container == "folder") as draft:
        if container == "folder":
            _write_folder(draft, tree, about, parquet)
        else:
            _write_zip(draft, tree, about, parquet)
    return target


def write_tacocat(
    parts: Sequence[str | os.PathLike[str]],
    directory: str | os.PathLike[str],
    *,
    parquet: Mapping[str, Any] = _TACOCAT_PARQUET,
) -> Path:
    """Join ZIP containers that lie in ``directory`` by one index; return ``directory/.tacocat``.

    Ids restart in every part, so a row's key is (``internal:source_file``, id).  Raises
    ``InvalidInputError`` for a part that is not in ``directory`` or not a TACO archive, parts of
    different depth, no part, or an index that exists.
    """
    folder = Path(directory)
    files = [Path(part) for part in parts]
    if not files:
        raise InvalidInputError("write_tacocat needs at least one part")
    for file in files:
        if file.resolve().parent != folder.resolve():
            raise InvalidInputError(f"{file}: a part must lie in {folder} itself")
    with _appears_at(folder / ".tacocat", directory=True) as draft:
        headers = [read_header(file) for file in files]
        if len({len(header) for header in headers}) > 1:
            raise InvalidInputError("the parts differ in their number of levels")
        for level in range(len(headers[0]) - 1):
            spans = [(file, header[level]) for file, header in zip(files, headers, strict=True)]
            content = tables.join_level([(f.name, _span(f, s)) for f, s in spans], parquet)
            (draft / f"level{level}.parquet").write_bytes(content)
        collections = [
            json.loads(_span(file, header[-1])) for file, header in zip(files, headers, strict=True)
        ]
        joined = tables.join_collections([file.name for file in files], collections)
        (draft / "COLLECTION.json").write_bytes(tables.to_json(joined))
    return folder / ".tacocat"


def _grow(granules: Iterable[GranuleFile], regions: Mapping[str, Box], pad_to: int | None) -> Tree:
    """Sort the files into days and regions, and check each."""
    found: dict[tuple[date, str], dict[str, Leaf]] = {}
    for granule in granules:
        day = _day(granule.day)
        leaves = found.setdefault((day, granule.region), {})
        leaf = _leaf(granule, day, regions)
        if leaf.name in leaves:
            raise InvalidInputError(
                f"{day} {granule.region}: two files named {leaf.name} "
                f"({leaves[leaf.name].path} and {leaf.path})"
            )
        leaves[leaf.name] = leaf
    if not found:
        raise InvalidInputError("no granules: a container needs at least one file")
    fullest = max(map(len, found.values()))
    if pad_to is not None and pad_to < fullest:
        raise InvalidInputError(f"pad_to={pad_to}, but a region holds {fullest} files")
    used = sorted({region for _, region in found})
    return Tree(
        days=sorted({day for day, _ in found}),
        regions=used,
        boxes={name: regions[name] for name in used},
        leaves={key: [leaves[name] for name in sorted(leaves)] for key, leaves in found.items()},
        width=pad_to or fullest,
    )


def _leaf(granule: GranuleFile, day: date, regions: Mapping[str, Box]) -> Leaf:
    if granule.region not in regions:
        raise InvalidInputError(
            f"{granule.path}: unknown region {granule.region!r}; known: {', '.join(regions)}"
        )
    name, path = granule.name(), Path(granule.path)
    for text in (name, granule.region):
        if not text or text.startswith("__") or text in (".", "..") or set(text) & set("/\\:\0"):
            raise InvalidInputError(f"{path}: {text!r} cannot be a name in a container")
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file ({granule.source} of {day})")
    return Leaf(
        name=name,
        path=path,
        source=granule.source,
        sensor=granule.sensor or granule.source.upper(),
        modality=_MODALITIES.get(granule.source, "satellite"),
        variable=granule.variable or granule.source,
        box=granule.bbox or regions[granule.region],
        res_deg_lat=granule.res_deg_lat,
    )


def _day(value: date | str) -> date:
    if not isinstance(value, str):
        # A datetime is a date too, but sorts and compares differently.
        return date(value.year, value.month, value.day)
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise InvalidInputError(f"{value!r} is not a date; write YYYY-MM-DD") from error


def _write_folder(
    root: Path, tree: Tree, about: Mapping[str, Any], parquet: Mapping[str, Any]
) -> None:
    folders = tree.folders()
    for folder in folders:
        for child in folder.children:
            target = root / "DATA" / child.path
            if child.leaf is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(child.leaf.path, target)
            elif not child.is_folder:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
    for folder in folders:
        content = tables.meta_table(folder, parquet)
        (root / "DATA" / folder.path / "__meta__").write_bytes(content)
    (root / "METADATA").mkdir()
    for level, content in enumerate(tables.level_tables(tree, parquet)):
        (root / "METADATA" / f"level{level}.parquet").write_bytes(content)
    (root / "COLLECTION.json").write_bytes(tables.to_json(tables.collection(tree, about)))


def _write_zip(
    path: Path, tree: Tree, about: Mapping[str, Any], parquet: Mapping[str, Any]
) -> None:
    places: dict[str, tuple[int, int]] = {}
    with StoredZip(path) as archive:
        folders = tree.folders()
        for child in (child for folder in folders for child in folder.children):
            if not child.is_folder:
                content = child.leaf.path if child.leaf is not None else b""
                places[child.path] = archive.add(f"DATA/{child.path}", content)
        for folder in sorted(folders, key=_depth, reverse=True):
            meta = tables.meta_table(folder, parquet, places)
            places[folder.path] = archive.add(f"DATA/{folder.path}__meta__", meta)
        header = [
            archive.add(f"METADATA/level{level}.parquet", content)
            for level, content in enumerate(tables.level_tables(tree, parquet, places))
        ]
        about_bytes = tables.to_json(tables.collection(tree, about))
        header.append(archive.add("COLLECTION.json", about_bytes))
        archive.set_header(header)


def _depth(folder: Folder) -> int:
    return folder.path.count("/")


@contextmanager
def _appears_at(target: Path, *, directory: bool) -> Iterator[Path]:
    """A temporary path beside ``target`` that takes its name on success, and goes on failure."""
    if target.exists() or target.is_symlink():
        raise InvalidInputError(f"{target} exists; remove it first or write elsewhere")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        draft = Path(scratch) / "draft"
        if directory:
            draft.mkdir()
        yield draft
        draft.rename(target)


def _span(file: Path, span: tuple[int, int]) -> bytes:
    offset, size = span
    with file.open("rb") as handle:
        handle.seek(offset)
        content = handle.read(size)
    if len(content) != size:
        raise InvalidInputError(f"{file}: ends before byte {offset + size}")
    return content
