"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic

from oceanarrow.dataset import Query, QueryGenerator
from oceanarrow.taco import write_taco, write_tacocat

QUERIES = [
    Query(-50, -30, 20, 35, "2023-04-01", "2023-04-01"),
    Query(85, 95, -40, -25, "2023-04-02", "2023-04-04"),
    Query(175, -175, -5, 12, "2023-04-03", "2023-04-03"),
    # Within two degrees of a tile that it does not touch.
    Query(70, 88.5, 30, 45, "2023-04-01", "2023-04-02"),
]
VARIABLES = ["l4_sst", "l3_swot", "argo", "glorys_sst"]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's own settings and caches stay out of the tests."""
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    monkeypatch.setenv("OCEANARROW_CACHE_DIR", str(tmp_path / "default_cache"))


@pytest.fixture
def query_file(tmp_path: Path) -> Path:
    """`QUERIES` on disk."""
    QueryGenerator.save_queries(QUERIES, tmp_path / "queries")
    return tmp_path / "queries.parquet"


@pytest.fixture(scope="session")
def parts(ocean: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The dataset as two archives, with the TacoCat that joins them beside them."""
    folder = tmp_path_factory.mktemp("parts")
    files = synthetic._files_of(ocean)
    days = sorted({file.day for file in files})
    made = []
    for number, of_part in enumerate((days[:2], days[2:])):
        chosen = [file for file in files if file.day in of_part]
        path = folder / f"ocean_part{number}.tacozip"
        made.append(write_taco(path, chosen, container="zip", id="synthetic_ocean", pad_to=11))
    write_tacocat(made, folder)
    return made
