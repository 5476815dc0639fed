"""Synthetic tiles with the grids, packing and chunks of the published OceanTACO files.

The fields are smooth random noise: made up, but they deflate about as well as real ones. Only the
variable that a loader reads is written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy.ndimage import zoom

from oceanarrow.taco import REGIONS, GranuleFile, write_taco

REGION = "NORTH_ATLANTIC"
DAYS = ("2023-04-01", "2023-04-02")


@dataclass(frozen=True)
class Tile:
    """What one source's file looks like; `scale` and `offset` of None mean float32 with NaN."""

    netcdf: str
    shape: tuple[int, int]
    chunk: tuple[int, int]
    level: int
    scale: float | None
    offset: float
    spread: float
    units: str
    valid: Callable[[np.ndarray, np.ndarray], np.ndarray]
    single_depth: bool = False


def everywhere(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    return np.ones((lat.size, lon.size), bool)


def swaths(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Double swaths of 60 km at either side of inclined tracks, as SWOT leaves them in a day."""
    across = (lon[None, :] + 0.35 * lat[:, None]) % 12.0
    distance = np.abs(across - 6.0)
    return (distance < 0.6) & (distance > 0.1)


def nadir_tracks(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """One cell wide lines."""
    step = lon[1] - lon[0]
    return ((lon[None, :] + 0.35 * lat[:, None]) % 4.0) < step


TILES = {
    "l4_ssh": Tile("sla", (720, 720), (90, 90), 5, 5e-4, 0.0, 0.12, "m", everywhere),
    "l4_sst": Tile(
        "analysed_sst", (1800, 1800), (113, 113), 5, 1e-3, 20.0, 4.0, "degree_Celsius", everywhere
    ),
    "l4_sss": Tile("sos", (720, 720), (90, 90), 5, 2e-3, 30.0, 1.0, "1e-3", everywhere, True),
    "l3_ssh": Tile("sla_filtered", (1429, 1014), (90, 64), 4, None, 0.0, 0.12, "m", nadir_tracks),
    "l3_swot": Tile("ssha_filtered", (5001, 3549), (157, 111), 4, None, 0.0, 0.12, "m", swaths),
}
FILL = -32767


def noise(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Octaves of noise from eddies of a few degrees down to the grid, standard deviation 1."""
    field = np.zeros(shape, np.float32)
    for cells, weight in ((15, 1.0), (45, 0.6), (135, 0.2), (400, 0.05)):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        factors = (shape[0] / cells, shape[1] / cells)
        field += weight * zoom(coarse, factors, order=1, mode="nearest")[: shape[0], : shape[1]]
    return field / field.std()


def write_tile(path: Path, tile: Tile, rng: np.random.Generator) -> None:
    """One NetCDF4 file of `REGION`."""
    lon_min, lon_max, lat_min, lat_max = REGIONS[REGION]
    height, width = tile.shape
    lat = lat_min + (np.arange(height) + 0.5) * (lat_max - lat_min) / height
    lon = lon_min + (np.arange(width) + 0.5) * (lon_max - lon_min) / width
    values = tile.offset + tile.spread * noise(tile.shape, rng)
    valid = tile.valid(lat, lon)
    if tile.scale is None:
        stored = np.where(valid, values, np.nan).astype(np.float32)
        fill: np.generic = np.float32(np.nan)
    else:
        packed = np.round((values - tile.offset) / tile.scale).clip(-32766, 32767)
        stored = np.where(valid, packed, FILL).astype(np.int16)
        fill = np.int16(FILL)
    lead = (1,) if tile.single_depth else ()
    with h5py.File(path, "w", track_order=True) as file:
        dims = [("depth", np.zeros(1)), ("lat", lat), ("lon", lon)][0 if lead else 1 :]
        for name, axis in dims:
            file[name] = axis
            file[name].make_scale(name)
        file["lat"].attrs["units"] = "degrees_north"
        file["lon"].attrs["units"] = "degrees_east"
        variable = file.create_dataset(
            tile.netcdf,
            data=stored.reshape(lead + tile.shape),
            chunks=lead + tile.chunk,
            compression="gzip",
            compression_opts=tile.level,
            fillvalue=fill,
        )
        variable.attrs["_FillValue"] = fill
        variable.attrs["units"] = tile.units
        if tile.scale is not None:
            variable.attrs["scale_factor"] = tile.scale
            variable.attrs["add_offset"] = tile.offset
        for index, (name, _) in enumerate(dims):
            variable.dims[index].attach_scale(file[name])


def write_dataset(path: Path) -> None:
    """A TACO folder with every source of `TILES` on `DAYS` in `REGION`."""
    scratch = path.with_name(path.name + ".tiles")
    scratch.mkdir(parents=True, exist_ok=True)
    granules = []
    for index, day in enumerate(DAYS):
        for number, (source, tile) in enumerate(TILES.items()):
            target = scratch / f"{day}_{source}.nc"
            write_tile(target, tile, np.random.default_rng([index, number]))
            granules.append(GranuleFile(day, REGION, source, target))
    write_taco(path, granules, container="folder")
    for granule in granules:
        Path(granule.path).unlink()
    scratch.rmdir()
