"""Frozen sets: the same batches as the source, the same bytes however made, whole or unfinished."""

from __future__ import annotations

import json
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from golden import dataset
from golden.loaders import LOADERS
from hypothesis import given
from hypothesis import strategies as st
from same_bytes import assert_same, bytes_of, contents

from oceanarrow import Augment, Loader, Window, materialize, materialize_finish
from oceanarrow.dataset import Query
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidInputError,
    NotFoundError,
    PlanMismatchError,
    UnwritableError,
)

DAYS = [f"2023-04-{day:02d}" for day in range(1, 5)]
QUERIES = [
    Query(-70 + 2 * i, -50 + 2 * i, -30 + i % 20, -10 + i % 20, DAYS[i % 4], DAYS[i % 4])
    for i in range(50)
]
VECTORS = [("glorys_uo", "glorys_vo")]
BASE: dict[str, Any] = {
    "input_variables": {"x": ["l4_sst", "latitude"], "flow": ["glorys_uo", "glorys_vo"]},
    "target_variables": ["l3_swot", "argo"],
    "default_patch_size": (8, 8),
    "support": True,
    "batch_size": 6,
}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.write(tmp_path_factory.mktemp("frozen") / "golden")


@pytest.fixture(scope="module")
def frozen(ocean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `BASE`, in shards of 13 rows."""
    path = tmp_path_factory.mktemp("frozen") / "set"
    materialize(Loader(ocean, QUERIES, **BASE), path, shard_rows=13)
    return path


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_batches_are_the_sources(golden: Path, tmp_path: Path, name: str) -> None:
    queries, inputs, targets, options = LOADERS[name]
    ranks = options.get("ranks", 1)
    order = (
        "batch_size",
        "global_batch_size",
        "lanes",
        "window",
        "weights",
        "seed",
        "tail",
        "shuffle",
    )
    options = {key: value for key, value in options.items() if key != "ranks"}
    options.setdefault("global_batch_size", 6)
    made = {key: options[key] for key in order if key in options}
    materialize(Loader(golden, queries, inputs, targets, **options), tmp_path / "s", shard_rows=5)
    for rank in range(ranks):
        place = {"rank": rank, "world_size": ranks}
        source = Loader(golden, queries, inputs, targets, **options, **place)
        copy = Loader.from_materialized(tmp_path / "s", **made, **place)
        assert (copy.plan_id, copy.content_id) == (source.plan_id, source.content_id)
        assert copy.element_spec == source.element_spec
        if options.get("tail") != "continue":
            assert assert_same(source, copy)
            assert assert_same(source, copy), "another epoch"
            continue
        for _, a, b in zip(range(7), source, copy, strict=False):
            assert a.metadata == b.metadata
            assert bytes_of(a) == bytes_of(b)


@given(
    seed=st.integers(0, 5),
    batch=st.sampled_from([1, 4, 10]),
    shuffle=st.booleans(),
    tail=st.sampled_from(["drop", "pad", "partial"]),
    weighted=st.booleans(),
    threads=st.integers(1, 3),
    flips=st.sets(st.sampled_from(["flip_lon", "flip_lat", "rotate"])),
    at=st.integers(0, 4),
)
def test_any_order_and_pose_and_a_state_of_either(
    ocean: Path,
    frozen: Path,
    seed: int,
    batch: int,
    shuffle: bool,
    tail: Any,
    weighted: bool,
    threads: int,
    flips: set[str],
    at: int,
) -> None:
    order: dict[str, Any] = {
        "batch_size": batch, "shuffle": shuffle, "seed": seed, "tail": tail, "threads": threads,
        "weights": np.arange(1.0, 51.0) if weighted and shuffle else None,
        "augment": Augment(**dict.fromkeys(flips, True), vectors=VECTORS) if flips else None,
    }  # fmt: skip
    source = Loader(ocean, QUERIES, **{**BASE, **order})
    copy = Loader.from_materialized(frozen, **order)
    assert (copy.plan_id, copy.content_id) == (source.plan_id, source.content_id)
    assert copy.config() == {**source.config(), "variables": copy.config()["variables"]}
    steps = iter(source)
    for _ in range(at):
        next(steps)
    copy.load_state_dict(source.state_dict())
    rest = pickle.loads(pickle.dumps(copy))
    for ours, theirs in zip(steps, rest, strict=True):
        assert ours.metadata == theirs.metadata
        assert bytes_of(ours) == bytes_of(theirs)


def test_adapters_take_it(ocean: Path, frozen: Path) -> None:
    source = Loader(ocean, QUERIES, **BASE)
    copy = Loader.from_materialized(frozen, batch_size=6)
    tensors = [batch.to_torch() for batch in copy]
    for ours, theirs in zip(source, tensors, strict=True):
        torch.testing.assert_close(
            ours.to_torch()["inputs"]["x"], theirs["inputs"]["x"], rtol=0, atol=0
        )
    record = pa.RecordBatchReader.from_stream(copy).read_all()
    assert record.num_rows == 48
    assert next(iter(copy)).to_xarray()["x"].dims == ("sample", "channel", "y", "x")
    stats = copy.stats()
    assert (stats["files_opened"], stats["chunks_decoded"], stats["bytes_read"]) == (0, 0, 0)
    with pytest.raises(InvalidInputError, match="nothing of it is decoded"):
        copy.explain()


def test_threads_parts_and_formats_do_not_change_a_byte(
    ocean: Path, frozen: Path, tmp_path: Path
) -> None:
    for name, threads, parts in [("a", 1, 1), ("b", 3, 1), ("c", 2, 3), ("d", 1, 9)]:
        loader = Loader(ocean, QUERIES, **{**BASE, "threads": threads, "seed": threads})
        for part in reversed(range(parts)):
            materialize(loader, tmp_path / name, shard_rows=13, part=(part, parts))
        if parts > 1:
            assert (tmp_path / name / "UNFINISHED.json").exists()
            materialize_finish(tmp_path / name)
        made = contents(tmp_path / name)
        assert "UNFINISHED.json" not in made
        shards = {file: digest for file, digest in made.items() if file != "manifest.json"}
        assert shards == {k: v for k, v in contents(frozen).items() if k != "manifest.json"}
    # The order's arguments are in the config, and nothing else differs.
    assert contents(tmp_path / "a")["manifest.json"] == contents(tmp_path / "d")["manifest.json"]


def test_a_complete_set_is_left_alone(ocean: Path, frozen: Path, tmp_path: Path) -> None:
    shutil.copytree(frozen, tmp_path / "s")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").iterdir()}
    materialize(Loader(ocean, QUERIES, **{**BASE, "seed": 5}), tmp_path / "s", shard_rows=13)
    materialize_finish(tmp_path / "s")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "s").iterdir()} == before


def run_in_a_process(ocean: Path, target: Path, part: tuple[int, int] = (0, 1)) -> subprocess.Popen:
    program = (
        "import sys; sys.path[:0] = sys.argv[4:]\n"
        "from frozen.test_materialize import *\n"
        "part = tuple(map(int, sys.argv[3].split('/')))\n"
        "loader = Loader(sys.argv[1], QUERIES, **BASE)\n"
        "materialize(loader, sys.argv[2], shard_rows=2, part=part)\n"
    )
    tests = str(Path(__file__).parents[1])
    arguments = [str(ocean), str(target), f"{part[0]}/{part[1]}", tests]
    return subprocess.Popen([sys.executable, "-c", program, *arguments])


@pytest.mark.parametrize("wanted", [5, pytest.param(20, marks=pytest.mark.full)])
def test_kills_at_any_point_leave_what_goes_on(ocean: Path, tmp_path: Path, wanted: int) -> None:
    materialize(Loader(ocean, QUERIES, **BASE), tmp_path / "whole", shard_rows=2)
    whole = contents(tmp_path / "whole")
    chance = random.Random(wanted)
    target, killed = tmp_path / "s", 0
    while killed < wanted:
        shutil.rmtree(target, ignore_errors=True)
        process = run_in_a_process(ocean, target)
        while not target.exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            continue
        killed += 1
        if (target / "manifest.json").exists():
            continue
        with pytest.raises((InvalidInputError, NotFoundError)):
            Loader.from_materialized(target)
        materialize(Loader(ocean, QUERIES, **BASE), target, shard_rows=2)
        made = contents(target)
        # What a killed process was writing keeps its own name.
        assert {name: made[name] for name in whole} == whole
        assert all(name.startswith(".") for name in set(made) - set(whole))


def test_four_processes_one_of_them_killed_and_run_again(ocean: Path, tmp_path: Path) -> None:
    """As an array job does it."""
    materialize(Loader(ocean, QUERIES, **BASE), tmp_path / "whole", shard_rows=2)
    target = tmp_path / "s"
    parts = [run_in_a_process(ocean, target, (part, 4)) for part in range(4)]
    while not list(target.glob("shard-*.json")) and parts[2].poll() is None:
        time.sleep(0.005)
    parts[2].send_signal(signal.SIGKILL)
    assert [part.wait() for part in parts][:2] == [0, 0]
    if len(list(target.glob("shard-*.json"))) < 25:
        with pytest.raises(InvalidInputError, match=r"lacks \d+ of 25 shards: \d+"):
            materialize_finish(target)
    assert run_in_a_process(ocean, target, (2, 4)).wait() == 0
    materialize_finish(target)
    made = contents(target)
    whole = contents(tmp_path / "whole")
    assert {name: made[name] for name in whole} == whole


def test_rows_that_could_not_be_read_are_kept_with_their_reasons(
    ocean: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ocean"
    shutil.copytree(ocean, path)
    for file in ("l4_ssh.nc", "l4_sst.nc"):
        (path / "DATA/2023_04_01/SOUTH_ATLANTIC" / file).write_bytes(b"nonsense")
    queries = [Query(-60 + i, -40 + i, -30, -10, DAYS[i % 2], DAYS[i % 2]) for i in range(9)]
    options: dict[str, Any] = {"default_patch_size": 4, "batch_size": 3, "shuffle": False}
    source = Loader(path, queries, ["l4_ssh", "l4_sst"], on_error="mask", **options)
    materialize(source, tmp_path / "s", shard_rows=4)
    copy = Loader.from_materialized(tmp_path / "s", batch_size=3, shuffle=False)
    texts = []
    for ours, theirs in zip(source, copy, strict=True):
        assert ours.metadata == theirs.metadata
        assert bytes_of(ours) == bytes_of(theirs)
        texts += json.loads(theirs.metadata["oceanarrow.masked"])
        rows = json.loads(theirs.metadata["oceanarrow.masked_rows"])
        assert sorted(set(rows)) == np.flatnonzero(theirs["status"].numpy() == 2).tolist()
    assert len(texts) == 10
    assert copy.content_id == source.content_id


@pytest.mark.parametrize("compression", [None, "none"])
def test_parquet_for_datasets(ocean: Path, tmp_path: Path, compression: Any) -> None:
    datasets = pytest.importorskip("datasets")
    source = Loader(ocean, QUERIES, **{**BASE, "shuffle": False, "tail": "partial"})
    stacked = Loader(
        ocean, QUERIES, [Window("l4_ssh", 0, 1, temporal_agg="stack")], default_patch_size=4,
        batch_size=50, shuffle=False,
    )  # fmt: skip
    for name, loader in (("s", source), ("t", stacked)):
        materialize(
            loader, tmp_path / name, format="parquet", shard_rows=13, compression=compression
        )
    loaded = datasets.load_dataset(
        "parquet",
        data_files=str(tmp_path / "s/*.parquet"),
        split="train",
        cache_dir=str(tmp_path / "c"),
    )
    assert loaded.features["l3_swot"] == datasets.Array2D((8, 8), "float32")
    assert loaded.features["x_mask"] == datasets.Array3D((2, 8, 8), "uint8")
    ours = [batch.to_numpy() for batch in source]
    for role, name in (("inputs", "x"), ("targets", "l3_swot")):
        values = np.concatenate([batch[role][name] for batch in ours])
        np.testing.assert_array_equal(np.asarray(loaded.with_format("numpy")[:][name]), values)
    told = [batch["targets"]["argo"] for batch in ours]
    points = np.concatenate([argo["data"][argo["mask"]] for argo in told])
    rows = [np.asarray(row) for row in loaded["argo"]]
    np.testing.assert_array_equal(np.concatenate(rows), points)
    table = pq.read_table(tmp_path / "t/shard-00000.parquet")
    days = np.array(table["l4_ssh"].to_pylist(), np.float32)
    (batch,) = stacked
    np.testing.assert_array_equal(days, batch.to_numpy()["inputs"]["l4_ssh"][:13])
    codec = pq.ParquetFile(tmp_path / "t/shard-00000.parquet").metadata.row_group(0).column(0)
    assert codec.compression == ("UNCOMPRESSED" if compression else "ZSTD")
    with pytest.raises(InvalidInputError, match="is Parquet"):
        Loader.from_materialized(tmp_path / "s")


def test_arrow_files_can_be_mapped(ocean: Path, frozen: Path) -> None:
    before = pa.total_allocated_bytes()
    with pa.memory_map(str(frozen / "shard-00001.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
        assert pa.total_allocated_bytes() - before < 1000
        assert table["query"].to_pylist() == list(range(13, 26))


@given(data=st.data())
def test_a_flipped_byte_is_caught(frozen: Path, tmp_path_factory: Any, data: Any) -> None:
    """Wherever the values, masks or supports of a variable lie."""
    target = tmp_path_factory.mktemp("flip") / "s"
    shutil.copytree(frozen, target)
    row = data.draw(st.integers(0, 12))
    name = data.draw(st.sampled_from(["x", "x_mask", "x_support", "flow", "l3_swot", "argo_lat"]))
    shard = target / "shard-00000.arrow"
    whole = pa.py_buffer(shard.read_bytes())
    column = pa.ipc.open_file(whole).get_batch(0).column(name)
    flat = column.values if name == "argo_lat" else column.storage.flatten()
    start, end = row * len(flat) // 13, (row + 1) * len(flat) // 13
    if start == end:
        return
    number = data.draw(st.integers(start, end - 1))
    place = flat.buffers()[1].address - whole.address + number * flat.type.bit_width // 8
    content = bytearray(whole.to_pybytes())
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    shard.write_bytes(content)
    copy = Loader.from_materialized(target, batch_size=13, shuffle=False)
    with pytest.raises(CorruptGranuleError, match=r"row \d+ of the frozen set: its bytes are not"):
        next(iter(copy))


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "noise", "swapped", "other"])
def test_a_damaged_shard_names_itself(
    ocean: Path, frozen: Path, tmp_path: Path, damage: str
) -> None:
    target = tmp_path / "s"
    shutil.copytree(frozen, target)
    shard = target / "shard-00002.arrow"
    content = shard.read_bytes()
    rng = np.random.default_rng(0)
    if damage == "gone":
        shard.unlink()
    elif damage == "swapped":
        shutil.copy(target / "shard-00001.arrow", shard)
    elif damage == "other":
        other = Loader(ocean, QUERIES, **{**BASE, "resample": "nearest"})
        materialize(other, tmp_path / "o", shard_rows=13)
        shutil.copy(tmp_path / "o/shard-00002.arrow", shard)
    else:
        changed = {"cut": content[:-400], "empty": b"", "noise": rng.bytes(len(content))}[damage]
        shard.write_bytes(changed)
    copy = Loader.from_materialized(target, batch_size=13, shuffle=False, tail="partial")
    batches = iter(copy)
    next(batches)
    next(batches)
    with pytest.raises((CorruptGranuleError, NotFoundError), match=r"shard-00002\.arrow"):
        next(batches)


def test_noise_in_heads_and_footers_is_an_error_and_no_crash(frozen: Path, tmp_path: Path) -> None:
    target = tmp_path / "s"
    shutil.copytree(frozen, target)
    shard = target / "shard-00000.arrow"
    sound = shard.read_bytes()
    expected = bytes_of(next(iter(Loader.from_materialized(frozen, batch_size=13, shuffle=False))))
    rng = np.random.default_rng(1)
    for _ in range(150):
        content = bytearray(sound)
        # The footer is at the end, the heads of schema and batch at the start.
        for place in rng.choice([*range(3000), *range(len(sound) - 3000, len(sound))], 3):
            content[place] = rng.integers(256)
        shard.write_bytes(content)
        try:
            batch = next(iter(Loader.from_materialized(target, batch_size=13, shuffle=False)))
        except (CorruptGranuleError, MemoryError):
            continue
        found = bytes_of(batch)
        assert len(found) == len(expected)


def test_directories_that_hold_something_else(ocean: Path, frozen: Path, tmp_path: Path) -> None:
    loader = Loader(ocean, QUERIES, **BASE)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="holds something else"):
        materialize(loader, tmp_path)
    with pytest.raises(InvalidInputError, match="holds something else"):
        materialize(loader, tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(NotFoundError, match="there is no frozen set"):
        Loader.from_materialized(tmp_path)
    with pytest.raises(NotFoundError, match="there is no frozen set"):
        materialize_finish(tmp_path / "none")
    before = contents(frozen)
    for changes, field in [
        ({"resample": "nearest"}, "rendering"),
        ({"support": False}, "delivery"),
        ({"target_variables": ["l3_swot"]}, "variables"),
    ]:
        with pytest.raises(PlanMismatchError, match=f"holds another frozen set.*{field}"):
            materialize(Loader(ocean, QUERIES, **{**BASE, **changes}), frozen, shard_rows=13)
    with pytest.raises(PlanMismatchError, match="differ in queries"):
        materialize(Loader(ocean, QUERIES[::-1], **BASE), frozen, shard_rows=13)
    with pytest.raises(PlanMismatchError, match="differ in shard_rows"):
        materialize(loader, frozen, shard_rows=12)
    with pytest.raises(PlanMismatchError, match="differ in file_format, compression"):
        materialize(loader, frozen, shard_rows=13, format="parquet")
    assert contents(frozen) == before
    # An unfinished set keeps what it has, and gets nothing of another.
    materialize(loader, tmp_path / "begun", shard_rows=13, part=(0, 2))
    (tmp_path / "begun/queries.npz").unlink()
    with pytest.raises(PlanMismatchError, match="differ in queries"):
        materialize(Loader(ocean, QUERIES[::-1], **BASE), tmp_path / "begun", shard_rows=13)
    assert not (tmp_path / "begun/queries.npz").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/manifest.json").write_text("{}")
    with pytest.raises(InvalidInputError, match="is none of a frozen set"):
        Loader.from_materialized(tmp_path / "other")
    told = json.loads((frozen / "manifest.json").read_text())
    (tmp_path / "other/manifest.json").write_text(json.dumps({**told, "format": 2}))
    with pytest.raises(InvalidInputError, match="of another release"):
        Loader.from_materialized(tmp_path / "other")


def test_parts_of_different_runs_in_one_directory(ocean: Path, tmp_path: Path) -> None:
    for name, changes in (("a", {}), ("b", {"resample": "nearest"})):
        loader = Loader(ocean, QUERIES, **{**BASE, **changes})
        materialize(loader, tmp_path / name, shard_rows=13, part=(0, 2))
    shutil.copy(tmp_path / "b/shard-00001.json", tmp_path / "a/shard-00001.json")
    with pytest.raises(PlanMismatchError, match="parts of different runs"):
        materialize_finish(tmp_path / "a")
    with pytest.raises(InvalidInputError, match="is not finished"):
        Loader.from_materialized(tmp_path / "b")


def test_no_room_is_told_and_what_is_there_stays(ocean: Path, tmp_path: Path) -> None:
    loader = Loader(ocean, QUERIES, **BASE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(UnwritableError, match=r"cannot write the shard.*shard-00000\.arrow"):
            materialize(loader, tmp_path / "s", shard_rows=25)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "UNFINISHED.json",
        "queries.npz",
    ]
    materialize(loader, tmp_path / "s", shard_rows=25)
    assert_same(loader, Loader.from_materialized(tmp_path / "s", batch_size=6))


def test_arguments(ocean: Path, frozen: Path, tmp_path: Path) -> None:
    loader = Loader(ocean, QUERIES, **BASE)
    for wrong, why in [
        ({"format": "zarr"}, "format must be"),
        ({"compression": "zstd"}, "can be mapped"),
        ({"compression": "lz4", "format": "parquet"}, "compression of"),
        ({"shard_rows": 0}, "shard_rows must be"),
        ({"part": (1, 1)}, "part must be"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            materialize(loader, tmp_path / "s", **wrong)
    with pytest.raises(InvalidInputError, match="frozen without augment"):
        materialize(Loader(ocean, QUERIES, **BASE, augment=Augment(flip_lon=True)), tmp_path / "s")
    with pytest.raises(InvalidInputError, match="shift needs the dataset"):
        Loader.from_materialized(frozen, augment=Augment(shift=1.0))
    with pytest.raises(InvalidInputError, match=r"must be an oceanarrow\.Augment"):
        Loader.from_materialized(frozen, augment="flip")  # type: ignore[arg-type]
    for asked in ("resample", "normalize", "input_variables", "queries"):
        with pytest.raises(TypeError, match=asked):
            Loader.from_materialized(frozen, **{asked: None})
    assert not (tmp_path / "s").exists()
    assert "frozen" not in repr(Loader.from_materialized(frozen))


def test_no_secret_is_in_a_set(ocean: Path, tmp_path: Path) -> None:
    options = {"headers": {"Authorization": "Bearer hunter2"}}
    materialize(Loader(ocean, QUERIES, **BASE, storage_options=options), tmp_path / "s")
    for path in (tmp_path / "s").iterdir():
        assert b"hunter2" not in path.read_bytes()
