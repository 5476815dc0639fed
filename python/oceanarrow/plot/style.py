"""How a variable is coloured."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

_UNIT_TEXTS = {"degC": "°C", "m s-1": "m s$^{-1}$", "1": ""}


@dataclass(frozen=True)
class Style:
    """Colours of a quantity.

    Attributes:
        quantity: variables of one quantity share a colour scale.
        label: the quantity in words.
        unit: as the registry writes it, "" if unknown.
        cmocean: colour map where cmocean is installed, None if its ends would vanish in the dark.
        matplotlib: colour map elsewhere.
        centred: the middle colour means 0.
        dark: the background is dark.
    """

    quantity: str
    label: str
    unit: str
    cmocean: str | None
    matplotlib: str
    centred: bool = False
    dark: bool = False

    def colormap(self) -> Colormap:
        """The colour map; values that are masked are transparent."""
        from matplotlib import colormaps

        colours = (self.cmocean and _cmocean(self.cmocean)) or colormaps[self.matplotlib]
        transparent: Colormap = colours.with_extremes(bad=(0.0, 0.0, 0.0, 0.0))
        return transparent


def _cmocean(name: str) -> Any:
    """The map of this name; None where cmocean is not installed or made for older matplotlib."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(import_module("cmocean").cm, name)
    except (ImportError, AttributeError):
        return None


def style_of(name: str, unit: str) -> Style:
    """The style of a variable, told from its name."""
    words = name.lower().split("_")
    if "adt" in words or name == "glorys_ssh":
        return Style("sea level", "sea level", unit, "dense_r", "viridis", dark=True)
    if {"ssh", "sla", "swot"} & set(words):
        return Style("sla", "sea level anomaly", unit, None, "coolwarm", True, True)
    if "sst" in words:
        return Style("sst", "temperature", unit, "thermal", "inferno")
    if "sss" in words:
        return Style("sss", "salinity", unit, "haline", "viridis")
    if "argo" in words:
        return Style(name, "temperature", unit, "thermal", "inferno")
    if "wind" in words:
        return Style(
            "wind",
            "eastward wind" if name == "l4_wind" else "wind",
            unit,
            "balance",
            "RdBu_r",
            True,
        )
    if {"uo", "vo", "ugos", "vgos"} & set(words):
        return Style("current", "current", unit, "balance", "RdBu_r", True)
    return Style(name, name, unit, "matter", "cividis")


def colour_limits(values: npt.NDArray[np.float64], centred: bool) -> tuple[float, float]:
    """The 2nd and 98th percentile, made symmetric about 0 if `centred`; never equal."""
    if not values.size:
        return (-1.0, 1.0) if centred else (0.0, 1.0)
    low, high = (float(limit) for limit in np.percentile(values, (2, 98)))
    if centred:
        high = max(abs(low), abs(high))
        low = -high
    if high - low <= 1e-6 * max(abs(low), abs(high), 1e-6):
        margin = max(abs(high), 1.0) * 0.01
        low, high = low - margin, high + margin
    return low, high


def unit_text(unit: str) -> str:
    """A registry unit as people write it."""
    return _UNIT_TEXTS.get(unit, unit)
