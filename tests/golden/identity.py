"""The encoding of plans a second time, from docs/reference/identity.md and without the engine."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from oceanarrow import Window
from oceanarrow.dataset import Query

#: Name: source, file, variable in the file, unit.
VARIABLES = {
    "l4_ssh": ("l4_ssh", "l4_ssh.nc", "sla", "m"),
    "l4_sst": ("l4_sst", "l4_sst.nc", "analysed_sst", "degC"),
    "l3_swot": ("l3_swot", "l3_swot.nc", "ssha_filtered", "m"),
    "glorys_ssh": ("glorys", "glorys.nc", "zos", "m"),
    "glorys_uo": ("glorys", "glorys.nc", "uo", "m s-1"),
    "glorys_vo": ("glorys", "glorys.nc", "vo", "m s-1"),
    "latitude": ("computed", "", "latitude", "degrees_north"),
    "argo": ("argo", "argo.nc", "TEMP", "degC"),
}
DEFAULTS = {
    "resample": "bilinear",
    "grid": "exact",
    "temporal_agg": "mean",
    "min_support": 0.01,
    "fill_value": 0.0,
    "normalize": None,
}


class Column(list):
    """A long list of numbers of one type: "U", "I" or "F"."""

    def __init__(self, tag: str, numbers: Sequence[float]) -> None:
        super().__init__(numbers)
        self.tag = tag


def encode(value: Any) -> bytes:
    if isinstance(value, Column):
        code = {"U": "<Q", "I": "<q", "F": "<d"}[value.tag]
        return value.tag.encode() + _count(value) + b"".join(struct.pack(code, x) for x in value)
    if isinstance(value, str):
        return b"t" + _text(value)
    if isinstance(value, int):
        return b"u" + struct.pack("<Q", value)
    if isinstance(value, float):
        return b"f" + (b"\0\0\0\0\0\0\xf8\x7f" if math.isnan(value) else struct.pack("<d", value))
    if isinstance(value, Mapping):
        said = {name.encode(): x for name, x in value.items() if x is not None}
        fields = (_count(name) + name + encode(x) for name, x in sorted(said.items()))
        return b"r" + _count(said) + b"".join(fields)
    return b"l" + _count(value) + b"".join(map(encode, value))


def _count(things: Any) -> bytes:
    return struct.pack("<Q", len(things))


def _text(text: str) -> bytes:
    return _count(text.encode()) + text.encode()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def digests(plan: Mapping[str, Any]) -> dict[str, str]:
    """Of each field, as a state holds them."""
    tag = encode("oceanarrow plan field")
    return {
        name: _digest(tag + encode(name) + encode(value))
        for name, value in plan.items()
        if value is not None
    }


def plan_id(plan: Mapping[str, Any]) -> str:
    return _digest(encode("oceanarrow plan") + encode(digests(plan)))


def content(
    queries: Sequence[Query],
    plan: Mapping[str, Any],
    granules: Sequence[tuple[int, str, str, str]],
    *,
    rules: int,
    support: bool = False,
    masked: bool = False,
) -> dict[str, Any]:
    """The fields of the content of a loader of tiles, each a day, a region, a source and a file, in
    the order of the catalogue."""
    regions = sorted({region for _, region, _, _ in granules})
    products = sorted({(source, file) for _, _, source, file in granules})
    n = len(granules)
    dataset = {
        "regions": regions,
        "sources": [source for source, _ in products],
        "files": [file for _, file in products],
        "day": Column("I", [day for day, *_ in granules]),
        "place": Column("I", [-1] * n),
        "region": Column("I", [regions.index(region) for _, region, _, _ in granules]),
        "product": Column("I", [products.index((s, f)) for _, _, s, f in granules]),
        "object": Column("I", range(n)),
        "first_step": Column("I", [-1] * n),
        "steps": Column("I", [0] * n),
        "size": Column("U", [0] * n),
        "header": Column("U", [0] * n),
    }
    delivery = {
        "rules": rules,
        "on_error": "mask" if masked else None,
        "support": "yes" if support else None,
    }
    kept = {name: plan.get(name) for name in ("variables", "rendering", "augment")}
    return {"queries": _columns(queries), **kept, "dataset": dataset, "delivery": delivery}


def content_id(content: Mapping[str, Any]) -> str:
    return _digest(encode("oceanarrow content") + encode(digests(content)))


def plan(
    queries: Sequence[Query],
    inputs: list[str | Window],
    targets: list[str | Window],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The fields of the plan of a loader with these arguments."""
    names = [*inputs, *(name for name in targets if name not in inputs)]
    shuffle, weights = options.get("shuffle", True), options.get("weights")
    return {
        "queries": _columns(queries),
        "variables": [_masked(name, inputs, targets, options) for name in names],
        "rendering": [_rendering(name, options) for name in names],
        "seed": options.get("seed", 0) if shuffle else None,
        "window": options.get("window", 1024) if shuffle else None,
        "tail": options.get("tail") or ("drop" if shuffle else "pad"),
        "weights": weights and Column("U", _whole(weights)),
    }


def _columns(queries: Sequence[Query]) -> dict[str, Column]:
    edges = {
        name: Column("F", [getattr(query, name) for query in queries])
        for name in ("lon_min", "lon_max", "lat_min", "lat_max")
    }
    ends = {"day_start": "time_start", "day_end": "time_end"}
    epoch = date(1970, 1, 1)
    days = {
        name: Column("I", [(_day(getattr(query, end)) - epoch).days for query in queries])
        for name, end in ends.items()
    }
    return edges | days


def _day(text: Any) -> date:
    return date.fromisoformat(str(text)[:10])


def _whole(weights: Sequence[float]) -> list[int]:
    largest = max(weights)
    return [max(int(weight / largest * 2.0**32), int(weight > 0)) for weight in weights]


def _variable(
    entry: str | Window, inputs: list[str | Window], targets: list[str | Window]
) -> dict[str, Any]:
    window = entry if isinstance(entry, Window) else Window(entry)
    of = VARIABLES[window.variable]
    fields: dict[str, Any] = dict(zip(("source", "file", "netcdf", "unit"), of, strict=True))
    roles = [role for role, those in (("input", inputs), ("target", targets)) if entry in those]
    geometry = "points" if window.variable == "argo" else "grid"
    fields |= {"name": window.column, "geometry": geometry, "role": ",".join(roles) or "input"}
    last = window.first if window.last is None else window.last
    return fields | {"days": Column("I", [window.first, last]) if window.first or last else None}


def _rendering(entry: str | Window, options: Mapping[str, Any]) -> dict[str, Any]:
    window = entry if isinstance(entry, Window) else Window(entry)
    rules = {}
    for rule, default in DEFAULTS.items():
        value = options.get(rule, default)
        rules[rule] = value.get(window.column, default) if isinstance(value, Mapping) else value
    if window.temporal_agg is not None:
        rules["temporal_agg"] = window.temporal_agg
    shape = options.get("patch_sizes", {}).get(window.column, options["default_patch_size"])
    return rules | {"shape": shape}


def _masked(
    entry: str | Window,
    inputs: list[str | Window],
    targets: list[str | Window],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    fields = _variable(entry, inputs, targets)
    if not isinstance(entry, Window) or entry.where is None:
        return fields
    mask = Window(entry.where, entry.first, entry.last)
    shape = {"shape": _rendering(entry, options)["shape"]}
    masking = _variable(mask, inputs, targets), _rendering(mask, options) | shape
    return fields | {"where": dict(zip(("variable", "rendering"), masking, strict=True))}
