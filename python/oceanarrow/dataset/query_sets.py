"""Published sets of queries, in the format of the OceanTACO release."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow.dataset.days import Time, iso_day, utc_day
from oceanarrow.dataset.query import Query
from oceanarrow.exceptions import InvalidDatasetError, InvalidInputError, NotFoundError
from oceanarrow.optional import require

if TYPE_CHECKING:
    import pyarrow as pa

_KM_PER_DEGREE = 111.32
"""Kilometres in a degree of latitude, as the sets count them (`ocean_taco.geobox`)."""

_SCHEMAS = ("queryset/v1", "queryset/v2")
_TABLES = ("positions", "coverage", "assets")
_NOT_IDENTITY = {"queryset_id", "created_at", "notes", "report_paths", "table_sha256"}
_SHARES = {"swot": "swot", "l3_swot": "swot", "ssh": "ssh", "l3_ssh": "ssh"}
_COUNTS = {"argo": "argo_profile_count"}
_INDICES = ("position_index", "date_index")


def read_query_set(
    directory: str | os.PathLike[str],
    *,
    days: tuple[Time, Time] | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    min_valid: Mapping[str, float] | None = None,
) -> list[Query]:
    """The queries of a published set: a directory with `header.json`, `positions.parquet`,
    `coverage.parquet` and `assets.parquet` (`queryset/v1` or `queryset/v2`).

    Args:
        directory: where it lies.
        days: the first and the last day that are wanted.
        bbox: `(lon_min, lon_max, lat_min, lat_max)` that the patches' centres lie in, edges
            included; `lon_min > lon_max` crosses the antimeridian.
        min_valid: what a patch must have at least on its day: `"swot"` or `"ssh"` (or `"l3_swot"`,
            `"l3_ssh"`) is a share of the cells of its footprint, `"argo"` a number of profiles, and
            any column of `coverage.parquet` (`"swot_n_obs_sum"`) its number. What could not be
            measured (null) is not zero, and is left out even by a least share of 0.

    Returns:
        One query a position and day, by position, then day. Boxes are computed as the library
        that published them does, around the centre, with 111.32 km a degree.

    Raises:
        NotFoundError: a file is missing.
        InvalidDatasetError: the set is not what was published, or of another format.
        InvalidInputError: an argument is wrong.
        ImportError: pyarrow is not installed.
    """
    require("pyarrow.parquet", "read_query_set", extra="taco")
    path = Path(directory)
    header = _header(path)
    tables = {name: _table(path, name, header["table_sha256"][name]) for name in _TABLES}
    dates = [_day(path, date) for date in header["dates"]]
    positions, coverage = tables["positions"], tables["coverage"]
    lons, lats = (_column(path, positions, f"centre_{name}") for name in ("lon", "lat"))
    _check_complete(path, coverage, len(lons), len(dates))
    wanted_dates = np.ones(len(dates), bool)
    if days is not None:
        first, last = _day_range(days)
        wanted_dates = np.array([first <= day <= last for day in dates])
    wanted = _inside(bbox, lons, lats)[:, None] & wanted_dates[None]
    for name, least in (min_valid or {}).items():
        values = _evidence(path, name, positions, coverage, len(dates))
        with np.errstate(invalid="ignore"):
            wanted &= values >= least
    size = _patch_size(path, header)
    texts = [iso_day(day) for day in dates]
    queries = []
    for position in np.flatnonzero(wanted.any(axis=1)).tolist():
        box = _footprint(path, size, float(lons[position]), float(lats[position]))
        queries += [
            Query(*box, texts[date], texts[date])
            for date in np.flatnonzero(wanted[position]).tolist()
        ]
    return queries


def _header(path: Path) -> dict[str, Any]:
    """The header, whose identity is that of its content."""
    header_path = path / "header.json"
    try:
        header = json.loads(header_path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"no query set in {path}: it has no header.json") from error
    except (OSError, ValueError) as error:
        raise InvalidDatasetError(f"cannot read {header_path}: {error}") from error
    if not isinstance(header, dict) or header.get("schema_version") not in _SCHEMAS:
        told = header.get("schema_version") if isinstance(header, dict) else None
        raise InvalidDatasetError(
            f"{header_path} is of the format {told!r}; {' and '.join(_SCHEMAS)} are known"
        )
    digests, dates = header.get("table_sha256"), header.get("dates")
    if not isinstance(digests, dict) or set(digests) != set(_TABLES):
        raise InvalidDatasetError(f"{header_path} does not say the digests of {_TABLES}")
    if not isinstance(dates, list) or not dates:
        raise InvalidDatasetError(f"{header_path} has no dates")
    identity = {key: value for key, value in header.items() if key not in _NOT_IDENTITY}
    content = canonical_json({"header": identity, "table_sha256": digests})
    if header.get("queryset_id") != sha256(content).hexdigest():
        raise InvalidDatasetError(
            f"{header_path} is not the one that was published: its queryset_id is not that of its "
            "content; get the set again"
        )
    return header


def canonical_json(value: Any) -> bytes:
    """The bytes that a set's identity is the digest of (`ocean_taco.queryset.canonical_json`)."""
    text = json.dumps(
        _canonical(value),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return text.encode("utf-8")


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_canonical(entry) for entry in value]
    if isinstance(value, float):
        return 0.0 if value == 0.0 else float(f"{value:.12f}")
    return value


def _table(path: Path, name: str, digest: str) -> pa.Table:
    parquet = require("pyarrow.parquet", "read_query_set", extra="taco")
    file = path / f"{name}.parquet"
    try:
        found = sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise NotFoundError(f"the query set {path} has no {file.name}") from error
    if found != digest:
        raise InvalidDatasetError(
            f"{file} is not the table that was published: its SHA-256 is {found[:12]}..., and "
            f"header.json says {str(digest)[:12]}...; get the set again"
        )
    try:
        table: pa.Table = parquet.read_table(file)
    except (OSError, ValueError) as error:
        raise InvalidDatasetError(f"cannot read {file}: {error}") from error
    return table


def _column(path: Path, table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """A column as float64, NaN where it is null."""
    if name not in table.column_names:
        raise InvalidDatasetError(f"the query set {path} has no column {name!r}")
    column: npt.NDArray[np.float64] = table[name].cast("float64").to_numpy()
    return column


def _check_complete(path: Path, coverage: pa.Table, positions: int, dates: int) -> None:
    position, date = (_column(path, coverage, name) for name in _INDICES)
    if not np.array_equal(position * dates + date, np.arange(positions * dates)):
        raise InvalidDatasetError(
            f"coverage.parquet of {path} does not hold each position on each date once, in order"
        )


def _evidence(
    path: Path, name: str, positions: pa.Table, coverage: pa.Table, dates: int
) -> npt.NDArray[np.float64]:
    """What was measured, positions by dates; NaN where nothing was."""
    prefix = _SHARES.get(name)
    column = f"{prefix}_valid_cells" if prefix else _COUNTS.get(name, name)
    if column not in coverage.column_names or column in _INDICES:
        known = sorted({*_SHARES, *_COUNTS, *coverage.column_names} - set(_INDICES))
        raise InvalidInputError(
            f"min_valid names {name!r}; the set has evidence of {', '.join(known)}"
        )
    values = _column(path, coverage, column).reshape(-1, dates)
    if prefix is None:
        return values
    cells = _column(path, positions, f"{prefix}_footprint_cells")[:, None]
    shares = np.full(values.shape, np.nan)
    np.divide(values, cells, out=shares, where=cells > 0)
    return shares


def _inside(
    bbox: tuple[float, float, float, float] | None,
    lons: npt.NDArray[np.float64],
    lats: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    if bbox is None:
        return np.ones(lons.shape, bool)
    try:
        west, east, south, north = map(float, bbox)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"bbox must be (lon_min, lon_max, lat_min, lat_max), not {bbox!r}"
        ) from error
    across = (lons >= west) | (lons <= east) if west > east else (lons >= west) & (lons <= east)
    inside: npt.NDArray[np.bool_] = across & (lats >= south) & (lats <= north)
    return inside


def _day_range(days: tuple[Time, Time]) -> tuple[int, int]:
    try:
        first, last = days
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"days must be (first day, last day), not {days!r}") from error
    return utc_day(first), utc_day(last)


def _day(path: Path, date: object) -> int:
    try:
        return utc_day(str(date))
    except ValueError as error:
        raise InvalidDatasetError(f"header.json of {path} has the date {date!r}") from error


def _patch_size(path: Path, header: Mapping[str, Any]) -> tuple[float, str]:
    size = header.get("patch_size")
    try:
        value, unit = float(size["value"]), size["unit"]  # type: ignore[index]
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidDatasetError(f"header.json of {path} has no patch_size") from error
    if unit not in ("km", "deg") or not 0.0 < value < math.inf:
        raise InvalidDatasetError(f"header.json of {path} has patches of {value} {unit}")
    return value, unit


def _footprint(
    path: Path, size: tuple[float, str], lon: float, lat: float
) -> tuple[float, float, float, float]:
    """The box around a centre, as `ocean_taco.geobox.PatchSize.footprint` computes it."""
    width = height = size[0]
    if size[1] == "km":
        width, height = (
            size[0] / (_KM_PER_DEGREE * math.cos(math.radians(lat))),
            size[0] / _KM_PER_DEGREE,
        )
    south, north = lat - height / 2.0, lat + height / 2.0
    west, east = lon - width / 2.0, lon + width / 2.0
    if not (0.0 < width <= 360.0 and south >= -90.0 and north <= 90.0):
        raise InvalidDatasetError(
            f"the query set {path} has a patch at {lon}, {lat} that leaves the globe"
        )
    if west < -180.0:
        west += 360.0
    elif east > 180.0:
        east -= 360.0
    return west, east, south, north
