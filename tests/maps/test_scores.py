"""Scores: NumPy the slow way, scipy's spectra, and series whose resolution is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import xarray as xr

from oceanarrow import scores
from oceanarrow.exceptions import InvalidInputError

LAT, LON = np.arange(-60.0, 61, 10), np.arange(-180.0, 180, 15)
TIMES = pd.date_range("2020-01-01", periods=120).values


def a_map(seed: int, **dims: Any) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    coords: dict[str, Any] = {"time": TIMES, **dims, "lat": LAT, "lon": LON}
    values = rng.normal(size=[len(axis) for axis in coords.values()])
    values[rng.random(values.shape) < 0.1] = np.nan
    return xr.DataArray(values, coords, list(coords), attrs={"units": "m"})


def weighted(squares: np.ndarray, lat_axis: int = -2) -> float:
    """The mean of what is not NaN, by area."""
    shape = [1] * squares.ndim
    shape[lat_axis] = -1
    weights = np.cos(np.radians(LAT)).reshape(shape) * np.isfinite(squares)
    return float(np.sqrt(np.nansum(squares * weights) / weights.sum()))


def test_rmse_and_groups_against_numpy() -> None:
    guess, truth = a_map(0), a_map(1)
    squares = (guess - truth).values ** 2
    found = scores.rmse(guess, truth)
    assert found.item() == pytest.approx(weighted(squares), rel=1e-12)
    assert found.attrs["units"] == "m"
    by_day = scores.rmse(guess, truth, by="day")
    assert by_day.values[7] == pytest.approx(weighted(squares[7]), rel=1e-12)
    seasons = scores.rmse(guess, truth, by="season")
    winter = np.isin(pd.DatetimeIndex(TIMES).month, (12, 1, 2))
    assert seasons.sel(season="DJF").item() == pytest.approx(weighted(squares[winter]), rel=1e-12)
    regions = {"across": (170.0, -170.0, -25.0, 25.0), "north": (-180.0, 180.0, 30.0, 90.0)}
    found = scores.rmse(guess, truth, by=["region", "day"], regions=regions)
    assert set(found.dims) == {"region", "time"}
    part = np.where((LAT >= 30)[:, None] & np.ones(LON.size, bool), squares[3], np.nan)
    assert found.sel(region="north").values[3] == pytest.approx(weighted(part), rel=1e-12)
    inside = (np.abs(LAT) <= 25)[:, None] & ((LON - 170) % 360 <= 20)
    assert found.sel(region="across").values[0] == pytest.approx(
        weighted(np.where(inside, squares[0], np.nan)), rel=1e-12
    )
    score = scores.normalized_rmse_score(guess, truth)
    power = np.where(np.isfinite(squares), truth.values**2, np.nan)
    expected = 1 - weighted(squares) / weighted(power)
    assert score.item() == pytest.approx(expected, rel=1e-12)
    assert scores.normalized_rmse_score(truth, truth).item() == 1.0
    assert scores.normalized_rmse_score(0 * truth, truth).item() == pytest.approx(0.0)


def test_leads_are_held_against_their_own_days() -> None:
    truth = a_map(2)
    forecast = scores.persistence(truth, 3)
    assert forecast.dims == ("time", "lead", "lat", "lon")
    found = scores.rmse(forecast, truth, by="lead")
    assert found.values[0] == 0.0
    for lead in (1, 2):
        squares = (truth.values[:-lead] - truth.values[lead:]) ** 2
        assert found.values[lead] == pytest.approx(weighted(squares), rel=1e-12)
    twice = scores.rmse(forecast, truth, by=["lead", "day"])
    assert np.isnan(twice.sel(lead=2).values[-2:]).all()
    with pytest.raises(InvalidInputError, match="has leads already"):
        scores.persistence(forecast, 2)


def test_climatology_as_a_forecast() -> None:
    months = xr.DataArray(np.arange(12.0), {"time": np.arange(12)}, ("time",))
    made = scores.climatology(months, TIMES)
    np.testing.assert_array_equal(made.values, pd.DatetimeIndex(TIMES).month - 1)
    np.testing.assert_array_equal(made["time"].values, TIMES)
    days = xr.DataArray(np.arange(365.0), {"time": np.arange(365)}, ("time",))
    last = scores.climatology(days, np.array(["2020-01-01", "2020-12-31"], "datetime64[ns]"))
    assert last.values.tolist() == [0.0, 364.0]
    with pytest.raises(InvalidInputError, match="12, 365 or 366 maps"):
        scores.climatology(days[:100], TIMES)


def test_mistakes_of_maps() -> None:
    guess, truth = a_map(0), a_map(1)
    for arguments, why in [
        ({"by": "year"}, "by must be of"),
        ({"by": ["day", "season"]}, "not both"),
        ({"by": "region"}, "belongs to by"),
        ({"regions": {}}, "belongs to by"),
        ({"by": "region", "regions": {"a": 3}}, "must be"),
        ({"by": "lead"}, "needs maps with leads"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            scores.rmse(guess, truth, **arguments)
    with pytest.raises(InvalidInputError, match="the same lat"):
        scores.rmse(guess.isel(lat=slice(3)), truth)


def track(values: np.ndarray, step_km: float = 7.0, start: float = 0.0) -> dict[str, np.ndarray]:
    """Along the equator, a point each second."""
    degrees = np.degrees(step_km * np.arange(values.size) / scores.EARTH_RADIUS_KM)
    time = np.datetime64("2020-01-01", "ns") + (start + np.arange(values.size)).astype(
        "timedelta64[s]"
    )
    return {"time": time, "lat": np.zeros(values.size), "lon": degrees}


def test_spectra_are_scipys() -> None:
    rng = np.random.default_rng(3)
    n, step, length = 20_000, 7.0, 143
    reference = np.cumsum(rng.normal(size=n))
    guess = reference + rng.normal(size=n)
    found = scores.effective_resolution(
        {**track(reference), "a": guess, "b": reference}, "a", "b", overlap=0.0
    )
    assert found.segments == n // length
    for ours, series in ((found.reference, reference), (found.error, guess - reference)):
        wavenumber, power = scipy.signal.welch(
            series[: n // length * length], 1 / step, nperseg=length, noverlap=0, detrend="linear"
        )
        np.testing.assert_allclose(found.wavenumber, wavenumber[1:], rtol=1e-9)
        np.testing.assert_allclose(ours, power[1:], rtol=1e-6)


@pytest.mark.parametrize("resolved_km", [60.0, 120.0, 200.0])
def test_a_map_that_lacks_short_waves_has_their_resolution(resolved_km: float) -> None:
    """The prediction is the reference without what is shorter: the error jumps from nothing to all
    of the power there."""
    rng = np.random.default_rng(5)
    n, step = 2**16, 7.0
    spectrum = np.fft.rfft(rng.normal(size=n))
    wavenumber = np.fft.rfftfreq(n, step)
    spectrum[1:] /= wavenumber[1:]
    reference = np.fft.irfft(spectrum, n)
    spectrum[wavenumber > 1 / resolved_km] = 0
    guess = np.fft.irfft(spectrum, n)
    points = {**track(reference), "map": guess, "truth": reference}
    found = scores.effective_resolution(points, "map", "truth", segment_km=2000.0)
    assert found.effective_resolution == pytest.approx(resolved_km, rel=0.06)


def test_white_noise_on_a_red_reference() -> None:
    """error / reference = noise / (a k^-2): half at k = sqrt(a / 2 noise)."""
    rng = np.random.default_rng(6)
    n, step = 2**17, 7.0
    wavenumber = np.fft.rfftfreq(n, step)
    spectrum = np.fft.rfft(rng.normal(size=n))
    spectrum[1:] *= 0.004 / wavenumber[1:]
    spectrum[0] = 0
    reference = np.fft.irfft(spectrum, n)
    guess = reference + rng.normal(size=n)
    found = scores.effective_resolution(
        {**track(reference), "a": guess, "b": reference}, "a", "b", segment_km=1500.0
    )
    assert found.effective_resolution == pytest.approx(np.sqrt(2) / 0.004, rel=0.1)


def test_gaps_and_ends() -> None:
    rng = np.random.default_rng(7)
    one = np.cumsum(rng.normal(size=400))
    other = np.cumsum(rng.normal(size=100))
    first, second = track(one), track(other, start=5000.0)
    second["lon"] = second["lon"] + 90
    points = {name: np.concatenate([first[name], second[name]]) for name in first}
    reference = np.concatenate([one, other])
    points |= {"a": 0.9 * reference, "b": reference}
    found = scores.effective_resolution(points, "a", "b", overlap=0.0)
    assert found.segments == 2, "of the first stretch; the second is too short"
    # A tenth is missing of all waves: resolved wherever there is power.
    assert found.effective_resolution == pytest.approx(14.0, rel=0.02)
    worse = scores.effective_resolution({**points, "a": -reference}, "a", "b")
    assert worse.effective_resolution == np.inf
    missing = {**points, "a": np.where(np.arange(500) == 50, np.nan, points["a"])}
    assert scores.effective_resolution(pd.DataFrame(missing), "a", "b", overlap=0.0).segments == 2


def test_what_is_no_track() -> None:
    values = np.random.default_rng(8).normal(size=500)
    points = {**track(values), "a": values, "b": values}
    for changes, why in [
        ({"a": None}, "no column 'a'"),
        ({"a": values.reshape(20, 25)}, "tiles are scored by rmse"),
        ({"time": points["time"][::-1]}, "must be ordered along their tracks"),
        ({"lon": np.zeros(500)}, "this is no track"),
        ({"a": np.full(500, np.nan)}, "fewer than three points"),
    ]:
        changed = {k: v for k, v in {**points, **changes}.items() if v is not None}
        with pytest.raises(InvalidInputError, match=why):
            scores.effective_resolution(changed, "a", "b")
    with pytest.raises(InvalidInputError, match="take a longer one"):
        scores.effective_resolution(points, "a", "b", segment_km=20.0)
    with pytest.raises(InvalidInputError, match="no stretch of points"):
        scores.effective_resolution(points, "a", "b", segment_km=9000.0)
    with pytest.raises(InvalidInputError, match="a share below 1"):
        scores.effective_resolution(points, "a", "b", overlap=1.0)
