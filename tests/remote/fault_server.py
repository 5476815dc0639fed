"""A web server that misbehaves as told, on two ports of this machine.

It serves the files of a folder with byte ranges. Rules say which requests go wrong and how; each
request is recorded with its headers. `home` and `elsewhere` are two origins of one content.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import re
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

LAST_MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 404: "Not Found"}


@dataclass
class Request:
    """One request as it came in."""

    origin: str
    """`home` or `elsewhere`."""
    method: str
    target: str
    headers: dict[str, str]
    at: float
    status: int = 0

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def range(self) -> tuple[int, int | None] | None:
        """First and last byte asked for."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        return None if found is None else (int(found[1]), int(found[2]) if found[2] else None)


class Exchange:
    """What an action may do about a request."""

    def __init__(self, server: FaultServer, request: Request, writer: asyncio.StreamWriter) -> None:
        self.server, self.request, self.writer = server, request, writer
        self.closes = False

    def content(self) -> bytes | None:
        """The whole file."""
        return self.server.content(self.request.path)

    async def send(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        length: int | None = None,
    ) -> None:
        """Answers; `length` is what the headers say, if not the truth."""
        self.request.status = status
        lines = {"Content-Length": str(len(body) if length is None else length)} | (headers or {})
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Fault')}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()
        )
        self.writer.write(head.encode("latin-1") + b"\r\n" + body)
        await self.writer.drain()

    def slice(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a sound answer."""
        content = self.content()
        if content is None:
            return 404, {}, b"not here"
        headers = {"ETag": f'"{len(content)}"', "Last-Modified": LAST_MODIFIED}
        if self.request.range is None:
            return 200, headers, content
        first, last = self.request.range
        if first >= len(content):
            return 416, headers | {"Content-Range": f"bytes */{len(content)}"}, b""
        last = len(content) - 1 if last is None else min(last, len(content) - 1)
        said = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return 206, headers | said, content[first : last + 1]

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        self.closes = True
        self.writer.transport.abort()


Action = Callable[[Exchange], Awaitable[None]]


async def serve(exchange: Exchange) -> None:
    """The sound answer."""
    status, headers, body = exchange.slice()
    await exchange.send(status, headers, body)


def after(seconds: float, act: Action) -> Action:
    """The same, later."""

    async def later(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await act(exchange)

    return later


def delayed(seconds: float) -> Action:
    """A sound answer, later."""
    return after(seconds, serve)


def answers(status: int, headers: dict[str, str] | None = None, body: bytes = b"no") -> Action:
    """An answer with this status."""

    async def act(exchange: Exchange) -> None:
        await exchange.send(status, headers, body)

    return act


def redirects(status: int, to: Callable[[Request], str], **headers: str) -> Action:
    """A redirect."""

    async def act(exchange: Exchange) -> None:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        await exchange.send(status, {"Location": to(exchange.request)} | said, b"see there")

    return act


def resets(after: int) -> Action:
    """A reset after so many bytes of the body."""

    async def act(exchange: Exchange) -> None:
        status, headers, body = exchange.slice()
        await exchange.send(status, headers, body[:after], length=len(body))
        await asyncio.sleep(0.01)
        exchange.reset()

    return act


def shortens(to: int) -> Action:
    """An orderly end after so many bytes of a longer body."""

    async def act(exchange: Exchange) -> None:
        status, headers, body = exchange.slice()
        await exchange.send(status, headers, body[:to], length=len(body))
        exchange.closes = True

    return act


def shifts(by: int) -> Action:
    """A `Content-Range` that is not the one asked for."""

    async def act(exchange: Exchange) -> None:
        content, asked = exchange.content() or b"", exchange.request.range
        first, last = asked if asked is not None else (0, None)
        last = len(content) - 1 if last is None else last
        first, last = first + by, min(last + by, len(content) - 1)
        headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        await exchange.send(206, headers, content[first : last + 1])

    return act


async def ignores_ranges(exchange: Exchange) -> None:
    """The whole file with status 200, whatever was asked for."""
    content = exchange.content()
    await exchange.send(404 if content is None else 200, {}, content or b"")


async def compresses(exchange: Exchange) -> None:
    """A sound answer, gzipped."""
    status, headers, body = exchange.slice()
    await exchange.send(status, headers | {"Content-Encoding": "gzip"}, gzip.compress(body))


def drips(size: int, every: float) -> Action:
    """A sound answer, a few bytes at a time."""

    async def act(exchange: Exchange) -> None:
        status, headers, body = exchange.slice()
        await exchange.send(status, headers, b"", length=len(body))
        for at in range(0, len(body), size):
            exchange.writer.write(body[at : at + size])
            await exchange.writer.drain()
            await asyncio.sleep(every)

    return act


@dataclass
class Rule:
    """What happens to requests of a kind, so many times."""

    act: Action
    when: Callable[[Request], bool] = lambda _: True
    times: int | None = None
    fired: int = 0


@dataclass
class RandomFaults:
    """A share of all requests goes wrong, in ways that a retry mends; drawn from a seed."""

    share: float
    seed: int
    fired: int = 0
    _actions: list[Action] = field(
        default_factory=lambda: [
            answers(500),
            answers(503),
            answers(503, {"Retry-After": "0"}),
            answers(429, {"Retry-After": "0"}),
            answers(429, {"RateLimit": '"x";r=0;t=0'}),
            resets(0),
            resets(700),
            shortens(300),
            shifts(1),
            delayed(0.02),
        ]
    )

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self) -> Action | None:
        if self._random.random() >= self.share:
            return None
        self.fired += 1
        return self._random.choice(self._actions)


class FaultServer:
    """Serves `folder`; use it as a context."""

    def __init__(self, folder: Path, *, random_faults: RandomFaults | None = None) -> None:
        self.folder = folder
        self.rules: list[Rule] = []
        self.requests: list[Request] = []
        self.connections = 0
        self.random_faults = random_faults
        self._ports: dict[str, int] = {}
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fault-server", daemon=True)

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self._ports['home']}"

    @property
    def elsewhere(self) -> str:
        return f"http://127.0.0.1:{self._ports['elsewhere']}"

    def rule(
        self,
        act: Action,
        when: Callable[[Request], bool] = lambda _: True,
        times: int | None = None,
    ) -> Rule:
        """Adds a rule; earlier ones come first."""
        self.rules.append(Rule(act, when, times))
        return self.rules[-1]

    def content(self, path: str) -> bytes | None:
        """A file's bytes; None if there is no such file."""
        place = (self.folder / path.lstrip("/")).resolve()
        inside = place.is_relative_to(self.folder.resolve())
        return place.read_bytes() if inside and place.is_file() else None

    def clear(self) -> None:
        """Forgets rules and requests."""
        self.rules.clear()
        self.requests.clear()

    def answer(self, request: Request) -> Action:
        """What is done about a request."""
        for rule in self.rules:
            if rule.when(request) and (rule.times is None or rule.fired < rule.times):
                rule.fired += 1
                return rule.act
        drawn = self.random_faults.draw() if self.random_faults else None
        return drawn or serve

    def __enter__(self) -> FaultServer:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fault server did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        servers = []
        for origin in ("home", "elsewhere"):
            server = await asyncio.start_server(self._handler(origin), "127.0.0.1", 0, backlog=512)
            self._ports[origin] = server.sockets[0].getsockname()[1]
            servers.append(server)
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def _handler(
        self, origin: str
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                while not await self._one(origin, reader, writer):
                    pass
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                self.connections -= 1
                writer.close()

        return handle

    async def _one(
        self, origin: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answers one request; tells whether the connection ends."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        request = Request(origin, method, target, headers, time.monotonic())
        self.requests.append(request)
        exchange = Exchange(self, request, writer)
        await self.answer(request)(exchange)
        return exchange.closes
