"""Saving and loading query lists."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oceanarrow.dataset import Query, QueryGenerator
from oceanarrow.exceptions import InvalidInputError, NotFoundError

QUERIES = [
    Query(-70, -60.1, 35, 45.000000000000007, "2023-04-15", "2023-04-16T12:00"),
    Query(175.0, -175.0, -5.0, 5.0, "2023-04-15", "2023-04-15"),
]


def table(**changes: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "lon_min": [0.0], "lon_max": [1.0], "lat_min": [0.0], "lat_max": [1.0],
        "time_start": ["2023-04-15"], "time_end": ["2023-04-15"],
    }  # fmt: skip
    return pa.table({k: v for k, v in {**columns, **changes}.items() if v is not None})


def test_round_trip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sets" / "train_0.5deg"
    QueryGenerator.save_queries(QUERIES, path, metadata={"region": "anywhere", "when": np.int64(3)})
    assert capsys.readouterr().out == f"Saved 2 queries to {path}\n"
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "train_0.5deg.json",
        "train_0.5deg.parquet",
    ]
    queries, metadata = QueryGenerator.load_queries(path)
    assert queries == QUERIES
    assert list(metadata) == ["n_queries", "generated_at", "region", "when"]
    assert metadata["n_queries"] == 2 and metadata["region"] == "anywhere"
    datetime.fromisoformat(metadata["generated_at"])
    for suffix in (".parquet", ".json"):
        assert QueryGenerator.load_queries(f"{path}{suffix}")[0] == QUERIES


def test_other_tools_can_read_and_write_the_table(tmp_path: Path) -> None:
    QueryGenerator.save_queries(QUERIES, tmp_path / "a")
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert frame.to_dict("records") == [q.to_dict() for q in QUERIES]
    frame["note"] = "more columns do no harm"
    frame.to_parquet(tmp_path / "b.parquet")
    assert QueryGenerator.load_queries(tmp_path / "b") == (QUERIES, {})


def test_an_empty_list_round_trips(tmp_path: Path) -> None:
    QueryGenerator.save_queries([], tmp_path / "none")
    queries, metadata = QueryGenerator.load_queries(tmp_path / "none")
    assert queries == [] and metadata["n_queries"] == 0


def test_stamps_come_back_as_the_text_that_was_saved(tmp_path: Path) -> None:
    stamp = pd.Timestamp("2023-04-15 06:00", tz="UTC")
    QueryGenerator.save_queries([Query(0, 1, 0, 1, stamp, stamp)], tmp_path / "a")
    (loaded,), _ = QueryGenerator.load_queries(tmp_path / "a")
    assert loaded.time_start == "2023-04-15 06:00:00+00:00" and loaded.days() == (19462, 19462)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    QueryGenerator.save_queries(QUERIES, tmp_path / "a")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        QueryGenerator.save_queries(QUERIES[:1], tmp_path / "a")
    assert QueryGenerator.load_queries(tmp_path / "a")[0] == QUERIES
    assert len(list(tmp_path.iterdir())) == 2


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere\.parquet: no such file"):
        QueryGenerator.load_queries(tmp_path / "nowhere")
    assert issubclass(NotFoundError, FileNotFoundError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lat_max": None}, "no column 'lat_max'"),
        ({"lat_max": ["1"]}, "'lat_max' must hold numbers, not string"),
        ({"time_end": [19462]}, "'time_end' must hold text, not int64"),
        ({"time_end": pa.array([None], pa.string())}, "'time_end' has 1 empty rows"),
    ],
)
def test_wrong_columns_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    pq.write_table(table(**changes), tmp_path / "a.parquet")
    with pytest.raises(InvalidInputError, match=rf"a\.parquet: .*{message}"):
        QueryGenerator.load_queries(tmp_path / "a")


def test_broken_files_are_named(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    for broken, message in (("{", "not readable as JSON"), (json.dumps([1]), "a JSON object")):
        (tmp_path / "a.json").write_text(broken)
        with pytest.raises(InvalidInputError, match=rf"a\.json: .*{message}"):
            QueryGenerator.load_queries(tmp_path / "a")
    whole = (tmp_path / "a.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[: len(whole) // 2], whole[:-8] + b"\xff" * 8):
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"a\.parquet: not a readable Parquet file"):
            QueryGenerator.load_queries(tmp_path / "a")


def test_pyarrow_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install \"oceanarrow\[taco\]\""):
        QueryGenerator.save_queries(QUERIES, tmp_path / "a")
