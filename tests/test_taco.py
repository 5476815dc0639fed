"""The containers write_taco makes: their bytes, their tables, and what a peer reader sees."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.taco import GranuleFile, write_taco, write_tacocat

DAYS = ("2023-04-01", "2023-04-02")
REGIONS = ("NORTH_ATLANTIC", "SOUTH_PACIFIC_WEST")


@pytest.fixture
def granules(tmp_path: Path) -> list[GranuleFile]:
    """Two days, two regions, three sources; l3_swot only on the first day."""
    found = []
    for day in DAYS:
        for region in REGIONS:
            for source in ("l4_ssh", "l3_sss_smos_asc", "l3_swot"):
                if source == "l3_swot" and day == DAYS[1]:
                    continue
                path = tmp_path / f"{day}-{region}-{source}.nc"
                path.write_bytes(f"{day} {region} {source}".encode() * 50)
                found.append(GranuleFile(day, region, source, path, bbox=(-89.0, -1.0, 1.0, 89.0)))
    return found


def rows(table: bytes | Path) -> list[dict]:
    return pq.read_table(io.BytesIO(table) if isinstance(table, bytes) else table).to_pylist()


def test_folder_has_the_published_layout(granules: list[GranuleFile], tmp_path: Path) -> None:
    root = write_taco(tmp_path / "ocean", granules)
    level0, level1, level2 = (rows(root / f"METADATA/level{k}.parquet") for k in range(3))
    assert [row["id"] for row in level0] == ["2023_04_01", "2023_04_02"]
    assert level0[1]["stac:time_start"] == "2023-04-02T00:00:00+00:00"
    assert [row["internal:parent_id"] for row in level1] == [0, 0, 1, 1]
    assert [row["internal:relative_path"] for row in level1][2] == "2023_04_02/NORTH_ATLANTIC/"
    names = ["l3_sss_asc.nc", "l3_swot.nc", "l4_ssh.nc"]
    assert [row["id"] for row in level2[:3]] == names
    assert [row["id"] for row in level2[9:]] == ["l3_sss_asc.nc", "l4_ssh.nc", "__TACOPAD__0"]
    assert [row["internal:parent_id"] for row in level2] == [k // 3 for k in range(12)]
    pad = level2[-1]
    assert pad["type"] == "FILE" and pad["data_source"] is None and pad["istac:geometry"] is None
    assert math.isnan(level2[0]["res_deg_lat"])
    for row in level2:
        content = (root / "DATA" / row["internal:relative_path"]).read_bytes()
        day, region, _ = row["internal:relative_path"].split("/")
        said = f"{day.replace('_', '-')} {region} {row['data_source']}".encode() * 50
        assert content == (b"" if row is pad or row["data_source"] is None else said)
    children = rows(root / "DATA/2023_04_02/SOUTH_PACIFIC_WEST/__meta__")
    assert [row["id"] for row in children] == [row["id"] for row in level2[9:]]
    collection = json.loads((root / "COLLECTION.json").read_text())
    hierarchy = collection["taco:pit_schema"]["hierarchy"]
    assert collection["taco:pit_schema"]["root"]["n"] == 2
    assert [pattern["n"] for pattern in hierarchy["2"]] == [6, 6]
    assert [pattern["id"] for pattern in hierarchy["2"]] == [names, names]
    fields = [name for name, _, _ in collection["taco:field_schema"]["level2"]]
    assert fields == pq.read_schema(root / "METADATA/level2.parquet").names


def test_geometry_is_the_box_as_wkb(granules: list[GranuleFile], tmp_path: Path) -> None:
    root = write_taco(tmp_path / "ocean", granules)
    region = rows(root / "METADATA/level1.parquet")[1]
    ring = struct.unpack("<BIII10d", region["istac:geometry"])
    assert ring == (1, 3, 1, 5, -90, -90, -90, 0, -180, 0, -180, -90, -90, -90)
    assert struct.unpack("<BI2d", region["istac:centroid"]) == (1, 1, -135, -45)
    file = rows(root / "METADATA/level2.parquet")[0]
    assert struct.unpack("<BIII10d", file["istac:geometry"])[4:8] == (-1, 1, -1, 89)
    assert str(file["istac:time_middle"]) == "2023-04-01 12:00:00"


def test_zip_places_are_byte_ranges(granules: list[GranuleFile], tmp_path: Path) -> None:
    path = write_taco(tmp_path / "ocean.tacozip", granules, container="zip")
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        members = {name: archive.read(name) for name in names}
    assert names[0] == "TACO_HEADER" and names[-1] == "COLLECTION.json"
    assert content[30:41] == b"TACO_HEADER" and len(members["TACO_HEADER"]) == 116
    assert content[41:45] == b"\x04\0\0\0"
    pairs = struct.unpack("<14Q", content[45:157])
    spans = [content[a : a + n] for a, n in zip(pairs[0:8:2], pairs[1:8:2], strict=True)]
    assert pairs[8:] == (0,) * 6
    assert spans[3] == members["COLLECTION.json"]
    for level in range(3):
        assert spans[level] == members[f"METADATA/level{level}.parquet"]
        for row in rows(spans[level]):
            start, size = row["internal:offset"], row["internal:size"]
            name = f"DATA/{row.get('internal:relative_path') or row['id'] + '/'}"
            name += "__meta__" if row["type"] == "FOLDER" else ""
            assert content[start : start + size] == members[name]
            assert content[start - len(name) : start].decode() == name
    again = write_taco(tmp_path / "again.tacozip", granules, container="zip")
    assert again.read_bytes() == content


def test_tacocat_joins_parts(granules: list[GranuleFile], tmp_path: Path) -> None:
    parts = []
    for k, day in enumerate(DAYS):
        chosen = [granule for granule in granules if granule.day == day]
        name = tmp_path / f"ocean_part{k + 1:04d}.tacozip"
        parts.append(write_taco(name, chosen, container="zip", id=f"part{k}", pad_to=3))
    cat = write_tacocat(parts, tmp_path)
    level0, level2 = rows(cat / "level0.parquet"), rows(cat / "level2.parquet")
    assert [row["internal:current_id"] for row in level0] == [0, 0]
    assert [row["internal:source_file"] for row in level0] == [part.name for part in parts]
    assert len(level2) == 12 and list(level2[0]) == sorted(level2[0])
    row = next(row for row in level2 if row["internal:source_file"] == parts[1].name)
    start, size = row["internal:offset"], row["internal:size"]
    assert parts[1].read_bytes()[start : start + size].startswith(b"2023-04-02 NORTH_ATLANTIC")
    collection = json.loads((cat / "COLLECTION.json").read_text())
    assert collection["taco:sources"]["ids"] == ["part0", "part1"]
    assert collection["taco:pit_schema"]["root"]["n"] == 2
    with pytest.raises(InvalidInputError, match="must lie in"):
        write_tacocat(parts, tmp_path / "elsewhere")


def test_a_failed_write_leaves_nothing(granules: list[GranuleFile], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    broken = {"compression": "no such codec"}
    for container in ("folder", "zip"):
        with pytest.raises(Exception, match="no such codec"):
            write_taco(out / "ocean", granules, container=container, parquet=broken)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": "ATLANTIS"}, "unknown region 'ATLANTIS'"),
        ({"path": "no/such/file.nc"}, "no such file"),
        ({"day": "April"}, "'April' is not a date"),
        ({"file_name": "../x.nc"}, "cannot be a name"),
        ({"file_name": "__meta__"}, "cannot be a name"),
        ({"day": date(2023, 4, 1)}, "two files named l4_ssh.nc"),
    ],
)
def test_bad_granules_are_refused(
    granules: list[GranuleFile], tmp_path: Path, change: dict, message: str
) -> None:
    first = {key: getattr(granules[0], key) for key in ("day", "region", "source", "path")}
    with pytest.raises(InvalidInputError, match=message):
        write_taco(tmp_path / "ocean", [*granules, GranuleFile(**{**first, **change})])


def test_nothing_is_overwritten(granules: list[GranuleFile], tmp_path: Path) -> None:
    root = write_taco(tmp_path / "ocean", granules)
    with pytest.raises(InvalidInputError, match="exists"):
        write_taco(root, granules)
    with pytest.raises(InvalidInputError, match="no granules"):
        write_taco(tmp_path / "empty", [])


@pytest.mark.peer
@pytest.mark.parametrize("container", ["folder", "zip"])
def test_tacoreader_reads_it(granules: list[GranuleFile], tmp_path: Path, container: str) -> None:
    tacoreader = pytest.importorskip("tacoreader", reason="tacoreader is not installed")
    tacoreader.use("pandas")
    name = "ocean.tacozip" if container == "zip" else "ocean"
    path = write_taco(tmp_path / name, granules, container=container)
    dataset = tacoreader.load(str(path))
    found = dataset.sql("SELECT * FROM l2")
    frame = getattr(found, "data", found)
    keys = [column for column in frame.columns if str(column).endswith("internal:gdal_vsi")]
    assert len(frame) == 12 and keys, list(frame.columns)
    place = dict(zip(frame["l2:id"] + frame["l1:id"] + frame["l0:id"], frame[keys[0]], strict=True))
    vsi = place["l4_ssh.ncNORTH_ATLANTIC2023_04_02"]
    said = b"2023-04-02 NORTH_ATLANTIC l4_ssh" * 50
    if container == "folder":
        assert Path(vsi).read_bytes() == said
    else:
        span, _, file = vsi.removeprefix("/vsisubfile/").partition(",")
        start, size = map(int, span.split("_"))
        assert Path(file).read_bytes()[start : start + size] == said
