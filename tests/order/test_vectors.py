"""The engine, the reference and the frozen vectors agree; the engine's own tests read them too."""

import json
from pathlib import Path

import pytest

from oceanarrow import _engine

from . import plans, reference

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())


def _name(order: dict) -> str:
    spec = order["spec"]
    weighted = "-weighted" if order["weighted"] else ""
    return f"{spec['n']}-{spec['batch']}-{spec['seed']}-{spec['tail']}{weighted}"


def test_keys() -> None:
    for tag, numbers, value in VECTORS["keys"]:
        assert reference.key(tag, *numbers) == value
        assert _engine.order_key(tag, numbers) == value


def test_permutations() -> None:
    order = plans.by_reference(1, 1, 0, "pad")
    for n, key, images in VECTORS["permutations"]:
        indices = range(len(images))
        assert [order.permute(i, n, key) for i in indices] == images
        assert [_engine.order_permute(i, n, key) for i in indices] == images


def test_clusters() -> None:
    for n, days, clusters in VECTORS["clusters"]:
        boxes, window = plans.boxes_and_days(n, days)
        assert plans.reference_clusters(boxes, window) == clusters
        native = _engine.Order(boxes, window, global_batch=1, seed=0, tail="pad")
        assert native.clusters() == clusters


def test_blocks_of_days() -> None:
    for n, days, extra, clusters in VECTORS["blocks"]:
        boxes, window = plans.boxes_and_days(n, days)
        assert plans.reference_clusters(boxes, window, extra) == clusters
        native = _engine.Order(boxes, window, global_batch=1, seed=0, tail="pad", extra_days=extra)
        assert native.clusters() == clusters


@pytest.mark.parametrize("order", VECTORS["orders"], ids=_name)
@pytest.mark.parametrize("make", [plans.by_reference, plans.EngineOrder], ids=["python", "rust"])
def test_orders(make, order: dict) -> None:
    weights = plans.weights(order["spec"]["n"]) if order["weighted"] else None
    made = make(**order["spec"], weights=weights)
    steps = [made.step(order["epoch"], t) for t in range(order["steps"])]
    assert made.lanes == order["lanes"]
    assert [query for query, _ in steps[0]] == order["first"]
    assert plans.digest(slot for step in steps for slot in step) == order["digest"]
