"""Real servers on this machine: nginx over HTTP and TLS, and an S3 service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from oceanarrow import _engine
from oceanarrow.exceptions import (
    AccessDeniedError,
    CorruptGranuleError,
    InvalidInputError,
    NotFoundError,
    TransientIoError,
)

from .conftest import QUICK, store
from .datasets import assert_equal, batches, loader, write_parts
from .fault_server import FaultServer, answers, resets, shifts, shortens

NGINX = shutil.which("nginx")
OPENSSL = shutil.which("openssl")

CONFIGURATION = """
daemon off; master_process off; pid {scratch}/pid; error_log {scratch}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {scratch}/access.log;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  limit_req_zone $binary_remote_addr zone=few:1m rate=20r/s;
  limit_req_status 429;
  server {{
    listen 127.0.0.1:{port}{tls};
    location /ocean/ {{ alias {ocean}/; }}
    location /whole/ {{ alias {ocean}/; max_ranges 0; }}
    location /few/ {{ alias {ocean}/; limit_req zone=few burst=2 nodelay; }}
    location /down/ {{ return 503; }}
    location /moved/ {{ rewrite ^/moved/(.*)$ /ocean/$1 redirect; }}
    location /zipped/ {{ alias {ocean}/; gzip on; gzip_types *; gzip_min_length 1; }}
  }}
}}
"""


PATIENT = {"tries": 12, "timeout": 20, "backoff": 0.05, "backoff_max": 1}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)


def lacking(program: str) -> NoReturn:
    """Skips the test, but where it must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{program} is not installed")
    pytest.skip(f"{program} is not installed")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_ci_does_not_skip_what_needs_a_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(f"{__name__}.NGINX", None)
    with pytest.raises(outcome, match="nginx is not installed"):
        run_nginx(tmp_path, tmp_path)


def run_nginx(scratch: Path, ocean: Path, tls: str = "") -> tuple[subprocess.Popen[Any], int]:
    if NGINX is None:
        lacking("nginx")
    port = free_port()
    text = CONFIGURATION.format(scratch=scratch, ocean=ocean, port=port, tls=tls)
    (scratch / "nginx.conf").write_text(text)
    process = subprocess.Popen([NGINX, "-c", scratch / "nginx.conf", "-p", scratch])
    await_port(port, process)
    return process, port


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, ocean: Path) -> Iterator[str]:
    """The address of an nginx that serves the dataset in several ways."""
    process, port = run_nginx(tmp_path_factory.mktemp("nginx"), ocean)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("place", ["ocean", "moved", "few"])
def test_nginx_serves_the_local_batches(nginx: str, ocean: Path, place: str) -> None:
    made = loader(f"{nginx}/{place}", storage_options=PATIENT)
    assert_equal(batches(made), batches(loader(ocean)))
    if place == "few":
        assert made.stats()["retries"] > 0


def test_nginx_without_ranges_serves_the_local_batches(nginx: str, ocean: Path) -> None:
    assert_equal(batches(loader(f"{nginx}/whole")), batches(loader(ocean)))


def test_nginx_compresses_nothing_that_must_not_be(nginx: str, ocean: Path) -> None:
    assert len(_engine.Catalog(f"{nginx}/zipped")) == len(_engine.Catalog(ocean))


def test_nginx_refuses(nginx: str, ocean: Path) -> None:
    with pytest.raises(TransientIoError, match="answered 503"):
        loader(f"{nginx}/down")
    with pytest.raises(NotFoundError, match="no TACO dataset here"):
        loader(f"{nginx}/nothing")
    size = (ocean / "COLLECTION.json").stat().st_size
    reader = store()
    with pytest.raises(CorruptGranuleError, match=f"lie outside the {size} bytes"):
        reader.read(f"{nginx}/ocean/COLLECTION.json", [(size, size + 1)])


SECURE = """
import sys
from oceanarrow._engine import Catalog
from oceanarrow.exceptions import TransientIoError
try:
    print(len(Catalog(sys.argv[1], storage_options={"tries": 1})))
except TransientIoError as error:
    print(error)
"""


def test_tls_trusts_what_the_system_trusts(
    tmp_path: Path, ocean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if OPENSSL is None:
        lacking("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"{OPENSSL} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split()
    command += ["-addext", "subjectAltName=DNS:localhost"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = f" ssl; ssl_certificate {certificate}; ssl_certificate_key {key}"
    process, port = run_nginx(tmp_path, ocean, tls)
    try:

        def opened() -> str:
            address = f"https://localhost:{port}/ocean"
            run = [sys.executable, "-c", SECURE, address]
            return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()

        assert "certificate" in opened()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert opened() == str(len(_engine.Catalog(ocean)))
    finally:
        process.terminate()
        process.wait(10)


KEYS = {"access_key_id": "key", "secret_access_key": "hunter2", "region": "us-east-1"}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory, ocean: Path) -> Iterator[str]:
    """The endpoint of an S3 service with the dataset in the bucket `oceans`."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server")
    pytest.importorskip("flask_cors")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="key",
        aws_secret_access_key="hunter2",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="oceans")
    parts = tmp_path_factory.mktemp("parts")
    write_parts(ocean, parts)
    wanted = [*ocean.rglob("COLLECTION.json"), *ocean.rglob("*.parquet")]
    wanted += [file for file in ocean.rglob("*.nc") if file.parts[-3] != "2023_04_04"]
    for base, files in ((ocean, wanted), (parts, [f for f in parts.rglob("*") if f.is_file()])):
        kind = "folder" if base == ocean else "cat"
        for file in files:
            client.upload_file(str(file), "oceans", f"{kind}/{file.relative_to(base)}")
    yield endpoint
    running.stop()


@pytest.mark.parametrize("place", ["folder", "cat", "cat/.tacocat"])
def test_s3_serves_the_local_batches(s3: str, ocean: Path, place: str) -> None:
    options = KEYS | {"endpoint": s3, "read_timeout": 5, "timeout": 30}
    made = loader(f"s3://oceans/{place}/", storage_options=options)
    assert_equal(batches(made), batches(loader(ocean)))
    assert made.stats()["requests"] > 4


def test_s3_says_what_is_wrong(s3: str) -> None:
    options = QUICK | KEYS | {"endpoint": s3, "read_timeout": 5, "timeout": 30}
    reader = _engine.Store(options)
    with pytest.raises(NotFoundError, match="no such file"):
        reader.read("s3://oceans/folder/nothing", [(0, 10)])
    with pytest.raises(NotFoundError, match="no TACO dataset here"):
        loader("s3://oceans/nothing", storage_options=options)
    size = reader.size("s3://oceans/folder/COLLECTION.json")
    with pytest.raises(CorruptGranuleError, match="lie outside"):
        reader.read("s3://oceans/folder/COLLECTION.json", [(size - 1, size + 1)])
    start, whole = reader.read_start("s3://oceans/folder/COLLECTION.json", 1 << 20)
    assert len(start) == whole == size
    assert reader.traffic()["requests"] >= 4


def test_signed_requests_go_through_the_same_policy(s3: str, ocean: Path, tmp_path: Path) -> None:
    """The fault server in the place of the S3 service: it checks no signature."""
    (tmp_path / "oceans").symlink_to(ocean)

    class Bucket(FaultServer):
        def content(self, path: str) -> bytes | None:
            place = self.folder / path.lstrip("/")
            return place.read_bytes() if place.is_file() else None

    content = (ocean / "METADATA/level2.parquet").read_bytes()
    with Bucket(tmp_path) as server:
        reader = _engine.Store(QUICK | KEYS | {"endpoint": server.home})
        name = "s3://oceans/METADATA/level2.parquet"
        for fault in (
            answers(500),
            answers(429, {"Retry-After": "0"}),
            resets(50),
            shortens(50),
            shifts(1),
        ):
            server.clear()
            server.rule(fault, times=2)
            assert reader.read(name, [(10, 2_000)]) == [content[10:2_000]]
            assert len(server.requests) == 3
            assert {r.headers["range"] for r in server.requests} == {"bytes=10-1999"}
            assert all("hunter2" not in str(r) for r in server.requests)
            assert all("Credential=key/" in r.headers["authorization"] for r in server.requests)
        server.clear()
        server.rule(answers(403))
        with pytest.raises(AccessDeniedError, match="no access"):
            reader.read(name, [(0, 10)])
        assert len(server.requests) == 1
        server.clear()
        server.rule(answers(301, {"Location": "/x", "x-amz-bucket-region": "eu-west-3"}))
        with pytest.raises(InvalidInputError, match="eu-west-3"):
            reader.read(name, [(0, 10)])
        anonymous = _engine.Store(QUICK | {"endpoint": server.home, "anonymous": True})
        server.clear()
        assert anonymous.read(name, [(0, 4)]) == [b"PAR1"]
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ("gs://oceans", {"anonymous": True}),
        ("az://oceans", {"anonymous": True, "account": "somebody"}),
        ("abfss://oceans", {"anonymous": True, "account": "somebody"}),
    ],
)
def test_other_clouds_ask_their_endpoint(ocean: Path, tmp_path: Path, place: str, options) -> None:
    class Bucket(FaultServer):
        def content(self, path: str) -> bytes | None:
            place = ocean / path.split("/oceans/", 1)[-1].lstrip("/")
            return place.read_bytes() if place.is_file() else None

    with Bucket(tmp_path) as server:
        options = options | {"endpoint": server.home}
        made = loader(place, storage_options=options)
        assert_equal(batches(made), batches(loader(ocean)))
        assert all(r.method == "GET" for r in server.requests)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="unknown scheme"):
        loader("ftp://host/ocean")
