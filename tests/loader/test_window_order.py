"""What the order of plans with windows costs: chunks decoded, of those that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oceanarrow import Files, Loader, Window, variables, write_catalog
from oceanarrow.dataset import Query
from oceanarrow.window import columns_of, extra_days

FIRST = np.datetime64("2021-01-01")
DAYS = 60
CHUNK_BYTES = 10 * 10 * 4
WINDOWS = [Window("v", -6, 0, name="past", temporal_agg="stack"), Window("v", 1, 7, name="next")]


@pytest.fixture(scope="module")
def chunked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of a field of 40 x 60 degrees in chunks of 10 x 10 degrees and a day."""
    import xarray as xr

    folder = tmp_path_factory.mktemp("chunked")
    values = np.random.default_rng(0).normal(size=(DAYS, 40, 60)).astype("f4")
    xr.Dataset(
        {"v": (("time", "lat", "lon"), values, {"units": "m"})},
        {
            "time": FIRST.astype("datetime64[ns]") + np.arange(DAYS) * np.timedelta64(1, "D"),
            "lat": ("lat", np.arange(40.0), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(60.0), {"units": "degrees_east"}),
        },
    ).to_netcdf(
        folder / "a.nc", engine="h5netcdf",
        encoding={"v": {"chunksizes": (1, 10, 10), "zlib": True}},
    )  # fmt: skip
    write_catalog(folder / "c.parquet", Files(folder / "a.nc"), progress=False)
    return folder / "c.parquet"


def queries(count: int) -> list[Query]:
    rng = np.random.default_rng(1)
    west, south = rng.uniform(0, 51, count), rng.uniform(0, 31, count)
    days = rng.integers(6, DAYS - 7, count)
    return [
        Query(w, w + 8, s, s + 8, str(FIRST + d), str(FIRST + d))
        for w, s, d in zip(west, south, days.tolist(), strict=True)
    ]


def loader(path: Path, asked: list[Query], **options: Any) -> Loader:
    defaults: dict[str, Any] = {"batch_size": 16, "threads": 1, "cache_dir": None, "window": 64}
    return Loader(path, asked, WINDOWS, default_patch_size=(4, 4), **defaults | options)


def decoded(made: Loader) -> int:
    for _ in made:
        pass
    return int(made.stats()["chunks_decoded"])


def test_days_beside_the_querys_own() -> None:
    def of(*entries: str | Window) -> int:
        return extra_days(*columns_of({"variables": entries}, variables()))

    assert of("l4_ssh", "l4_sst") == 0
    assert of(Window("l4_ssh", 3)) == 0
    assert of("l4_ssh", Window("l4_sst", 7)) == 0, "nothing is read on two days"
    assert of("l4_ssh", Window("l4_ssh", 7, name="next")) == 7
    assert of(Window("l4_ssh", -6, 0), Window("l4_ssh", 1, 7, name="next")) == 13
    assert of("l3_swot", Window("l4_ssh", -2, where="l3_swot")) == 2
    assert of(Window("glorys_uo", -2), "glorys_vo") == 0, "one file, other chunks"
    assert of(Window("l4_ssh", 1, -1)) == 0


@pytest.mark.parametrize("cache", [60, 200, 1000])
def test_the_decodes_of_an_epoch_are_foretold(chunked: Path, cache: int) -> None:
    made = loader(chunked, queries(600), cache_bytes=cache * CHUNK_BYTES, lanes=4, tail="pad")
    foretold = made.explain()
    assert decoded(made) == pytest.approx(foretold.decodes, rel=0.05)
    assert foretold.distinct > 1000


def test_blocks_of_days_decode_less(chunked: Path) -> None:
    made = loader(chunked, queries(640), cache_bytes=400 * CHUNK_BYTES, lanes=1)
    blocks = made.explain()
    made._order_options["extra_days"] = 0
    made._order = made._make_order()
    assert blocks.decodes < 0.6 * made.explain().decodes


def test_a_list_by_days_reads_each_day_once(chunked: Path) -> None:
    asked = sorted(queries(640), key=lambda query: str(query.time_start))
    made = loader(chunked, asked, shuffle=False)
    needed = made.explain().needed_cache_bytes
    assert needed < 20 * 24 * CHUNK_BYTES, "a fortnight, not all days"
    made = loader(chunked, asked, shuffle=False, cache_bytes=needed)
    assert decoded(made) <= 1.1 * made.explain().distinct


def test_chunks_on_disk_are_inflated_once(chunked: Path, tmp_path: Path) -> None:
    made = loader(
        chunked, queries(640), cache_bytes=20 * CHUNK_BYTES, cache_dir=tmp_path / "c",
    )  # fmt: skip
    explained = made.explain()
    assert explained.decodes > 2 * explained.distinct, "memory holds little of it"
    assert decoded(made) <= 1.1 * explained.distinct
    assert made.stats()["disk_blocks_read"] > 0
