"""What is told of requests, and that no secret is."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from oceanarrow.events import hand_over
from oceanarrow.exceptions import OceanArrowError

from .conftest import store
from .fault_server import FaultServer, answers, redirects, resets
from .test_faults import RANGE, expected

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def wanted(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "oceanarrow")
    hand_over()
    caplog.clear()
    yield
    caplog.set_level(logging.NOTSET, "oceanarrow")
    hand_over()


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, str]]:
    hand_over()
    return [
        (record.name.removeprefix("oceanarrow."), record.levelno, record.getMessage())
        for record in caplog.records
        if record.name.startswith("oceanarrow.")
    ]


def test_requests_retries_and_waits(server: FaultServer, caplog) -> None:
    name = f"{server.home}/file.bin"
    server.rule(answers(500), times=1)
    server.rule(resets(10), times=1)
    server.rule(answers(429, {"Retry-After": "1"}), times=1)
    assert store().read(name, [RANGE]) == [expected()]
    kinds = [(kind, level) for kind, level, _ in told(caplog)]
    request, retry = ("request", logging.DEBUG), ("retry", logging.INFO)
    wait, opened = ("wait", logging.INFO), ("open", logging.DEBUG)
    assert kinds == [request, retry, request, retry, request, wait, retry, request, opened]
    texts = [text for _, _, text in told(caplog)]
    assert f"GET {name} bytes={RANGE[0]}-{RANGE[1] - 1}: 500 after 0." in texts[0]
    assert texts[1].startswith(f"{name}: try 2 after 0.") and "answered 500" in texts[1]
    assert texts[5] == f"{server.home} asks to be left alone for 1.000 s"
    assert texts[6].startswith(f"{name}: try 4 after 1.000 s: ")
    assert texts[8] == f"opened {name} (300000 bytes)"


def test_no_answer_is_told(server: FaultServer, caplog) -> None:
    server.rule(resets(0))
    with pytest.raises(OceanArrowError):
        store(tries=2).read("http://127.0.0.1:9/file.bin", [RANGE])
    requests = [text for kind, _, text in told(caplog) if kind == "request"]
    assert len(requests) == 2
    assert all("http://127.0.0.1:9/file.bin" in t and ": no answer" in t for t in requests)


def test_no_secret_is_told(server: FaultServer, tmp_path: Path, caplog) -> None:
    """Neither tokens nor headers, nor what a redirect's address holds."""
    (server.folder / SECRET).write_bytes((server.folder / "file.bin").read_bytes())
    signed = f"{server.elsewhere}/{SECRET}?X-Amz-Signature={SECRET}&Expires=9999999999"
    server.rule(redirects(302, lambda _: signed), lambda r: r.path == "/file.bin")
    server.rule(answers(403), lambda r: r.origin == "elsewhere", times=1)
    server.rule(answers(500), lambda r: r.origin == "elsewhere", times=1)
    reader = store(token=SECRET, headers={"X-Key": SECRET})
    assert reader.read(f"{server.home}/file.bin", [RANGE]) == [expected()]
    server.rules.insert(0, server.rule(answers(403, body=SECRET.encode())))
    with pytest.raises(OceanArrowError):
        reader.read(f"{server.home}/file.bin", [(0, 10)])
    found = told(caplog)
    assert {kind for kind, _, _ in found} >= {"request", "retry", "open"}
    assert any(f"GET {server.elsewhere}/… " in text for _, _, text in found)
    assert not [text for _, _, text in found if SECRET in text]
