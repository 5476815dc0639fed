"""Plan ids follow the written encoding (docs/reference/identity.md), which
others can compute too."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from oceanarrow import Augment, Catalog, Loader, Window
from oceanarrow._engine import RULES_VERSION
from oceanarrow.dataset.days import utc_day

from . import dataset, identity, loaders, observe

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


def test_channels_joint_components_anomalies_and_augmentation(ocean) -> None:
    """Fields that are absent from the plans of those who ask for none of it."""
    queries = loaders.asked(4)
    inputs = ["glorys_uo", "glorys_vo", "latitude", "l4_ssh"]
    options = {"default_patch_size": (6, 6), "batch_size": 4}
    made = Loader(
        ocean,
        queries,
        {"x": inputs[:3], "l4_ssh": "l4_ssh"},
        joint=[("glorys_uo", "glorys_vo")],
        anomaly={"l4_ssh": "glorys_ssh"},
        augment=Augment(
            shift=(2, 1), snap="glorys_uo", rotate=True, vectors=[("glorys_uo", "glorys_vo")]
        ),
        **options,
    )
    plan = identity.plan(queries, inputs, [], options)
    variables, rendering = plan["variables"], plan["rendering"]
    u, v, latitude, ssh = variables
    (minus,) = identity.plan(queries, [], ["glorys_ssh"], options)["variables"]
    partners = [{**field, "role": "input"} for field in (u, v)]
    for field, partner in zip((u, v), partners[::-1], strict=True):
        field |= {"joint": {"variable": partner, "rendering": rendering[0]}}
    for field in (u, v, latitude):
        field["tensor"] = "x"
    latitude["supply"] = "computed"
    rendering[2] = rendering[2] | {"temporal_agg": "first"}
    ssh["minus"] = {"variable": minus | {"role": "input"}, "rendering": rendering[3]}
    plan["augment"] = {
        "seed": 0,
        "shift": [2.0, 1.0],
        "cell": [1.25, 1.25],
        "rotate": "yes",
        "vectors": [[0, 1]],
    }
    assert made.state_dict()["digests"] == identity.digests(plan)
    assert made.plan_id == identity.plan_id(plan)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.write(tmp_path_factory.mktemp("content") / "golden")


@pytest.mark.parametrize("name", loaders.LOADERS)
def test_content_ids_are_what_the_encoding_gives(tiles: Path, name: str) -> None:
    queries, inputs, targets, options = loaders.LOADERS[name]
    options = {key: value for key, value in options.items() if key != "ranks"}
    if "global_batch_size" not in options:
        options["batch_size"] = 4
    options = loaders.DEFAULTS | options
    loader = Loader(tiles, queries, inputs, targets, on_error="mask", **options)
    windows = [w if isinstance(w, Window) else Window(w) for w in (*inputs, *targets)]
    names = [name for w in windows for name in (w.variable, w.where) if name is not None]
    asked = {identity.VARIABLES[name][:2] for name in names}
    days = set()
    for query in queries:
        first, last = query.days()
        for window in windows:
            end = window.first if window.last is None else window.last
            days |= set(range(first + window.first, last + end + 1))
    granules = [
        (utc_day(granule["day"]), granule["region"], granule["source"], granule["file"])
        for granule in Catalog(tiles).granules()
        if utc_day(granule["day"]) in days and (granule["source"], granule["file"]) in asked
    ]
    content = identity.content(
        queries, _plan(name), granules, rules=RULES_VERSION,
        support=options.get("support", False), masked=True,
    )  # fmt: skip
    assert loader.engine.content() == identity.digests(content)
    assert loader.content_id == identity.content_id(content)
