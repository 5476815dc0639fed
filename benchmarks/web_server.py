"""nginx in front of a dataset, far away: through a link with latency, and what it was asked for."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: The server, if it is installed.
NGINX = shutil.which("nginx")
CONFIGURATION = """
daemon off; master_process off; pid {scratch}/pid; error_log {scratch}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format plain '$status $body_bytes_sent $uri';
  access_log {scratch}/access.log plain;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  sendfile on; tcp_nodelay on;
  server {{
    listen 127.0.0.1:{port};
    location / {{ alias {folder}/; }}
    location /near/ {{ access_log off; alias {folder}/; }}
  }}
}}
"""
#: Seconds after an answer until the server has surely written it down.
WRITTEN = 0.1


@dataclass(frozen=True)
class Asked:
    """One request."""

    status: int
    #: Of the answer, without its headers.
    length: int
    path: str


@dataclass(frozen=True)
class Server:
    """A running server: its address through the link, and one without, whose requests are not
    listed."""

    far: str
    near: str
    log: Path

    def forget(self) -> None:
        """Begins a new list of requests."""
        time.sleep(WRITTEN)
        with self.log.open("r+") as log:
            log.truncate(0)

    def asked(self, suffix: str = "") -> list[Asked]:
        """The requests since, of files whose names end so."""
        time.sleep(WRITTEN)
        rows = [line.split(maxsplit=2) for line in self.log.read_text().splitlines()]
        asked = [Asked(int(status), int(length), path) for status, length, path in rows]
        return [request for request in asked if request.path.endswith(suffix)]


@contextmanager
def serve(folder: Path, round_trip: float, megabits: float | None) -> Iterator[Server]:
    """Serves a folder with the program that `NGINX` names; `round_trip` is in ms."""
    assert NGINX is not None
    port = _free_port()
    link = [sys.executable, str(Path(__file__).with_name("latency.py")), str(port)]
    link += ["--round-trip", str(round_trip)]
    link += [] if megabits is None else ["--megabits", str(megabits)]
    with tempfile.TemporaryDirectory() as scratch:
        text = CONFIGURATION.format(scratch=scratch, port=port, folder=folder.resolve())
        (Path(scratch) / "nginx.conf").write_text(text)
        server = subprocess.Popen([NGINX, "-c", f"{scratch}/nginx.conf", "-p", scratch])
        near_end = subprocess.Popen(link, stdout=subprocess.PIPE, text=True)
        try:
            _await(port, server)
            assert near_end.stdout is not None
            far = int(near_end.stdout.readline())
            log = Path(scratch) / "access.log"
            yield Server(f"http://127.0.0.1:{far}", f"http://127.0.0.1:{port}/near", log)
        finally:
            for process in (near_end, server):
                process.terminate()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("nginx did not start") from None
            time.sleep(0.05)
