"""`oceanarrow download`: a smaller dataset that gives the same batches."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import namedtuple
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import oceanarrow
from oceanarrow import Catalog, download, variables
from oceanarrow.cli import main
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError, UnwritableError
from oceanarrow.taco import REGIONS

from .conftest import QUERIES, VARIABLES
from .same import assert_equal, batches


def days_of(query: Query) -> list[date]:
    first, last = (date.fromisoformat(time) for time in (query.time_start, query.time_end))
    return [first + timedelta(days=k) for k in range((last - first).days + 1)]


def gap(query: Query, region: str) -> tuple[float, bool]:
    """Degrees between a box and a region, and whether they share an area."""
    west, east, south, north = REGIONS[region]
    far_east = query.lon_max + (360 if query.lon_max < query.lon_min else 0)
    between = min(
        max(west + turn - far_east, query.lon_min - east - turn) for turn in (-360, 0, 360)
    )
    above = max(south - query.lat_max, query.lat_min - north)
    return max(between, above), between < 0 and above < 0


def needed(ocean: Path) -> set[str]:
    """Days and tiles worked out from the folder alone: within 2 degrees (or two cells) of a box, on
    days on which one of the source's tiles lies under it."""
    found = set()
    for variable in (variables()[name] for name in VARIABLES):
        for query in QUERIES:
            for day in days_of(query):
                tiles = {r: f"{day:%Y_%m_%d}/{r}/{variable.file}" for r in REGIONS}
                tiles = {r: path for r, path in tiles.items() if (ocean / "DATA" / path).exists()}
                if any(gap(query, region)[1] for region in tiles):
                    # No source of the synthetic ocean has cells wider than a degree in latitude
                    # where this matters, but l4_sst of the third day: two of its cells are 4.
                    reach = 4.0 if variable.name == "l4_sst" and day.day > 2 else 2.0
                    found |= {p for r, p in tiles.items() if gap(query, r)[0] <= reach}
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    data = folder / "DATA"
    return {str(p.relative_to(data)): p.read_bytes() for p in sorted(data.glob("*/*/*.nc"))}


@pytest.fixture(scope="session")
def copy(ocean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("download") / "copy"
    download(ocean, QUERIES, VARIABLES, made)
    return made


def test_exactly_the_needed_files_are_copied(ocean: Path, copy: Path) -> None:
    copied, original = files_of(copy), files_of(ocean)
    assert copied.keys() == needed(ocean)
    assert all(content == original[path] for path, content in copied.items())
    listed = {Path(g["path"]).relative_to(copy / "DATA") for g in Catalog(copy).granules()}
    assert {str(path) for path in listed} == copied.keys()
    assert Catalog(copy).warnings == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"grid": "crop"},
        {"resample": "area"},
        {"resample": "nearest", "temporal_agg": "first"},
        {"resample": "auto", "temporal_agg": "last", "support": True},
    ],
)
def test_batches_are_the_same(ocean: Path, copy: Path, options: dict[str, Any]) -> None:
    assert_equal(batches(copy, **options), batches(ocean, **options))


@pytest.mark.parametrize("kind", ["zip", "parts", "tacocat"])
def test_every_container_gives_the_same_dataset(
    kind: str, ocean_zip: Path, parts: list[Path], copy: Path, tmp_path: Path
) -> None:
    place = {"zip": ocean_zip, "parts": parts, "tacocat": parts[0].parent / ".tacocat"}[kind]
    summary = download(place, QUERIES, VARIABLES, tmp_path / "copy")
    assert files_of(tmp_path / "copy") == files_of(copy)
    assert summary.total.files == len(files_of(copy))
    assert_equal(batches(tmp_path / "copy"), batches(copy))
    for level in range(3):
        ours, theirs = (
            pq.read_table(folder / f"METADATA/level{level}.parquet")
            for folder in (tmp_path / "copy", copy)
        )
        assert sorted(ours.column_names) == sorted(theirs.column_names)
        # The archives' writer knew no footprints and resolutions of the files.
        shared = [n for n in theirs.column_names if not n.startswith(("istac:", "res_"))]
        assert ours.select(shared).equals(theirs.select(shared))


def test_the_metadata_are_the_originals(ocean: Path, copy: Path) -> None:
    tables = [pq.read_table(copy / f"METADATA/level{k}.parquet") for k in range(3)]
    for level, table in enumerate(tables):
        original = pq.read_table(ocean / f"METADATA/level{level}.parquet")
        assert table.schema.equals(original.schema)
        place = "internal:relative_path" if level else "id"
        rows = {row[place]: row for row in original.to_pylist()}
        kept = [row for row in table.to_pylist() if not row["id"].startswith("__TACOPAD__")]
        for row in kept:
            for name in row.keys() - {"internal:current_id", "internal:parent_id"}:
                assert row[name] == rows[row[place]][name] or row[name] != row[name], name
    check_structure(copy, tables)


def check_structure(copy: Path, tables: list[Any]) -> None:
    """Ids, parents, padding, folder tables and `COLLECTION.json` agree."""
    days, regions, files = (table.to_pylist() for table in tables)
    for rows in (days, regions, files):
        assert [row["internal:current_id"] for row in rows] == list(range(len(rows)))
    assert [row["internal:parent_id"] for row in days] == list(range(len(days)))
    width = len(files) // len(regions)
    for row in regions:
        day = days[row["internal:parent_id"]]["id"]
        assert row["internal:relative_path"] == f"{day}/{row['id']}/"
    for position, row in enumerate(files):
        folder = regions[row["internal:parent_id"]]["internal:relative_path"]
        assert row["internal:parent_id"] == position // width
        assert row["internal:relative_path"] == folder + row["id"]
        padded = row["id"].startswith("__TACOPAD__")
        assert ((copy / "DATA" / folder / row["id"]).stat().st_size == 0) == padded
    for rows, parents in ((regions, [f"{day['id']}/" for day in days]), (files, None)):
        parents = parents or [row["internal:relative_path"] for row in regions]
        for position, folder in enumerate(parents):
            meta = pq.read_table(copy / "DATA" / folder / "__meta__").to_pylist()
            children = [row for row in rows if row["internal:parent_id"] == position]
            assert [row["id"] for row in meta] == [row["id"] for row in children]
            assert not any(name.startswith("internal:") for name in meta[0])
    described = json.loads((copy / "COLLECTION.json").read_text())
    shape = described["taco:pit_schema"]
    assert shape["root"]["n"] == len(days)
    assert sum(pattern["n"] for pattern in shape["hierarchy"]["1"]) == len(regions)
    assert sum(pattern["n"] for pattern in shape["hierarchy"]["2"]) == len(files)
    for level, table in enumerate(tables):
        fields = described["taco:field_schema"][f"level{level}"]
        assert [field[0] for field in fields] == table.column_names


def test_a_dry_run_tells_the_size_and_writes_nothing(
    ocean: Path, query_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "copy"
    command = ["download", str(ocean), "--queries", str(query_file), "-o", str(target)]
    command += ["--variables", *VARIABLES]
    assert main([*command, "--dry-run"]) == 0
    dry = capsys.readouterr().out
    assert not target.parent.exists()
    assert main(command) == 0
    wet = capsys.readouterr()
    sizes = {path: len(content) for path, content in files_of(target).items()}
    assert f"{len(sizes)} files" in dry and f"({sum(sizes.values()):,} bytes)" in dry
    swot = [size for path, size in sizes.items() if path.endswith("/l3_swot.nc")]
    assert any(
        line.split()[:2] == ["l3_swot", str(len(swot))] and f"({sum(swot):,} bytes)" in line
        for line in dry.splitlines()
    )
    assert wet.out == dry + f"{target} is complete: open {target}\n"
    assert wet.err == "", "no bar unless on a terminal"


def test_what_is_there_is_not_fetched_again(ocean: Path, copy: Path, tmp_path: Path) -> None:
    target = shutil.copytree(copy, tmp_path / "copy")
    lost, torn = sorted((target / "DATA").glob("*/*/*.nc"))[:2]
    size = lost.stat().st_size + torn.stat().st_size
    lost.unlink()
    torn.write_bytes(torn.read_bytes()[:-1])
    kept = {path: path.stat().st_mtime_ns for path in target.rglob("*.nc") if path != torn}
    dry = download(ocean, QUERIES, VARIABLES, target, dry_run=True)
    done = download(ocean, QUERIES, VARIABLES, target)
    assert dry == done
    assert (done.fetched.files, done.fetched.bytes) == (2, size)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert files_of(target) == files_of(copy)
    again = download(ocean, QUERIES, VARIABLES, target)
    assert again.fetched == oceanarrow.subset.transfer.Amount(0, 0)


def test_a_directory_of_something_else_is_refused(
    ocean: Path, ocean_zip: Path, copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    cases = [
        (ocean, QUERIES, tmp_path, "neither empty"),
        (ocean, QUERIES, tmp_path / "thesis.tex", "is a file"),
        (ocean, QUERIES, ocean, "neither empty"),
        (ocean, QUERIES[:1], copy, "other queries"),
        (ocean_zip, QUERIES, copy, "not of"),
    ]
    for place, queries, directory, message in cases:
        before = sorted(directory.rglob("*"))
        with pytest.raises(InvalidInputError, match=message):
            download(place, queries, VARIABLES, directory)
        assert sorted(directory.rglob("*")) == before


def test_queries_that_need_nothing_are_an_error(ocean: Path, tmp_path: Path) -> None:
    elsewhen = [Query(0, 10, 0, 10, "1999-01-01", "1999-01-02")]
    with pytest.raises(InvalidInputError, match="no file of l4_ssh"):
        download(ocean, elsewhen, ["l4_ssh"], tmp_path / "copy")
    with pytest.raises(InvalidInputError, match="Unknown variables"):
        download(ocean, QUERIES, ["l5_ssh"], tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_full_disk_is_told_first(
    ocean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1000))
    with pytest.raises(UnwritableError, match="1,000 bytes left"):
        download(ocean, QUERIES, VARIABLES, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_is_told(ocean: Path, tmp_path: Path) -> None:
    """A link to /dev/full stands where the first part will be written."""
    first = sorted(needed(ocean))[0]
    target = tmp_path / "copy"
    download(ocean, QUERIES, VARIABLES, target)
    place = target / "DATA" / first
    place.unlink()
    (place.parent / f".{place.name}.part").symlink_to("/dev/full")
    with pytest.raises(UnwritableError, match=r"disk is full.*; file: .*"):
        download(ocean, QUERIES, VARIABLES, target)
    assert not (target / "COLLECTION.json").exists()
    download(ocean, QUERIES, VARIABLES, target)
    assert_equal(batches(target), batches(ocean))


@pytest.mark.parametrize("command", ["download", "index"])
def test_a_file_that_may_not_grow_is_no_passing_trouble(
    ocean: Path, query_file: Path, tmp_path: Path, command: str
) -> None:
    """A limit on the size of files stands for all that a disk may refuse."""
    target = tmp_path / ("copy" if command == "download" else "index.parquet")
    words = [command, str(ocean), "--variables", "l4_sst", "-o", str(target)]
    if command == "download":
        words += ["--queries", str(query_file)]
    limited = (
        "import resource, sys\n"
        "from oceanarrow.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert "ulimit -f" in error and f"; file: {target}" in error
    assert not target.is_file()


def test_regions_keep_their_footprints(ocean: Path, tmp_path: Path) -> None:
    """A region counts with its footprints of all days, also of those that are left out."""
    original = tmp_path / "ocean"
    original.mkdir()
    for name in ("METADATA", "COLLECTION.json"):
        source = ocean / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, original / name)
    (original / "DATA").symlink_to(ocean / "DATA")
    level1 = original / "METADATA/level1.parquet"
    table = pq.read_table(level1)
    small = oceanarrow._taco_tables.box_polygon((-60.0, 0.0, 30.0, 90.0))
    shapes = [
        small if row["internal:relative_path"] == "2023_04_01/NORTH_ATLANTIC/" else shape
        for row, shape in zip(
            table.to_pylist(), table.column("istac:geometry").to_pylist(), strict=True
        )
    ]
    column = table.column_names.index("istac:geometry")
    geometry = oceanarrow.optional.require("pyarrow", "x", "taco").array(shapes)
    pq.write_table(table.set_column(column, "istac:geometry", geometry), level1)
    first_day = [Query(-50, -30, 20, 35, "2023-04-01", "2023-04-01")]
    target = tmp_path / "copy"
    download(original, first_day, VARIABLES, target)
    assert Catalog(target).regions == {"NORTH_ATLANTIC": REGIONS["NORTH_ATLANTIC"]}


def test_two_downloads_do_not_share_a_directory(ocean: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    with (
        oceanarrow.subset.manifest.locked(target),
        pytest.raises(InvalidInputError, match="another download"),
    ):
        download(ocean, QUERIES, VARIABLES, target)
    download(ocean, QUERIES, VARIABLES, target)


@pytest.mark.peer
def test_the_peer_reads_it(copy: Path) -> None:
    tacoreader = pytest.importorskip("tacoreader", reason="tacoreader is not installed")
    frame: Any = tacoreader.load(str(copy)).sql(
        "SELECT * FROM l2 WHERE \"l2:id\" NOT LIKE '\\_\\_TACOPAD%' ESCAPE '\\'"
    )
    table = frame.to_pandas() if hasattr(frame, "to_pandas") else frame
    assert {Path(path) for path in table["l2:internal:gdal_vsi"]} == {
        copy / "DATA" / path for path in files_of(copy)
    }
