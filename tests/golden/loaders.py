"""The loaders whose plans, orders and values are frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oceanarrow import Loader, Window
from oceanarrow.dataset import OceanTACODataset, Query

from .dataset import DAYS


def asked(n: int, *, days: int = 1, wide: float = 24.0) -> list[Query]:
    """Boxes all over the sphere; each third crosses the antimeridian or a border of tiles."""
    queries = []
    for i in range(n):
        west = [-180.0 + i * 37 % 150, 170.5 + i % 5, -101.25 + 90 * (i % 3)][i % 3]
        south = [-80.0 + i * 29 % 130, -9.5 + i % 4, -90.0 + 150 * (i % 2)][i * 7 % 3]
        first = i * 5 % (len(DAYS) + 1 - days)
        edges = (west, west + wide, south, south + 20.0)
        queries.append(Query(*edges, DAYS[first], DAYS[first + days - 1]))
    return queries


Columns = list[str | Window]

#: Name: queries, inputs, targets, and the other arguments. `ranks` is how many there are.
LOADERS: dict[str, tuple[list[Query], Columns, Columns, dict[str, Any]]] = {
    "list order, defaults": (asked(20), ["l4_sst"], ["l4_ssh"], {"shuffle": False}),
    "shuffled": (asked(45), ["l4_ssh"], [], {"seed": 2**64 - 1, "window": 6, "lanes": 3}),
    "mean of days by area": (
        asked(18, days=3), ["l3_swot"], ["l4_ssh"],
        {"resample": "area", "min_support": 0.5, "support": True, "default_patch_size": (3, 4)},
    ),
    "first and last day": (
        asked(19, days=2), ["l4_sst", "l3_swot"], ["glorys_ssh"],
        {
            "temporal_agg": {"l4_sst": "first", "l3_swot": "last"},
            "resample": {"l4_sst": "nearest", "glorys_ssh": "auto"},
            "tail": "pad",
        },
    ),
    "stacked days": (
        asked(17, days=3), ["l3_swot"], ["l4_sst"],
        {"temporal_agg": {"l3_swot": "stack"}, "resample": "auto", "support": True, "seed": 3},
    ),
    "crop": (
        asked(16), ["l4_ssh", "l4_sst"], ["glorys_uo"],
        {"grid": {"l4_ssh": "crop", "l4_sst": "crop"}, "fill_value": -99.5, "seed": 4},
    ),
    "crop by area and nearest": (
        asked(16), ["l4_ssh"], ["l4_sst"],
        {
            "grid": "crop",
            "resample": {"l4_ssh": "area", "l4_sst": "nearest"},
            "default_patch_size": (2, 3),
            "shuffle": False,
        },
    ),
    "weights that run on": (
        asked(22), ["l4_ssh"], ["l4_sst"],
        {"weights": [i * 37 % 11 / 4 for i in range(22)], "tail": "continue", "seed": 5},
    ),
    "three ranks": (
        asked(38), ["l4_sst"], ["l4_ssh"],
        {"ranks": 3, "global_batch_size": 12, "tail": "pad", "seed": 6, "window": 8},
    ),
    "two ranks that drop the tail": (
        asked(33), ["l4_ssh"], [], {"ranks": 2, "global_batch_size": 8, "seed": 7, "lanes": 2},
    ),
    "normalised, input and target": (
        asked(15), ["l4_ssh", "l4_sst"], ["l4_sst"],
        {
            "normalize": {"l4_sst": (12.5, 4.0), "l4_ssh": (0.125, 0.3)},
            "fill_value": {"l4_sst": 1.5},
            "patch_sizes": {"l4_sst": (4, 7)},
            "min_support": {"l4_ssh": 0.75},
        },
    ),
    "points": (
        asked(14, days=2, wide=60.0), ["argo", "l4_ssh"], [], {"seed": 8, "tail": "partial"},
    ),
    "short batch in list order": (
        asked(11), ["glorys_uo"], ["l4_ssh"], {"shuffle": False, "tail": "partial"},
    ),
    "windows of days": (
        asked(23),
        [Window("l4_sst", -1, 0, name="past", temporal_agg="stack"), "l4_ssh"],
        [Window("l4_sst", 1), Window("l4_ssh", where="l3_swot", name="seen")],
        {"seed": 9, "window": 8, "lanes": 2},
    ),
}  # fmt: skip


DEFAULTS: dict[str, Any] = {"default_patch_size": (5, 6)}


def make(root: Path, name: str) -> list[Loader]:
    """The loaders of all ranks."""
    queries, inputs, targets, options = LOADERS[name]
    options = {**DEFAULTS, "threads": 1, **options}
    ranks = options.pop("ranks", 1)
    if "global_batch_size" not in options:
        options["batch_size"] = 4
    places = [{"rank": rank, "world_size": ranks} for rank in range(ranks)]
    return [Loader(root, queries, inputs, targets, **options, **place) for place in places]


def native(root: Path) -> OceanTACODataset:
    """Samples of native cells."""
    queries = [query for query in asked(9) if query.lat_max < 90.0]
    return OceanTACODataset(root, queries, ["l4_ssh"], ["l4_sst", "argo"], default_patch_size=None)
