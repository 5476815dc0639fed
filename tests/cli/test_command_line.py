"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import oceanarrow
from oceanarrow import _engine
from oceanarrow.cli import download as download_command
from oceanarrow.cli import main
from oceanarrow.exceptions import InvalidInputError


def stopped(*arguments: str) -> int:
    """The exit status of what argparse ends by itself."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped("--help") == 0
    printed = capsys.readouterr().out
    assert "download" in printed and "cache" in printed
    for command in ("download", "cache"):
        assert stopped(command, "--help") == 0
        _, examples = capsys.readouterr().out.split("examples:\n")
        assert f"oceanarrow {command} " in examples


def test_the_examples_can_be_parsed() -> None:
    """Every documented command line is one that the parser takes."""
    from oceanarrow.cli import _parser, cache

    found = 0
    for text in (download_command._EXAMPLES, cache._EXAMPLES):
        for line in text.split("examples:\n")[1].replace("\\\n", " ").splitlines():
            _parser().parse_args(line.split()[1:])
            found += 1
    assert found == 6


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped("--version") == 0
    assert capsys.readouterr().out == f"oceanarrow {oceanarrow.__version__}\n"


def test_the_package_is_a_program_and_has_an_entry_point() -> None:
    command = [sys.executable, "-m", "oceanarrow", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"oceanarrow {oceanarrow.__version__}\n"
    (entry,) = metadata.entry_points(group="console_scripts", name="oceanarrow")
    assert entry.load() is main


def test_wrong_arguments_are_told_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped() == 2
    assert stopped("download", "ocean") == 2
    assert stopped("cache", "prune", "--max-size", "big") == 2
    assert "'big' is no size" in capsys.readouterr().err


def test_an_error_is_one_line(
    ocean: Path, query_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["download", "--queries", str(query_file), "-o", str(tmp_path / "copy")]
    for rest in (
        [str(tmp_path / "absent"), "--variables", "l4_sst"],
        [str(ocean), "--variables", "l5_sst"],
        [str(ocean), "--variables", "l4_sst", "--queries", str(tmp_path / "none.parquet")],
        [str(ocean), "--variables", "l4_sst", "--storage-option", "tires=3"],
    ):
        assert main([*command, *rest]) == 1
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1
        assert printed.err.startswith("oceanarrow: error: ")


def test_storage_options_reach_the_dataset(
    ocean: Path,
    query_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []

    def remember(*_: object, storage_options: object, **__: object) -> None:
        seen.append(storage_options)
        raise InvalidInputError("seen")

    monkeypatch.setattr(download_command, "Download", remember)
    command = ["download", str(ocean), "--queries", str(query_file), "-o", str(tmp_path)]
    command += ["--variables", "l4_sst"]
    for entry in ("token=123", "anonymous=true", "timeout=2.5", 'headers={"a": "b=c"}', "x=y"):
        command += ["--storage-option", entry]
    assert main(command) == 1
    headers = {"a": "b=c"}
    assert seen == [
        {"token": "123", "anonymous": True, "timeout": 2.5, "headers": headers, "x": "y"}
    ]
    assert stopped(*command, "--storage-option", "novalue") == 2


ENTRIES = ["token=123", "anonymous=true", "timeout=2.5", 'headers={"a": "b=c"}', "x=y", "z=null"]


def test_index_and_download_read_storage_options_alike(
    ocean: Path, query_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def remember(*_: object, storage_options: object, **__: object) -> None:
        seen.append(storage_options)
        raise InvalidInputError("seen")

    monkeypatch.setattr(download_command, "Download", remember)
    monkeypatch.setattr(_engine, "write_index", remember)
    options = [word for entry in ENTRIES for word in ("--storage-option", entry)]
    common = ["-o", str(tmp_path / "out"), "--variables", "l4_sst"]
    commands = [
        ["download", str(ocean), "--queries", str(query_file), *common],
        ["index", str(ocean), *common],
    ]
    for command in commands:
        assert main([*command, *options]) == 1
        for wrong in ("novalue", "=value"):
            assert stopped(*command, "--storage-option", wrong) == 2
    first, second = seen
    assert first == second
    assert first == {
        "token": "123",
        "anonymous": True,
        "timeout": 2.5,
        "headers": {"a": "b=c"},
        "x": "y",
        "z": None,
    }


def test_an_interrupt_is_status_130(
    ocean: Path, query_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(download_command, "Download", interrupted)
    command = ["download", str(ocean), "--queries", str(query_file), "-o", str(tmp_path)]
    assert main([*command, "--variables", "l4_sst"]) == 130
