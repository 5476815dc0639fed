"""Maps out of patches: an identity model gives the field back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from own_files import catalogue

from oceanarrow import Augment, Files, Loader, Stitcher, Window
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError, UnwritableError

DAY = 19_000
STAMP = np.datetime64(DAY, "D")


def metadata(boxes: list[tuple[float, ...]], **more: Any) -> dict[str, Any]:
    n = len(boxes)
    return {"bbox": np.array(boxes, float), "time_end": np.full(n, DAY), **more}


def field(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Smooth, and of period 360."""
    phi, lam = np.radians(lat)[:, None], np.radians(lon)[None, :]
    return np.sin(3 * phi) * np.cos(2 * lam) + 0.3 * np.sin(7 * lam + phi)


def patch(box: tuple[float, ...], shape: tuple[int, int]) -> np.ndarray:
    west, east, south, north = box
    east += 360 if east < west else 0
    return field(np.linspace(south, north, shape[0]), np.linspace(west, east, shape[1]))


@pytest.mark.parametrize("blend", ["hann", "mean"])
def test_points_on_pixels_get_the_field_back_across_seams(blend: Any) -> None:
    # Patches of 9 x 9 pixels a degree apart, half over each other, across the antimeridian.
    boxes = [
        (west if west <= 180 else west - 360, (west + 8 + 180) % 360 - 180, south, south + 8)
        for west in range(164, 197, 4)
        for south in range(-12, 5, 4)
    ]
    stitcher = Stitcher((164, -156, -12, 12), 1.0, blend=blend)
    values = np.stack([patch(box, (9, 9)) for box in boxes]).astype(np.float32)
    for order in (range(0, len(boxes), 2), range(len(boxes) - 2, 0, -2)):
        rows = list(order)
        stitcher.add(metadata([boxes[i] for i in rows]), values[rows])
    made = stitcher.to_xarray()
    assert made["field"].dims == ("time", "lat", "lon")
    assert made["lon"].values[[0, -1]].tolist() == [164.0, 204.0]
    np.testing.assert_allclose(
        made["field"].values[0], field(made["lat"].values, made["lon"].values), atol=1e-6
    )
    assert made["time"].values == STAMP.astype("datetime64[ns]")
    assert (made["weight"] > 0).all()


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 6),
    blend=st.sampled_from(["hann", "mean"]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_weights_sum_to_one(seed: int, n: int, blend: Any, height: int, width: int) -> None:
    """A map of ones is ones wherever a patch lies, and NaN elsewhere, in any order of adds."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(n):
        west, south = rng.uniform(-180, 180), rng.uniform(-60, 40)
        east = west + rng.uniform(5, 300)
        boxes.append((west, east - 360 if east > 180 else east, south, south + rng.uniform(5, 40)))
    lat, lon = np.arange(-80.0, 81, 7), np.arange(-180.0, 180, 9)
    ways = []
    for order in (np.arange(n), rng.permutation(n)):
        stitcher = Stitcher(lat=lat, lon=lon, blend=blend)
        covered = np.zeros((lat.size, lon.size), bool)
        for i in order:
            stitcher.add(metadata([boxes[i]]), np.ones((1, height, width)))
            west, east, south, north = boxes[i]
            wide = east - west + (360 if east < west else 0)
            inside = (lat >= south) & (lat <= north)
            covered |= inside[:, None] & ((lon - west) % 360 <= wide)
        if not covered.any():
            with pytest.raises(InvalidInputError, match="no patch lies on this map"):
                stitcher.to_xarray()
            return
        found = stitcher.to_xarray()["field"].values[0]
        np.testing.assert_array_equal(np.isfinite(found), covered)
        np.testing.assert_allclose(found[covered], 1.0, atol=1e-6)
        ways.append(found)
    np.testing.assert_allclose(ways[0], ways[1], atol=1e-6)


def test_between_pixels_it_is_their_bilinear_field() -> None:
    box = (10.0, 20.0, 30.0, 34.0)
    values = np.random.default_rng(1).normal(size=(5, 11))
    lat, lon = np.array([30.25, 31.0, 33.9]), np.array([10.5, 13.2, 19.99])
    stitcher = Stitcher(lat=lat, lon=lon)
    stitcher.add(metadata([box]), values[None])
    grid = xr.DataArray(
        values, {"lat": np.linspace(30, 34, 5), "lon": np.linspace(10, 20, 11)}, ("lat", "lon")
    )
    expected = grid.interp(lat=lat, lon=lon).values
    np.testing.assert_allclose(stitcher.to_xarray()["field"].values[0], expected, rtol=1e-6)


def test_two_patches_by_hand() -> None:
    stitcher = Stitcher(lat=[0.5], lon=[1.0])
    stitcher.add(
        metadata([(0, 4, 0, 1), (-1, 3, 0, 1)]), np.array([[[1.0] * 5] * 2, [[3.0] * 5] * 2])
    )
    # A quarter and a half across: sin^2 of 45 and of 90 degrees.
    a, b = 1e-3 + (1 - 1e-3) * 0.5, 1.0
    made = stitcher.to_xarray()
    assert made["field"].item() == pytest.approx((a * 1 + b * 3) / (a + b), rel=1e-6)
    assert made["weight"].item() == pytest.approx(a + b, rel=1e-6)


def test_masks_and_nans_do_not_count() -> None:
    box = (0.0, 2.0, 0.0, 2.0)
    values = np.arange(9.0).reshape(1, 3, 3)
    mask = np.ones((1, 3, 3), bool)
    mask[0, 1, 1] = False
    values[0, 0, 0] = np.nan
    stitcher = Stitcher(lat=[0.0, 0.5, 1.0], lon=[0.0, 0.5, 1.0], blend="mean")
    stitcher.add(metadata([box]), values, mask)
    found = stitcher.to_xarray()["field"].values[0]
    assert np.isnan(found[0, 0])
    assert np.isnan(found[2, 2])
    assert found[0, 2] == 1.0
    # Between 0 (NaN), 1, 3 and 4 (masked): the mean of 1 and 3.
    assert found[1, 1] == 2.0


def test_leads_days_and_memory(tmp_path: Path) -> None:
    stitcher = Stitcher((0, 8, 0, 8), 1.0, name="sla", attrs={"units": "m"})
    boxes = [(0, 8, 0, 8)] * 3
    days = np.array([DAY, DAY + 1, DAY])
    values = np.stack([np.stack([np.full((9, 9), 10 * i + t) for t in range(4)]) for i in range(3)])
    told = {**metadata(boxes), "time_end": days}
    stitcher.add(told, torch.from_numpy(values.astype("f4")).requires_grad_(), None)
    made = stitcher.to_xarray()
    assert made["sla"].dims == ("time", "lead", "lat", "lon")
    assert made["sla"].attrs == {"units": "m"}
    assert made["sla"][0, :, 0, 0].values.tolist() == [10.0, 11.0, 12.0, 13.0]
    assert stitcher.days == [str(STAMP), str(STAMP + 1)]
    stitcher.flush(str(STAMP), tmp_path / "a/day.nc")
    assert stitcher.days == [str(STAMP + 1)]
    with xr.open_dataset(tmp_path / "a/day.nc", engine="h5netcdf") as written:
        xr.testing.assert_equal(written.load(), made.isel(time=[0]))
        assert written.attrs["Conventions"] == "CF-1.8"
        assert written["lat"].attrs["units"] == "degrees_north"
    with pytest.raises(InvalidInputError, match="was flushed"):
        stitcher.add(told, values)
    with pytest.raises(InvalidInputError, match="is not open; open are"):
        stitcher.flush(str(STAMP), tmp_path / "b.nc")
    (tmp_path / "file").write_text("")
    with pytest.raises((OSError, UnwritableError)):
        stitcher.flush(str(STAMP + 1), tmp_path / "file/day.nc")
    assert stitcher.days == [str(STAMP + 1)], "nothing is lost"


@pytest.mark.parametrize("tail", ["pad", "drop"])
def test_from_batches_flipped_or_not(ocean: Path, tail: Any) -> None:
    """Patches side by side of the loader's, laid back, are what one large patch gives."""
    day = "2023-04-01"
    queries = [
        Query(-60 + west, -52 + west, -30 + south, -22 + south, day, day)
        for west in range(0, 20, 4)
        for south in range(0, 13, 4)
    ]
    maps = []
    for augment in (None, Augment(flip_lon=True, flip_lat=True, rotate=True)):
        loader = Loader(
            ocean, queries, ["l4_ssh"], batch_size=3 if tail == "pad" else 4, tail=tail,
            default_patch_size=(17, 17), augment=augment, fill_value=float("nan"),
        )  # fmt: skip
        stitcher = Stitcher((-60, -36, -30, -10), 0.5)
        for batch in loader:
            tensors = batch.to_torch()
            values, mask = tensors["inputs"]["l4_ssh"], tensors["masks"]["l4_ssh"]
            stitcher.add(tensors["metadata"], values, mask)
        maps.append(stitcher.to_xarray()["field"].values[0])
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)
    assert np.isfinite(maps[0]).any()
    whole = Loader(
        ocean, [Query(-60, -36, -30, -10, day, day)], ["l4_ssh"], batch_size=1, shuffle=False,
        default_patch_size=(41, 49),
    )  # fmt: skip
    (batch,) = whole
    told = batch.to_numpy()
    valid = told["masks"]["l4_ssh"][0] & np.isfinite(maps[0])
    np.testing.assert_allclose(maps[0][valid], told["inputs"]["l4_ssh"][0][valid], atol=2e-6)


def test_the_globe_at_once(tmp_path: Path) -> None:
    lat, lon = np.arange(-88.0, 89, 4), np.arange(-180.0, 180, 4)
    xr.Dataset(
        {"v": (("lat", "lon"), field(lat, lon).astype("f4"), {"units": "m"})},
        {
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    ).to_netcdf(tmp_path / "v.nc", engine="h5netcdf")

    path = catalogue(
        tmp_path / "c.parquet", [Files(str(tmp_path / "v.nc"), {"v": "v"}, static=True)]
    )
    queries = [
        Query(west, (west + 24 + 180) % 360 - 180, south, south + 24, "2020-01-01", "2020-01-01")
        for west in range(-180, 180, 12)
        for south in range(-88, 66, 8)
    ]
    stitcher = Stitcher((-180, 180, -88, 88), 4.0)
    assert stitcher.lon.size == 90
    options: dict[str, Any] = {"batch_size": 30, "default_patch_size": (7, 7), "tail": "pad"}
    loader = Loader(path, queries, [Window("v", name="x")], **options)
    for batch in loader:
        told = batch.to_numpy()
        stitcher.add(told["metadata"], told["inputs"]["x"], told["masks"]["x"])
    np.testing.assert_allclose(stitcher.to_xarray()["field"].values[0], field(lat, lon), atol=1e-6)


def test_mistakes() -> None:
    for arguments, why in [
        ({}, "not both"),
        ({"bbox": (0, 1, 0, 1)}, "give bbox and resolution"),
        ({"bbox": (0, 1, 0, 1), "resolution": 1, "lat": [0], "lon": [0]}, "not both"),
        ({"bbox": (0, 1, 1, 0), "resolution": 1}, "has no points"),
        ({"bbox": (0, 1, 0, 1), "resolution": 0}, "has no points"),
        ({"bbox": 3, "resolution": 1}, "bbox must be"),
        ({"lat": [1, 0], "lon": [0]}, "that ascend"),
        ({"lat": [0, 91], "lon": [0]}, "from -90 to 90"),
        ({"lat": [0], "lon": [0, 361]}, "within one turn"),
        ({"bbox": (0, 1, 0, 1), "resolution": 1, "blend": "max"}, "blend must be"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            Stitcher(**arguments)  # type: ignore[arg-type]
    stitcher = Stitcher((0, 4, 0, 4), 1.0)
    boxes = [(0, 4, 0, 4)] * 2
    for told, values, mask, why in [
        (metadata(boxes), np.zeros((2, 3)), None, r"\(B, H, W\)"),
        (metadata(boxes), np.zeros((3, 3, 3)), None, "3 rows, but the metadata 2"),
        (metadata(boxes), np.zeros((2, 3, 3)), np.ones((2, 3)), "shape of values"),
        ({"bbox": np.zeros((2, 4))}, np.zeros((2, 3, 3)), None, "must be a batch's"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            stitcher.add(told, values, mask)
    stitcher.add(metadata(boxes), np.zeros((2, 3, 3)))
    with pytest.raises(InvalidInputError, match="had no leads before, and have 2 now"):
        stitcher.add(metadata(boxes), np.zeros((2, 2, 3, 3)))
