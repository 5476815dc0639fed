"""Broken level tables and descriptions are refused, with the file and what is wrong."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from containers import FILES, REGIONS, Tree, patch, tree, write_folder

from oceanarrow._engine import Catalog
from oceanarrow.exceptions import InvalidDatasetError, InvalidInputError, NotFoundError

Folder = Callable[[Tree], Path]
Open = Callable[[Tree], Catalog]


def refused(root: Path, *words: str) -> None:
    """Opening is refused as an invalid dataset, in a message of all these words."""
    with pytest.raises(InvalidDatasetError) as caught:
        Catalog([str(root)])
    for word in words:
        assert word in str(caught.value)


# --- files ---


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_missing_level(folder: Folder, made: Tree, level: int) -> None:
    root = folder(made)
    (root / f"METADATA/level{level}.parquet").unlink()
    refused(
        root, f"METADATA/level{level}.parquet is missing; COLLECTION.json says depth 2", str(root)
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty (0 bytes)"]),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n",
            ["git-lfs pointer", "git lfs pull"],
        ),
        (b"<!DOCTYPE html><html><body>Not found", ["got HTML"]),
        (b"PAR1", ["truncated", "4 bytes"]),
        (b"hello, I am no table", ["not a Parquet file"]),
        (b"PAR1" + b"\xff" * 40 + b"\x20\x00\x00\x00PAR1", ["damaged Parquet footer"]),
        (b"PAR1" + b"\xff" * 40 + b"\xff\xff\xff\x7fPAR1", ["damaged Parquet footer"]),
    ],
    ids=["empty", "git-lfs", "html", "stub", "text", "garbage", "huge footer"],
)
@pytest.mark.parametrize("level", [0, 2])
def test_something_else_in_place_of_a_level(
    folder: Folder, made: Tree, level: int, content: bytes, words: list[str]
) -> None:
    root = folder(made)
    (root / f"METADATA/level{level}.parquet").write_bytes(content)
    refused(root, f"level{level}.parquet", *words)


def test_a_truncated_level(folder: Folder, made: Tree) -> None:
    root = folder(made)
    path = root / "METADATA/level2.parquet"
    data = path.read_bytes()
    for keep in (len(data) // 2, len(data) - 1):
        path.write_bytes(data[:keep])
        refused(root, "METADATA/level2.parquet is a truncated Parquet file", f"{keep} bytes")


def test_a_corrupt_page_names_its_column(folder: Folder, made: Tree) -> None:
    root = folder(made)
    path = root / "METADATA/level2.parquet"
    position = pq.read_schema(path).names.index("internal:relative_path")
    chunk = pq.read_metadata(path).row_group(0).column(position)
    # The end of the compressed page, past its header.
    patch(path, chunk.data_page_offset + chunk.total_compressed_size - 30, b"\xff" * 20)
    refused(root, "METADATA/level2.parquet has a damaged column internal:relative_path")


def test_any_flipped_byte_is_refused_or_read_but_never_a_crash(folder: Folder, made: Tree) -> None:
    root = folder(made)
    path = root / "METADATA/level2.parquet"
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        with contextlib.suppress(InvalidDatasetError):
            assert len(Catalog([str(root)])) <= 18


# --- columns ---


@pytest.mark.parametrize(
    ("level", "column"),
    [
        (0, "id"),
        (0, "type"),
        (0, "internal:current_id"),
        (1, "id"),
        (1, "type"),
        (1, "internal:current_id"),
        (1, "internal:parent_id"),
        (2, "id"),
        (2, "type"),
        (2, "internal:parent_id"),
    ],
)
def test_a_missing_column(folder: Folder, made: Tree, level: int, column: str) -> None:
    made.drop(level, column)
    refused(folder(made), f"level{level}.parquet lacks column {column} (has: ")


@pytest.mark.parametrize(
    ("level", "column", "kind"),
    [
        (2, "id", pa.int64()),
        (1, "internal:parent_id", pa.string()),
        (2, "res_deg_lat", pa.string()),
    ],
)
def test_a_column_of_another_type(
    folder: Folder, made: Tree, level: int, column: str, kind: pa.DataType
) -> None:
    made.columns[level][column] = kind
    for row in made.levels[level]:
        row[column] = 7 if kind == pa.int64() else "7"
    refused(folder(made), f"level{level}.parquet has column {column} of type", "expected")


def test_no_data_source_is_told_from_the_file_name(opened: Open, made: Tree) -> None:
    made.drop(2, "data_source")
    catalog = opened(made)
    assert {(g["source"], g["file"]) for g in catalog.granules()} == {
        (FILES[f][0], f) for f in FILES
    }
    assert any("no column data_source" in warning for warning in catalog.warnings)


def test_no_data_source_and_an_unknown_file(tmp_path: Path) -> None:
    made = tree(files={"mystery.nc": ("x", None)})
    made.drop(2, "data_source")
    refused(write_folder(tmp_path / "ocean", made), "data_source is missing", "mystery.nc", "row 0")


# --- rows ---


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../../etc/passwd", "leaves its folder"),
        ("2023_03_29/./glorys.nc", "leaves its folder"),
        ("/etc/passwd", "is absolute"),
        ("", "is empty"),
        (None, "is null"),
        ("2023_03_29\\NORTH_ATLANTIC\\glorys.nc", "backslash"),
        ("C:/glorys.nc", "colon"),
        ("2023_03_29//glorys.nc", "empty segment"),
        ("2023_03_29/NORTH_ATLANTIC/glo\0rys.nc", "control character"),
        ("x" * 1_025, "longer than 1024"),
        (
            "2023_03_30/NORTH_ATLANTIC/glorys.nc",
            "not the path its ids give (2023_03_29/NORTH_ATLANTIC/glorys.nc)",
        ),
    ],
)
def test_a_path_that_is_not_its_own(
    folder: Folder, made: Tree, path: str | None, words: str
) -> None:
    made.row(2, id="glorys.nc")["internal:relative_path"] = path
    refused(folder(made), "METADATA/level2.parquet row 0: internal:relative_path", words)


@pytest.mark.parametrize("bad", ["a/b", "a\\b", "c:d", "..", "", "__meta__", "a\nb"])
@pytest.mark.parametrize("level", [1, 2])
def test_a_bad_id(folder: Folder, made: Tree, level: int, bad: str) -> None:
    made.levels[level][0]["id"] = bad
    made.drop(2, "internal:relative_path")
    refused(
        folder(made),
        f"level{level}.parquet row 0: id",
        repr(bad)[1:-1] if "\n" not in bad else "control",
    )


@pytest.mark.parametrize("bad", ["2023-03-29", "2023_02_30", "date", "../2023_03_29"])
def test_a_date_that_is_none(folder: Folder, made: Tree, bad: str) -> None:
    made.levels[0][0]["id"] = bad
    refused(folder(made), "level0.parquet row 0", bad, "not a date YYYY_MM_DD")


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("yesterday", "not a time"),
        ("2023-03-30T00:00:00+00:00", "falls on 2023_03_30, but the id is 2023_03_29"),
    ],
)
def test_a_time_that_is_not_its_dates(folder: Folder, made: Tree, time: str, words: str) -> None:
    made.levels[0][0]["stac:time_start"] = time
    refused(folder(made), "level0.parquet row 0: stac:time_start", words)


def test_timestamps_at_level_0(opened: Open, made: Tree) -> None:
    made.columns[0]["stac:time_start"] = pa.timestamp("us")
    for row in made.levels[0]:
        row["stac:time_start"] = (
            pa.scalar(row["stac:time_start"][:19]).cast(pa.timestamp("us")).as_py()
        )
    assert opened(made).days[:2] == ("2023-03-29", "2023-03-31")


def test_duplicate_files(folder: Folder, made: Tree) -> None:
    for _ in range(7):
        made.levels[2].append(dict(made.row(2, id="glorys.nc")))
    refused(
        folder(made), "7 files are listed more than once", "2023_03_29/NORTH_ATLANTIC/glorys.nc"
    )


@pytest.mark.parametrize("level", [0, 1])
def test_duplicate_ids_of_parents(folder: Folder, made: Tree, level: int) -> None:
    made.levels[level][1]["internal:current_id"] = 0
    refused(folder(made), f"level{level}.parquet row 1: internal:current_id 0 is given to two rows")


@pytest.mark.parametrize("parent", [99, -1, None])
@pytest.mark.parametrize("level", [1, 2])
def test_dangling_parents(folder: Folder, made: Tree, level: int, parent: int | None) -> None:
    made.levels[level][2]["internal:parent_id"] = parent
    word = "is null" if parent is None else f"{parent} is no internal:current_id"
    refused(folder(made), f"level{level}.parquet row 2: internal:parent_id", word)


@pytest.mark.parametrize("column", ["id", "type"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_null_ids_and_types(folder: Folder, made: Tree, level: int, column: str) -> None:
    made.levels[level][1][column] = None
    refused(folder(made), f"level{level}.parquet row 1: {column} is null")


@pytest.mark.parametrize("wkb", [b"\x01\x03", b"\x07", b"\x01\x03\x00\x00\x00\xff\xff\xff\xff"])
def test_a_footprint_that_cannot_be_read(folder: Folder, made: Tree, wkb: bytes) -> None:
    made.levels[1][0]["istac:geometry"] = wkb
    refused(folder(made), "level1.parquet row 0: istac:geometry cannot be read")


def test_a_footprint_off_the_globe(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", tree(regions={"MARS": (0.0, 10.0, 80.0, 120.0)}))
    refused(root, "region MARS", "no box on the globe")


def test_an_unknown_region_without_footprint(tmp_path: Path) -> None:
    made = tree(regions={"BALTIC": (9.0, 30.0, 53.5, 66.0)})
    made.drop(1, "istac:geometry")
    refused(write_folder(tmp_path / "x", made), "no footprint", "BALTIC")


# --- COLLECTION.json ---


def describe(root: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = root / "COLLECTION.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_an_unknown_version_is_a_warning(opened: Open, made: Tree) -> None:
    made.collection["taco_version"] = "3.0.0"
    catalog = opened(made)
    assert len(catalog) == 18
    assert 'unknown taco_version "3.0.0"' in catalog.warnings[0]


def test_no_pit_schema(folder: Folder, made: Tree) -> None:
    del made.collection["taco:pit_schema"]
    refused(folder(made), "not a TACO v2", "COLLECTION.json lacks taco:pit_schema")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a valid description"),
        ("[]", "not a valid description"),
        ('{"a": 1, "a": 2}', 'duplicate key "a"'),
        ("[" * 100_000, "recursion limit"),
        ("", "empty (0 bytes)"),
        ("version https://git-lfs.github.com/spec/v1", "git-lfs pointer"),
        ("<html>", "got HTML"),
    ],
    ids=["cut", "list", "duplicate", "deep", "empty", "git-lfs", "html"],
)
def test_an_invalid_description(folder: Folder, made: Tree, text: str, words: str) -> None:
    root = folder(made)
    (root / "COLLECTION.json").write_text(text)
    refused(root, "COLLECTION.json", words)


def test_a_huge_description(folder: Folder, made: Tree) -> None:
    root = folder(made)
    with (root / "COLLECTION.json").open("r+b") as file:
        file.truncate((16 << 20) + 1)
    refused(root, "COLLECTION.json has 16777217 bytes; at most 16777216 are read")


def test_a_huge_table(folder: Folder, made: Tree) -> None:
    root = folder(made)
    with (root / "METADATA/level1.parquet").open("r+b") as file:
        file.truncate((512 << 20) + 1)
    refused(root, "METADATA/level1.parquet has 536870913 bytes; at most")


def test_another_depth(folder: Folder, made: Tree) -> None:
    root = folder(made)
    describe(root, lambda d: d["taco:pit_schema"]["hierarchy"].pop("2"))
    refused(root, "says depth 1", "has depth 2")


def test_fewer_rows_than_described(folder: Folder, made: Tree) -> None:
    made.levels[2].pop()
    refused(
        folder(made), "level2.parquet has 17 rows, but COLLECTION.json says 18: truncated metadata"
    )


def test_more_rows_than_described_is_a_warning(opened: Open, made: Tree) -> None:
    made.collection["taco:pit_schema"]["root"]["n"] = 2
    catalog = opened(made)
    assert catalog.warnings == ["METADATA/level0.parquet has 3 rows, but COLLECTION.json says 2"]


# --- roots ---


def test_no_dataset(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere", tmp_path / "nothing.tacozip"):
        with pytest.raises(NotFoundError) as caught:
            Catalog([str(root)])
        assert str(root) in str(caught.value)


@pytest.mark.parametrize("roots", [[], [""], ["a\0b"]])
def test_roots_that_are_no_paths(roots: list[str]) -> None:
    with pytest.raises(InvalidInputError):
        Catalog(roots)


def test_several_folders(folder: Folder, made: Tree, tmp_path: Path) -> None:
    root = folder(made)
    shutil.copytree(root, tmp_path / "copy")
    with pytest.raises(InvalidDatasetError, match=r"18 files are listed more than once") as caught:
        Catalog([str(root), str(tmp_path / "copy")])
    assert str(root) in str(caught.value)
    assert str(tmp_path / "copy") in str(caught.value)


def test_more_distinct_regions_than_the_eight(tmp_path: Path) -> None:
    regions = {f"R{k}": (float(k), float(k + 1), 0.0, 1.0) for k in range(20)} | REGIONS
    catalog = Catalog(
        [str(write_folder(tmp_path / "x", tree(dates=["2023_03_29"], regions=regions)))]
    )
    assert catalog.regions == dict(sorted(regions.items()))
