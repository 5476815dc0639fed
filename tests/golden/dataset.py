"""A dataset made of whole numbers alone, so that its values are the same on every machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from small_files import Variable, write_file

from oceanarrow.taco import REGIONS, GranuleFile, write_taco

DAYS = ("2023-04-01", "2023-04-02", "2023-04-03")
YX = ("lat", "lon")
SOURCES = ("l4_ssh", "l4_sst", "l3_swot", "glorys", "argo")


def write(path: Path) -> Path:
    """Three days of eight regions, coarse; `l3_swot` has a day without files, `glorys` a hole."""
    with tempfile.TemporaryDirectory() as scratch:
        granules = []
        for day, region in ((d, r) for d in range(len(DAYS)) for r in range(len(REGIONS))):
            for source in SOURCES:
                if (source, day) == ("l3_swot", 1) or (source, region) == ("glorys", 2):
                    continue
                file = _file(Path(scratch) / f"{source}-{day}-{region}.nc", source, day, region)
                granules.append(GranuleFile(DAYS[day], list(REGIONS)[region], source, file))
        return write_taco(path, granules, id="golden")


def _file(path: Path, source: str, day: int, region: int) -> Path:
    west, east, south, north = REGIONS[list(REGIONS)[region]]
    if source == "argo":
        return write_file(path, {"N_POINTS": np.arange(7)}, _levels(day, region, west, south))
    # Latitudes and longitudes of each source have their own steps, origins and directions.
    steps = {"l4_ssh": (5.0, 5.0), "l3_swot": (3.5, 4.25), "glorys": (7.5, 3.75)}
    lat_step, lon_step = steps.get(source, (9.0, 9.0) if day == 2 else (4.5, 6.0))
    half = 0.0 if source == "l3_swot" else 0.5
    lat = np.arange(south + half * lat_step, north, lat_step)
    lon = np.arange(west + half * lon_step, east, lon_step)
    seed = 1000 * SOURCES.index(source) + 100 * day + 10 * region
    if source == "l4_sst":
        # Northern rows first, longitudes from 0 to 360.
        lat, lon = lat[::-1], lon % 360.0
    shape = (lat.size, lon.size)
    return write_file(path, {"lat": lat, "lon": lon}, _grids(source, shape, seed))


def _grids(source: str, shape: tuple[int, int], seed: int) -> dict[str, Variable]:
    noise = _noise(shape, seed)
    packed = {"scale_factor": 0.0005, "_FillValue": np.int16(-32767)}
    holed = np.where(noise % 7 == 0, -32767, noise % 2001 - 1000).astype(np.int16)
    if source == "l4_ssh":
        return {"sla": (YX, holed, packed | {"units": "m"})}
    if source == "l4_sst":
        kelvin = {"scale_factor": 0.01, "add_offset": 273.15, "_FillValue": np.int16(-32767)}
        limits = {"valid_min": np.int16(-900), "valid_max": np.int16(900), "units": "kelvin"}
        return {"analysed_sst": (YX, holed, kelvin | limits)}
    if source == "l3_swot":
        seen = (noise // 8 % 3 > 0) & (np.arange(shape[1]) % 5 < 3)
        values = np.where(seen, (noise % 513 - 256) / 1024, np.nan)
        return {"ssha_filtered": (YX, values.astype(np.float32), {"units": "m"})}
    centimetres = (noise % 301 - 150).astype(np.int32)
    return {
        "zos": (YX, centimetres, {"units": "cm"}),
        "uo": (YX, holed[::-1], packed | {"units": "m s-1"}),
    }


def _levels(day: int, region: int, west: float, south: float) -> dict[str, Variable]:
    noise = _noise((7,), 7 * day + region)
    columns = {
        "TEMP": (noise % 240 / 8 - 2, {"units": "degree_Celsius"}),
        "PRES": (noise % 1600 / 8, {"units": "decibar"}),
        "lat": (south + noise // 16 % 720 / 8, {"units": "degrees_north"}),
        "lon": (west + noise // 32 % 720 / 8, {"units": "degrees_east"}),
        "time": (19_448 + day + noise % 64 / 64, {"units": "days since 1970-01-01"}),
    }
    return {name: (("N_POINTS",), *column) for name, column in columns.items()}


def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Whole numbers from 0 to 2**31 - 1 that look like chance (two rounds of a congruence)."""
    x = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape) + seed * 7919
    for _ in range(2):
        x = (x * 1_103_515_245 + 12_345) % 2**31
        x ^= x >> 11
    return x
