"""Broken archives and TacoCats are refused, with the archive and what is wrong."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from containers import (
    HEADER_END,
    Tree,
    header_entries,
    pack_header,
    patch,
    split,
    tree,
    write_cat,
    write_folder,
    write_zip,
)

from oceanarrow._engine import Catalog
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidDatasetError,
    InvalidInputError,
    NotFoundError,
    UnsupportedError,
)


@pytest.fixture
def archive(tmp_path: Path, made: Tree) -> Path:
    """A sound archive."""
    path = tmp_path / "ocean.tacozip"
    write_zip(path, made)
    return path


def refused(root: Path, *words: str) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        Catalog([str(root)])
    for word in (str(root), *words):
        assert word in str(caught.value)


# --- the header ---


@pytest.mark.parametrize(
    ("offset", "data", "words"),
    [
        (0, b"GIF89a", "does not start with PK"),
        (30, b"TACO_HEADEX", 'its first entry is "TACO_HEADEX", expected TACO_HEADER'),
        (8, b"\x08\x00", "TACO_HEADER is compressed (method 8)"),
        (6, b"\x01\x00", "TACO_HEADER is encrypted"),
        (
            18,
            struct.pack("<II", 115, 116),
            "TACO_HEADER has 116 bytes (stored as 115), expected 116",
        ),
        (41, b"\x00", "TACO_HEADER lists 0 entries"),
        (41, b"\x08", "TACO_HEADER lists 8 entries"),
        (28, b"\xff\xff", "over-long extra field"),
        (0, b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        (0, b"<!DOCTYPE html>", "got HTML"),
    ],
)
def test_a_broken_header(archive: Path, offset: int, data: bytes, words: str) -> None:
    patch(archive, offset, data)
    refused(archive, words)


def test_a_pre_release_header(archive: Path) -> None:
    whole = archive.read_bytes()
    ghost = whole[:26] + struct.pack("<HH", 10, 0) + b"TACO_GHOST" + whole[41:]
    archive.write_bytes(ghost)
    refused(archive, "pre-release tacozip", "create it again")


@pytest.mark.parametrize(
    ("keep", "words"), [(0, "is empty (0 bytes)"), (1, "PK"), (156, "156 bytes, too few")]
)
def test_a_stub(archive: Path, keep: int, words: str) -> None:
    archive.write_bytes(archive.read_bytes()[:keep])
    refused(archive, words)


@pytest.mark.parametrize("entry", [(10**9, 5), (2**63, 5), (2**64 - 1, 5), (200, 2**64 - 1)])
def test_an_entry_past_the_end(archive: Path, entry: tuple[int, int]) -> None:
    entries = header_entries(archive)
    patch(archive, 41, pack_header([entry, *entries[1:]]))
    size = archive.stat().st_size
    refused(
        archive,
        f"TACO_HEADER entry 0 ({entry[0]},{entry[1]}) lies outside the file of {size} bytes",
    )


def test_a_truncated_archive(archive: Path) -> None:
    offset, size = header_entries(archive)[-1]
    archive.write_bytes(archive.read_bytes()[: offset + size - 1])
    refused(archive, "TACO_HEADER entry 3", "is it truncated?")


def test_an_entry_over_the_header(archive: Path) -> None:
    entries = header_entries(archive)
    patch(archive, 41, pack_header([(HEADER_END - 1, 50), *entries[1:]]))
    refused(archive, f"TACO_HEADER entry 0 ({HEADER_END - 1},50) overlaps TACO_HEADER")


def test_entries_over_each_other(archive: Path) -> None:
    entries = header_entries(archive)
    patch(archive, 41, pack_header([(entries[1][0] - 9, 10), *entries[1:]]))
    refused(archive, "TACO_HEADER entry 1", "overlaps TACO_HEADER entry 0")


def test_an_empty_entry(archive: Path) -> None:
    entries = header_entries(archive)
    patch(archive, 41, pack_header([(entries[0][0], 0), *entries[1:]]))
    refused(archive, "TACO_HEADER entry 0 is empty")


def test_a_level_missing_from_the_header(archive: Path) -> None:
    entries = header_entries(archive)
    patch(archive, 41, pack_header([*entries[:2], entries[3]]))
    refused(archive, "METADATA/level2.parquet is missing")


def test_a_compressed_table(archive: Path) -> None:
    offset, _ = header_entries(archive)[2]
    patch(archive, offset, b"\x78\x9c\xed\xbd")
    refused(archive, "METADATA/level2.parquet is not a Parquet file", "STORED")


def test_swapped_entries(archive: Path) -> None:
    entries = header_entries(archive)
    patch(archive, 41, pack_header([*entries[:2], entries[3], entries[2]]))
    refused(archive, "COLLECTION.json is not a valid description")


# --- rows ---


def broken(tmp_path: Path, column: str, value: int | None) -> Path:
    """An archive of which the second file's offset or size is wrong."""

    def edit(made: Tree) -> None:
        made.levels[2][1][column] = value

    path = tmp_path / "broken.tacozip"
    write_zip(path, tree(), edit=edit)
    return path


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("internal:offset", -1, "internal:offset is -1"),
        ("internal:size", -7, "internal:size is -7"),
        ("internal:offset", None, "internal:offset is null"),
        ("internal:size", None, "internal:size is null"),
        ("internal:size", 0, "the file is empty (internal:size 0)"),
        ("internal:offset", 10**12, "past the end of"),
        ("internal:size", 2**63 - 1, "past the end of"),
    ],
)
def test_bytes_that_are_nowhere(tmp_path: Path, column: str, value: int | None, words: str) -> None:
    refused(broken(tmp_path, column, value), "METADATA/level2.parquet row 1", words)


@pytest.mark.parametrize("column", ["internal:offset", "internal:size"])
def test_no_extents(tmp_path: Path, column: str) -> None:
    write_zip(tmp_path / "x.tacozip", tree(), edit=lambda made: made.drop(2, column))
    refused(tmp_path / "x.tacozip", f"level2.parquet lacks column {column}")


def test_files_over_each_other(tmp_path: Path) -> None:
    def edit(made: Tree) -> None:
        made.levels[2][1]["internal:offset"] = made.levels[2][0]["internal:offset"]

    write_zip(tmp_path / "x.tacozip", tree(), edit=edit)
    paths = [f"2023_03_29/NORTH_ATLANTIC/{file}" for file in ("glorys.nc", "l3_sss_asc.nc")]
    refused(tmp_path / "x.tacozip", *paths, "overlaps")


def test_a_file_over_the_header(tmp_path: Path) -> None:
    refused(
        broken(tmp_path, "internal:offset", 100),
        "l3_sss_asc.nc",
        "overlaps the archive's own metadata",
    )


@pytest.mark.parametrize(
    ("offset", "data", "words"),
    [
        (0, b"XXXX", "has no local header"),
        (8, b"\x08\x00", "is compressed (method 8)"),
        (18, b"\x01\x00\x00\x00", "stored as 1"),
        (26, b"\x01\x00", "is in truth"),
        (28, b"\x04\x00", "extra field"),
        (30, b"WRONG", 'is in truth "WRONG'),
    ],
)
def test_a_local_header_that_says_otherwise(
    archive: Path, offset: int, data: bytes, words: str
) -> None:
    catalog = Catalog([str(archive)])
    first = catalog.granules()[0]
    name = f"DATA/2023_03_29/NORTH_ATLANTIC/{first['file']}"
    patch(archive, first["offset"] - 30 - len(name) + offset, data)
    with pytest.raises(CorruptGranuleError) as caught:
        Catalog([str(archive)]).check_zip_entry(0)
    for word in (name, words, str(archive)):
        assert word in str(caught.value)
    catalog.check_zip_entry(1)


# --- split archives ---


def test_a_part_given_twice(archive: Path) -> None:
    with pytest.raises(InvalidInputError, match="the same part is given twice"):
        Catalog([str(archive), str(archive)])


def test_two_archives_of_the_same_files(archive: Path, tmp_path: Path) -> None:
    shutil.copy(archive, tmp_path / "copy.tacozip")
    with pytest.raises(InvalidDatasetError, match="18 files are listed more than once"):
        Catalog([str(archive), str(tmp_path / "copy.tacozip")])


def test_a_missing_part_of_a_list(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.tacozip"):
        Catalog([str(archive), str(tmp_path / "gone.tacozip")])


# --- TacoCat ---

Edit = Callable[[Tree], None]


def cat(tmp_path: Path, edit: Edit | None = None) -> Path:
    return write_cat(tmp_path / "parts", split(tree()), edit=edit)


@pytest.mark.parametrize("given", ["cat", "around"])
def test_a_tacocat_without_description(tmp_path: Path, given: str) -> None:
    path = cat(tmp_path)
    (path / "COLLECTION.json").unlink()
    with pytest.raises(InvalidDatasetError) as caught:
        Catalog([str(path if given == "cat" else path.parent)])
    for word in (
        ".tacocat has no COLLECTION.json",
        "the parts differ",
        "list of .tacozip parts",
        str(path),
    ):
        assert word in str(caught.value)


def test_missing_parts_are_listed_once(tmp_path: Path) -> None:
    path = cat(tmp_path)
    for number in (1, 3):
        (path.parent / f"ocean_part000{number}.tacozip").unlink()
    with pytest.raises(NotFoundError) as caught:
        Catalog([str(path)])
    message = str(caught.value)
    assert "2 of 3 parts of the TacoCat are missing" in message
    assert "ocean_part0002" not in message


@pytest.mark.parametrize("name", ["../other.tacozip", "/etc/passwd", "a\\b", "c:x", "..", ""])
def test_a_part_named_with_separators(tmp_path: Path, name: str) -> None:
    def edit(made: Tree) -> None:
        made.levels[0][1]["internal:source_file"] = name

    with pytest.raises(InvalidDatasetError, match=r"level0.parquet row 1: internal:source_file"):
        Catalog([str(cat(tmp_path, edit))])


def test_a_part_that_level_0_does_not_name(tmp_path: Path) -> None:
    def edit(made: Tree) -> None:
        made.levels[2][4]["internal:source_file"] = "else.tacozip"

    with pytest.raises(
        InvalidDatasetError, match=r"level2.parquet row 4: .*else.tacozip.* in no row of level 0"
    ):
        Catalog([str(cat(tmp_path, edit))])


@pytest.mark.parametrize("level", [0, 1, 2])
def test_no_source_file(tmp_path: Path, level: int) -> None:
    with pytest.raises(InvalidDatasetError, match="lacks column internal:source_file"):
        Catalog([str(cat(tmp_path, lambda made: made.drop(level, "internal:source_file")))])


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_missing_level_of_a_tacocat(tmp_path: Path, level: int) -> None:
    path = cat(tmp_path)
    (path / f"level{level}.parquet").unlink()
    with pytest.raises(InvalidDatasetError, match=rf"level{level}.parquet is missing"):
        Catalog([str(path)])


def test_a_truncated_part(tmp_path: Path) -> None:
    path = cat(tmp_path)
    part = path.parent / "ocean_part0002.tacozip"
    part.write_bytes(part.read_bytes()[:400])
    with pytest.raises(
        InvalidDatasetError, match=r"past the end of .*ocean_part0002.tacozip \(400 bytes\)"
    ):
        Catalog([str(path)])


def test_a_single_file_tacocat(tmp_path: Path) -> None:
    (tmp_path / "__TACOCAT__").write_bytes(b"TACOCAT")
    with pytest.raises(UnsupportedError, match="__TACOCAT__"):
        Catalog([str(tmp_path / "__TACOCAT__")])


def test_a_root_with_both_prefers_its_own_description(tmp_path: Path, made: Tree) -> None:
    root = write_folder(tmp_path / "parts", made)
    write_cat(tmp_path / "parts", split(tree(dates=["2024_01_01"])))
    catalog = Catalog([str(root)])
    assert catalog.days[:2] == ("2023-03-29", "2023-03-31")
    assert "holds both COLLECTION.json and .tacocat" in catalog.warnings[0]
    assert Catalog([str(root / ".tacocat")]).days[:2] == ("2024-01-01", "2024-01-01")
