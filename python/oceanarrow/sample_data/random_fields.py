"""Random fields on global grids of latitude and longitude, and their low-pass filter."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Waves:
    """A random field of about unit variance: waves of a band that travel and change.

    Attributes:
        name: seeds it; fields of different names are independent.
        rows: of its global grid of cell centres; there are twice as many columns.
        shortest: wavelength, degrees.
        longest: wavelength, degrees.
        westward: how fast long waves travel, degrees of longitude a day.
        period: days in which waves forget their phase; infinite by default.
        dispersion: the wavelength (degrees) at which the speed is half that of long waves; Rossby
            waves have the speed c / (1 + (k/k_d)**2). 0 for none.
    """

    name: str
    rows: int
    shortest: float
    longest: float
    westward: float = 0.0
    period: float = np.inf
    dispersion: float = 0.0

    def at(self, day: float) -> Array:
        """The field of a day: (rows, 2 * rows) float32."""
        spectrum, rate = _spectrum(self)
        shape = (2 * self.rows, 2 * self.rows)
        field = np.fft.irfft2(spectrum * np.exp(1j * day * rate), shape)[: self.rows]
        return field.astype(np.float32)


@lru_cache(maxsize=32)
def _spectrum(waves: Waves) -> tuple[Array, Array]:
    """Amplitudes and phase rates (radians a day) of the waves.

    The grid goes over a pole and back, which makes it periodic both ways.
    """
    rng = np.random.default_rng(zlib.crc32(waves.name.encode()))
    size = 2 * waves.rows
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    kx, k = _wavenumbers(waves.rows)
    spectrum *= np.where(
        (k >= 1 / waves.longest) & (k <= 1 / waves.shortest), np.maximum(k, 1e-9) ** -1.5, 0
    )
    spectrum /= np.fft.irfft2(spectrum, (size, size)).std()
    slower = 1 + (k * waves.dispersion) ** 2
    rate = 2 * np.pi * kx * waves.westward / slower
    if np.isfinite(waves.period):
        rate = rate + rng.standard_normal(k.shape) * (2 * np.pi / waves.period)
    # Real fields need a symmetric spectrum; these columns are their own mirror image.
    rate[:, [0, -1]] = 0.0
    return spectrum, rate


def low_pass(values: Array, width: float) -> Array:
    """Gaussian smoothing of a global grid of cell centres, (rows, 2 * rows).

    Args:
        values: without gaps.
        width: the standard deviation, degrees.
    """
    rows = values.shape[0]
    _, k = _wavenumbers(rows)
    # Mirrored at the poles.
    both = np.fft.rfft2(np.concatenate([values, values[::-1]]))
    both *= np.exp(-2 * (np.pi * width * k) ** 2)
    found: Array = np.fft.irfft2(both, (2 * rows, 2 * rows))[:rows]
    return found


def fill_gaps(values: Array) -> Array:
    """The values with NaN replaced by ever wider Gaussian means of what is around."""
    known = np.isfinite(values)
    missing, seen = ~known, known.astype(float)
    filled = np.where(known, values, 0.0)
    given = filled.copy()
    for width in (1.0, 4.0, 16.0, 64.0):
        weight = low_pass(seen, width)
        take = missing & (weight > 0.02)
        filled[take] = low_pass(given, width)[take] / weight[take]
        missing &= ~take
    return filled


@lru_cache(maxsize=4)
def _wavenumbers(rows: int) -> tuple[Array, Array]:
    """Eastward and total wavenumbers, cycles a degree."""
    step = 180.0 / rows
    kx = np.fft.rfftfreq(2 * rows, step)[None, :]
    ky = np.fft.fftfreq(2 * rows, step)[:, None]
    return np.broadcast_to(kx, (2 * rows, kx.size)), np.hypot(kx, ky)
