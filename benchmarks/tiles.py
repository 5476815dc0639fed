"""Synthetic tiles with the grids, packing and chunks of the published OceanTACO files.

The fields are smooth random noise: made up, but they deflate about as well as real ones. Only the
variables that a loader reads hold data. The others that the published files have are declared and
hold none: libraries that look at all variables take time for them when they open a file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from scipy.ndimage import zoom

from oceanarrow.taco import REGIONS

#: The region whose files hold data; those of the others are declared and empty.
REGION = "NORTH_ATLANTIC"
FILL = -32767


@dataclass(frozen=True)
class Layer:
    """One stored variable; `scale` of None means float32 with NaN, else int16."""

    netcdf: str
    scale: float | None
    offset: float
    spread: float
    units: str


@dataclass(frozen=True)
class Tile:
    """What one source's file looks like."""

    layers: tuple[Layer, ...]
    shape: tuple[int, int]
    chunk: tuple[int, int]
    level: int
    valid: Callable[[np.ndarray, np.ndarray], np.ndarray]
    #: Variables without data: name and type.
    empty: dict[str, str]
    single_depth: bool = False

    def shrunk(self, factor: int) -> "Tile":
        """The same region in `factor` times fewer rows and columns."""
        shape = tuple(-(-side // factor) for side in self.shape)
        chunk = tuple(min(pair) for pair in zip(self.chunk, shape, strict=True))
        return replace(self, shape=shape, chunk=chunk)


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


_SLA = Layer("sla", 5e-4, 0.0, 0.12, "m")
_SST = Layer("analysed_sst", 1e-3, 20.0, 4.0, "degree_Celsius")
_SSS = Layer("sos", 2e-3, 30.0, 1.0, "1e-3")
_NADIR = Layer("sla_filtered", None, 0.0, 0.12, "m")
_SWATH = Layer("ssha_filtered", None, 0.0, 0.12, "m")
_CURRENTS = (Layer("uo", 1e-3, 0.0, 0.3, "m s-1"), Layer("vo", 1e-3, 0.0, 0.3, "m s-1"))


def _named(dtype: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, dtype)


TILES = {
    "l4_ssh": Tile(
        (_SLA,), (720, 720), (90, 90), 5, everywhere,
        _named("i2", "err_sla", "adt", "flag_ice")
        | _named("f4", "ugosa", "vgosa", "err_ugosa", "err_vgosa", "ugos", "vgos"),
    ),
    "l4_sst": Tile(
        (_SST,), (1800, 1800), (113, 113), 5, everywhere,
        _named("f4", "analysis_error", "sea_ice_fraction", "mask"),
    ),
    "l4_sss": Tile(
        (_SSS,), (720, 720), (90, 90), 5, everywhere,
        _named("f4", "sos_error", "dos", "dos_error", "sea_ice_fraction"), single_depth=True,
    ),
    "l3_ssh": Tile(
        (_NADIR,), (1429, 1014), (90, 64), 4, nadir_tracks,
        {"n_obs": "i4", "primary_track": "i2", "is_overlap": "i1"},
    ),
    "l3_swot": Tile(
        (_SWATH,), (5001, 3549), (157, 111), 4, swaths,
        {"ssha_unfiltered": "f4", "mdt": "f4", "n_obs": "i4", "primary_track": "i2",
         "is_overlap": "i1"},
    ),
    "glorys": Tile(
        _CURRENTS, (1080, 1080), (68, 135), 5, everywhere, _named("i2", "zos", "thetao", "so")
    ),
}  # fmt: skip


def noise(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Octaves of noise from eddies of a few degrees down to the grid, standard deviation 1."""
    field = np.zeros(shape, np.float32)
    for cells, weight in ((15, 1.0), (45, 0.6), (135, 0.2), (400, 0.05)):
        cells = min(cells, *shape)
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        factors = (shape[0] / cells, shape[1] / cells)
        field += weight * zoom(coarse, factors, order=1, mode="nearest")[: shape[0], : shape[1]]
    return field / field.std()


def write_tile(
    path: Path, tile: Tile, day: int, rng: np.random.Generator | None, region: str = REGION
) -> None:
    """One NetCDF4 file; `day` counts from 1970-01-01. Without `rng` no variable holds data."""
    lon_min, lon_max, lat_min, lat_max = REGIONS[region]
    height, width = tile.shape
    lat = lat_min + (np.arange(height) + 0.5) * (lat_max - lat_min) / height
    lon = lon_min + (np.arange(width) + 0.5) * (lon_max - lon_min) / width
    valid = tile.valid(lat, lon)
    with h5py.File(path, "w", track_order=True) as file:
        axes = [("depth", np.zeros(1)), ("lat", lat), ("lon", lon)]
        axes = axes[0 if tile.single_depth else 1 :]
        for name, axis in axes:
            file[name] = axis
            file[name].make_scale(name)
        file["lat"].attrs["units"] = "degrees_north"
        file["lon"].attrs["units"] = "degrees_east"
        file["time"] = np.int64(day)
        file["time"].attrs["units"] = "days since 1970-01-01"
        for layer in tile.layers:
            stored, fill = _packed(layer, tile.shape, valid, rng)
            variable = _declare(file, tile, axes, layer.netcdf, fill)
            if rng is not None:
                variable[...] = stored.reshape(variable.shape)
            variable.attrs["units"] = layer.units
            if layer.scale is not None:
                variable.attrs["scale_factor"] = layer.scale
                variable.attrs["add_offset"] = layer.offset
        for name, dtype in tile.empty.items():
            _declare(file, tile, axes, name, np.dtype(dtype).type(0))


def _declare(
    file: h5py.File, tile: Tile, axes: list[tuple[str, np.ndarray]], name: str, fill: np.generic
) -> h5py.Dataset:
    """A variable with its attributes, but without data."""
    lead = (1,) * tile.single_depth
    variable = file.create_dataset(
        name,
        shape=lead + tile.shape,
        dtype=fill.dtype,
        chunks=lead + tile.chunk,
        compression="gzip",
        compression_opts=tile.level,
        fillvalue=fill,
    )
    variable.attrs["_FillValue"] = fill
    variable.attrs["long_name"] = name.replace("_", " ")
    variable.attrs["coordinates"] = "time"
    for index, (axis, _) in enumerate(axes):
        variable.dims[index].attach_scale(file[axis])
    return variable


def _packed(
    layer: Layer, shape: tuple[int, int], valid: np.ndarray, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.generic]:
    """A random field as the layer stores it, and its fill value."""
    anomaly = layer.spread * noise(shape, rng) if rng is not None else np.zeros(shape)
    if layer.scale is None:
        stored = np.where(valid, layer.offset + anomaly, np.nan)
        return stored.astype(np.float32), np.float32(np.nan)
    packed = np.round(anomaly / layer.scale).clip(-32766, 32767)
    return np.where(valid, packed, FILL).astype(np.int16), np.int16(FILL)


def set_day(path: Path, day: int) -> None:
    """Changes the day that a tile says it is of."""
    with h5py.File(path, "r+") as file:
        file["time"][()] = day
