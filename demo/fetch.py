"""Real sea level as a TACO dataset: four days of DUACS maps, cut into the eight OceanTACO regions.

The maps are sample files inside the source archive of the `swot-simulator` package. The archive is
downloaded with pip and unpacked; nothing in it is installed or run. Does nothing when the dataset
is there already.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import xarray as xr

from oceanarrow.taco import REGIONS, GranuleFile, write_taco

DATA = Path(__file__).parent / "data"
DATASET = DATA / "sea_level"

PACKAGE, VERSION = "swot-simulator", "1.2.1"
MAPS = "dt_global_allsat_phy_l4_*_20190515.nc"

ATTRIBUTION = """\
Sea level: absolute dynamic topography (adt, metres), global maps of 0.25 degrees, 2018-12-31 to
2019-01-03. The altimeter products were produced by SSALTO/DUACS and distributed by E.U. Copernicus
Marine Service (marine.copernicus.eu). swot-simulator (BSD-3-Clause) ships these four as samples."""

# NetCDF's default fill value of int32: the maps rely on it, the tiles say it.
PACKING = {
    "_FillValue": -2_147_483_647,
    "chunksizes": (90, 90),
    "zlib": True,
    "complevel": 4,
    "shuffle": True,
}

# pip asks an archive's build backend for its metadata before it hands the archive over. This one
# answers in place of setuptools, so that the archive's own setup.py is not run.
BACKEND = f'''\
from pathlib import Path

NAME = "{PACKAGE.replace("-", "_")}-{VERSION}.dist-info"


class Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, folder, config_settings=None):
        Path(folder, NAME).mkdir()
        Path(folder, NAME, "METADATA").write_text(
            "Metadata-Version: 2.1\\nName: {PACKAGE}\\nVersion: {VERSION}\\n"
        )
        return NAME


__legacy__ = Backend()
'''


def download(folder: Path) -> Path:
    """The source archive of the package, in `folder`."""
    backend = folder / "backend"
    (backend / "setuptools").mkdir(parents=True)
    (backend / "setuptools" / "__init__.py").touch()
    (backend / "setuptools" / "build_meta.py").write_text(BACKEND)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--use-pep517"),
            *("--dest", str(folder), f"{PACKAGE}=={VERSION}"),
        ],
        check=True,
        env={**os.environ, "PYTHONPATH": str(backend)},
    )
    (archive,) = folder.glob("*.tar.gz")
    return archive


def unpack(archive: Path, folder: Path) -> list[Path]:
    """The four maps, and only those, out of the archive."""
    maps = []
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if member.isfile() and Path(member.name).match(MAPS):
                target = folder / Path(member.name).name
                source = tar.extractfile(member)
                assert source is not None
                with source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
                maps.append(target)
    if len(maps) != 4:
        sys.exit(f"{archive.name} holds {len(maps)} sea level maps, expected 4")
    return sorted(maps)


def tiles(path: Path, folder: Path) -> Iterator[GranuleFile]:
    """One global map as eight NetCDF tiles: integers, packing and fill value stay as they are."""
    stamp = path.name.split("_")[5]
    day = date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:]))
    with xr.open_dataset(path, mask_and_scale=False, engine="h5netcdf") as opened:
        world = opened[["adt"]].isel(time=0).rename(latitude="lat", longitude="lon")
        world["adt"].attrs.pop("grid_mapping")  # it names a variable that the maps lack
        world = world.drop_encoding().assign_coords(lon=(world.lon + 180) % 360 - 180).sortby("lon")
        for axis, unit in (("lat", "degrees_north"), ("lon", "degrees_east")):
            # The maps' own attributes name bounds that the tiles lack and longitudes up to 360.
            world[axis].attrs = {"standard_name": world[axis].standard_name, "units": unit}
        for region, (lon_min, lon_max, lat_min, lat_max) in REGIONS.items():
            tile = world.sel(lon=slice(lon_min, lon_max), lat=slice(lat_min, lat_max))
            target = folder / f"{stamp}_{region}.nc"
            tile.to_netcdf(target, engine="h5netcdf", encoding={"adt": PACKING})
            yield GranuleFile(day, region, "l4_ssh", target, res_deg_lat=0.25, variable="adt")


def main() -> None:
    if DATASET.exists():
        print(f"{DATASET} is there already.\n{ATTRIBUTION}")
        return
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        print(f"Downloading {PACKAGE} {VERSION} (5 MB)")
        maps = unpack(download(folder), folder)
        granules = [granule for path in maps for granule in tiles(path, folder)]
        write_taco(DATASET, granules, container="folder")
    (DATA / "README.md").write_text(f"# What these files are\n\n{ATTRIBUTION}\n")
    print(f"Wrote {DATASET}: {len(maps)} days, {len(granules)} tiles\n{ATTRIBUTION}")


if __name__ == "__main__":
    main()
