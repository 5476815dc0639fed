"""How good a map is: errors by place and time, baselines, and the resolution along tracks.

Maps are `xarray.DataArray`s of `time, lat, lon`, and `lead` where there are several, as
`Stitcher.to_xarray` gives them. Cells count by their area, as the cosine of the latitude.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require
from oceanarrow.request import check_positive

if TYPE_CHECKING:
    import xarray

By = Literal["day", "season", "lead", "region"]
Box = tuple[float, float, float, float]
Floats = npt.NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0088
"""Of the sphere whose surface is the ellipsoid's (IUGG)."""

_HALF = 0.5


def rmse(
    prediction: xarray.DataArray,
    truth: xarray.DataArray,
    *,
    by: By | Sequence[By] | None = None,
    regions: Mapping[str, Box] | None = None,
) -> xarray.DataArray:
    """The root of the mean squared error, in the unit of the maps.

    Args:
        prediction, truth: maps with the same coordinates; points where either is NaN do not count.
            A prediction with leads is held against the truth of the day that many days later,
            unless `truth` has leads itself.
        by: what errors are told apart by, of which several may be given: `"day"`, `"season"` (DJF,
            MAM, JJA, SON), `"lead"`, `"region"`.
        regions: {name: `(lon_min, lon_max, lat_min, lat_max)`} of `"region"`.

    Returns:
        A number, or one for each group; NaN where no point counts.

    Raises:
        InvalidInputError: the maps do not fit each other, or an argument is wrong.
    """
    squares, _ = _squares(prediction, truth, by, regions)
    root = squares**0.5
    return root.rename("rmse").assign_attrs(units=truth.attrs.get("units", ""))


def normalized_rmse_score(
    prediction: xarray.DataArray,
    truth: xarray.DataArray,
    *,
    by: By | Sequence[By] | None = None,
    regions: Mapping[str, Box] | None = None,
) -> xarray.DataArray:
    """1 - RMSE / RMS(truth): 1 is right, 0 as good as a map of zeros.

    The score of the SSH mapping data challenges (ocean-data-challenges, 2020a_SSH_mapping_NATL60).
    Arguments, returns and errors are those of `rmse`.
    """
    squares, power = _squares(prediction, truth, by, regions)
    score = 1 - (squares / power) ** 0.5
    return score.rename("score").assign_attrs(units="1")


def persistence(truth: xarray.DataArray, leads: int) -> xarray.DataArray:
    """The forecast that nothing changes: each day's map for `leads` days, the day itself first.

    Raises:
        InvalidInputError: `leads` is no positive whole number, or `truth` has leads.
    """
    xr = require("xarray", "persistence", extra="xarray")
    check_positive("leads", leads)
    if "lead" in truth.dims:
        raise InvalidInputError("the truth has leads already")
    lead = xr.DataArray(np.arange(leads), dims="lead", name="lead")
    made: xarray.DataArray = truth.expand_dims(lead=lead)
    return made.transpose("time", "lead", ...)


def climatology(normal: xarray.DataArray, times: Any) -> xarray.DataArray:
    """The forecast that each day is as usual: the map of the month or of the day of the year.

    Args:
        normal: 12, 365 or 366 maps, along `time`: what `oceanarrow.climatology` writes.
        times: the days that are wanted, as `truth["time"]`.

    Raises:
        InvalidInputError: there are neither 12 nor 365 nor 366 maps.
    """
    stamps = np.asarray(times).astype("datetime64[D]")
    if normal.sizes.get("time") == 12:
        places = stamps.astype("datetime64[M]").astype(int) % 12
    elif normal.sizes.get("time") in (365, 366):
        places = (stamps - stamps.astype("datetime64[Y]")).astype(int)
        places = np.minimum(places, normal.sizes["time"] - 1)
    else:
        raise InvalidInputError(
            f"a climatology has 12, 365 or 366 maps along time, not {dict(normal.sizes)}"
        )
    made: xarray.DataArray = normal.isel(time=places).assign_coords(time=np.asarray(times))
    return made


def _squares(
    prediction: xarray.DataArray,
    truth: xarray.DataArray,
    by: By | Sequence[By] | None,
    regions: Mapping[str, Box] | None,
) -> tuple[xarray.DataArray, xarray.DataArray]:
    """The mean squared error and the mean square of the truth, by group."""
    xr = require("xarray", "scores", extra="xarray")
    groups = [by] if isinstance(by, str) else list(by or ())
    if not all(group in get_args(By) for group in groups) or len(set(groups)) != len(groups):
        raise InvalidInputError(f"by must be of {', '.join(get_args(By))}, not {by!r}")
    if ("region" in groups) != (regions is not None):
        raise InvalidInputError('regions={name: box} belongs to by="region"')
    truth = _at_leads(prediction, truth)
    for name in ("lat", "lon", "time"):
        same = name in prediction.dims and name in truth.dims
        if not same or not np.array_equal(prediction[name].values, truth[name].values):
            raise InvalidInputError(
                f"prediction and truth must have the same {name}; select or interpolate one of them"
            )
    there = prediction.notnull() & truth.notnull()
    weight: xarray.DataArray = there * np.cos(np.radians(truth["lat"]))
    error, power = (prediction - truth) ** 2, truth**2
    if regions is not None:
        inside = [_inside(truth, name, box) for name, box in regions.items()]
        names = xr.DataArray(list(regions), dims="region", name="region")
        weight = weight * xr.concat(inside, names)
    over = ["lat", "lon"]
    if "day" not in groups and "season" not in groups:
        over.append("time")
    if "lead" in weight.dims and "lead" not in groups:
        over.append("lead")
    elif "lead" in groups and "lead" not in weight.dims:
        raise InvalidInputError('by="lead" needs maps with leads')
    sums = [(part.fillna(0.0) * weight).sum(over) for part in (error, power)]
    weights = weight.sum(over)
    if "season" in groups and "day" not in groups:
        sums = [part.groupby("time.season").sum() for part in sums]
        weights = weights.groupby("time.season").sum()
    elif "season" in groups:
        raise InvalidInputError('by takes "day" or "season", not both')
    found = [(part / weights).where(weights > 0) for part in sums]
    return found[0], found[1]


def _at_leads(prediction: xarray.DataArray, truth: xarray.DataArray) -> xarray.DataArray:
    """The truth of the days that each lead is of; NaN where there is none."""
    if "lead" not in prediction.dims or "lead" in truth.dims:
        return truth
    xr = require("xarray", "scores", extra="xarray")
    day = np.timedelta64(1, "D")
    each = []
    for lead in prediction["lead"].values.tolist():
        times = prediction["time"].values + lead * day
        each.append(truth.reindex(time=times).assign_coords(time=prediction["time"].values))
    made: xarray.DataArray = xr.concat(each, prediction["lead"])
    return made


def _inside(truth: xarray.DataArray, name: str, box: Box) -> xarray.DataArray:
    try:
        west, east, south, north = (float(edge) for edge in box)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"regions[{name!r}] must be (lon_min, lon_max, lat_min, lat_max), not {box!r}"
        ) from error
    wide = east - west + (360.0 if east < west else 0.0)
    lat, lon = truth["lat"], (truth["lon"] - west) % 360.0
    inside: xarray.DataArray = (lat >= south) & (lat <= north) & (lon <= wide)
    return inside


@dataclass(frozen=True)
class Spectra:
    """Power spectra along tracks.

    Attributes:
        wavenumber: `(K,)`, cycles a kilometre, ascending, without 0.
        reference, error: `(K,)`, power spectral densities of the reference and of prediction less
            reference, in the unit squared times kilometres.
        effective_resolution: the wavelength in kilometres at which error / reference crosses 0.5,
            going from long waves to short; infinite if the error is larger at all of them, the
            shortest wavelength if it is nowhere.
        segments: how many stretches of track they are the mean of.
    """

    wavenumber: Floats
    reference: Floats
    error: Floats
    effective_resolution: float
    segments: int


def effective_resolution(
    points: Any,
    prediction: str,
    reference: str,
    *,
    segment_km: float = 1000.0,
    overlap: float = 0.25,
    max_gap: float = 4.0,
) -> Spectra:
    """The resolution of a map along tracks, as the SSH mapping data challenges define it: the
    wavelength at which the error has half the power of the reference (Ballarotta et al., 2019,
    "On the resolutions of ocean altimetry maps", Ocean Science 15).

    The points are cut where they lie further apart than `max_gap` usual steps, and into segments
    of `segment_km` that overlap. Of each segment a line is taken off and a Hann window laid upon
    it; the periodograms are averaged. Positions are taken as evenly spaced by the usual step.

    Limits: waves of which fewer than two fit into a segment are not resolved, nor those shorter
    than two steps; a track needs at least one unbroken segment; land and gaps shorten tracks. The
    segments' mean hides that resolution varies with latitude: score regions one by one.

    Args:
        points: a table (Arrow, pandas, a dict of arrays) of points ordered along their tracks, with
            `time`, `lat`, `lon` and both columns; NaN or null where there is no value.
        prediction, reference: names of the columns.
        segment_km: length of a segment.
        overlap: share of a segment that it has in common with the next.
        max_gap: in usual steps.

    Raises:
        InvalidInputError: a column is missing, the points are no ordered tracks (a tile of a swath,
            say), or no stretch is as long as a segment.
    """
    if not 0 <= overlap < 1 or segment_km <= 0 or max_gap < 1:
        raise InvalidInputError("overlap is a share below 1, segment_km and max_gap are positive")
    columns = [_column(points, name) for name in ("time", "lat", "lon", prediction, reference)]
    times = columns[0].astype("datetime64[ns]").astype(np.int64) / 1e9
    lat, lon, guess, true = (column.astype(np.float64) for column in columns[1:])
    there = np.isfinite(guess) & np.isfinite(true)
    times, lat, lon, guess, true = (part[there] for part in (times, lat, lon, guess, true))
    if times.size < 3:
        raise InvalidInputError("there are fewer than three points with both values")
    if (np.diff(times) < 0).any():
        raise InvalidInputError(
            "the points must be ordered along their tracks, by time; a tile of a swath is no track"
        )
    steps = _distances(lat, lon)
    usual = float(np.median(steps))
    if not usual > 0:
        raise InvalidInputError("most points lie where the one before them does: this is no track")
    length = round(segment_km / usual)
    if length < 8:
        raise InvalidInputError(
            f"a segment of {segment_km:g} km has {length} points, {usual:.3g} km apart; take a "
            "longer one"
        )
    cuts = np.flatnonzero(steps > max_gap * usual) + 1
    stride = max(1, round(length * (1 - overlap)))
    segments = [
        slice(start, start + length)
        for run in np.split(np.arange(times.size), cuts)
        for start in run[: max(0, run.size - length + 1) : stride].tolist()
    ]
    if not segments:
        raise InvalidInputError(
            f"no stretch of points without a gap is {segment_km:g} km long ({length} points)"
        )
    wavenumber, power = _power([true[segment] for segment in segments], usual)
    _, error = _power([(guess - true)[segment] for segment in segments], usual)
    resolution = _crossing(wavenumber, error / power)
    return Spectra(wavenumber, power, error, resolution, len(segments))


def _column(points: Any, name: str) -> npt.NDArray[Any]:
    try:
        column = points[name]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise InvalidInputError(f"the table has no column {name!r}") from error
    array = np.asarray(column.to_numpy() if hasattr(column, "to_numpy") else column)
    if array.ndim != 1:
        raise InvalidInputError(
            f"{name!r} has {array.ndim} dimensions: give a table of points ordered along their "
            "tracks; tiles are scored by rmse"
        )
    return array


def _distances(lat: Floats, lon: Floats) -> Floats:
    """Kilometres from each point to the next, on the sphere."""
    a, b = np.radians(lat[:-1]), np.radians(lat[1:])
    half = np.sin((b - a) / 2) ** 2
    half += np.cos(a) * np.cos(b) * np.sin(np.radians(np.diff(lon)) / 2) ** 2
    distances: Floats = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    return distances


def _power(segments: Sequence[Floats], step: float) -> tuple[Floats, Floats]:
    """Wavenumbers without 0, and the mean power spectral density of detrended segments."""
    series = np.stack(segments)
    n = series.shape[1]
    # Least squares over places that sum to zero.
    places = np.arange(n) - (n - 1) / 2
    series = series - series.mean(axis=1, keepdims=True)
    series -= np.outer(series @ places / (places @ places), places)
    window = np.sin(np.pi * np.arange(n) / n) ** 2
    spectrum = np.abs(np.fft.rfft(series * window, axis=1)) ** 2
    density = 2 * step * spectrum.mean(axis=0) / (window @ window)
    if n % 2 == 0:
        density[-1] /= 2
    wavenumber = np.arange(n // 2 + 1) / (n * step)
    return wavenumber[1:], density[1:]


def _crossing(wavenumber: Floats, ratio: Floats) -> float:
    """The wavelength at which the ratio first reaches 0.5, from long waves to short."""
    over = np.flatnonzero(ratio >= _HALF)
    if not over.size:
        return float(1 / wavenumber[-1])
    first = int(over[0])
    if first == 0:
        return float("inf")
    share = (_HALF - ratio[first - 1]) / (ratio[first] - ratio[first - 1])
    between = wavenumber[first - 1] + share * (wavenumber[first] - wavenumber[first - 1])
    return float(1 / between)
