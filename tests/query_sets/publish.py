"""Writes the sets and what is to be read from them, with the library that publishes such sets.

`python tests/query_sets/publish.py` needs the package oceantaco 0.1.0, which the tests do not.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
DATES = [f"2023-04-{day:02d}T00:00:00.000000Z" for day in range(1, 6)]
CENTRES = [(0.0, 0.0), (179.5, 40.0), (-179.9, -52.3), (12.3456789, 59.1), (-30.1, 15.25)]
REGIONS = ("NORTH_PACIFIC_WEST", "SOUTH_ATLANTIC")


def _table(rng: np.random.Generator, grid_id: str) -> tuple[list[Any], list[Any], list[Any]]:
    from ocean_taco.queryset import position_id

    positions, coverage, assets = [], [], []
    for i, (lon, lat) in enumerate(CENTRES):
        footprint = int(rng.integers(0 if i == 3 else 50, 1 if i == 3 else 90))
        positions.append(
            {
                "position_index": i,
                "position_id": position_id(grid_id=grid_id, centre_lon=lon, centre_lat=lat),
                "centre_lon": lon,
                "centre_lat": lat,
                "region_mask": 1,
                "swot_footprint_cells": footprint,
                "swot_ocean_cells": footprint // 2,
                "ssh_footprint_cells": 40,
                "ssh_ocean_cells": 30,
            }
        )
        for date in range(len(DATES)):
            known = rng.random() > 0.25
            valid = int(rng.integers(0, max(footprint, 1)))
            coverage.append(
                {
                    "position_index": i,
                    "date_index": date,
                    "swot_valid_cells": valid if known else None,
                    "swot_valid_ocean_cells": valid // 2 if known else None,
                    "swot_n_obs_sum": valid * 3 if known else None,
                    "ssh_valid_cells": int(rng.integers(0, 40)),
                    "ssh_valid_ocean_cells": 0,
                    "argo_profile_count": int(rng.integers(0, 3)),
                }
            )
    for date in range(len(DATES)):
        identity = {"asset_id": "a", "uri": "u", "identity_kind": "k", "identity_value": "v"}
        assets += [
            {"date_index": date, "region": region, "token": token, "status": "present", **identity}
            for region in REGIONS
            for token in ("argo", "l3_swot")
        ]
    return positions, coverage, assets


def _publish(version: str, size: dict[str, Any]) -> None:
    from ocean_taco.filter import CoverageRequirement, QueryFilter, select_queryset
    from ocean_taco.geobox import GeoBox, PatchSpec
    from ocean_taco.queryset import QuerySet, content_sha256

    grid_id = "grid"
    positions, coverage, assets = _table(np.random.default_rng(len(version)), grid_id)
    sampling = {"position_sampling": {"method": "equidistant_ocean/v1", "spacing_km": 115.2}}
    header = {
        "schema_version": version,
        "patch_size": size,
        "kind": "eval",
        "grid_spacing_km": 115.2,
        "grid_id": grid_id,
        **({} if version == "queryset/v1" else sampling),
        **dict.fromkeys(("dataset_revision", "catalog_sha256", "registry_sha256"), "0" * 64),
        "source_records_sha256": "0" * 64,
        "ocean_mask_id": "none",
        "ocean_mask_sha256": "0" * 64,
        "dates": DATES,
        "date_sha256": content_sha256(DATES),
        "tokens": ["argo", "l3_swot"],
        "parquet_profile": {"writer": "pyarrow"},
        "code_commit": "0" * 40,
        "environment_lock_hash": "0" * 64,
        "notes": "synthetic",
    }
    directory = HERE / version.replace("/", "_")
    shutil.rmtree(directory, ignore_errors=True)
    QuerySet(header, tuple(positions), tuple(coverage), tuple(assets)).write(directory)
    read = QuerySet.read(directory)
    crossing = (170.0, -170.0, -90.0, 90.0)
    least = {
        "swot": CoverageRequirement("swot", "valid_fraction_footprint", 0.3),
        "swot of 0": CoverageRequirement("swot", "valid_fraction_footprint", 0.0),
        "ssh": CoverageRequirement("ssh", "valid_fraction_footprint", 0.5),
        "argo": CoverageRequirement("argo", "profile_count", 2),
        "swot_n_obs_sum": CoverageRequirement("swot", "n_obs_sum", 60),
    }
    filters = {
        "all": QueryFilter(),
        "days": QueryFilter(date_start=DATES[1], date_end=DATES[2]),
        "crossing": QueryFilter(box=GeoBox(*crossing, True)),
        "north": QueryFilter(box=GeoBox(-180.0, 180.0, 0.0, 90.0)),
        **{name: QueryFilter(coverage=(rule,)) for name, rule in least.items()},
    }
    told = {}
    for name, chosen in filters.items():
        rows = []
        for position, date in select_queryset(read, chosen).iter_pairs():
            row = read.position(position)
            spec = PatchSpec(
                row["centre_lon"], row["centre_lat"], read.patch_size, DATES[date], 0, 0
            )
            box = spec.footprint
            edges = [box.lon_min, box.lon_max, box.lat_min, box.lat_max]
            rows.append([*edges, read.dates[date][:10]])
        told[name] = rows
    (HERE / f"{directory.name}.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    _publish("queryset/v1", {"value": 5.0, "unit": "deg"})
    _publish("queryset/v2", {"value": 128.0, "unit": "km"})
