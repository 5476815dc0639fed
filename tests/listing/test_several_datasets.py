"""Several datasets read as one."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import numpy as np
import pytest
from own_files import catalogue, write

from oceanarrow import Catalog, Files, Loader
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import InvalidDatasetError
from oceanarrow.taco import GranuleFile, write_taco

QUERIES = [
    Query(-60, -40, 10, 30, "2023-04-01", "2023-04-01"),
    Query(170, -170, -10, 10, "2023-04-02", "2023-04-02"),
    Query(-10, 10, -10, 10, "2023-04-03", "2023-04-03"),
]
OPTIONS = {"default_patch_size": (8, 8), "batch_size": 3, "shuffle": False}


@pytest.fixture(scope="module")
def halves(ocean: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The dataset's first day, and the others: two containers."""
    folder = tmp_path_factory.mktemp("halves")
    source = {"l3_sss_asc": "l3_sss_smos_asc", "l3_sss_desc": "l3_sss_smos_desc"}
    parts: dict[bool, list[GranuleFile]] = {True: [], False: []}
    for file in sorted((ocean / "DATA").glob("*/*/*.nc")):
        day, region = file.parts[-3].replace("_", "-"), file.parts[-2]
        name = source.get(file.stem, file.stem)
        parts[day == "2023-04-01"].append(GranuleFile(day, region, name, file))
    return [
        write_taco(folder / "first", parts[True]),
        write_taco(folder / "rest.tacozip", parts[False], container="zip"),
    ]


def columns(path: object, names: list[str]) -> dict[str, np.ndarray]:
    (batch,) = Loader(path, QUERIES, names, **OPTIONS)  # type: ignore[arg-type]
    found = batch.to_numpy()
    return {f"{name} {kind}": found[kind][name] for name in names for kind in ("inputs", "masks")}


@pytest.mark.parametrize("turned", [False, True])
def test_two_containers_are_one(ocean: Path, halves: list[Path], turned: bool) -> None:
    names = ["l4_ssh", "l4_sst", "l3_swot"]
    whole = columns(ocean, names)
    parts = columns(halves[::-1] if turned else halves, names)
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values, err_msg=name)
    assert Catalog(halves).days == Catalog(ocean).days
    assert len(Catalog(halves)) == len(Catalog(ocean))
    sample = OceanTACODataset(halves, QUERIES, names, [], default_patch_size=8)[1]
    np.testing.assert_array_equal(sample["inputs"]["l4_ssh"]["data"], whole["l4_ssh inputs"][1])


def test_a_container_and_a_catalogue(ocean: Path, tmp_path: Path) -> None:
    """A variable of each in one plan, and one order."""
    write(tmp_path / "a.nc", [5], ["2023-04-03T12"])
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"mine": "sla"}))
    both = columns([ocean, path], ["l4_ssh", "mine"])
    alone = columns(ocean, ["l4_ssh"])
    np.testing.assert_array_equal(both["l4_ssh inputs"], alone["l4_ssh inputs"])
    masks = both["mine masks"]
    assert not masks[:2].any() and masks[2].any()
    assert both["mine inputs"][2][masks[2]].mean() == pytest.approx(5, abs=0.1)
    assert set(Catalog([ocean, path]).sources) > {"mine", "l4_ssh"}


def test_the_same_granule_in_two(ocean: Path, halves: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(halves[0], copy)
    with pytest.raises(InvalidDatasetError) as caught:
        Catalog([halves[0], copy])
    assert str(halves[0]) in str(caught.value) and str(copy) in str(caught.value)


def test_two_catalogues_of_one_file(tmp_path: Path) -> None:
    """The same object is no clash."""
    write(tmp_path / "a.nc", [5], ["2023-04-03T12"])
    pair = [
        catalogue(tmp_path / f"{name}.parquet", Files(tmp_path / "a.nc", {"mine": "sla"}))
        for name in "ab"
    ]
    both = columns(pair, ["mine"])
    one = columns(pair[0], ["mine"])
    np.testing.assert_array_equal(both["mine inputs"], one["mine inputs"])
    assert len(Catalog(pair)) == 1


def test_caches_go_by_object(ocean: Path, tmp_path: Path) -> None:
    """Adding a dataset keeps what is cached."""
    write(tmp_path / "a.nc", [5], ["2023-04-03T12"])
    path = catalogue(tmp_path / "c.parquet", Files(tmp_path / "a.nc", {"mine": "sla"}))

    def decoded(dataset: object, names: list[str]) -> int:
        cache = tmp_path / "cache"
        loader = Loader(dataset, QUERIES, names, cache_dir=cache, **OPTIONS)  # type: ignore[arg-type]
        for _ in loader:
            pass
        count = int(loader.stats()["chunks_decoded"])
        loader.close()
        # The last one to let go of the cache waits until all is written.
        del loader
        gc.collect()
        return count

    assert decoded(ocean, ["l4_ssh"]) > 0
    assert decoded(ocean, ["l4_ssh"]) == 0
    assert 0 < decoded([path, ocean], ["l4_ssh", "mine"]) < 20
    assert decoded([ocean, path], ["l4_ssh", "mine"]) == 0
