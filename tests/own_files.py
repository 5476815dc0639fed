"""Small plain files whose numbers say where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from oceanarrow import Loader, write_catalog
from oceanarrow.dataset import Query

LAT = np.arange(-9.0, 10.0, 2.0)
LON = np.arange(1.0, 30.0, 2.0)
BOX = (5.5, 20.5, -6.5, 6.5)


def plane(value: float) -> np.ndarray:
    """A field that is `value` plus a little that grows to the north-east."""
    return value + 0.01 * LAT[:, None] + 0.001 * LON[None, :]


def write(
    path: Path,
    values: Sequence[float],
    times: Sequence[str] | None,
    *,
    name: str = "sla",
    units: str | None = "m",
    bounds: Sequence[tuple[str, str]] | None = None,
    extra: dict[str, Any] | None = None,
    encoding: dict[str, Any] | None = None,
) -> Path:
    """A file of one `plane` a time step; without `times`, of one and no time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    attributes = {} if units is None else {"units": units}
    dims: tuple[str, ...] = ("lat", "lon")
    data = np.stack([plane(value) for value in values])
    coordinates: dict[str, Any] = {
        "lat": ("lat", LAT, {"units": "degrees_north"}),
        "lon": ("lon", LON, {"units": "degrees_east"}),
    }
    if times is None:
        data = data[0]
    else:
        dims = ("time", *dims)
        told = {} if bounds is None else {"bounds": "time_bnds"}
        coordinates["time"] = ("time", np.array(times, "datetime64[ns]"), told)
    dataset = xr.Dataset({name: (dims, data, attributes), **(extra or {})}, coordinates)
    chunks = tuple(max(1, n // 2) for n in data.shape)
    stored: dict[str, Any] = {name: {"chunksizes": chunks, "zlib": True}}
    if times is not None:
        stored["time"] = {"units": "hours since 2000-01-01", "dtype": "float64"}
    if bounds is not None:
        dataset["time_bnds"] = (("time", "nv"), np.array(bounds, "datetime64[ns]"))
        stored["time_bnds"] = stored["time"]
    dataset.to_netcdf(path, engine="h5netcdf", encoding=stored | (encoding or {}))
    return path


def means(path: Any, name: str, days: Sequence[str], **options: Any) -> list[float | None]:
    """The value of each day's plane; None where there is no file."""
    found: list[float | None] = []
    for day in days:
        (batch,) = Loader(
            path,
            [Query(*BOX, day, day)],
            [name],
            default_patch_size=(5, 5),
            batch_size=1,
            resample="bilinear",
            **options,
        )
        got = batch.to_numpy()
        if not got["present"][name][0]:
            found.append(None)
            continue
        assert got["masks"][name].all()
        # A plane is what bilinear interpolation gives back.
        lat, lon = np.linspace(*BOX[2:], 5), np.linspace(*BOX[:2], 5)
        rest = got["inputs"][name][0] - 0.01 * lat[:, None] - 0.001 * lon[None, :]
        assert np.ptp(rest) < 1e-4
        found.append(round(float(rest.mean()), 4))
    return found


def catalogue(path: Path, files: Any, **options: Any) -> Path:
    """Writes one; returns its path."""
    assert write_catalog(path, files, progress=False, **options) == []
    return path
