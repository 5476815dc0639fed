"""Published query sets, against what the library that publishes them reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oceanarrow.dataset.queries import read_query_set
from oceanarrow.exceptions import InvalidDatasetError, InvalidInputError, NotFoundError

HERE = Path(__file__).parent
SETS = ["queryset_v1", "queryset_v2"]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "all": {},
    "days": {"days": ("2023-04-02", "2023-04-03")},
    "crossing": {"bbox": (170.0, -170.0, -90.0, 90.0)},
    "north": {"bbox": (-180.0, 180.0, 0.0, 90.0)},
    "swot": {"min_valid": {"swot": 0.3}},
    "swot of 0": {"min_valid": {"l3_swot": 0.0}},
    "ssh": {"min_valid": {"l3_ssh": 0.5}},
    "argo": {"min_valid": {"argo": 2}},
    "swot_n_obs_sum": {"min_valid": {"swot_n_obs_sum": 60}},
}


@pytest.mark.parametrize("name", SETS)
def test_what_the_publisher_reads(name: str) -> None:
    """Boxes to the last bit, days, order, and what null and a footprint of no cell mean."""
    told = json.loads((HERE / f"{name}.json").read_text())
    assert set(told) == set(ARGUMENTS)
    for key, rows in told.items():
        found = read_query_set(HERE / name, **ARGUMENTS[key])
        assert [[*q.bbox, q.time_start] for q in found] == rows
        assert all(q.time_start == q.time_end for q in found)
    assert 0 < len(told["swot"]) < len(told["swot of 0"]) < len(told["all"])


def test_filters_are_joined() -> None:
    path = HERE / "queryset_v2"
    each = [
        {(q.bbox, q.time_start) for q in read_query_set(path, **ARGUMENTS[k])}
        for k in ("argo", "days", "north")
    ]
    joined = read_query_set(path, **ARGUMENTS["argo"], **ARGUMENTS["days"], **ARGUMENTS["north"])
    assert {(q.bbox, q.time_start) for q in joined} == set.intersection(*each)


@pytest.mark.peer
@pytest.mark.parametrize("name", SETS)
def test_the_peer_says_the_same_of_any_filter(name: str) -> None:
    peer = pytest.importorskip("ocean_taco.filter", reason="oceantaco is not installed")
    from ocean_taco.geobox import GeoBox, PatchSpec
    from ocean_taco.queryset import QuerySet

    read = QuerySet.read(HERE / name)
    metrics = {"swot": "valid_fraction_footprint", "ssh": "valid_fraction_footprint"}
    metrics |= {"argo": "profile_count"}
    for i, (token, metric) in enumerate(metrics.items()):
        for least in (0.0, 0.1, 0.45, 1.0):
            rule = peer.CoverageRequirement(token, metric, least)
            box = (-60.0 + 20 * i, 100.0, -60.0, 40.0)
            chosen = peer.QueryFilter(date_start=read.dates[1], box=GeoBox(*box), coverage=(rule,))
            rows = []
            for position, date in peer.select_queryset(read, chosen).iter_pairs():
                row = read.position(position)
                centre = (row["centre_lon"], row["centre_lat"])
                edges = PatchSpec(*centre, read.patch_size, read.dates[date], 0, 0).footprint
                rows.append((edges.lon_min, edges.lon_max, edges.lat_min, edges.lat_max))
            days = (read.dates[1][:10], read.dates[-1][:10])
            found = read_query_set(HERE / name, days=days, bbox=box, min_valid={token: least})
            assert [query.bbox for query in found] == rows


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / "queryset_v2", tmp_path / "set"))


@pytest.mark.parametrize("table", ["positions", "coverage", "assets"])
def test_an_altered_table(copy: Path, table: str) -> None:
    path = copy / f"{table}.parquet"
    rows = pq.read_table(path)
    name = rows.column_names[-1]
    values = rows[name].to_pylist()
    values[0] = "missing" if isinstance(values[0], str) else (values[0] or 0) + 1
    pq.write_table(
        rows.set_column(
            rows.num_columns - 1,
            rows.schema.field(name),
            pa.array(values, rows.schema.field(name).type),
        ),
        path,
    )
    with pytest.raises(InvalidDatasetError, match=rf"{table}\.parquet is not the table.*again"):
        read_query_set(copy)


def test_an_altered_header(copy: Path) -> None:
    header = json.loads((copy / "header.json").read_text())
    for key, value in [
        ("patch_size", {"unit": "km", "value": 256.0}),
        ("dates", header["dates"][1:]),
    ]:
        (copy / "header.json").write_text(json.dumps(header | {key: value}))
        with pytest.raises(InvalidDatasetError, match="queryset_id"):
            read_query_set(copy)
    # What is said beside the identity may change.
    (copy / "header.json").write_text(json.dumps(header | {"notes": "looked at"}))
    assert read_query_set(copy) == read_query_set(HERE / "queryset_v2")


def test_what_is_no_set(copy: Path) -> None:
    header = json.loads((copy / "header.json").read_text())
    with pytest.raises(NotFoundError, match=r"no header\.json"):
        read_query_set(copy.parent)
    for text, what in [
        ("{", "cannot read"),
        ("[]", "format None"),
        (json.dumps(header | {"schema_version": "queryset/v9"}), "queryset/v9"),
        (json.dumps(header | {"table_sha256": {}}), "digests"),
        (json.dumps(header | {"dates": []}), "no dates"),
    ]:
        (copy / "header.json").write_text(text)
        with pytest.raises(InvalidDatasetError, match=what):
            read_query_set(copy)
    (copy / "header.json").write_text(json.dumps(header))
    (copy / "assets.parquet").unlink()
    with pytest.raises(NotFoundError, match=r"assets\.parquet"):
        read_query_set(copy)


def test_mistakes() -> None:
    path = HERE / "queryset_v2"
    with pytest.raises(InvalidInputError, match=r"'sst'.*argo_profile_count.*swot"):
        read_query_set(path, min_valid={"sst": 0.5})
    with pytest.raises(InvalidInputError, match="bbox must be"):
        read_query_set(path, bbox=(1, 2, 3))  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="days must be"):
        read_query_set(path, days=("2023-04-01",))  # type: ignore[arg-type]
