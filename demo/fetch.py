"""Real sea level as a TACO dataset: four days of DUACS maps, cut into the eight OceanTACO regions.

The maps are those of `oceanarrow sample-data`, at their own 0.25 degrees. Does nothing when the
dataset is there already.
"""

import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr

from oceanarrow.sample_data.download import ATTRIBUTION, download
from oceanarrow.taco import REGIONS, GranuleFile, write_taco

DATA = Path(__file__).parent / "data"
DATASET = DATA / "sea_level"

# As the maps have it: what was a whole number there is the same one here.
PACKING = {
    "dtype": "int32",
    "scale_factor": 1e-4,
    "_FillValue": -2_147_483_647,
    "chunksizes": (90, 90),
    "zlib": True,
    "complevel": 4,
    "shuffle": True,
}


def tiles(day: date, sea_level: np.ndarray, folder: Path) -> Iterator[GranuleFile]:
    """A global map, (720, 1440) metres from 90 S and 180 W, as eight NetCDF tiles."""
    axes = {
        "lat": ("lat", np.arange(-89.875, 90, 0.25), {"units": "degrees_north"}),
        "lon": ("lon", np.arange(-179.875, 180, 0.25), {"units": "degrees_east"}),
    }
    world = xr.Dataset({"adt": (("lat", "lon"), sea_level, {"units": "m"})}, axes)
    for region, (lon_min, lon_max, lat_min, lat_max) in REGIONS.items():
        tile = world.sel(lon=slice(lon_min, lon_max), lat=slice(lat_min, lat_max))
        target = folder / f"{day}_{region}.nc"
        tile.to_netcdf(target, engine="h5netcdf", encoding={"adt": PACKING})
        yield GranuleFile(day, region, "l4_ssh", target, res_deg_lat=0.25, variable="adt")


def main() -> None:
    if DATASET.exists():
        print(f"{DATASET} is there already.\n{ATTRIBUTION}")
        return
    DATA.mkdir(parents=True, exist_ok=True)
    print("Downloading real sea level (5 MB)")
    maps = download().maps
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        granules = [tile for day, values in maps.items() for tile in tiles(day, values, folder)]
        write_taco(DATASET, granules, container="folder")
    (DATA / "README.md").write_text(f"# What these files are\n\n{ATTRIBUTION}\n")
    print(f"Wrote {DATASET}: {len(maps)} days, {len(granules)} tiles\n{ATTRIBUTION}")


if __name__ == "__main__":
    main()
