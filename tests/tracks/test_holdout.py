"""Whole tracks held out: disjoint on every cell, whatever a tile calls its passes."""

from __future__ import annotations

import hashlib
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from own_files import catalogue

from oceanarrow import Files, Loader, Window, open_patch
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError, UnsupportedError

DAYS = [f"2020-01-{day:02d}" for day in range(1, 4)]
LAT = np.arange(0.5, 20)
WEST, EAST = np.arange(0.5, 15), np.arange(15.5, 30)
SATELLITES = ["SWOT", "Jason-3", "Sentinel-6A"]


def tile(path: Path, day: str, lon: np.ndarray, seed: int, passes: list[str]) -> None:
    """Each cell is of one of the passes, of none, or of several, in an order of this tile's own."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(passes)
    shape = (LAT.size, lon.size)
    track = rng.integers(-1, len(ids), shape).astype(np.int16)
    sla = np.where(track < 0, np.nan, rng.normal(size=shape)).astype(np.float32)
    overlap = ((rng.random(shape) < 0.15) & (track >= 0)).astype(np.int8)
    dims = ("time", "lat", "lon")
    platforms = [SATELLITES[int(name[-2:]) % 3] for name in ids]
    xr.Dataset(
        {
            "sla": (dims, sla[None], {"units": "m"}),
            "primary_track": (dims, track[None], {"_FillValue": np.int16(-1)}),
            "is_overlap": (dims, overlap[None]),
            "track_ids": (("track",), np.array(ids, object)),
            "track_platforms": (("track",), np.array(platforms, object)),
        },
        {
            "time": ("time", np.array([day], "datetime64[ns]")),
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    ).to_netcdf(path, engine="h5netcdf")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracks")
    for i, day in enumerate(DAYS):
        passes = [f"pass_{day}_{number:02d}" for number in range(12)]
        tile(folder / f"west_{i}.nc", day, WEST, 2 * i, passes)
        tile(folder / f"east_{i}.nc", day, EAST, 2 * i + 1, passes)
    files = [Files(str(folder / f"{side}_*.nc"), {"along": "sla"}) for side in ("west", "east")]
    return catalogue(folder / "c.parquet", files)


def cells(tiles: Path, day: str, *windows: Window) -> list[np.ndarray]:
    """Their own cells of both tiles, NaN where they do not count."""
    found = []
    for box in ((0.0, 15.0), (15.0, 30.0)):
        patch = open_patch(tiles, Query(*box, 0.0, 20.0, day, day), windows)
        found.append([patch[window.column].values[0] for window in windows])
    return [np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True)]


def truth(tiles: Path, day: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values, ids, satellites and overlaps of the cells of both tiles."""
    parts = []
    for side in ("west", "east"):
        with xr.open_dataset(tiles.parent / f"{side}_{DAYS.index(day)}.nc") as opened:
            track = opened["primary_track"].values[0]
            place = np.where(np.isfinite(track), track, 0).astype(int)
            ids = np.where(np.isfinite(track), opened["track_ids"].values[place], "")
            names = np.where(np.isfinite(track), opened["track_platforms"].values[place], "")
            overlap = opened["is_overlap"].values[0] != 0
            parts.append((opened["sla"].values[0], ids, names, overlap))
    sla, ids, names, overlap = (np.concatenate(p, axis=-1) for p in zip(*parts, strict=True))
    return sla, ids, names, overlap


def drawn(seed: int, name: str) -> float:
    """The number that decides about a track, from its definition."""
    fields = [b"holdout", struct.pack("<Q", seed), name.encode()]
    data = b"".join(struct.pack("<Q", len(field)) + field for field in fields)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") / 2**64


@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 2**64 - 1), day=st.sampled_from(DAYS))
def test_parts_are_disjoint_on_every_cell(tiles: Path, share: float, seed: int, day: str) -> None:
    how: dict[str, Any] = {"holdout": share, "seed": seed}
    seen, hidden = cells(
        tiles,
        day,
        Window("along", name="seen", part="input", **how),
        Window("along", name="hidden", part="target", **how),
    )
    sla, ids, _, overlap = truth(tiles, day)
    out = np.vectorize(lambda name: bool(name) and drawn(seed, name) < share)(ids)
    single = np.isfinite(sla) & ~overlap
    np.testing.assert_array_equal(seen, np.where(single & ~out, sla, np.nan))
    np.testing.assert_array_equal(hidden, np.where(single & out, sla, np.nan))
    assert not (np.isfinite(seen) & np.isfinite(hidden)).any()


@pytest.mark.parametrize("platforms", [["SWOT"], ["Jason-3", "Sentinel-6A"], ["none such"]])
def test_a_satellite_is_held_out_whole(tiles: Path, platforms: list[str]) -> None:
    seen, hidden = cells(
        tiles,
        DAYS[1],
        Window("along", name="seen", part="input", holdout=platforms),
        Window("along", name="hidden", part="target", holdout=platforms),
    )
    sla, _, names, overlap = truth(tiles, DAYS[1])
    out, single = np.isin(names, platforms), np.isfinite(sla) & ~overlap
    np.testing.assert_array_equal(seen, np.where(single & ~out, sla, np.nan))
    np.testing.assert_array_equal(hidden, np.where(single & out, sla, np.nan))


def test_in_batches_plans_and_configs(tiles: Path) -> None:
    queries = [Query(2.0, 28.0, 2.0, 18.0, day, day) for day in DAYS]

    def loader(**changes: Any) -> Loader:
        how: dict[str, Any] = {"holdout": 0.3, "seed": 5, **changes}
        windows = [Window("along", part=part, name=part, **how) for part in ("input", "target")]
        return Loader(
            tiles, queries, windows[:1], windows[1:], batch_size=3, default_patch_size=(17, 27),
            shuffle=False, resample="nearest",
        )  # fmt: skip

    base = loader()
    (batch,) = base
    told = batch.to_numpy()
    assert not (told["masks"]["input"] & told["masks"]["target"]).any()
    assert told["masks"]["input"].any() and told["masks"]["target"].any()
    others = [{"holdout": 0.4}, {"seed": 6}, {"holdout": ["SWOT"]}, {"holdout": ("SWOT", "x")}]
    ids = {loader(**change).content_id for change in others} | {base.content_id}
    assert len(ids) == 5
    assert loader(holdout=["SWOT"]).plan_id == loader(holdout=("SWOT",), seed=9).plan_id
    again = Loader.from_config(json.loads(json.dumps(base.config())), tiles, queries)
    assert (again.plan_id, again.content_id) == (base.plan_id, base.content_id)
    named = json.loads(json.dumps(loader(holdout=["SWOT"]).config()))
    assert (
        Loader.from_config(named, tiles, queries).content_id == loader(holdout=["SWOT"]).content_id
    )


def test_another_input_that_sees_the_same_tracks_is_a_warning(tiles: Path) -> None:
    queries = [Query(2.0, 28.0, 2.0, 18.0, DAYS[0], DAYS[0])]
    how: dict[str, Any] = {"holdout": 0.3}
    part = Window("along", part="input", name="part", **how)
    target = Window("along", part="target", name="hidden", **how)
    with pytest.warns(UserWarning, match="'along' shows the tracks that 'hidden' holds out"):
        Loader(tiles, queries, [part, "along"], [target], batch_size=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Loader(tiles, queries, [part, "latitude"], [target], batch_size=1)
    with pytest.warns(UserWarning, match="'part' shows the tracks"):
        Loader(
            tiles, queries, [part], [Window("along", part="target", name="t", holdout=0.4)],
            batch_size=1,
        )  # fmt: skip


def test_files_that_do_not_tell_tracks_apart(ocean: Path) -> None:
    query = Query(-60, -40, -30, -10, "2023-04-01", "2023-04-01")
    for source, holdout in (("l3_ssh", 0.2), ("l4_ssh", 0.2), ("l3_ssh", ["SWOT"])):
        window = Window(source, holdout=holdout, part="input")
        (loader,) = [Loader(ocean, [query], [window], batch_size=1)]
        with pytest.raises(UnsupportedError, match=r"holdout needs primary_track.*lacks one"):
            next(iter(loader))


def test_mistakes() -> None:
    for arguments, why in [
        ({"holdout": 0.2}, "give both"),
        ({"part": "input"}, "give both"),
        ({"holdout": 0.2, "part": "test"}, "part must be"),
        ({"holdout": 0, "part": "input"}, "a share between 0 and 1"),
        ({"holdout": 1.5, "part": "input"}, "a share between 0 and 1"),
        ({"holdout": True, "part": "input"}, "a share between 0 and 1"),
        ({"holdout": [], "part": "input"}, "names of satellites"),
        ({"holdout": "SWOT", "part": "input"}, "names of satellites"),
        ({"holdout": [1], "part": "input"}, "names of satellites"),
        ({"holdout": 0.2, "part": "input", "seed": -1}, "seed must be"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            Window("l3_ssh", **arguments)  # type: ignore[arg-type]


def test_profiles_have_no_tracks(ocean: Path) -> None:
    query = Query(-60, -40, -30, -10, "2023-04-01", "2023-04-01")
    for name in ("argo", "latitude"):
        with pytest.raises(InvalidInputError, match="only gridded variables of days have tracks"):
            Loader(ocean, [query], [Window(name, holdout=0.2, part="input")])
