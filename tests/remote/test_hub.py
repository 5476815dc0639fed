"""Hugging Face: branches pinned, the token kept at home, signed addresses reused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oceanarrow import _engine
from oceanarrow.exceptions import AccessDeniedError, NotFoundError, TransientIoError

from .conftest import store
from .datasets import assert_equal, batches, loader, round_trips
from .fault_server import answers
from .hub import COMMITS, Hub


@pytest.fixture
def hub(ocean: Path) -> Iterator[Hub]:
    with Hub(ocean) as running:
        yield running


def forms(hub: Hub) -> list[str]:
    """Every way to write the dataset's place, the hub being the environment's."""
    return [
        hub.root,
        f"{hub.home}/datasets/ns/ocean/tree/main/",
        "hf://datasets/ns/ocean",
        "hf://datasets/ns/ocean@main/",
        f"hf://datasets/ns/ocean@{COMMITS[0]}",
    ]


def test_every_form_of_address_is_the_same_dataset(
    hub: Hub, ocean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.home + "/")
    expected = batches(loader(ocean))
    for form in forms(hub):
        assert_equal(batches(loader(form)), expected)


def test_a_branch_is_pinned_in_two_round_trips_without_asking_for_it(hub: Hub) -> None:
    catalog = _engine.Catalog(hub.root)
    assert all(COMMITS[0] in row["path"] for row in catalog.granules())
    assert len(hub.requests) == 8
    assert not any(r.path.startswith("/api/datasets") for r in hub.requests)


def test_opening_takes_two_round_trips(hub: Hub) -> None:
    delay = 0.15
    hub.slow = delay
    _engine.Catalog(hub.root)
    assert round_trips(hub.requests, delay) == 2


def test_later_reads_are_of_the_commit_although_the_branch_moves_on(hub: Hub, ocean: Path) -> None:
    made = loader(hub.root)
    hub.commit = COMMITS[1]
    hub.requests.clear()
    assert_equal(batches(made), batches(loader(ocean)))
    resolved = [r.path for r in hub.requests if r.origin == "home"]
    assert resolved and all(f"/resolve/{COMMITS[0]}/" in path for path in resolved)


def test_a_branch_that_moves_on_between_two_answers_is_read_at_one_commit(hub: Hub) -> None:
    def level(request) -> bool:
        if "/resolve/main/METADATA/level2" in request.path:
            hub.commit = COMMITS[1]
        return False

    hub.rule(answers(500), level)
    commits = {
        row["path"].split("@")[1].split("/")[0] for row in _engine.Catalog(hub.root).granules()
    }
    assert len(commits) == 1
    (commit,) = commits
    other = COMMITS[0] if commit == COMMITS[1] else COMMITS[1]
    hub.commit = commit
    assert [r for r in hub.requests if f"/resolve/{other}/" in r.path] == []


def test_a_hub_that_does_not_name_the_commit_is_asked_for_it_once(ocean: Path) -> None:
    with Hub(ocean, tells_commit=False) as hub:
        catalog = _engine.Catalog(hub.root)
        assert all(COMMITS[0] in row["path"] for row in catalog.granules())
        assert sum(r.path.startswith("/api/datasets") for r in hub.requests) == 1
        hub.requests.clear()
        hub.rule(answers(404), lambda r: r.path.startswith("/api/datasets"))
        catalog = _engine.Catalog(hub.root)
        assert all("@main/" in row["path"] for row in catalog.granules())


def test_a_signed_address_is_reused(hub: Hub) -> None:
    reader = store([hub.root])
    name = "hf://datasets/ns/ocean@main/METADATA/level2.parquet"
    for start in range(0, 50, 10):
        reader.read(name, [(start, start + 5)])
    # The first read pins the branch; those that follow are of the commit's own address.
    assert sum(r.origin == "home" for r in hub.requests) == 2
    assert sum(r.origin == "elsewhere" for r in hub.requests) == 5


def test_a_signed_address_near_its_end_is_not_reused(ocean: Path) -> None:
    with Hub(ocean, lifetime=30) as hub:
        reader = store([hub.root])
        name = f"hf://datasets/ns/ocean@{COMMITS[0]}/METADATA/level2.parquet"
        for start in range(0, 30, 10):
            reader.read(name, [(start, start + 5)])
        assert sum(r.origin == "home" for r in hub.requests) == 3


def test_signatures_that_run_out_are_renewed(hub: Hub, ocean: Path) -> None:
    expected = batches(loader(ocean, shuffle=False))
    made = loader(hub.root, shuffle=False, cache_bytes=0)
    for _ in range(2):
        assert_equal(batches(made), expected)
        hub.valid.clear()


def test_the_size_of_a_large_file_is_in_the_redirect(hub: Hub, ocean: Path) -> None:
    name = f"hf://datasets/ns/ocean@{COMMITS[0]}/METADATA/level2.parquet"
    size = (ocean / "METADATA/level2.parquet").stat().st_size
    assert store([hub.root]).size(name) == size
    assert [r.origin for r in hub.requests] == ["home"]


@pytest.mark.parametrize("source", ["option", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "file"])
def test_the_token_opens_a_private_dataset_and_stays_at_home(
    ocean: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    with Hub(ocean, token="hunter2") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.home)
        with pytest.raises(AccessDeniedError, match="set HF_TOKEN"):
            loader("hf://datasets/ns/ocean")
        options = {}
        if source == "option":
            options = {"token": "hunter2"}
        elif source == "file":
            (tmp_path / "hf_home").mkdir()
            (tmp_path / "hf_home" / "token").write_text("hunter2\n")
        else:
            monkeypatch.setenv(source, " hunter2\n")
        hub.requests.clear()
        made = loader("hf://datasets/ns/ocean", storage_options=options)
        monkeypatch.undo()
        assert_equal(batches(made), batches(loader(ocean)))
        home = [r for r in hub.requests if r.origin == "home"]
        other = [r for r in hub.requests if r.origin == "elsewhere"]
        assert home and other
        assert all(r.headers["authorization"] == "Bearer hunter2" for r in home)
        assert "hunter2" not in str(other)


def test_the_users_token_is_for_the_users_hub_alone(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    _engine.Catalog(hub.root)
    assert "hunter2" not in str(hub.requests)
    monkeypatch.setenv("HF_ENDPOINT", hub.home)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    _engine.Catalog(hub.root)
    assert "hunter2" not in str(hub.requests)
    monkeypatch.delenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")
    _engine.Catalog(hub.root, storage_options={"anonymous": True})
    assert "hunter2" not in str(hub.requests)


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("hf://datasets/ns/nothing", NotFoundError, "no such dataset"),
        ("hf://datasets/ns/ocean@v9", NotFoundError, "no such revision|no TACO dataset"),
        ("hf://datasets/ns/ocean/sub", NotFoundError, "no TACO dataset here"),
    ],
)
def test_what_is_not_on_the_hub_is_named(
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.home)
    with pytest.raises(error, match=message):
        loader(place)


def test_offline_nothing_is_sent(hub: Hub, monkeypatch: pytest.MonkeyPatch, ocean: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TransientIoError, match="offline"):
        loader(hub.root)
    assert hub.requests == []
    assert len(loader(ocean)) > 0
