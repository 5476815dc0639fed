"""Batch.to_xarray: the batch's numbers, with the coordinates that belong to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
import pytest
import xarray as xr

from oceanarrow import Loader
from oceanarrow.dataset import Query

QUERIES = [
    Query(-60, -20, 5, 50, "2023-04-01", "2023-04-03"),
    Query(170, -170, -40, -10, "2023-04-02", "2023-04-04"),
]


def dataset(ocean: Path, names: list[str], targets: list[str], **options: object) -> xr.Dataset:
    loader = Loader(ocean, QUERIES, names, targets, batch_size=2, shuffle=False, **options)
    return next(iter(loader)).to_xarray()


def test_values_masks_and_coordinates(ocean: Path) -> None:
    size = {"default_patch_size": (7, 9)}
    found = dataset(ocean, ["l4_sst", "l3_swot"], ["l4_ssh"], **size, support=True)
    loader = Loader(ocean, QUERIES, ["l4_sst", "l3_swot"], ["l4_ssh"], **size, shuffle=False)
    tree = next(iter(loader)).to_numpy()
    for name in ("l4_sst", "l3_swot", "l4_ssh"):
        assert found[name].dims == ("sample", "y", "x") and found[name].dtype == np.float32
        role = "targets" if name == "l4_ssh" else "inputs"
        mask, values = tree["masks"][name][:2], tree[role][name][:2]
        np.testing.assert_array_equal(np.isfinite(found[name].values), mask)
        np.testing.assert_array_equal(found[name].values[mask], values[mask])
        assert found[f"{name}_support"].dims == ("sample", "y", "x")
        np.testing.assert_array_equal(found[f"{name}_present"], tree["present"][name][:2])
    # Pixels lie at linspace over the box (docs/understand/semantics.md).
    np.testing.assert_allclose(found.lat[0], np.linspace(5, 50, 7))
    np.testing.assert_allclose(found.lon[0], np.linspace(-60, -20, 9))
    np.testing.assert_allclose(found.lon[1], np.linspace(170, 190, 9))
    assert found.lat.attrs == {"standard_name": "latitude", "units": "degrees_north"}
    assert found.l4_sst.attrs["units"] == "degC" and found.l4_ssh.attrs["role"] == "target"
    assert found["query"].values.tolist() == [0, 1]
    assert found.time_start.values.astype("datetime64[D]").astype(str).tolist() == [
        "2023-04-01", "2023-04-02",
    ]  # fmt: skip
    assert found.attrs["oceanarrow_epoch"] == "0"


def test_stacked_days_other_shapes_and_other_axes(ocean: Path) -> None:
    found = dataset(
        ocean,
        ["l4_sst", "l4_ssh"],
        ["l3_swot"],
        default_patch_size=(6, 5),
        patch_sizes={"l4_ssh": (4, 5)},
        temporal_agg={"l4_sst": "stack"},
        grid={"l3_swot": "crop"},
        normalize={"l4_ssh": (0.5, 2.0)},
    )
    assert found.l4_sst.dims == ("sample", "day", "y", "x")
    assert found.l4_ssh.dims == ("sample", "y_l4_ssh", "x_l4_ssh")
    assert found.l3_swot.dims == ("sample", "y_l3_swot", "x_l3_swot")
    assert found.lat_l4_ssh.shape == (2, 4) and found.lon_l3_swot.shape == (2, 5)
    days = found.time.values.astype("datetime64[D]").astype(str).tolist()
    assert days[1] == ["2023-04-02", "2023-04-03", "2023-04-04"]
    assert found.l4_ssh.attrs["units"] == "1"
    assert found.l4_ssh.attrs["normalized_mean"] == 0.5
    assert found.l4_ssh.attrs["normalized_units"] == "m"
    # The centres of the cells in the box, stretched to the pixels: within it, and rising.
    lat = found.lat_l3_swot.values
    assert (np.diff(lat) > 0).all() and lat[0].min() >= 5 and lat[0].max() <= 50


def test_profiles_are_padded_and_dated(ocean: Path) -> None:
    found = dataset(ocean, ["argo"], [])
    expected = [oracle.render_points(ocean, query) for query in QUERIES]
    for row, points in enumerate(expected):
        count = len(points.data)
        assert found.argo.dims == ("sample", "level_argo")
        np.testing.assert_allclose(found.argo[row, :count], points.data, rtol=1e-6)
        assert np.isnan(found.argo[row, count:]).all()
        assert np.isnat(found.time_argo[row, count:]).all()
        days = found.time_argo.values[row, :count].astype("datetime64[D]")
        first, last = QUERIES[row].time_start, QUERIES[row].time_end
        assert ((days >= np.datetime64(first)) & (days <= np.datetime64(last))).all()
    assert found.argo_pressure.attrs["units"] == "dbar"


def test_it_is_written_and_read_again(ocean: Path, tmp_path: Path) -> None:
    found = dataset(ocean, ["l4_sst", "argo"], ["l4_ssh"], default_patch_size=(4, 4))
    found.to_netcdf(tmp_path / "batch.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "batch.nc", engine="h5netcdf") as back:
        np.testing.assert_array_equal(back.l4_sst, found.l4_sst)
        np.testing.assert_array_equal(back.time_argo, found.time_argo)


def test_without_xarray_it_says_what_to_install(
    ocean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = Loader(ocean, QUERIES, ["l4_sst"], batch_size=2)
    monkeypatch.setitem(__import__("sys").modules, "xarray", None)
    with pytest.raises(ImportError, match=r'pip install "oceanarrow\[xarray\]"'):
        next(iter(loader)).to_xarray()
