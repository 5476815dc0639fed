"""``grid="crop"`` is what oceantaco 0.1.0 renders: values, masks, support, coordinates."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import oracle
import pytest
import synthetic
import xarray as xr
from oracle_files import read_tile

from oceanarrow import Loader
from oceanarrow.dataset import Query

pytestmark = pytest.mark.peer

DAY = synthetic.FIRST_DAY
VARIABLES = (
    "l4_ssh",
    "l4_sss",
    "l4_wind",
    "l3_sst",
    "l3_ssh",
    "l3_swot",
    "l3_sss_smos_asc",
    "glorys_uo",
)
#: Their name for each of our ways to resample.
METHODS = {
    "auto": "auto",
    "area": "adaptive_pool",
    "bilinear": "bilinear",
    "nearest": "nearest",
}
SHAPES = [(8, 8), (5, 13), (40, 7), (33, 48)]
TOLERANCE = 1e-5


class Peer(NamedTuple):
    """What is used of oceantaco."""

    resample: Any
    box: Any


@pytest.fixture(scope="module")
def peer() -> Peer:
    """The two classes, without the package's own ``__init__``, which wants all its dependencies."""
    if "ocean_taco" not in sys.modules:
        found = importlib.util.find_spec("ocean_taco")
        if found is None or found.submodule_search_locations is None:
            pytest.skip("oceantaco is not installed; `make peers` does that")
        package = ModuleType("ocean_taco")
        package.__path__ = list(found.submodule_search_locations)
        sys.modules["ocean_taco"] = package
    return Peer(
        importlib.import_module("ocean_taco.render.resample").Resample,
        importlib.import_module("ocean_taco.geobox").GeoBox,
    )


@lru_cache(maxsize=32)
def globe(root: Path, variable: str, day: date) -> xr.DataArray:
    """All tiles of a day side by side, (time, lat, lon)."""
    files = oracle.files_of(root, day, variable)
    halves = []
    for half in ("SOUTH", "NORTH"):
        regions = sorted((r for r in files if r.startswith(half)), key=oracle.REGION_BOXES.get)
        tiles = [read_tile(files[region], oracle.FILES[variable][1], day) for region in regions]
        parts = [
            xr.DataArray(t.values, {"lat": t.lat, "lon": t.lon}, ("lat", "lon")) for t in tiles
        ]
        halves.append(xr.concat(parts, "lon", join="exact"))
    joined = xr.concat(halves, "lat", join="exact")
    assert (np.diff(joined.lat) > 0).all() and (np.diff(joined.lon) > 0).all()
    return joined.expand_dims(time=[np.datetime64(day.isoformat(), "ns")])


def queries() -> list[Query]:
    """Random boxes, two across the antimeridian, one whose edges are cell centres, a tiny one."""
    rng = np.random.default_rng(7)
    boxes = [(-50.5, -40.5, -10.5, 9.5), (168.3, -171.7, -22.2, 14.6), (176.2, -155.1, 20.0, 50.3)]
    boxes.append((-40.03, -40.01, 30.01, 30.03))
    for _ in range(12):
        west, south = rng.uniform(-179, 140), rng.uniform(-70, 30)
        width, height = rng.uniform(3, 40, 2)
        boxes.append((west, west + width, south, south + height))
    return [Query(*map(float, box), DAY.isoformat(), DAY.isoformat()) for box in boxes]


def rendered(root: Path, variable: str, shape: tuple[int, int], **options: Any) -> dict[str, Any]:
    """Our values, mask, support and axes, one row a query."""
    loader = Loader(
        root, queries(), [variable], batch_size=len(queries()), default_patch_size=shape,
        grid="crop", support=True, shuffle=False, fill_value=np.nan, **options,
    )  # fmt: skip
    (batch,) = loader
    arrays = batch.to_numpy()
    return {
        "data": arrays["inputs"][variable],
        "mask": arrays["masks"][variable],
        "support": arrays["support"][variable],
        **arrays["coords"][variable],
    }


def their_rendering(
    peer: Peer, data: xr.DataArray, query: Query, shape: tuple[int, int], method: str, least: float
) -> dict[str, Any] | None:
    """What oceantaco makes of the same cells; None where no cell lies in the box."""
    box = peer.box(*query.bbox, wraps_antimeridian=query.lon_min > query.lon_max)
    resample = peer.resample(shape=shape, support_threshold=least, method=method)
    if method == "adaptive_pool":
        cells = data.sel(lat=slice(query.lat_min, query.lat_max)).sizes["lat"], columns(data, query)
        if min(cells) and (shape[0] > cells[0] or shape[1] > cells[1]):
            # They refuse to pool into more pixels than there are cells; we interpolate.
            with pytest.raises(ValueError, match="native shape"):
                resample.render(data, box)
            return their_rendering(peer, data, query, shape, "bilinear", least)
    result = resample.render(data, box)
    return result if len(result["data"]) else None


def columns(data: xr.DataArray, query: Query) -> int:
    """How many of the globe's columns lie in the box."""
    lon = data.lon.values
    west, east = lon >= query.lon_min, lon <= query.lon_max
    return int((west | east if query.lon_min > query.lon_max else west & east).sum())


def compare(ours: dict[str, Any], theirs: dict[str, Any] | None, least: float) -> int:
    """Asserts that one rendering is the other; returns the number of valid pixels."""
    if theirs is None:
        assert not ours["mask"].any() and not ours["support"].any()
        return 0
    values, valid, support = (theirs[k][0] for k in ("data", "valid_mask", "support"))
    np.testing.assert_allclose(ours["support"], support, rtol=TOLERANCE, atol=TOLERANCE)
    # They weigh in float32: near the threshold rounding decides, and a mean of little weight is
    # as uncertain as its weights.
    clear = np.abs(support - max(least, TOLERANCE)) > TOLERANCE
    np.testing.assert_array_equal(ours["mask"][clear], valid[clear])
    both = ours["mask"] & valid
    largest = np.nanmax(np.abs(values), initial=0.0)
    allowed = TOLERANCE * (np.abs(values) + 0.1 * largest / np.maximum(support, TOLERANCE))
    assert (np.abs(ours["data"] - values)[both] <= allowed[both]).all()
    return int(both.sum())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("resample", METHODS)
@pytest.mark.parametrize("variable", VARIABLES)
def test_crop_is_oceantaco(
    ocean: Path, peer: Peer, variable: str, resample: str, shape: tuple[int, int]
) -> None:
    data = globe(ocean, variable, DAY)
    ours = rendered(ocean, variable, shape, resample=resample, min_support=0.317)
    valid = 0
    for i, query in enumerate(queries()):
        theirs = their_rendering(peer, data, query, shape, METHODS[resample], 0.317)
        valid += compare({name: column[i] for name, column in ours.items()}, theirs, 0.317)
        if theirs is None or resample == "nearest":
            continue
        for axis in ("lat", "lon"):
            np.testing.assert_allclose(ours[axis][i], theirs[axis], rtol=TOLERANCE, atol=1e-5)
    assert valid > 100


@pytest.mark.parametrize("least", [0.0, 0.01, 0.5003, 0.853, 0.9997])
@pytest.mark.parametrize("resample", METHODS)
@pytest.mark.parametrize("variable", ["l4_ssh", "l3_swot"])
def test_every_threshold(
    ocean: Path, peer: Peer, variable: str, resample: str, least: float
) -> None:
    data, shape = globe(ocean, variable, DAY), (9, 11)
    ours = rendered(ocean, variable, shape, resample=resample, min_support=least)
    for i, query in enumerate(queries()):
        theirs = their_rendering(peer, data, query, shape, METHODS[resample], least)
        compare({name: column[i] for name, column in ours.items()}, theirs, least)


@pytest.mark.parametrize("shape", SHAPES)
def test_nearest_says_where_its_cells_lie(ocean: Path, shape: tuple[int, int]) -> None:
    # They give the middle of the pixel, we the centre of the cell that the value is from.
    ours = rendered(ocean, "l4_ssh", shape, resample="nearest")
    data = globe(ocean, "l4_ssh", DAY)
    for i, query in enumerate(queries()):
        cells = data.lat.sel(lat=slice(query.lat_min, query.lat_max)).values
        if len(cells):
            chosen = cells[np.arange(shape[0]) * len(cells) // shape[0]]
            np.testing.assert_allclose(ours["lat"][i], chosen, rtol=1e-6)
