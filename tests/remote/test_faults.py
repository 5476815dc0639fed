"""Each fault of the network has one outcome: the right bytes, or an error that says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from oceanarrow.exceptions import (
    AccessDeniedError,
    CorruptGranuleError,
    NotFoundError,
    OceanArrowError,
    TransientIoError,
    UnsupportedError,
)

from .conftest import CONTENT, QUICK, store
from .fault_server import (
    Action,
    Exchange,
    FaultServer,
    Request,
    answers,
    compresses,
    delayed,
    drips,
    ignores_ranges,
    redirects,
    resets,
    serve,
    shifts,
    shortens,
)

RANGE = (1_000, 201_000)
TRIES = QUICK["tries"]


def expected(start: int = RANGE[0], end: int = RANGE[1]) -> bytes:
    return CONTENT[start:end]


def elsewhere(server: FaultServer) -> Callable[[Request], str]:
    return lambda request: f"{server.elsewhere}{request.target}"


@pytest.mark.parametrize(
    ("fault", "times", "requests"),
    [
        (delayed(0.1), 1, 1),
        (answers(500), 2, 3),
        (answers(503), 3, 4),
        (answers(502), 1, 2),
        (answers(408), 1, 2),
        (answers(429), 1, 2),
        (answers(429, {"Retry-After": "0"}), 3, 4),
        (resets(0), 1, 2),
        (resets(5_000), 3, 4),
        (shortens(5_000), 1, 2),
        (shifts(1), 1, 2),
        (shifts(-1), 3, 4),
        (ignores_ranges, 1, 1),
        (drips(50_000, 0.01), 1, 1),
        (drips(10, 1), 2, 3),
    ],
    ids=lambda value: getattr(value, "__qualname__", str(value)).split(".")[0],
)
def test_a_fault_that_passes_leaves_the_right_bytes(
    server: FaultServer, fault: Action, times: int, requests: int
) -> None:
    server.rule(fault, times=times)
    reader = store()
    assert reader.read(f"{server.home}/file.bin", [RANGE]) == [expected()]
    assert len(server.requests) == requests
    traffic = reader.traffic()
    assert traffic["requests"] == requests and traffic["retries"] == requests - 1


@pytest.mark.parametrize(
    ("fault", "error", "message", "requests"),
    [
        (answers(404), NotFoundError, "answered 404: no such file", 1),
        (answers(410), NotFoundError, "no such file", 1),
        (answers(401), AccessDeniedError, "set HF_TOKEN", 1),
        (answers(403), AccessDeniedError, "set HF_TOKEN", 1),
        (answers(403, {"X-Error-Code": "GatedRepo"}), AccessDeniedError, "accept its terms", 1),
        (answers(418), TransientIoError, "answered 418", 1),
        (answers(500), TransientIoError, "gave up after 4 tries .*answered 500", TRIES),
        (answers(429), TransientIoError, "too many requests", TRIES),
        (answers(429, {"Retry-After": "99"}), TransientIoError, "asks to wait 99 s", 1),
        (shifts(1), TransientIoError, "answered 'bytes 1001-", TRIES),
        (resets(0), TransientIoError, "gave up after 4 tries", TRIES),
        (compresses, UnsupportedError, "gzip", 1),
        (redirects(302, lambda r: r.target), TransientIoError, "circle", 1),
        (redirects(302, lambda r: r.target + "x"), TransientIoError, "circle", 6),
        (redirects(302, lambda _: "ftp://x/"), TransientIoError, "another protocol", 1),
        (redirects(302, lambda _: ""), TransientIoError, "circle", 1),
    ],
)
def test_a_fault_that_stays_is_an_error_that_names_the_file(
    server: FaultServer, fault: Action, error: type[OceanArrowError], message: str, requests: int
) -> None:
    server.rule(fault)
    name = f"{server.home}/file.bin"
    with pytest.raises(error, match=message.replace("'", "['\"]")) as caught:
        store().read(name, [RANGE])
    assert f"file: {name}" in str(caught.value)
    assert len(server.requests) == requests


def test_the_network_being_down_is_an_error_within_the_budget() -> None:
    start = time.monotonic()
    with pytest.raises(TransientIoError, match=r"cannot connect to http://127\.0\.0\.1:1"):
        store().read("http://127.0.0.1:1/file.bin", [RANGE])
    assert time.monotonic() - start < 2


def test_a_server_that_never_finishes_is_given_up_within_the_budget(server: FaultServer) -> None:
    server.rule(drips(1, 0.1))
    start = time.monotonic()
    with pytest.raises(TransientIoError, match="more than 1 s"):
        store(timeout=1).read(f"{server.home}/file.bin", [RANGE])
    assert time.monotonic() - start < 2.5


def test_what_was_received_is_not_asked_for_again(server: FaultServer) -> None:
    server.rule(resets(150_000), times=1)
    assert store().read(f"{server.home}/file.bin", [RANGE]) == [expected()]
    first, second = server.requests
    assert first.range == (RANGE[0], RANGE[1] - 1)
    assert (
        second.range is not None and second.range[0] > RANGE[0] and second.range[1] == RANGE[1] - 1
    )


def test_a_whole_file_is_resumed_too(server: FaultServer) -> None:
    server.rule(resets(150_000), times=1)
    assert store().read_all(f"{server.home}/file.bin", 1 << 20) == CONTENT
    assert server.requests[0].range is None and server.requests[1].range is not None


def test_a_file_that_changes_between_answers_is_not_mixed(server: FaultServer) -> None:
    server.rule(resets(1_000), times=1)
    server.rule(answers(206, {"Content-Range": "bytes 2000-2999/9999"}, bytes(1_000)))
    with pytest.raises(TransientIoError, match="changed on the server"):
        store().read_all(f"{server.home}/file.bin", 1 << 20)


def test_one_exchange_tells_the_start_and_the_size(server: FaultServer) -> None:
    reader = store()
    assert reader.read_start(f"{server.home}/file.bin", 100) == (CONTENT[:100], len(CONTENT))
    assert reader.size(f"{server.home}/file.bin") == len(CONTENT)
    assert len(server.requests) == 1
    assert reader.read_start(f"{server.home}/file.bin", 1 << 20) == (CONTENT, len(CONTENT))
    assert store().size(f"{server.home}/file.bin") == len(CONTENT)
    assert server.requests[-1].range == (0, 0)


def test_empty_files_are_empty(server: FaultServer) -> None:
    name = f"{server.home}/empty.bin"
    assert store().size(name) == 0
    assert store().read_start(name, 10) == (b"", 0)
    assert store().read_all(name, 10) == b""
    assert store().read(name, [(0, 0)]) == [b""]


@pytest.mark.parametrize("unaware", [False, True])
def test_bytes_beyond_the_end_are_an_error(server: FaultServer, unaware: bool) -> None:
    if unaware:
        server.rule(ignores_ranges)
    size = len(CONTENT)
    for wanted in ((size - 10, size + 10), (size + 1, size + 2), (5, 2)):
        with pytest.raises(CorruptGranuleError, match="lie outside"):
            store().read(f"{server.home}/file.bin", [wanted])
    assert len(server.requests) == 2


def test_a_file_larger_than_expected_is_not_downloaded(server: FaultServer) -> None:
    with pytest.raises(OceanArrowError, match="at most 1000 are read"):
        store().read_all(f"{server.home}/file.bin", 1_000)


def test_a_server_without_ranges_is_read_only_as_far_as_sensible(server: FaultServer) -> None:
    server.rule(ignores_ranges)
    with (server.folder / "large.bin").open("wb") as file:
        file.truncate((65 << 20) + 1)
    name = f"{server.home}/large.bin"
    reader = store()
    assert reader.read(name, [(10, 20)]) == [bytes(10)]
    assert reader.traffic()["network_bytes"] < 1 << 20
    with pytest.raises(UnsupportedError, match="ignores byte ranges"):
        reader.read(name, [(65 << 20, (65 << 20) + 1)])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_and_remembered(server: FaultServer, status: int) -> None:
    server.rule(redirects(status, elsewhere(server)), lambda r: r.origin == "home")
    reader = store()
    name = f"{server.home}/file.bin"
    for start in range(0, 5_000, 1_000):
        assert reader.read(name, [(start, start + 10)]) == [expected(start, start + 10)]
    assert [r.origin for r in server.requests] == ["home"] + ["elsewhere"] * 5


def test_a_relative_redirect_stays_at_its_server(server: FaultServer) -> None:
    server.rule(redirects(307, lambda _: "/file.bin"), lambda r: r.path == "/other.bin")
    assert store().read(f"{server.home}/other.bin", [RANGE]) == [expected()]
    assert [(r.origin, r.path) for r in server.requests] == [
        ("home", "/other.bin"),
        ("home", "/file.bin"),
    ]


def test_an_address_that_has_expired_is_asked_for_once_more(server: FaultServer) -> None:
    server.rule(redirects(302, elsewhere(server)), lambda r: r.origin == "home")
    reader, name = store(), f"{server.home}/file.bin"
    reader.read(name, [(0, 10)])
    expired = server.rule(answers(403), lambda r: r.origin == "elsewhere", times=1)
    assert reader.read(name, [RANGE]) == [expected()]
    assert [r.status for r in server.requests] == [302, 206, 403, 302, 206]
    server.requests.clear()
    expired.times = None
    with pytest.raises(AccessDeniedError, match="also after asking anew"):
        reader.read(name, [RANGE])
    assert [r.status for r in server.requests] == [403, 302, 403]


def test_a_remembered_address_that_is_gone_is_asked_for_anew(server: FaultServer) -> None:
    moved = server.rule(redirects(302, elsewhere(server)), lambda r: r.origin == "home")
    reader, name = store(), f"{server.home}/file.bin"
    reader.read(name, [(0, 10)])
    moved.times = moved.fired
    server.rule(answers(404), lambda r: r.origin == "elsewhere")
    assert reader.read(name, [RANGE]) == [expected()]


def test_secrets_stay_with_the_datasets_own_server(server: FaultServer) -> None:
    server.rule(redirects(302, elsewhere(server)), lambda r: r.origin == "home")
    reader = store(token="hunter2", headers={"X-Api-Key": "hunter3"})
    assert reader.read(f"{server.home}/file.bin", [RANGE]) == [expected()]
    home, other = server.requests
    assert home.headers["authorization"] == "Bearer hunter2"
    assert home.headers["x-api-key"] == "hunter3"
    assert "hunter" not in str(other)
    assert all(r.headers["accept-encoding"] == "identity" for r in server.requests)


def test_secrets_are_in_no_message(server: FaultServer) -> None:
    server.rule(
        redirects(302, lambda r: f"{server.elsewhere}{r.target}?Signature=hunter2"),
        lambda r: r.origin == "home",
    )
    reader = store(token="hunter2")
    for fault in (answers(404), answers(403), answers(500), resets(0), shifts(1), compresses):
        server.rules[1:] = []
        server.rule(fault)
        with pytest.raises(OceanArrowError) as caught:
            reader.read(f"{server.home}/file.bin", [RANGE])
        assert "hunter2" not in str(caught.value) + repr(caught.value) + repr(reader)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "1"},
        {"RateLimit": '"resolvers";r=0;t=1', "RateLimit-Policy": '"resolvers";q=3000;w=300'},
        {"Retry-After": "DATE"},
    ],
    ids=["seconds", "window", "date"],
)
def test_a_wait_that_the_server_asks_for_holds_for_all_threads(
    server: FaultServer, headers: dict[str, str]
) -> None:
    if headers.get("Retry-After") == "DATE":
        headers = {"Retry-After": formatdate(time.time() + 2, usegmt=True)}
    reader, name = store(concurrency=1, rate_limit_wait=5), f"{server.home}/file.bin"
    server.rule(answers(429, headers), times=1)
    with ThreadPoolExecutor(4) as pool:
        ranges = [(i * 50_000, i * 50_000 + 10) for i in range(4)]
        read = list(pool.map(lambda wanted: reader.read(name, [wanted])[0], ranges))
    assert read == [expected(*wanted) for wanted in ranges]
    assert len(server.requests) == 5
    refused, *rest = server.requests
    assert refused.status == 429
    assert all(0.95 < request.at - refused.at < 3 for request in rest)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "18446744073709551615"},
        {"Retry-After": "9" * 60},
        {"Retry-After": "86401.5"},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"RateLimit": '"x";r=0;t=18446744073709551615'},
        {"Retry-After": "0", "RateLimit": f'"x";r=0;t={"9" * 60}'},
    ],
)
def test_a_wait_beyond_all_measure_is_a_day(server: FaultServer, headers: dict[str, str]) -> None:
    reader, name = store(), f"{server.home}/file.bin"
    server.rule(answers(429, headers))
    with pytest.raises(TransientIoError, match="asks to wait 86400 s or more"):
        reader.read(name, [RANGE])
    # The host's gate is closed for as long.
    with pytest.raises(TransientIoError, match=r"asked to wait another 86(399|400) s"):
        reader.read(name, [RANGE])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "-1"},
        {"Retry-After": "-18446744073709551616"},
        {"Retry-After": "0.25"},
        {"Retry-After": "soon"},
        {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"},
        {"RateLimit": '"x";r=0;t=-5'},
        {"RateLimit": '"x";r=99999999999999999999;t=99999999999999999999'},
        {"RateLimit": ";;==,,"},
    ],
)
def test_a_wait_that_is_none_or_short_ends_in_the_bytes(
    server: FaultServer, headers: dict[str, str]
) -> None:
    server.rule(answers(429, headers), times=1)
    assert store().read(f"{server.home}/file.bin", [RANGE]) == [expected()]
    assert len(server.requests) == 2


def test_any_wait_that_a_sound_answer_states_is_survived(server: FaultServer) -> None:
    async def exhausted(exchange: Exchange) -> None:
        status, headers, body = exchange.slice()
        said = {"RateLimit": '"x";r=0;t=18446744073709551615'}
        await exchange.send(status, headers | said, body)

    server.rule(exhausted)
    reader = store(rate_limit_wait=0.2)
    for _ in range(2):
        assert reader.read(f"{server.home}/file.bin", [RANGE]) == [expected()]


def test_an_exhausted_window_is_respected_before_a_refusal(server: FaultServer) -> None:
    async def last_one(exchange) -> None:
        status, headers, body = exchange.slice()
        await exchange.send(status, headers | {"RateLimit": '"x";r=0;t=1'}, body)

    server.rule(last_one, times=1)
    reader, name = store(), f"{server.home}/file.bin"
    reader.read(name, [(0, 10)])
    reader.read(name, [(10, 20)])
    first, second = server.requests
    assert second.at - first.at > 0.95


def test_a_batch_goes_out_together_and_bounded(server: FaultServer) -> None:
    server.rule(delayed(0.1))
    ranges = [(i * 20_000, i * 20_000 + 100) for i in range(14)]
    start = time.monotonic()
    read = store(concurrency=4, coalesce_gap=0).read(f"{server.home}/file.bin", ranges)
    elapsed = time.monotonic() - start
    assert read == [expected(*wanted) for wanted in ranges]
    assert 0.38 < elapsed < 1.2
    times = sorted(request.at for request in server.requests)
    assert all(later - earlier > 0.09 for earlier, later in zip(times, times[4:], strict=False))


def test_close_ranges_are_one_request(server: FaultServer) -> None:
    ranges = [(5_000, 5_100), (0, 100), (100, 200), (5_050, 5_060), (9_000, 9_000)]
    assert store(coalesce_gap=100).read(f"{server.home}/file.bin", ranges) == [
        expected(*wanted) for wanted in ranges
    ]
    assert sorted(r.range or (0, 0) for r in server.requests) == [(0, 199), (5_000, 5_099)]


def test_a_burst_of_refusals_makes_fewer_requests_at_a_time(server: FaultServer) -> None:
    server.rule(answers(503), times=6)
    server.rule(delayed(0.02))
    ranges = [(i * 10_000, i * 10_000 + 10) for i in range(30)]
    read = store(coalesce_gap=0, tries=8).read(f"{server.home}/file.bin", ranges)
    assert read == [expected(*wanted) for wanted in ranges]
    assert len(server.requests) == 36


def test_plain_names_are_encoded(server: FaultServer) -> None:
    folder = server.folder / "a b#c"
    folder.mkdir()
    (folder / "50%?.bin").write_bytes(CONTENT)
    assert store().read(f"{server.home}/a b#c/50%?.bin", [RANGE]) == [expected()]
    assert server.requests[0].target == "/a%20b%23c/50%25%3F.bin"


def test_connections_are_reused_and_none_is_left_open(server: FaultServer) -> None:
    server.rule(redirects(302, elsewhere(server)), lambda r: r.origin == "home")
    reader = store()
    for i in range(50):
        reader.read(f"{server.home}/file.bin", [(i, i + 10)])
    assert server.connections <= 2


def test_serving_is_sound(server: FaultServer) -> None:
    server.rule(serve)
    assert store().read(f"{server.home}/file.bin", [RANGE]) == [expected()]
