"""Receipts: what changed is caught and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from oceanarrow import Augment, Loader, materialize, verify
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError, NotFoundError

QUERIES = [Query(-60 + i, -40 + i, -30, -10, "2023-04-01", "2023-04-01") for i in range(24)]
BASE: dict[str, Any] = {"default_patch_size": (8, 8), "batch_size": 4, "seed": 3}


@pytest.fixture
def copy(ocean: Path, tmp_path: Path) -> Path:
    target = tmp_path / "copy"
    shutil.copytree(ocean, target)
    return target


def loader(path: Path, **changes: Any) -> Loader:
    return Loader(path, QUERIES, ["l4_sst", "argo"], ["l4_ssh"], **{**BASE, **changes})


def test_a_receipt_holds_wherever_the_dataset_lies(ocean: Path, copy: Path, tmp_path: Path) -> None:
    made = loader(ocean, augment=Augment(shift=3.0, flip_lon=True))
    receipt = made.receipt(range(1, 6, 2), epoch=2)
    assert [step["step"] for step in receipt["steps"]] == [1, 3, 5]
    assert len(receipt["steps"][0]["digests"]) == 4
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipt))
    found = verify(file, copy, QUERIES)
    assert found
    assert found.checked == 12
    assert verify(receipt, [ocean], QUERIES)


def test_ranks_do_not_matter(ocean: Path) -> None:
    alone = loader(ocean).receipt(range(3))
    second = loader(ocean, batch_size=2, rank=1, world_size=2).receipt(range(3))
    assert alone == second


def test_a_changed_value_is_named(ocean: Path, copy: Path) -> None:
    receipt = loader(ocean).receipt(range(5))
    file = copy / "DATA/2023_04_01/SOUTH_ATLANTIC/l4_ssh.nc"
    with h5py.File(file, "r+") as opened:
        name = "sla"
        opened[name][...] = opened[name][...] + 1
    found = verify(receipt, copy, QUERIES)
    assert not found
    (problem,) = found.problems
    assert problem.startswith("step 0, row ")
    assert "variable 'l4_ssh' differs" in problem
    assert "2023_04_01/SOUTH_ATLANTIC/l4_ssh.nc" in problem


def test_a_flipped_byte_of_a_granule_is_named(ocean: Path, copy: Path) -> None:
    receipt = loader(ocean).receipt(range(5))
    file = copy / "DATA/2023_04_01/SOUTH_ATLANTIC/l4_sst.nc"
    with h5py.File(file) as opened:
        stored = opened["analysed_sst"].id
        chunks = [stored.get_chunk_info(i) for i in range(stored.get_num_chunks())]
    content = bytearray(file.read_bytes())
    for chunk in chunks:
        content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    file.write_bytes(content)
    found = verify(receipt, copy, QUERIES)
    assert not found
    assert "step 0" in found.problems[0]
    assert "l4_sst" in found.problems[0]
    assert "SOUTH_ATLANTIC/l4_sst.nc" in found.problems[0]


def test_what_else_can_differ(ocean: Path) -> None:
    receipt = loader(ocean).receipt(range(2))
    other = {**receipt, "rules_version": receipt["rules_version"] - 1}
    assert verify(other, ocean, QUERIES).problems[0].startswith("the rules version is ")
    at = "hf://datasets/ns/name@{}/data"
    moved = {**receipt, "roots": [at.format("0" * 40)]}
    assert "the dataset's commits are" in verify(moved, ocean, QUERIES).problems[0]
    found = verify(receipt, ocean, [*QUERIES[:-1], QUERIES[0]])
    assert "the content differs in queries" in found.problems
    fewer = verify(receipt, ocean, QUERIES[:12])
    assert "the content differs in queries" in fewer.problems
    config = {**receipt["config"], "resample": "nearest"}
    found = verify({**receipt, "config": config}, ocean, QUERIES)
    assert "the content differs in rendering" in found.problems
    assert any("differs; its files" in problem for problem in found.problems)
    reordered = {**receipt, "config": {**receipt["config"], "seed": 4}}
    found = verify(reordered, ocean, QUERIES)
    assert found.problems[0].startswith("the plan is ")


def test_a_dataset_with_other_granules(ocean: Path, tmp_path: Path) -> None:
    from own_files import BOX, catalogue, write

    from oceanarrow import Files

    days = ["2020-01-01", "2020-01-02"]
    write(tmp_path / "a/sla.nc", [1.0, 2.0], days)
    write(tmp_path / "b/sla.nc", [1.0, 2.5], days)
    queries = [Query(*BOX, day, day) for day in days]
    paths = [
        catalogue(
            tmp_path / f"{name}.parquet", [Files(str(tmp_path / name / "*.nc"), {"sla": "sla"})]
        )
        for name in "ab"
    ]
    made = Loader(paths[0], queries, ["sla"], batch_size=2, shuffle=False, default_patch_size=4)
    receipt = made.receipt(range(1))
    assert verify(receipt, paths[0], queries)
    found = verify(receipt, paths[1], queries)
    assert "row 1 " in found.problems[-1]
    assert "sla.nc" in found.problems[-1]


def test_frozen_sets(ocean: Path, tmp_path: Path) -> None:
    made = loader(ocean)
    materialize(made, tmp_path / "s", shard_rows=10)
    copy = Loader.from_materialized(tmp_path / "s", batch_size=4, seed=3)
    receipt = copy.receipt(range(3))
    assert receipt["steps"] == made.receipt(range(3))["steps"]
    assert verify(receipt, ocean, QUERIES)
    manifest = json.loads((tmp_path / "s/manifest.json").read_text())
    assert manifest["receipt"] == made.receipt()
    assert verify(tmp_path / "s").checked == 4
    shard = tmp_path / "s/shard-00001.arrow"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    (tmp_path / "s/shard-00002.arrow").unlink()
    problems = verify(tmp_path / "s").problems
    assert "shard-00001.arrow is not what was written" in problems[0]
    assert "shard-00002.arrow: No such file" in problems[1]


def test_mistakes(ocean: Path, tmp_path: Path) -> None:
    made = loader(ocean)
    for steps, why in [
        (range(0), "has the steps 0 to 5"),
        (range(5, 8), "has the steps 0 to 5"),
        (range(3, 0, -1), "ascends"),
        ([1], "must be a range"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            made.receipt(steps)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="no receipt"):
        verify(tmp_path / "none.json", ocean, QUERIES)
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(InvalidInputError, match="is no receipt"):
        verify(tmp_path / "x.json", ocean, QUERIES)
    with pytest.raises(InvalidInputError, match="of another release"):
        verify({**made.receipt(), "format": 9}, ocean, QUERIES)
    with pytest.raises(InvalidInputError, match="give taco_path and queries"):
        verify(made.receipt())


def test_no_secret_is_in_a_receipt(ocean: Path) -> None:
    options = {"headers": {"Authorization": "Bearer hunter2"}}
    assert "hunter2" not in json.dumps(loader(ocean, storage_options=options).receipt(range(1)))
