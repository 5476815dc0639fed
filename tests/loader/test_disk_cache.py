"""The disk cache of decoded chunks saves decoding, and never changes a value."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import disk_cache_run
import numpy as np
import pytest
import torch
from disk_cache_run import QUERIES, VARIABLES, digest, loader, values
from torch.utils.data import DataLoader

from oceanarrow.dataset import OceanTACODataset, collate_ocean_samples
from oceanarrow.exceptions import InvalidInputError

PROGRAM = Path(disk_cache_run.__file__)
SEEDS = [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(3, 15))]


def assert_same(some: list[np.ndarray], others: list[np.ndarray]) -> None:
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def plain(ocean) -> list[np.ndarray]:
    """The values without a disk cache."""
    expected, stats = values(ocean)
    assert stats["chunks_decoded"] > 20
    assert stats["disk_blocks_read"] == stats["disk_bytes_written"] == 0
    assert stats["disk_cache_failure"] is None
    return expected


@pytest.mark.parametrize("container", ["ocean", "ocean_zip", "ocean_listed"])
def test_a_second_engine_decodes_nothing(request, container, plain, tmp_path):
    path, cache = request.getfixturevalue(container), tmp_path / "deep" / "cache"
    first, cold = values(path, cache_dir=cache)
    second, warm = values(path, cache_dir=str(cache))
    assert_same(first, plain)
    assert_same(second, plain)
    assert cold["chunks_decoded"] == cold["chunks_distinct"] == warm["disk_blocks_read"] > 20
    assert warm["chunks_decoded"] == warm["disk_bytes_written"] == 0
    assert warm["bytes_read"] < cold["bytes_read"]
    # Without a cache in memory every use of a chunk reads it from the disk.
    third, stats = values(path, cache_dir=cache, cache_bytes=0, threads=1)
    assert_same(third, plain)
    assert stats["chunks_decoded"] == stats["chunk_hits"] == 0
    assert stats["disk_blocks_read"] >= warm["disk_blocks_read"]


def test_a_changed_file_is_read_again(ocean, tmp_path):
    path, cache = tmp_path / "ocean", tmp_path / "cache"
    shutil.copytree(ocean, path)
    values(path, cache_dir=cache)
    target = sorted(path.glob("DATA/2023_04_01/*ATLANTIC/l4_ssh.nc"))[0]
    before = target.stat()
    shutil.copyfile(path / "DATA" / "2023_04_03" / target.parent.name / target.name, target)
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000))
    expected, without = values(path)
    got, stats = values(path, cache_dir=cache)
    assert_same(got, expected)
    assert 0 < stats["chunks_decoded"] < without["chunks_decoded"]
    assert values(path, cache_dir=cache)[1]["chunks_decoded"] == 0


def test_damage_is_found_and_mended(ocean, plain, tmp_path):
    values(ocean, cache_dir=tmp_path)
    rng = np.random.default_rng(5)
    for path in tmp_path.glob("*.blocks"):
        content = np.fromfile(path, np.uint8)
        written = np.flatnonzero(content[64:]) + 64
        content[rng.choice(written, 1 + written.size // 5_000)] ^= 0x10
        content.tofile(path)
    got, stats = values(ocean, cache_dir=tmp_path)
    assert_same(got, plain)
    assert 0 < stats["disk_blocks_damaged"] == stats["chunks_decoded"]
    got, stats = values(ocean, cache_dir=tmp_path)
    assert_same(got, plain)
    assert stats["disk_blocks_damaged"] == stats["chunks_decoded"] == 0


def test_truncated_and_overwritten_files_are_mended(ocean, plain, tmp_path):
    values(ocean, cache_dir=tmp_path)
    for index, path in enumerate(sorted(tmp_path.glob("*.blocks"))):
        if index % 2:
            os.truncate(path, random.Random(index).randrange(path.stat().st_size))
        else:
            path.write_bytes(b"something else entirely" * index)
    got, stats = values(ocean, cache_dir=tmp_path)
    assert_same(got, plain)
    assert stats["chunks_decoded"] > 0
    # Writing comes behind, and on a busy machine it may miss an epoch.
    decoded = [values(ocean, cache_dir=tmp_path)[1]["chunks_decoded"] for _ in range(3)]
    assert decoded[-1] == 0


def test_a_foreign_directory_is_refused(ocean, tmp_path):
    (tmp_path / "thesis.tex").write_text("42")
    with pytest.raises(InvalidInputError, match="neither empty nor a disk cache") as caught:
        loader(ocean, cache_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(InvalidInputError, match="neither empty nor a disk cache"):
        OceanTACODataset(ocean, QUERIES, VARIABLES, ["l4_ssh"], cache_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_format_is_refused(ocean, tmp_path):
    values(ocean, cache_dir=tmp_path)
    [marker] = [path for path in tmp_path.iterdir() if path.suffix != ".blocks"]
    marker.write_text("format 9000\n")
    with pytest.raises(InvalidInputError, match="another version"):
        loader(ocean, cache_dir=tmp_path)


def test_a_budget_must_be_positive(ocean, tmp_path):
    with pytest.raises(InvalidInputError, match="disk_cache_bytes"):
        loader(ocean, cache_dir=tmp_path, disk_cache_bytes=0)


def test_the_budget_is_kept(ocean, plain, tmp_path):
    values(ocean, cache_dir=tmp_path / "whole")
    whole = _on_disk(tmp_path / "whole")
    budget = whole // 2
    got, stats = values(ocean, cache_dir=tmp_path / "half", disk_cache_bytes=budget)
    assert_same(got, plain)
    assert stats["disk_cache_failure"] is None
    # Beside the blocks there is a page a file, made before it turns out that there is no room.
    assert budget / 4 < _on_disk(tmp_path / "half") <= budget + 2**17
    got, stats = values(ocean, cache_dir=tmp_path / "half", disk_cache_bytes=budget)
    assert_same(got, plain)
    assert stats["disk_blocks_read"] > 0 and stats["chunks_decoded"] > 0


def _on_disk(path: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in path.iterdir())


def start(ocean, cache, *limit: str) -> subprocess.Popen:
    """A process that is about to read the epoch."""
    command = [sys.executable, str(PROGRAM), str(ocean), str(cache), *limit]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


def go(child: subprocess.Popen) -> None:
    child.stdin.write("go\n")
    child.stdin.flush()


def test_a_full_disk_costs_no_batch(ocean, plain, tmp_path):
    """A limit on the size of files fails writes as a full disk does."""
    child = start(ocean, tmp_path / "cache", "20000")
    seen, failure = child.communicate("go\n", timeout=120)[0].splitlines()
    assert seen == digest(plain)
    assert "too large" in failure
    assert_same(values(ocean, cache_dir=tmp_path / "cache")[0], plain)


def test_processes_may_write_at_once(ocean, plain, tmp_path):
    children = [start(ocean, tmp_path / "cache") for _ in range(3)]
    for child in children:
        go(child)
    for child in children:
        seen, failure = child.communicate(timeout=120)[0].splitlines()
        assert (seen, failure) == (digest(plain), "None")
    got, stats = values(ocean, cache_dir=tmp_path / "cache")
    assert_same(got, plain)
    assert stats["disk_blocks_damaged"] == 0
    assert not list((tmp_path / "cache").glob("new-*"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_at_any_moment_leaves_a_sound_cache(ocean, plain, tmp_path, seed):
    cache = tmp_path / "cache"
    child = start(ocean, cache)
    go(child)
    wanted = random.Random(seed).randrange(1, 400_000)
    deadline = time.monotonic() + 60
    while child.poll() is None and (not cache.exists() or _on_disk_now(cache) < wanted):
        assert time.monotonic() < deadline
    child.send_signal(signal.SIGKILL)
    child.communicate()
    got, stats = values(ocean, cache_dir=cache)
    assert_same(got, plain)
    assert stats["disk_cache_failure"] is None
    assert values(ocean, cache_dir=cache)[1]["chunks_decoded"] == 0


def _on_disk_now(path: Path) -> int:
    """Files in the making come and go."""
    try:
        return _on_disk(path)
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_share_the_directory(ocean, tmp_path, method):
    def batches(data, **options):
        made = DataLoader(data, batch_size=2, collate_fn=collate_ocean_samples, **options)
        return [batch["inputs"]["l4_sst"] for batch in made]

    def dataset(**options):
        return OceanTACODataset(ocean, QUERIES, ["l4_sst"], ["l4_ssh"], **options)

    expected = batches(dataset())
    shared = dataset(cache_dir=tmp_path / "cache")
    for _ in range(2):
        got = batches(shared, num_workers=2, multiprocessing_context=method)
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
    assert list((tmp_path / "cache").glob("*.blocks"))


def test_a_cache_removed_between_making_and_pickling_is_done_without(ocean, plain, tmp_path):
    """A worker that cannot open the cache says so and works without it."""
    cache = tmp_path / "cache"
    engine = loader(ocean, cache_dir=cache)._engine
    packed = pickle.dumps(engine)
    shutil.rmtree(cache)
    cache.write_text("now a file")
    restored = pickle.loads(packed)
    columns, _ = restored.sample(0, [(24, 20)] * 3)
    np.testing.assert_array_equal(columns[0][0], plain[0][0])
    assert str(cache) in restored.stats()["disk_cache_failure"]
