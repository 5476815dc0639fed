"""The rendering rules written a second time: slow, plain, and without any engine code.

Reads a FOLDER dataset with xarray, tile by tile, and loops over pixels.  What it says is compared
with the engine by tests/render/test_against_oracle.py, and with numbers worked out by hand in
tests/test_oracle.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from oracle_files import Tile, read_points, read_tile
from oracle_mosaic import SAME_CELL, Far, Mosaic, build_mosaic

REGION_BOXES = {
    f"{half}_{name}": (west, west + 90, south, south + 90)
    for half, south in (("NORTH", 0), ("SOUTH", -90))
    for name, west in (
        ("ATLANTIC", -90),
        ("INDIAN", 0),
        ("PACIFIC_EAST", 90),
        ("PACIFIC_WEST", -180),
    )
}
FILES = {
    "l4_ssh": ("l4_ssh.nc", "sla"),
    "l4_sst": ("l4_sst.nc", "analysed_sst"),
    "l4_sss": ("l4_sss.nc", "sos"),
    "l4_wind": ("l4_wind.nc", "eastward_wind"),
    "l3_sst": ("l3_sst.nc", "adjusted_sea_surface_temperature"),
    "l3_ssh": ("l3_ssh.nc", "sla_filtered"),
    "l3_swot": ("l3_swot.nc", "ssha_filtered"),
    "l3_sss_smos_asc": ("l3_sss_asc.nc", "Sea_Surface_Salinity"),
    "l3_sss_smos_desc": ("l3_sss_desc.nc", "Sea_Surface_Salinity"),
    "glorys_ssh": ("glorys.nc", "zos"),
    "glorys_sst": ("glorys.nc", "thetao"),
    "glorys_sss": ("glorys.nc", "so"),
    "glorys_uo": ("glorys.nc", "uo"),
    "glorys_vo": ("glorys.nc", "vo"),
    "argo": ("argo.nc", "TEMP"),
}
# Cells that count beyond the box, and degrees or catalogue cells between it and a near region.
_BEYOND = 3
_NEAR_DEGREES, _NEAR_CELLS = 2.0, 2
_NOISE = 1e-9


class Asked(Protocol):
    """What a query says."""

    lon_min: float
    lon_max: float
    lat_min: float
    lat_max: float
    time_start: str
    time_end: str


class Query(NamedTuple):
    """A plain query."""

    lon_min: float
    lon_max: float
    lat_min: float
    lat_max: float
    time_start: str
    time_end: str


@dataclass
class Rendered:
    """What a variable of a query should be.

    ``data`` float32 and ``mask`` bool are (H, W), or (T, H, W) of a stack.  ``files`` are those
    with a cell of weight; ``files_at_most`` also those whose weight may be rounding alone.
    ``shaky``: a cell centre lies on a footprint's or the box's edge but for rounding, or a pixel
    just about half a cell beyond one.  ``far``: tiles that may as well have no part in it.
    """

    data: np.ndarray
    mask: np.ndarray
    present: bool
    files: set[Path]
    files_at_most: set[Path]
    lats: np.ndarray
    lons: np.ndarray
    support: np.ndarray | None = None
    far: set[Far] = field(default_factory=set)
    shaky: bool = False


@dataclass
class Profiles:
    """The levels of a point variable inside a query, as 1-D arrays."""

    present: bool
    data: np.ndarray
    lats: np.ndarray
    lons: np.ndarray
    time: np.ndarray
    pressure: np.ndarray
    files: set[Path]


# ---- which files --------------------------------------------------------------------------------


def window(query: Asked) -> list[date]:
    first = date.fromisoformat(str(query.time_start)[:10])
    last = date.fromisoformat(str(query.time_end)[:10])
    return [first + timedelta(days=k) for k in range((last - first).days + 1)]


def longitudes(query: Asked) -> tuple[float, float]:
    """West and east edge in the user's own frame, east beyond west."""
    crosses = query.lon_min > query.lon_max
    return query.lon_min, query.lon_max + (360.0 if crosses else 0.0)


def overlaps(query: Asked, region: str) -> bool:
    """Whether box and region share an area."""
    west, east = longitudes(query)
    left, right, south, north = REGION_BOXES[region]
    across = any(
        max(west, left + turn) < min(east, right + turn) for turn in range(-1440, 1441, 360)
    )
    return across and max(query.lat_min, south) < min(query.lat_max, north)


def distance(query: Asked, region: str) -> float:
    """Degrees between box and region along the axis where they are farther apart, or 0."""
    west, east = longitudes(query)
    left, right, south, north = REGION_BOXES[region]
    across = min(max(left + turn - east, west - right - turn) for turn in range(-1440, 1441, 360))
    return max(0.0, across, south - query.lat_max, query.lat_min - north)


def near_degrees(tile: Tile) -> float:
    """How far from the box a tile's region may lie to matter."""
    step = (tile.lat[-1] - tile.lat[0]) / (tile.lat.size - 1) if tile.lat.size > 1 else 0.0
    return max(_NEAR_DEGREES, _NEAR_CELLS * step)


def files_of(root: Path, day: date, variable: str) -> dict[str, Path]:
    """Region to file, of those that exist; `ocean.parquet` lists what lies in `ocean`."""
    name = FILES[variable][0]
    paths = {
        r: root.with_suffix("") / "DATA" / f"{day:%Y_%m_%d}" / r / name
        for r in sorted(REGION_BOXES)
    }
    return {region: path for region, path in paths.items() if path.is_file()}


# ---- weights along one axis ---------------------------------------------------------------------


def segments(axis: np.ndarray) -> list[tuple[int, int]]:
    """First and last cell of each run without a gap."""
    if len(axis) == 0:
        return []
    spacing = np.diff(axis)
    cuts = []
    for i, d in enumerate(spacing):
        beside = [spacing[j] for j in (i - 1, i + 1) if 0 <= j < len(spacing)]
        if beside and all(d > 2 * other for other in beside):
            cuts.append(i)
    starts, ends = [0, *(i + 1 for i in cuts)], [*cuts, len(axis) - 1]
    return list(zip(starts, ends, strict=True))


def linear_weights(axis: np.ndarray, point: float) -> list[tuple[int, float]]:
    """(cell, weight) pairs of a point; none where nothing is near enough."""
    for first, last in segments(axis):
        if axis[first] <= point <= axis[last]:
            if first == last:
                return [(first, 1.0)]
            low = next(i for i in range(first, last) if point <= axis[i + 1])
            t = (point - axis[low]) / (axis[low + 1] - axis[low])
            if not SAME_CELL < t < 1 - SAME_CELL:
                return [(low + round(t), 1.0)]
            return [(low, 1.0 - t), (low + 1, t)]
        for edge, inner in ((first, first + 1), (last, last - 1)):
            reach = _NOISE
            if first != last:
                reach = 0.5 * abs(axis[edge] - axis[inner]) * (1 + SAME_CELL)
            outside = axis[first] - point if edge == first else point - axis[last]
            if 0 < outside <= reach:
                return [(edge, 1.0)]
    return []


def nearest_weights(axis: np.ndarray, point: float) -> list[tuple[int, float]]:
    """The one cell nearest to a point, ties to the lower index."""
    pairs = linear_weights(axis, point)
    if len(pairs) < 2:
        return pairs
    low, high = pairs[0][0], pairs[1][0]
    return [(low if point - axis[low] <= axis[high] - point + _NOISE else high, 1.0)]


def _beside(axis: np.ndarray, point: float) -> list[tuple[int, float]]:
    """The neighbours of a cell a point lies on: rounding may give them a weight."""
    on = [i for i, x in enumerate(axis) if abs(x - point) <= _NOISE]
    return [(j, 0.0) for i in on for j in (i - 1, i + 1) if 0 <= j < len(axis)]


def footprints(points: np.ndarray, low: float, high: float) -> list[tuple[float, float]]:
    """The edges of each pixel, clipped to the box."""
    middles = [(a + b) / 2 for a, b in pairwise(points)]
    return list(pairwise([low, *middles, high]))


def cells_inside(axis: np.ndarray, foot: tuple[float, float], *, closed: bool) -> list[int]:
    low, high = foot
    return [i for i, x in enumerate(axis) if low <= x and (x < high or (closed and x == high))]


def _nearly_on(axis: np.ndarray, edges: Iterator[float]) -> bool:
    """Whether a cell centre equals an edge but for rounding."""
    away = [abs(x - edge) for edge in edges for x in axis]
    return any(0 < d < _NOISE for d in away)


def _nearly_reached(axis: np.ndarray, points: np.ndarray) -> bool:
    """Whether a point lies half a cell beyond an edge, give or take what centres may be apart."""
    for first, last in segments(axis):
        for edge, inner in ((first, min(first + 1, last)), (last, max(last - 1, first))):
            cell = abs(axis[edge] - axis[inner])
            if (np.abs(np.abs(points - axis[edge]) - cell / 2) < 2 * SAME_CELL * cell).any():
                return True
    return False


# ---- one day on the output grid -----------------------------------------------------------------


def _weighted(
    mosaic: Mosaic, rows: list[tuple[int, float]], cols: list[tuple[int, float]]
) -> tuple[float, float]:
    """Mask-normalised mean and support of the cells of two weight lists."""
    total = weight = 0.0
    for i, wi in rows:
        for j, wj in cols:
            w = wi * wj
            mosaic.touched[i, j] = True
            mosaic.used[i, j] |= w > _NOISE
            if np.isfinite(mosaic.values[i, j]):
                total += w * mosaic.values[i, j]
                weight += w
    return (total / weight if weight > 0 else np.nan), weight


def render_exact(
    mosaic: Mosaic, query: Asked, shape: tuple[int, int], resample: str
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Values (NaN where nothing is valid), support, and whether rounding could decide a cell."""
    west, east = longitudes(query)
    lats = np.linspace(query.lat_min, query.lat_max, shape[0])
    lons = np.linspace(west, east, shape[1])
    rows_in, cols_in = (
        [cells_inside(axis, foot, closed=k == len(points) - 1) for k, foot in enumerate(feet)]
        for axis, points, feet in (
            (mosaic.lat, lats, footprints(lats, query.lat_min, query.lat_max)),
            (mosaic.lon, lons, footprints(lons, west, east)),
        )
    )
    shaky = False
    if resample == "auto":
        inside = [
            len(cells_inside(mosaic.lat, (query.lat_min, query.lat_max), closed=True)),
            len(cells_inside(mosaic.lon, (west, east), closed=True)),
        ]
        resample = "area" if shape[0] < inside[0] and shape[1] < inside[1] else "bilinear"
        shaky = _nearly_on(mosaic.lat, iter((query.lat_min, query.lat_max)))
        shaky |= _nearly_on(mosaic.lon, iter((west, east)))
    if resample == "area":
        lat_edges = (e for foot in footprints(lats, query.lat_min, query.lat_max) for e in foot)
        lon_edges = (e for foot in footprints(lons, west, east) for e in foot)
        shaky |= _nearly_on(mosaic.lat, lat_edges) or _nearly_on(mosaic.lon, lon_edges)
    weights = nearest_weights if resample == "nearest" else linear_weights
    shaky |= _nearly_reached(mosaic.lat, lats) or _nearly_reached(mosaic.lon, lons)
    row_weights = [weights(mosaic.lat, p) + _beside(mosaic.lat, p) for p in lats]
    col_weights = [weights(mosaic.lon, p) + _beside(mosaic.lon, p) for p in lons]
    values, support = np.full(shape, np.nan), np.zeros(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            rows, cols = row_weights[i], col_weights[j]
            if resample == "area" and rows_in[i] and cols_in[j]:
                rows = [(k, 1 / len(rows_in[i])) for k in rows_in[i]]
                cols = [(k, 1 / len(cols_in[j])) for k in cols_in[j]]
            values[i, j], support[i, j] = _weighted(mosaic, rows, cols)
    return values, support, shaky


def _torch_resize(tensor: torch.Tensor, shape: tuple[int, int], resample: str) -> torch.Tensor:
    if resample == "area":
        return torch.nn.functional.adaptive_avg_pool2d(tensor, shape)
    flags = {"align_corners": False} if resample == "bilinear" else {}
    return torch.nn.functional.interpolate(tensor, shape, mode=resample, **flags)


def _resize(array: np.ndarray, shape: tuple[int, int], resample: str) -> np.ndarray:
    return _torch_resize(torch.from_numpy(array)[None, None], shape, resample)[0, 0].numpy()


def _carry_weight(native: tuple[int, int], shape: tuple[int, int], resample: str) -> np.ndarray:
    """The cells that some pixel depends on: those with a gradient."""
    cells = torch.ones((1, 1, *native), dtype=torch.float64, requires_grad=True)
    _torch_resize(cells, shape, resample).sum().backward()
    assert cells.grad is not None
    return cells.grad[0, 0].numpy() > _NOISE


def _kernel_centres(axis: np.ndarray, size: int, resample: str) -> np.ndarray:
    n, k = len(axis), np.arange(size)
    if resample == "area":
        starts, ends = k * n // size, -(-(k + 1) * n // size)
        where = (starts + ends - 1) / 2
    elif resample == "nearest":
        where = np.floor(k * n / size)
    else:
        where = np.clip((k + 0.5) * n / size - 0.5, 0, n - 1)
    return np.interp(where, np.arange(n), axis)


def render_crop(
    mosaic: Mosaic, query: Asked, shape: tuple[int, int], resample: str
) -> tuple[np.ndarray, np.ndarray, bool, tuple[np.ndarray, np.ndarray] | None]:
    """Values, support, shakiness, and the kernel centres (None where no cell lies inside)."""
    west, east = longitudes(query)
    rows = cells_inside(mosaic.lat, (query.lat_min, query.lat_max), closed=True)
    cols = cells_inside(mosaic.lon, (west, east), closed=True)
    shaky = _nearly_on(mosaic.lat, iter((query.lat_min, query.lat_max)))
    shaky |= _nearly_on(mosaic.lon, iter((west, east)))
    if not rows or not cols:
        return np.full(shape, np.nan), np.zeros(shape), shaky, None
    block = np.ix_(rows, cols)
    native = (len(rows), len(cols))
    fits = shape[0] <= native[0] and shape[1] <= native[1]
    if resample == "auto":
        resample = "area" if fits and shape != native else "bilinear"
    elif resample == "area" and not fits:
        resample = "bilinear"
    mosaic.touched[block] = True
    mosaic.used[block] |= _carry_weight(native, shape, resample)
    valid = np.isfinite(mosaic.values[block])
    filled = np.where(valid, mosaic.values[block], 0.0)
    support = _resize(valid.astype(np.float64), shape, resample)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = _resize(filled, shape, resample) / support
    centres = tuple(
        _kernel_centres(axis[inside], size, resample)
        for axis, inside, size in ((mosaic.lat, rows, shape[0]), (mosaic.lon, cols, shape[1]))
    )
    return values, support, shaky, (centres[0], centres[1])


# ---- a query ------------------------------------------------------------------------------------


def render(
    root: Path,
    query: Asked,
    variable: str,
    shape: tuple[int, int],
    *,
    resample: str = "bilinear",
    grid: str = "exact",
    temporal_agg: str = "mean",
    min_support: float = 0.01,
    fill_value: float = 0.0,
    without: Collection[Far] = (),
) -> Rendered:
    """What a gridded variable of a query should be.

    The rules leave open whether a tile has a part in the grid if all its cells are farther from
    the box than three of them. Those are listed in the result, and may be left out.
    """
    west, east = longitudes(query)
    days = window(query)
    files = {day: files_of(root, day, variable) for day in days}
    seen = [day for day in days if any(overlaps(query, region) for region in files[day])]
    chosen = {"first": seen[:1], "last": seen[-1:]}.get(temporal_agg, seen)
    out = Rendered(
        data=np.zeros(0),
        mask=np.zeros(0),
        present=bool(seen),
        files=set(),
        files_at_most=set(),
        lats=np.linspace(query.lat_min, query.lat_max, shape[0]),
        lons=np.linspace(west, east, shape[1]),
    )
    layers = {}
    for day in chosen:
        tiles = []
        for region, path in files[day].items():
            tile = read_tile(path, FILES[variable][1], day)
            spare = near_degrees(tile) - distance(query, region)
            if overlaps(query, region) or (grid == "exact" and spare >= 0.0):
                tiles.append(tile)
            out.shaky |= grid == "exact" and abs(spare) < _NOISE
        box = (west, east, query.lat_min, query.lat_max)
        mosaic = build_mosaic(tiles, box, _BEYOND if grid == "exact" else 0, without)
        out.far |= mosaic.far
        if grid == "exact":
            values, support, shaky = render_exact(mosaic, query, shape, resample)
        else:
            values, support, shaky, centres = render_crop(mosaic, query, shape, resample)
            if centres is not None and not layers:
                out.lats, out.lons = centres
        out.shaky |= shaky
        out.files |= mosaic.files(mosaic.used)
        out.files_at_most |= mosaic.files(mosaic.touched)
        enough = (support > 0) & (support >= min_support)
        layers[day] = np.where(enough, values, np.nan)
        out.support = support if len(chosen) == 1 else None
    stack = [layers.get(day, np.full(shape, np.nan)) for day in days]
    result = np.stack(stack) if temporal_agg == "stack" else _mean_of_valid(stack)
    out.mask = np.isfinite(result)
    out.data = np.where(out.mask, result, fill_value).astype(np.float32)
    return out


def _mean_of_valid(stack: Sequence[np.ndarray]) -> np.ndarray:
    array = np.stack(stack)
    count = np.isfinite(array).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.nansum(array, axis=0) / count


def render_points(root: Path, query: Asked, variable: str = "argo") -> Profiles:
    """What a point variable of a query should be, by day, region and place in the file."""
    west, east = longitudes(query)
    days = window(query)
    first, last = (np.datetime64(days[k].isoformat()) for k in (0, -1))
    present, files, parts = False, set(), []
    for day in days:
        for region, path in files_of(root, day, variable).items():
            if not overlaps(query, region):
                continue
            present = True
            data, lat, lon, time, pressure = read_points(path, FILES[variable][1])
            lon = west + (lon - west) % 360.0
            when = time.astype("datetime64[D]")
            inside = (lon <= east) & (lat >= query.lat_min) & (lat <= query.lat_max)
            inside &= np.isfinite(data) & (when >= first) & (when <= last)
            if inside.any():
                files.add(path)
                parts.append([x[inside] for x in (data, lat, lon, time, pressure)])
    empty = [np.zeros(0)] * 3 + [np.zeros(0, "datetime64[ns]"), np.zeros(0)]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else empty
    return Profiles(present, *columns, files=files)
