"""Events of the engine become records of `logging`, of loggers under `oceanarrow`."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oceanarrow import Loader, _engine, download
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.events import hand_over
from oceanarrow.exceptions import CorruptGranuleError

QUERY = Query(-60, -40, 10, 30, "2023-04-01", "2023-04-01")
FILE = "DATA/2023_04_01/NORTH_ATLANTIC/l4_ssh.nc"


@pytest.fixture(autouse=True)
def quiet_again(caplog: pytest.LogCaptureFixture):
    yield
    caplog.set_level(logging.NOTSET, "oceanarrow")
    hand_over()


@pytest.fixture
def broken(ocean: Path, tmp_path: Path) -> Path:
    """The dataset with one file that is cut in half."""
    path = tmp_path / "ocean"
    shutil.copytree(ocean, path)
    file = path / FILE
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return path


def of(caplog: pytest.LogCaptureFixture, kind: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == f"oceanarrow.{kind}"]


def loader(path: Path, **options) -> Loader:
    return Loader(path, [QUERY], ["l4_ssh"], batch_size=1, shuffle=False, **options)


def test_opened_files_are_told_to_whoever_wants_details(ocean, caplog):
    caplog.set_level(logging.DEBUG, "oceanarrow")
    before = time.time()
    list(loader(ocean))
    opened = of(caplog, "open")
    record = next(record for record in opened if FILE in record.getMessage())
    size = (ocean / FILE).stat().st_size
    assert record.getMessage() == f"opened {ocean / FILE} ({size} bytes)"
    assert record.levelno == logging.DEBUG
    assert before - 1 <= record.created <= time.time()
    assert [record.created for record in opened] == sorted(record.created for record in opened)


def test_nothing_is_noted_that_nobody_wants(ocean, caplog):
    caplog.set_level(logging.ERROR, "oceanarrow")
    list(loader(ocean))
    assert _engine.take_events(logging.CRITICAL) == ([], 0)
    list(loader(ocean))
    assert _engine.take_events(logging.CRITICAL) == ([], 0)


def test_one_kind_may_be_wanted_alone(ocean, broken, caplog):
    caplog.set_level(logging.ERROR, "oceanarrow")
    caplog.set_level(logging.DEBUG, "oceanarrow.open")
    list(loader(broken, on_error="mask"))
    assert {record.name for record in caplog.records} == {"oceanarrow.open"}
    caplog.set_level(logging.NOTSET, "oceanarrow.open")


def test_a_masked_file_is_a_warning_once(broken, caplog):
    made = loader(broken, on_error="mask")
    for _ in range(2):
        list(made)
    (record,) = of(caplog, "masked")
    assert record.levelno == logging.WARNING
    assert str(broken / FILE) in record.getMessage()
    caplog.clear()
    data = OceanTACODataset(broken, [QUERY], ["l4_ssh"], [], on_error="mask")
    data[0]
    assert len(of(caplog, "masked")) == 1


def test_an_error_comes_after_the_events_before_it(broken, caplog):
    caplog.set_level(logging.DEBUG, "oceanarrow")
    data = OceanTACODataset(broken, [QUERY], ["l4_ssh"], [])
    with pytest.raises(CorruptGranuleError):
        data[0]
    assert any(FILE in record.getMessage() for record in of(caplog, "open"))


def test_a_disk_cache_that_is_written_no_more_is_a_warning(ocean, tmp_path, caplog):
    cache = tmp_path / "cache"
    made = loader(ocean, cache_dir=cache)
    for entry in cache.iterdir():
        entry.unlink()
    cache.rmdir()
    list(made)
    deadline = time.monotonic() + 10
    while not made.stats()["disk_cache_failure"] and time.monotonic() < deadline:
        time.sleep(0.02)
    made.close()
    (record,) = of(caplog, "cache")
    assert record.levelno == logging.WARNING and str(cache) in record.getMessage()


def test_downloads_and_predictions_hand_events_over(ocean, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "oceanarrow")
    loader(ocean).explain()
    assert of(caplog, "open")
    caplog.clear()
    download(ocean, [QUERY], ["l4_ssh"], tmp_path / "copy", progress=False)
    assert any(FILE in record.getMessage() for record in of(caplog, "open"))


def test_a_handler_may_use_the_loader(ocean, caplog):
    made = loader(ocean)

    class Counting(logging.Handler):
        seen = 0

        def emit(self, record: logging.LogRecord) -> None:
            self.seen += 1
            made.stats()

    caplog.set_level(logging.DEBUG, "oceanarrow")
    counting = Counting()
    logging.getLogger("oceanarrow.open").addHandler(counting)
    try:
        list(made)
    finally:
        logging.getLogger("oceanarrow.open").removeHandler(counting)
    assert counting.seen > 0


def test_nothing_is_printed_without_a_handler(broken):
    program = (
        "import sys\n"
        "from oceanarrow import Loader\n"
        "from oceanarrow.dataset import Query\n"
        f"query = Query(*{(-60, -40, 10, 30, '2023-04-01', '2023-04-01')!r})\n"
        "list(Loader(sys.argv[1], [query], ['l4_ssh'], on_error='mask', batch_size=1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, broken], capture_output=True, text=True, check=True
    )
    assert done.stdout == done.stderr == ""


def _in_child(ocean: Path, ended) -> None:
    logging.getLogger("oceanarrow").setLevel(logging.DEBUG)
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append  # type: ignore[method-assign]
    logging.getLogger("oceanarrow").addHandler(handler)
    list(loader(ocean, threads=1))
    ended.put((os.getpid(), len([r for r in seen if FILE in r.getMessage()])))


def test_a_forked_child_has_events_of_its_own(ocean, caplog):
    """Forked while threads of the parent note events, over and over."""
    caplog.set_level(logging.DEBUG, "oceanarrow")
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        running = iter(loader(ocean))
        ended = context.SimpleQueue()
        child = context.Process(target=_in_child, args=(ocean, ended))
        child.start()
        list(running)
        child.join(30)
        assert child.exitcode == 0
        process, opened = ended.get()
        assert process != os.getpid() and opened == 1
