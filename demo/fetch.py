"""The ocean that the demo trains on: four days of real sea level, of `oceanarrow sample-data`.

Beside it a field that never changes: how much land is around, the way that the bottom rises towards
the coasts. Does nothing when both are there already.
"""

from pathlib import Path

import numpy as np
import xarray as xr

import oceanarrow
from oceanarrow import Files
from oceanarrow.land import LandMask
from oceanarrow.sample_data import write_sample_data

DATA = Path(__file__).parent / "data"
DATASET = DATA / "OceanTACO"
CONTEXT = DATA / "context.parquet"
SHELF = 10  # cells of a quarter of a degree that a coast is felt across


def main() -> None:
    if not DATASET.exists():
        print("Downloading real sea level (5 MB)")
        write_sample_data(DATA, scale=1, sources=["l4_ssh"])
    if not CONTEXT.exists():
        write_shelf(DATA / "shelf.nc")
        static = Files(DATA / "shelf.nc", {"shelf": "shelf"}, static=True)
        oceanarrow.write_catalog(CONTEXT, static, progress=False)
    print((DATA / "README.md").read_text())


def write_shelf(path: Path) -> None:
    """The share of land around each cell, 0 to 1: a stand-in for a bathymetry."""
    land = LandMask.builtin().mask.astype(np.float32)
    lat, lon = (np.arange(n) * 0.25 + first for n, first in ((720, -89.875), (1440, -179.875)))
    for axis in (0, 1):
        around = range(-SHELF, SHELF + 1)
        land = sum(np.roll(land, step, axis) for step in around) / len(around)
    coordinates = {
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    }
    shelf = (("lat", "lon"), land.astype(np.float32), {"units": "1"})
    xr.Dataset({"shelf": shelf}, coordinates).to_netcdf(path, engine="h5netcdf")


if __name__ == "__main__":
    main()
