"""open_patch: the files' own cells and numbers, by xarray; pixels, by the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
import pytest
import xarray as xr

import oceanarrow
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError, UnsupportedError

BOX = (-60.0, -20.0, 5.0, 50.0)
DAYS = ["2023-04-01", "2023-04-02", "2023-04-03"]


def query(box: tuple[float, float, float, float] = BOX, last: str = DAYS[-1]) -> Query:
    return Query(*box, DAYS[0], last)


def tile(ocean: Path, day: str, file: str, name: str) -> xr.DataArray:
    """The cells of a tile in the box, by xarray."""
    path = ocean / "DATA" / day.replace("-", "_") / "NORTH_ATLANTIC" / file
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        found = opened[name].sortby("lat").sortby("lon").squeeze(drop=True)
        return found.sel(lat=slice(BOX[2], BOX[3]), lon=slice(BOX[0], BOX[1])).load()


def test_native_cells_are_those_of_xarray(ocean: Path) -> None:
    found = oceanarrow.open_patch(ocean, query(), ["l4_ssh", "l3_swot"])
    assert found.l4_ssh.dims == ("time", "lat", "lon") and found.l4_ssh.dtype == np.float32
    assert found.time.values.astype("datetime64[D]").astype(str).tolist() == DAYS
    for i, day in enumerate(DAYS):
        due = tile(ocean, day, "l4_ssh.nc", "sla")
        np.testing.assert_allclose(found.lat, due.lat, atol=1e-5)
        np.testing.assert_allclose(found.lon, due.lon, atol=1e-5)
        np.testing.assert_allclose(found.l4_ssh[i], due, rtol=1e-6)
    assert found.l3_swot.dims == ("time", "lat_l3_swot", "lon_l3_swot")
    assert found.lat_l3_swot.attrs["units"] == "degrees_north"
    assert found.l4_ssh.attrs == {"units": "m", "source": "l4_ssh"}
    assert found.attrs["time_end"] == DAYS[-1] and found.attrs["lon_min"] == -60


@pytest.mark.parametrize("aggregate", ["mean", "last", "stack"])
def test_pixels_are_the_oracles(ocean: Path, aggregate: str) -> None:
    asked = query()
    found = oceanarrow.open_patch(ocean, asked, ["l4_sst"], (7, 9), temporal_agg=aggregate)
    due = oracle.render(ocean, asked, "l4_sst", (7, 9), temporal_agg=aggregate)
    values = found.l4_sst.values
    valid = np.asarray(due.mask, bool).reshape(values.shape)
    np.testing.assert_array_equal(np.isfinite(values), valid)
    np.testing.assert_allclose(values[valid], np.asarray(due.data).reshape(values.shape)[valid],
                               rtol=1e-5)  # fmt: skip
    assert found.l4_sst.dims[-2:] == ("lat", "lon") and len(found.l4_sst.dims) == (
        3 if aggregate == "stack" else 2
    )
    np.testing.assert_allclose(found.lat, np.linspace(5, 50, 7))


def test_profiles(ocean: Path) -> None:
    found = oceanarrow.open_patch(ocean, query(), ["argo"])
    due = oracle.render_points(ocean, query())
    np.testing.assert_allclose(found.argo, due.data, rtol=1e-6)
    assert found.argo.dims == ("level_argo",) and found.argo_pressure.attrs["units"] == "dbar"


def test_what_no_file_covers(ocean: Path) -> None:
    absent = Query(*BOX, "2031-01-01", "2031-01-02")
    with pytest.warns(UserWarning, match="no day"):
        found = oceanarrow.open_patch(ocean, absent, ["l4_ssh", "argo"], {"l4_ssh": (3, 4)})
    assert found.l4_ssh.shape == (2, 3, 4) and bool(found.l4_ssh.isnull().all())
    with pytest.warns(UserWarning, match="no day"):
        assert not oceanarrow.open_patch(ocean, absent, ["l4_ssh"]).data_vars


def test_normalised_values_say_so(ocean: Path) -> None:
    plain = oceanarrow.open_patch(ocean, query(), ["l4_ssh"], (5, 5))
    found = oceanarrow.open_patch(ocean, query(), ["l4_ssh"], (5, 5), normalize={"l4_ssh": (1, 2)})
    np.testing.assert_allclose(found.l4_ssh, (plain.l4_ssh - 1) / 2, rtol=1e-5)
    assert found.l4_ssh.attrs["units"] == "1" and found.l4_ssh.attrs["normalized_units"] == "m"


def test_days_of_different_cells_need_a_shape(ocean: Path, tmp_path: Path) -> None:
    import shutil

    import h5py

    path = shutil.copytree(ocean, tmp_path / "ocean")
    with h5py.File(path / "DATA/2023_04_02/NORTH_ATLANTIC/l4_ssh.nc", "r+") as file:
        file["lat"][...] = file["lat"][...] + 0.01
    with pytest.raises(UnsupportedError):
        oceanarrow.open_patch(path, query(), ["l4_ssh"])
    assert oceanarrow.open_patch(path, query(), ["l4_ssh"], (4, 4)).l4_ssh.shape == (3, 4, 4)


def test_bad_arguments(ocean: Path) -> None:
    with pytest.raises(InvalidInputError, match="list of names"):
        oceanarrow.open_patch(ocean, query(), "l4_ssh")
    with pytest.raises(InvalidInputError, match="l4_shs"):
        oceanarrow.open_patch(ocean, query(), ["l4_shs"])
    with pytest.raises(InvalidInputError, match=r"must be \(H, W\)"):
        oceanarrow.open_patch(ocean, query(), ["l4_ssh"], (3,))
