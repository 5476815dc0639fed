"""Other consumers of the Arrow C interfaces."""

from __future__ import annotations

import pytest

from oceanarrow import Loader
from oceanarrow.dataset import Query

QUERIES = [Query(-60 + i, -40 + i, 10, 30, "2023-04-01", "2023-04-01") for i in range(6)]


@pytest.fixture
def loader(ocean) -> Loader:
    return Loader(
        ocean, QUERIES, ["argo", "l4_ssh"], batch_size=2, default_patch_size=(2, 3), shuffle=False
    )


def test_polars(loader):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(loader)
    assert frame["query"].to_list() == list(range(6))
    expected = [v for batch in loader for v in batch.to_numpy()["inputs"]["l4_ssh"][:, 0, 0]]
    assert [row[0] for row in frame["l4_ssh"].to_list()] == pytest.approx(expected)


def test_arro3(loader):
    arro3 = pytest.importorskip("arro3.core")
    table = arro3.Table.from_arrow(loader)
    assert table.num_rows == 6
    assert table.schema.names == loader.schema.names


def test_duckdb(loader):
    duckdb = pytest.importorskip("duckdb")
    import pyarrow as pa

    reader = pa.RecordBatchReader.from_stream(loader)
    rows = duckdb.from_arrow(reader).project("query, lon_min, n_files, status").fetchall()
    assert [row[:2] for row in rows] == [(i, -60.0 + i) for i in range(6)]
    assert all(row[3] == 0 for row in rows)
