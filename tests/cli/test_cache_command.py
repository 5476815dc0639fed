"""`oceanarrow cache`, and where the disk cache lies."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

import pytest

from oceanarrow import Loader
from oceanarrow.cache_directory import choose_cache_directory, default_cache_directory
from oceanarrow.cli import main
from oceanarrow.cli.sizes import size, written
from oceanarrow.dataset import Query


def fill(ocean: Path, cache: Path, day: int) -> set[Path]:
    """Trains a little; returns the new files, which are then long unused."""
    before = set(cache.glob("*.blocks"))
    queries = [Query(-50, -30, 20, 35, f"2023-04-0{day}", f"2023-04-0{day}")]
    loader = Loader(ocean, queries, ["l4_ssh", "l4_sst"], batch_size=1, cache_dir=cache)
    list(loader)
    del loader
    new = set(cache.glob("*.blocks")) - before
    long_ago = time.time() - 1000 * (10 - day)
    for file in new:
        os.utime(file, (long_ago, long_ago))
    return new


def on_disk(files: set[Path]) -> int:
    return sum(file.stat().st_blocks * 512 for file in files)


@pytest.fixture
def cache(ocean: Path, tmp_path: Path) -> Path:
    """A cache of two days, the first of them used longer ago, and a file of the user's."""
    directory = tmp_path / "cache"
    for day in (1, 2):
        assert fill(ocean, directory, day)
    (directory / "notes.txt").write_text("mine")
    os.sync()
    return directory


def test_info_tells_what_is_there(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = set(cache.glob("*.blocks"))
    assert main(["cache", "info", "--dir", str(cache)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [f"directory: {cache}", "format: 1", f"files: {len(files)}"]
    assert lines[3].endswith(f"({on_disk(files):,} bytes)")


def test_prune_removes_what_was_used_longest_ago(
    ocean: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(cache.glob("*.blocks"), key=lambda file: file.stat().st_mtime)
    kept = {file for file in files if file.stat().st_mtime > files[0].stat().st_mtime + 500}
    assert kept and len(kept) < len(files)
    assert main(["cache", "prune", "--dir", str(cache), "--max-size", str(on_disk(kept))]) == 0
    assert set(cache.glob("*.blocks")) == kept
    assert (cache / "notes.txt").read_text() == "mine"
    assert f"removed {len(files) - len(kept)} file" in capsys.readouterr().out
    assert main(["cache", "prune", "--dir", str(cache)]) == 0
    assert set(cache.glob("*.blocks")) == kept, "the default leaves 32 GiB"


def test_clear_leaves_an_empty_cache(ocean: Path, cache: Path) -> None:
    assert main(["cache", "clear", "--dir", str(cache)]) == 0
    assert not list(cache.glob("*.blocks"))
    assert (cache / "notes.txt").read_text() == "mine"
    assert fill(ocean, cache, 3), "it can be used again"


def test_a_foreign_directory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for action in ("info", "prune", "clear"):
        assert main(["cache", action, "--dir", str(tmp_path)]) == 1
        printed = capsys.readouterr()
        assert printed.err.startswith("oceanarrow: error: ") and printed.err.count("\n") == 1
        assert "neither empty nor a disk cache" in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert main(["cache", "clear", "--dir", str(tmp_path / "absent")]) == 1
    assert "no such directory" in capsys.readouterr().err


def test_without_dir_it_is_the_default_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    default = tmp_path / "default_cache"
    assert main(["cache", "info"]) == 0
    assert capsys.readouterr().out == f"directory: {default}\nthere is no cache\n"
    assert main(["cache", "clear"]) == 0
    assert "removed 0 files" in capsys.readouterr().out
    assert not default.exists(), "looking makes no directory"


def test_the_default_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/me")
    assert default_cache_directory() == tmp_path / "default_cache"
    monkeypatch.setenv("OCEANARROW_CACHE_DIR", "~/ocean")
    assert default_cache_directory() == Path("/home/me/ocean")
    monkeypatch.setenv("OCEANARROW_CACHE_DIR", "")
    assert default_cache_directory() == Path("/scratch/me/oceanarrow")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache_directory() == Path("/home/me/.cache/oceanarrow")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_directory() == Path("/home/me/.cache/oceanarrow")
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_cache_directory() == Path("/home/me/Library/Caches/oceanarrow")


@pytest.mark.parametrize(
    ("cache_dir", "roots", "chosen"),
    [
        ("auto", ["/data/ocean"], None),
        ("auto", ["file:///data/ocean"], None),
        ("auto", ["https://host/ocean"], "default_cache"),
        ("auto", ["hf://datasets/ns/name"], "default_cache"),
        ("auto", ["s3://bucket/a.tacozip", "s3://bucket/b.tacozip"], "default_cache"),
        (None, ["https://host/ocean"], None),
        ("mine", ["https://host/ocean"], "mine"),
        (Path("mine"), ["/data/ocean"], "mine"),
        (Path("auto"), ["/data/ocean"], "auto"),
    ],
)
def test_auto_is_for_remote_datasets(
    cache_dir: object,
    roots: list[str],
    chosen: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = None if chosen is None else str(tmp_path / chosen)
    assert choose_cache_directory(cache_dir, roots) == expected  # type: ignore[arg-type]


def test_a_default_directory_that_cannot_be_made_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OCEANARROW_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="no disk cache: .*OCEANARROW_CACHE_DIR"):
        assert choose_cache_directory("auto", ["https://host/ocean"]) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_cache_directory("auto", ["/data/ocean"]) is None


def test_a_local_dataset_has_no_cache_by_default(ocean: Path, tmp_path: Path) -> None:
    queries = [Query(-50, -30, 20, 35, "2023-04-01", "2023-04-01")]
    loader = Loader(ocean, queries, ["l4_ssh"], batch_size=1)
    assert len(list(loader)) == 1
    assert not (tmp_path / "default_cache").exists()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("1000", 1000),
        ("10GB", 10 * 10**9),
        ("10 gb", 10 * 10**9),
        ("10G", 10 * 10**9),
        ("10GiB", 10 * 2**30),
        ("1.5TB", 1.5e12),
        ("512MiB", 2**29),
        ("64kB", 64_000),
        ("7B", 7),
    ],
)
def test_sizes(text: str, count: float) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1e9", "10 XB", "10,5GB", "inf"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no size"):
        size(text)


def test_sizes_as_written() -> None:
    cases = {0: "0 B", 999: "999 B", 1000: "1.00 kB", 12_345: "12.3 kB", 999_600: "1.00 MB"}
    cases |= {123_456_789: "123 MB", 32 * 2**30: "34.4 GB", 2 * 10**15: "2000 TB"}
    assert {count: written(count) for count in cases} == cases
