"""Plans, orders, states and bytes are those frozen in golden.json; golden/freeze.py writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from . import dataset, loaders, observe

FROZEN = json.loads(observe.GOLDEN.read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.write(tmp_path_factory.mktemp("golden") / "golden")


@pytest.fixture(scope="module")
def seen(root: Path) -> dict[str, dict[str, Any]]:
    return observe.observe(root)


def test_every_loader_is_frozen() -> None:
    for part in ("plans", "orders", "columns"):
        assert list(FROZEN[part]) == list(loaders.LOADERS)
    ids = [plan["id"] for plan in FROZEN["plans"].values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("part", observe.PARTS)
@pytest.mark.parametrize("name", [*loaders.LOADERS, "native cells"])
def test_golden(seen: dict[str, dict[str, Any]], part: str, name: str) -> None:
    assert seen[part].get(name) == FROZEN[part].get(name)


@pytest.mark.parametrize("name", loaders.LOADERS)
def test_a_frozen_state_goes_on(root: Path, name: str) -> None:
    """The batches after a state are those of the order, from there on."""
    ranks = loaders.make(root, name)
    state = {"rules": ranks[0].state_dict()["rules"], **FROZEN["plans"][name]["state"]}
    for rank in ranks:
        rank.load_state_dict(state)
    done = observe.FIRST_BATCHES if state["epoch"] == 0 else 0
    expected = FROZEN["orders"][name]["queries"][state["epoch"]][done:]
    rest, _ = observe.epoch(ranks)
    assert expected
    assert rest[: len(expected)] == expected
