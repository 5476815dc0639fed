"""Damaged axes: an error that says so, or a result, and never more memory than the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from oceanarrow._engine import read_window
from oceanarrow.exceptions import CorruptGranuleError

FLIPS = 400

SCRIPT = f"""
import resource, sys
import numpy as np
import oceanarrow
from oceanarrow.dataset import Query
from oceanarrow.taco import GranuleFile, write_taco
from pathlib import Path

folder, start, length = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
oceanarrow.register_variable("axes", source="axes", file="axes.nc", netcdf="v", unit="m")
query = Query(-69, -62, 31, 38, "2023-04-01", "2023-04-01")
file = GranuleFile("2023-04-01", "NORTH_ATLANTIC", "axes", str(folder / "file.nc"),
                   file_name="axes.nc", res_deg_lat=0.25)
write_taco(folder / "taco", [file])
[granule] = (folder / "taco" / "DATA").rglob("axes.nc")
sound = granule.read_bytes()
rng = np.random.default_rng(5)
seen = {{"error": 0, "patch": 0}}
for _ in range({FLIPS}):
    damaged = bytearray(sound)
    at = start + int(rng.integers(length))
    damaged[at] ^= 1 << int(rng.integers(8))
    granule.unlink()
    granule.write_bytes(damaged)
    try:
        for batch in oceanarrow.Loader(folder / "taco", [query], ["axes"], batch_size=1, threads=1,
                                       default_patch_size=(8, 8)):
            values = batch["axes"]
        seen["patch"] += 1
    except oceanarrow.OceanArrowError as error:
        assert "axes.nc" in str(error), error
        seen["error"] += 1
print(seen)
assert min(seen.values()) > 5
"""


def write(path: Path, lat: np.ndarray, lon: np.ndarray) -> tuple[int, int]:
    """Writes a file and tells where its axes lie."""
    with h5py.File(path, "w", libver="earliest") as f:
        axes = [("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")]
        for name, values, unit in axes:
            axis = f.create_dataset(name, data=values)
            axis.attrs["units"] = unit
            axis.make_scale(name)
        v = f.create_dataset("v", data=np.ones((lat.size, lon.size), "f4"))
        v.dims[0].attach_scale(f["lat"])
        v.dims[1].attach_scale(f["lon"])
        start = f["lat"].id.get_offset()
        end = f["lon"].id.get_offset() + 8 * lon.size
    return start, end - start


def test_flipped_bits_of_axes_cost_no_memory(tmp_path: Path) -> None:
    start, length = write(tmp_path / "file.nc", np.arange(30, 40, 0.25), np.arange(-70, -60, 0.25))
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(start), str(length)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("lat", "lon", "word"),
    [
        ([0.0, 1.0, 5e303], [0.0, 1.0, 2.0], "latitude"),
        ([89.0, 90.0, 92.0, 94.0, 96.0, 98.0], [0.0, 1.0, 2.0], "latitude"),
        ([0.0, 1.0, 2.0], [0.0, 1.0, 5e303], "longitude"),
        ([0.0, 1.0, 2.0], [0.0, 200.0, 400.0], "longitude"),
        ([0.0, 1.0, 2.0], [2000.0, 2001.0, 2002.0], "longitude"),
    ],
)
def test_axes_lie_on_the_globe(
    tmp_path: Path, lat: list[float], lon: list[float], word: str
) -> None:
    write(tmp_path / "file.nc", np.array(lat), np.array(lon))
    with pytest.raises(CorruptGranuleError, match=f"{word} axis.*file.nc"):
        read_window(str(tmp_path / "file.nc"), "v")
