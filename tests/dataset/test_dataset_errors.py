"""Wrong arguments of the map-style dataset are refused at once, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import InvalidInputError, NotFoundError

DAY = "2023-04-01"
GOOD = Query(-50.0, -40.0, 20.0, 30.0, DAY, DAY)


def refused(root: Any, message: str, **changes: Any) -> None:
    arguments = {"queries": [GOOD], "input_variables": ["l4_ssh"], "target_variables": []}
    with pytest.raises(InvalidInputError, match=message) as caught:
        OceanTACODataset(root, **{**arguments, **changes})
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (["l4_ssh", "sea"], ["level"], "^Unknown variables: 'sea', 'level'"),
        (["l4_ssh", "l4_sst", "l4_ssh"], [], "input_variables names l4_ssh more than once"),
        ([], ["l4_ssh", "l4_ssh"], "target_variables names l4_ssh more than once"),
        ("l4_ssh", [], "input_variables must be a list of names, not the text 'l4_ssh'"),
        (["l4_ssh"], "l4_sst", "target_variables must be a list of names"),
        ([], [], "name at least one"),
    ],
)
def test_variables(ocean: Path, inputs: Any, targets: Any, message: str) -> None:
    refused(ocean, message, input_variables=inputs, target_variables=targets)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"default_patch_size": (0, 3)}, "default_patch_size must be a whole number of at least 1"),
        ({"default_patch_size": (8, 8, 8)}, r"default_patch_size must be \(H, W\)"),
        ({"default_patch_size": (4.5, 8)}, "default_patch_size .* not 4.5"),
        ({"default_patch_size": "88"}, r"default_patch_size must be \(H, W\), not '88'"),
        ({"default_patch_size": (20_000, 20_000)}, r"at most 2\^28 pixels; variable: l4_ssh"),
        ({"patch_sizes": {"l4_ssh": (8, -1)}}, r"patch_sizes\['l4_ssh'\] .* not -1"),
        ({"patch_sizes": {"l4_sst": (8, 8)}}, "patch_sizes names 'l4_sst', which is not among"),
        ({"target_resolution": 0}, "target_resolution must be positive degrees, not 0"),
        ({"target_resolution": float("nan")}, "target_resolution must be positive degrees"),
        ({"target_resolution": "0.5"}, "target_resolution must be positive degrees, not '0.5'"),
        ({"target_resolution": 1e-7}, r"queries\[0\]: target_resolution 1e-07 makes a patch of"),
        ({"temporal_agg": "median"}, 'temporal_agg must be one of "mean", .* not "median"'),
        ({"temporal_agg": {"l4_sst": "mean"}}, "temporal_agg names 'l4_sst'"),
        ({"resample": "cubic"}, 'resample must be one of "bilinear"'),
        ({"grid": "hexagonal"}, 'grid must be one of "exact", "crop"'),
        ({"min_support": 1.5}, r"min_support must lie in \[0, 1\]; variable: l4_ssh"),
        ({"on_error": "ignore"}, 'on_error must be one of "raise", "mask"'),
        ({"cache_bytes": -1}, "cache_bytes must be a whole number of at least 0"),
    ],
)
def test_options(ocean: Path, changes: dict[str, Any], message: str) -> None:
    refused(ocean, message, **changes)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        # As (lat_min, lat_max, lon_min, lon_max), and with north and south exchanged.
        (Query(20, 30, -150, -140, DAY, DAY), r"a latitude lies outside \[-90, 90\]"),
        (Query(-50, -40, 30, 20, DAY, DAY), "the order is .lon_min, lon_max, lat_min, lat_max"),
        (Query(-50, -50, 20, 30, DAY, DAY), "more than 0 and at most 360 degrees wide"),
        (Query(-300, 300, 20, 30, DAY, DAY), "more than 0 and at most 360 degrees wide"),
        (Query(0, 700, 20, 30, DAY, DAY), r"a longitude lies outside \[-540, 540\]"),
        (Query(float("nan"), 0, 20, 30, DAY, DAY), "not a finite number"),
        (Query("west", 0, 20, 30, DAY, DAY), "could not convert"),  # type: ignore[arg-type]
        (Query(-50, -40, 20, 30, "April", DAY), "cannot read 'April' as a date"),
        (Query(-50, -40, 20, 30, "2023-02-30", DAY), "cannot read '2023-02-30' as a date"),
        (Query(-50, -40, 20, 30, "2023-04-02", DAY), "must not lie after time_end"),
        ((-50, -40, 20, 30, DAY, DAY), "is not a Query but tuple"),
    ],
)
def test_queries_are_named_by_their_place(ocean: Path, query: Any, message: str) -> None:
    refused(ocean, rf"queries\[1\].*{message}", queries=[GOOD, query])


def test_a_missing_dataset_is_named(ocean: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "nothing.tacozip"):
        with pytest.raises(NotFoundError, match=str(path)) as caught:
            OceanTACODataset(path, [GOOD], ["l4_ssh"], [])
        assert isinstance(caught.value, FileNotFoundError)
    refused([], "taco_path is an empty list")
