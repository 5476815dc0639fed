"""The worked example of docs/understand/semantics.md, and the fine print beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from oceanarrow import Loader
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.taco import GranuleFile, write_taco

DAY = "2023-04-01"
#: Latitudes 0.5, 1.5, 2.5, 3.5 with 10, 20, 30, 40 along each meridian.
CENTRES = np.array([0.5, 1.5, 2.5, 3.5])


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The example's ocean: whole, and with the second row of cells missing."""
    folder = tmp_path_factory.mktemp("example")
    found = {}
    for name, gap in (("whole", False), ("gap", True)):
        rows = np.array([10.0, np.nan if gap else 20.0, 30.0, 40.0])
        values = np.repeat(rows[:, None], 4, axis=1)
        grid = xr.Dataset({"sla": (("lat", "lon"), values)}, {"lat": CENTRES, "lon": CENTRES})
        file = folder / f"{name}.nc"
        grid.to_netcdf(file, engine="h5netcdf")
        granule = GranuleFile(DAY, "NORTH_INDIAN", "l4_ssh", file)
        found[name] = write_taco(folder / name, [granule])
    return found


def rendered(root: Path, size: tuple[int, int], south: float = 0.0, **rules: Any) -> Any:
    query = Query(0.0, 4.0, south, 4.0, DAY, DAY)
    loader = Loader(
        root, [query], ["l4_ssh"], batch_size=1, shuffle=False, support=True, fill_value=np.nan,
        default_patch_size=size, **rules,
    )  # fmt: skip
    (batch,) = loader
    return batch.to_numpy()


def column(
    root: Path, size: tuple[int, int] = (3, 3), **rules: Any
) -> tuple[list[float], list[float]]:
    """Values and support along the first meridian."""
    arrays = rendered(root, size, **rules)
    found = (arrays["inputs"]["l4_ssh"], arrays["support"]["l4_ssh"])
    values, support = (array[0, :, 0].astype(np.float64).round(3).tolist() for array in found)
    return values, support


@pytest.mark.parametrize(
    ("resample", "whole", "gap", "support"),
    [
        ("bilinear", [10, 25, 40], [10, 30, 40], [1, 0.5, 1]),
        ("area", [10, 25, 40], [10, 30, 40], [1, 0.5, 1]),
        ("auto", [10, 25, 40], [10, 30, 40], [1, 0.5, 1]),
        ("nearest", [10, 20, 40], [10, np.nan, 40], [1, 0, 1]),
    ],
)
def test_exact(roots: dict[str, Path], resample: str, whole: Any, gap: Any, support: Any) -> None:
    assert column(roots["whole"], resample=resample) == (whole, [1, 1, 1])
    values, share = column(roots["gap"], resample=resample)
    np.testing.assert_array_equal(values, gap)
    assert share == support


@pytest.mark.parametrize(
    ("resample", "whole", "gap", "support", "lats"),
    [
        ("bilinear", [11.667, 25, 38.333], [10, 30, 38.333], [0.833, 0.5, 1], [0.667, 2, 3.333]),
        ("area", [15, 25, 35], [10, 30, 35], [0.5, 0.5, 1], [1, 2, 3]),
        ("auto", [15, 25, 35], [10, 30, 35], [0.5, 0.5, 1], [1, 2, 3]),
        ("nearest", [10, 20, 30], [10, np.nan, 30], [1, 0, 1], [0.5, 1.5, 2.5]),
    ],
)
def test_crop(
    roots: dict[str, Path], resample: str, whole: Any, gap: Any, support: Any, lats: Any
) -> None:
    rules = {"resample": resample, "grid": "crop"}
    assert column(roots["whole"], **rules) == (whole, [1, 1, 1])
    values, share = column(roots["gap"], **rules)
    np.testing.assert_array_equal(values, gap)
    assert share == support
    coords = rendered(roots["whole"], (3, 3), **rules)["coords"]["l4_ssh"]
    assert coords["lat"][0].astype(np.float64).round(3).tolist() == lats


def test_min_support_decides_what_is_valid(roots: dict[str, Path]) -> None:
    values, support = column(roots["gap"], min_support=0.51)
    assert np.isnan(values[1]) and support == [1, 0.5, 1]


def test_half_a_cell_beyond_the_last_centre(roots: dict[str, Path]) -> None:
    # Rows at -1, -0.5, 0, 0.5, 1: the grid begins at 0, half a cell south of its first centre.
    arrays = rendered(roots["whole"], (11, 2), south=-1.0)
    values, mask = arrays["inputs"]["l4_ssh"][0, :, 0], arrays["masks"]["l4_ssh"][0, :, 0]
    np.testing.assert_array_equal(mask, np.linspace(-1, 4, 11) >= 0)
    np.testing.assert_allclose(values[2:], [10, 10, 15, 20, 25, 30, 35, 40, 40])


def test_one_pixel_lies_on_the_corner_and_covers_the_box(roots: dict[str, Path]) -> None:
    assert column(roots["whole"], (1, 1)) == ([10], [1])
    assert column(roots["whole"], (1, 1), resample="area") == ([25], [1])
    dataset = OceanTACODataset(
        roots["whole"], [Query(0.0, 4.0, 0.0, 4.0, DAY, DAY)], ["l4_ssh"], [],
        default_patch_size=(1, 1),
    )  # fmt: skip
    assert dataset[0]["coords"]["lat"].tolist() == [0.0]


def test_a_footprint_without_a_centre_is_interpolated(roots: dict[str, Path]) -> None:
    # Rows are 2/3 apart: no centre lies in [0, 1/3), nor in [5/3, 7/3) around latitude 2.
    values, _ = column(roots["whole"], (7, 1), resample="area")
    assert values == [10, 10, 20, 25, 30, 40, 40]
    values, support = column(roots["gap"], (7, 1), resample="area")
    np.testing.assert_array_equal(values, [10, 10, np.nan, 30, 30, 40, 40])
    assert support == [1, 1, 0, 0.5, 1, 1, 1]
