"""Each command as a person runs it: in a pipe, in a terminal, with mistakes."""

from __future__ import annotations

import argparse
import json
import os
import pty
import signal
import subprocess
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from oceanarrow import Catalog, Coverage, Loader, Statistics, find_leaks
from oceanarrow.cli import (
    _parser,
    bench,
    coverage,
    doctor,
    info,
    main,
    materialize,
    queries,
    report,
    sample,
    stats,
    verify,
)
from oceanarrow.dataset import Query, QueryGenerator

DAY = "2023-04-01"
NEW = (info, coverage, sample, report, bench, doctor, stats, materialize, verify)


def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """In a pipe."""
    command = [sys.executable, "-m", "oceanarrow", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def in_a_terminal(*arguments: str | Path) -> tuple[int, str]:
    """Everything that shows in a terminal of 80 columns."""
    command = [sys.executable, "-m", "oceanarrow", *map(str, arguments)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdout=theirs, stderr=theirs, stdin=theirs, env={**os.environ, "COLUMNS": "80"}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def drawn(ocean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("queries") / "train"
    run("queries", "train", ocean, "-n", "40", "--patch", "10deg", "--seed", "3", "-o", target)
    return target.with_suffix(".parquet")


def test_every_example_can_be_parsed() -> None:
    texts = [module._EXAMPLES for module in NEW] + [queries._TRAIN, queries._EVAL, queries._SPLIT]
    lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()]
    assert len(lines) == 27
    for line in lines:
        _parser().parse_args(line.split()[1:])


@pytest.mark.parametrize(
    "words",
    [
        ["info"], ["stats"], ["coverage"], ["queries"], ["queries", "train"], ["queries", "eval"],
        ["materialize"], ["verify"],
        ["queries", "split"], ["sample"], ["report"], ["bench"], ["doctor"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_help_ends_in_examples(words: Sequence[str]) -> None:
    text = run(*words, "--help").stdout
    assert f"oceanarrow {' '.join(words)} " in text.split("examples:\n")[1]


def test_info(ocean: Path) -> None:
    catalog = Catalog(ocean)
    assert run("info", ocean).stdout == f"{catalog.describe()}\n"
    assert all(f"    {name} " in catalog.describe() for name in catalog.variables)
    told = json.loads(run("info", ocean, "--json").stdout)
    assert told["days"] == {"first": DAY, "last": "2023-04-04", "missing": []}
    assert told["granules"] == len(Catalog(ocean)) and "l4_ssh" in told["variables"]
    code, shown = in_a_terminal("info", ocean)
    assert code == 0 and all(len(line) <= 80 for line in shown.splitlines()[1:])


def test_stats_whole_and_in_parts(ocean: Path, drawn: Path, tmp_path: Path) -> None:
    base = ["stats", ocean, "--queries", drawn, "--variables", "l4_ssh", "argo", "--by", "region"]
    told = run(*base, "-o", tmp_path / "whole.json").stdout
    found = Statistics.load(tmp_path / "whole.json")
    assert told == f"{found!r}\n"
    assert f"{found['l4_ssh'].mean:.6g}" in told
    for i in range(2):
        run(*base, "--part", str(i), "2", "-o", tmp_path / f"{i}.json")
    parts = [tmp_path / "1.json", tmp_path / "0.json"]
    merged = run("stats", "--merge", *parts, "-o", tmp_path / "merged.json", "--json").stdout
    assert Statistics.load(tmp_path / "merged.json") == found
    assert json.loads(merged)["argo"]["count"] == found["argo"].count
    weighted = run(*base, "--area-weighted", "--patch-size", "8", "8", "--json").stdout
    assert json.loads(weighted)["l4_ssh"]["mean"] != found["l4_ssh"].mean


def test_freeze_verify_and_what_differs(ocean: Path, drawn: Path, tmp_path: Path) -> None:
    base = [
        "--queries",
        drawn,
        "--inputs",
        "l4_sst",
        "--targets",
        "l4_ssh",
        "--patch-size",
        "8",
        "8",
    ]
    told = run("materialize", ocean, tmp_path / "a", *base).stdout
    assert told.startswith(f"{tmp_path / 'a'}: 40 rows, ")
    for part in range(2):
        own = ["--part", str(part), "2", "--shard-rows", "8"]
        run("materialize", ocean, tmp_path / "b", *base, *own)
    run("materialize", tmp_path / "b", "--finish")
    assert run("verify", tmp_path / "b").stdout == "all holds (6 compared)\n"
    queries_of = QueryGenerator.load_queries(drawn)[0]
    loader = Loader(ocean, queries_of, ["l4_sst"], ["l4_ssh"], default_patch_size=8, batch_size=4)
    (tmp_path / "loader.json").write_text(json.dumps(loader.config()))
    (tmp_path / "receipt.json").write_text(json.dumps(loader.receipt(range(3))))
    config = ["--queries", drawn, "--config", tmp_path / "loader.json"]
    assert loader.content_id in run("materialize", ocean, tmp_path / "c", *config).stdout
    frozen = Loader.from_materialized(tmp_path / "a", batch_size=4)
    assert frozen.content_id == loader.content_id
    receipt = ["verify", tmp_path / "receipt.json", ocean, "--queries"]
    assert run(*receipt, drawn).stdout == "all holds (12 compared)\n"
    other = tmp_path / "other"
    run("queries", "train", ocean, "-n", "40", "--patch", "9deg", "--seed", "3", "-o", other)
    told = run(*receipt, other, status=1).stdout
    assert "the content differs in queries" in told
    assert "variable 'l4_sst' differs" in told


def test_coverage_and_what_is_chosen_by_it(ocean: Path, tmp_path: Path) -> None:
    counted, target = tmp_path / "c.parquet", tmp_path / "train"
    told = run("coverage", ocean, "--variables", "l3_swot", "l4_ssh", "-o", counted).stdout
    assert told == f"{Coverage.load(counted)!r}\n"
    run(
        "queries", "train", ocean, "-n", "25", "--patch", "8deg", "--require", "l4_ssh",
        "--coverage", counted, "--min-valid", "l4_ssh=0.2", "-o", target,
    )  # fmt: skip
    found, about = QueryGenerator.load_queries(target)
    assert about["n_queries"] == len(found) == 25
    assert (Coverage.load(counted).valid_share(found, "l4_ssh") >= 0.2).all()


def test_queries_are_those_of_the_generator(ocean: Path, drawn: Path, tmp_path: Path) -> None:
    found = QueryGenerator.load_queries(drawn)[0]
    due = QueryGenerator("builtin").generate_training_queries(
        40, 10, (DAY, "2023-04-04"), seed=3, verbose=False
    )
    assert found == due
    secret = ("--storage-option", "secret_access_key=hush", "-o", tmp_path / "told")
    run("queries", "train", ocean, "-n", "3", "--patch", "10deg", *secret)
    assert "hush" not in (tmp_path / "told.json").read_text()
    grid = tmp_path / "grid"
    run("queries", "eval", ocean, "--bbox", -60, 0, 10, 40, "--patch", "10deg", "-o", grid)
    due = QueryGenerator("builtin").generate_eval_queries(
        (-60, 0, 10, 40), 10, (DAY, "2023-04-04"), verbose=False
    )
    assert QueryGenerator.load_queries(grid)[0] == due


def test_a_split_of_a_file(drawn: Path, tmp_path: Path) -> None:
    told = run("queries", "split", drawn, "a=0.5", "b=0.5", "-o", tmp_path / "part")
    parts = [QueryGenerator.load_queries(tmp_path / f"part_{name}")[0] for name in "ab"]
    assert not find_leaks(*parts) and all(parts)
    assert [f"{len(part)} queries" in told.stdout for part in parts] == [True, True]
    assert "left out" in told.stderr


@pytest.mark.parametrize("suffix", [".png", ".nc", ".npz"])
def test_samples(ocean: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"s{suffix}"
    arguments = ("--bbox", -58, -40, 18, 33, "--date", DAY, "--variables", "l4_ssh", "l3_swot")
    told = run("sample", ocean, *map(str, arguments), "--patch-size", 12, 16, "-o", target)
    assert told.stdout.startswith(f"{target}: l4_ssh")
    query = Query(-58, -40, 18, 33, DAY, DAY)
    loader = Loader(
        ocean, [query], ["l4_ssh"], batch_size=1, default_patch_size=(12, 16), shuffle=False
    )
    (batch,) = loader
    due, valid = batch["l4_ssh"].numpy()[0], batch["l4_ssh_mask"].numpy()[0].astype(bool)
    if suffix == ".png":
        assert target.read_bytes().startswith(b"\x89PNG")
    elif suffix == ".npz":
        with np.load(target) as found:
            np.testing.assert_array_equal(found["l4_ssh"], due)
            np.testing.assert_array_equal(found["l4_ssh_mask"], valid)
    else:
        import xarray as xr

        with xr.open_dataset(target, engine="h5netcdf") as patch:
            np.testing.assert_array_equal(patch["l4_ssh"].values.squeeze()[valid], due[valid])
    again = run("sample", ocean, *map(str, arguments), "-o", target, status=1)
    assert again.stderr.startswith("oceanarrow: error: ") and "--overwrite" in again.stderr


def test_bench_says_what_limits(ocean: Path, drawn: Path) -> None:
    words = ("bench", ocean, "--queries", drawn, "--inputs", "l4_ssh", "--seconds", "1")
    told = json.loads(run(*words, "--json").stdout)
    assert told["samples"] > 0 and 0 <= told["waited"] <= 1 and told["limit"]
    slow = run(*words, "--step", "300").stdout
    assert "limited by         the consumer" in slow


def test_doctor(ocean: Path, tmp_path: Path) -> None:
    told = run("doctor").stdout
    assert "oceanarrow" in told and "cores" in told and "numpy" in told
    assert all(len(line) <= 100 for line in told.splitlines())
    checked = json.loads(run("doctor", ocean, "--json").stdout)["dataset"]
    assert set(checked) == {"days", *Catalog(ocean).variables}
    assert checked["l4_ssh"].startswith("read on ")
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(ocean, broken)
    for path in broken.glob("DATA/2023_04_04/*/l4_ssh.nc"):
        path.write_bytes(b"nothing")
    told = run("doctor", broken, status=1).stdout
    assert "l4_ssh             error: " in told


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["info", "nowhere"], 1, "nowhere"),
        (["materialize", "{ocean}", "{tmp}/f"], 1, "name the dataset, the directory and"),
        (["materialize", "{ocean}", "{tmp}/f", "--finish"], 1, "takes the directory alone"),
        (["materialize", "{tmp}/f", "--finish"], 1, "there is no frozen set"),
        (["verify", "{tmp}/r.json"], 1, "no receipt"),
        (["stats", "{ocean}"], 1, "name the dataset, --queries and --variables"),
        (["stats", "{ocean}", "--merge", "{tmp}/a.json"], 1, "--merge joins files"),
        (["stats", "--merge", "{tmp}/a.json"], 1, "no statistics file"),
        (["coverage", "{ocean}", "--variables", "sea", "-o", "{tmp}/c"], 1, "Unknown variables"),
        (["coverage", "{ocean}", "--cell", "0", "-o", "{tmp}/c.parquet"], 1, "cell must be"),
        (["queries", "train", "{ocean}", "-n", "5", "--patch", "ten", "-o", "q"], 2, "10deg"),
        (["queries", "train", "{ocean}", "-n", "5", "--patch", "9deg", "-o", "{tmp}/no/q"], 1,
         "there is no folder"),
        (["queries", "split", "{tmp}/none.parquet", "a=1", "-o", "{tmp}/q"], 1, "no such file"),
        (["queries", "split", "{tmp}/none.parquet", "a", "-o", "{tmp}/q"], 2, "NAME=SHARE"),
        (["sample", "{ocean}", "--date", DAY, "--variables", "l4_ssh", "-o", "{tmp}/x.tif"], 1,
         "suffix must be"),
        (["bench", "{ocean}", "--queries", "{tmp}/q", "--inputs", "l4_ssh"], 1, "no such file"),
    ],
)  # fmt: skip
def test_mistakes_are_said_in_a_line(
    ocean: Path, tmp_path: Path, words: list[str], status: int, text: str
) -> None:
    told = run(*(word.format(ocean=ocean, tmp=tmp_path) for word in words), status=status)
    assert text in told.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        "coverage {ocean} --variables l4_ssh -o {tmp}/c.parquet",
        "queries train {ocean} -n 300 --patch 9deg -o {tmp}/q",
        "sample {ocean} --bbox -58 -40 18 33 --date 2023-04-01 --variables l4_ssh -o {tmp}/s.png",
        "report {ocean} -o {tmp}/r.html",
    ],
    ids=lambda words: words.split()[0],
)
def test_a_file_that_cannot_be_written_whole_is_not_there(
    ocean: Path, tmp_path: Path, words: str
) -> None:
    """The system ends files at a kilobyte, as a full disk would."""
    text = words.format(ocean=ocean, tmp=tmp_path)
    command = f"ulimit -f 1; exec {sys.executable} -m oceanarrow {text}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("oceanarrow: error: cannot write: "), done.stderr
    assert not list(tmp_path.iterdir())


def cpu_seconds(pid: int) -> float:
    """Of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_ctrl_c_leaves_nothing(ocean: Path, tmp_path: Path) -> None:
    words = ["queries", "train", str(ocean), "-n", "5000000", "--patch", "9deg", "-o"]
    process = subprocess.Popen(
        [sys.executable, "-m", "oceanarrow", *words, str(tmp_path / "q")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # By processor time: a busy machine takes long to import torch.
    while cpu_seconds(process.pid) < 6:
        time.sleep(0.05)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert (process.returncode, printed, said) == (130, "", "")
    assert time.monotonic() - asked < 5 and not list(tmp_path.iterdir())


def test_words_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """argcomplete is handed a parser with all commands."""
    handed: list[argparse.ArgumentParser] = []
    module = types.SimpleNamespace(autocomplete=handed.append)
    monkeypatch.setitem(sys.modules, "argcomplete", module)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert "report" in handed[0].format_help()


def test_a_closed_pipe_is_no_error_of_ours(ocean: Path) -> None:
    command = f"{sys.executable} -m oceanarrow info {ocean} --json | true"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
