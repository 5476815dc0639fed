"""Plan ids follow the written encoding (docs/identity.md), which others can compute too."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from oceanarrow import Loader

from . import identity, loaders, observe

FROZEN = json.loads(observe.GOLDEN.read_text())["plans"]


def _plan(name: str) -> dict[str, Any]:
    queries, inputs, targets, options = loaders.LOADERS[name]
    return identity.plan(queries, inputs, targets, loaders.DEFAULTS | options)


@pytest.mark.parametrize("name", loaders.LOADERS)
def test_frozen_plans_are_what_the_encoding_gives(name: str) -> None:
    assert identity.digests(_plan(name)) == FROZEN[name]["state"]["digests"]
    assert identity.plan_id(_plan(name)) == FROZEN[name]["id"]


def test_values_have_these_bytes() -> None:
    """The same bytes as in the engine's own tests."""
    eight = lambda n: bytes([n, *[0] * 7])  # noqa: E731
    assert identity.encode(258) == b"u\x02\x01\0\0\0\0\0\0"
    assert identity.encode(-2.5) == b"f\0\0\0\0\0\0\x04\xc0"
    assert identity.encode(-math.nan) == b"f\0\0\0\0\0\0\xf8\x7f"
    assert identity.encode(["a", []]) == b"l" + eight(2) + b"t" + eight(1) + b"al" + eight(0)
    record = b"r" + eight(2) + eight(1) + b"at" + eight(1) + b"x" + eight(1) + b"bu" + eight(2)
    assert identity.encode({"b": 2, "a": "x", "later": None}) == record
    wholes = b"I" + eight(2) + eight(3) + b"\xfe" + b"\xff" * 7
    assert identity.encode(identity.Column("I", [3, -2])) == wholes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"resample": "area"}, "rendering"),
        ({"grid": "crop"}, "rendering"),
        ({"temporal_agg": "first"}, "rendering"),
        ({"min_support": 0.02}, "rendering"),
        ({"fill_value": math.nan}, "rendering"),
        ({"fill_value": -0.0}, "rendering"),
        ({"normalize": {"l4_ssh": (0.0, 1.0)}}, "rendering"),
        ({"patch_sizes": {"l4_ssh": (6, 5)}}, "rendering"),
        ({"seed": 1}, "seed"),
        ({"window": 8}, "window"),
        ({"tail": "pad"}, "tail"),
        ({"weights": [1.0, 2.0, 3.0, 4.0]}, "weights"),
        ({"lanes": 2}, None),
        ({"batch_size": 2}, None),
        ({"support": True}, None),
    ],
    ids=str,
)  # fmt: skip
def test_each_argument_is_in_its_field(ocean, change: dict[str, Any], field: str | None) -> None:
    base = {"default_patch_size": (5, 6), "batch_size": 4}
    queries = loaders.asked(4)

    def differing(**options: Any) -> set[str]:
        made = Loader(ocean, queries, ["l4_sst"], ["l4_ssh"], **base | options)
        plan = identity.plan(queries, ["l4_sst"], ["l4_ssh"], base | options)
        assert made.plan_id == identity.plan_id(plan)
        return set(made.state_dict()["digests"].items())

    fields = {name for name, _ in differing() ^ differing(**change)}
    assert fields == ({field} if field else set())
