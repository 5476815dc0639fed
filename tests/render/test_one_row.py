"""Grids of one row, one column or one cell: how far the cells reach."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import oceanarrow
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.taco import GranuleFile, write_taco

DAY = "2023-04-01"


def patch(folder: Path, lat: np.ndarray, lon: np.ndarray, box: tuple[float, ...], res: float):
    """The rendered mask and values of a file whose cell (i, j) holds 10 i + j."""
    folder.mkdir(exist_ok=True)
    path = folder / "file.nc"
    with h5py.File(path, "w") as f:
        axes = [("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")]
        for name, values, unit in axes:
            axis = f.create_dataset(name, data=values)
            axis.attrs["units"] = unit
            axis.make_scale(name)
        cells = 10.0 * np.arange(lat.size)[:, None] + np.arange(lon.size)
        v = f.create_dataset("x", data=cells)
        v.dims[0].attach_scale(f["lat"])
        v.dims[1].attach_scale(f["lon"])
    granule = GranuleFile(
        DAY, "NORTH_ATLANTIC", "one_row", str(path), file_name="one_row.nc", res_deg_lat=res
    )
    write_taco(folder / "taco", [granule])
    if "one_row" not in oceanarrow.variables():
        oceanarrow.register_variable(
            "one_row", source="one_row", file="one_row.nc", netcdf="x", unit="m"
        )
    query = Query(*box, DAY, DAY)
    made = OceanTACODataset(
        folder / "taco", [query], ["one_row"], [], default_patch_size=(9, 9), resample="nearest"
    )
    entry = made[0]["inputs"]["one_row"]
    return np.asarray(entry["mask"], bool), np.asarray(entry["data"])


@pytest.mark.parametrize("turned", [False, True])
def test_one_row_is_as_high_as_its_cells_are_wide(tmp_path: Path, turned: bool) -> None:
    # Cells of 0.5 degrees: the row at 35 N reaches from 34.75 to 35.25.
    long, short = np.arange(-70, -60, 0.5), np.array([35.0])
    if turned:
        mask, values = patch(
            tmp_path, np.arange(20, 30, 0.5), np.array([-65.0]), (-65.4, -64.6, 21, 25), 9.0
        )
        mask, values = mask.T, values.T / 10
        first = 2
    else:
        mask, values = patch(tmp_path, short, long, (-69, -65, 34.6, 35.4), 9.0)
        first = 2
    # Rows at 34.6, 34.7, ..., 35.4.
    near = np.abs(np.linspace(-0.4, 0.4, 9)) <= 0.25 + 1e-6
    np.testing.assert_array_equal(mask, np.repeat(near[:, None], 9, axis=1))
    np.testing.assert_array_equal(values[4], first + np.arange(9))


def test_one_cell_is_as_large_as_the_catalogue_says(tmp_path: Path) -> None:
    box = (-65.4, -64.6, 34.6, 35.4)
    mask, _ = patch(tmp_path / "a", np.array([35.0]), np.array([-65.0]), box, 0.5)
    assert mask.sum() == 25


def test_one_cell_of_no_known_size_is_a_point(tmp_path: Path) -> None:
    box = (-65.4, -64.6, 34.6, 35.4)
    mask, _ = patch(tmp_path, np.array([35.0]), np.array([-65.0]), box, float("nan"))
    assert mask.sum() == 1 and mask[4, 4]
