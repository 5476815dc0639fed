"""The picture: truth, what was seen, what the network made of it, and what is left."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.image import AxesImage
from matplotlib.ticker import MultipleLocator
from torch import Tensor

PICTURE = Path(__file__).parent / "sea_level.png"
LAND = "#d8d3c7"
HIDDEN = "#2b2f36"


def draw(
    sea: Tensor,
    seen: Tensor,
    filled: Tensor,
    water: Tensor,
    typical: float,
    bbox: tuple[float, float, float, float],
    day: str,
) -> Path:
    """Four maps (H, W) of `bbox` (lon_min, lon_max, lat_min, lat_max), rows northwards.

    `typical` is the root mean square error of the hidden water in cm.
    """
    truth, guess = sea.numpy(), filled.numpy()
    sea_pixels, seen_pixels = water.numpy(), seen.numpy()
    low, high = np.percentile(truth[sea_pixels], [1, 99])
    # Few colours: steps show in the maps as in the bars, and the file stays small.
    level = {"cmap": colormaps["RdYlBu_r"].resampled(32), "vmin": low, "vmax": high}
    left = {"cmap": colormaps["RdBu_r"].resampled(20), "vmin": -20, "vmax": 20}
    error = 100 * (guess - truth)
    panels = [
        ("Sea level (DUACS)", truth, sea_pixels, level),
        ("What the network sees (synthetic gaps)", truth, seen_pixels, level),
        ("What it fills in", guess, sea_pixels, level),
        (f"Difference: {typical:.1f} cm where nothing was seen", error, sea_pixels, left),
    ]
    plt.switch_backend("Agg")
    figure, axes = plt.subplots(
        2, 2, figsize=(9.6, 7.4), layout="constrained", sharex=True, sharey=True
    )
    images = []
    for axis, (title, values, where, style) in zip(axes.flat, panels, strict=True):
        images.append(paint(axis, values, where, sea_pixels, bbox, style))
        axis.set_title(title, fontsize=11)
    figure.colorbar(images[1], ax=axes[0], label="m above the geoid", extend="both", shrink=0.94)
    figure.colorbar(images[3], ax=axes[1], label="cm", extend="both", shrink=0.94)
    figure.suptitle(f"Gulf Stream, {day}: a region the network was not trained on", fontsize=13)
    figure.text(
        0.995, -0.02, "Data: E.U. Copernicus Marine Service, SSALTO/DUACS", ha="right", fontsize=7
    )
    figure.savefig(PICTURE, dpi=100, bbox_inches="tight")
    plt.close(figure)
    return PICTURE


def paint(
    axis: Axes,
    values: np.ndarray,
    where: np.ndarray,
    water: np.ndarray,
    bbox: tuple[float, float, float, float],
    style: dict[str, Any],
) -> AxesImage:
    """One map: land in grey, hidden water dark, `values` where `where`."""
    axis.set_facecolor(HIDDEN)
    stretch = 1 / np.cos(np.radians((bbox[2] + bbox[3]) / 2))
    frame = {"extent": bbox, "origin": "lower", "aspect": stretch, "interpolation": "nearest"}
    land = np.ma.masked_where(water, np.ones_like(values))
    image = axis.imshow(np.ma.masked_where(~where, values), **style, **frame)
    axis.imshow(land, cmap=ListedColormap([LAND]), **frame)
    axis.xaxis.set_major_locator(MultipleLocator(10))
    axis.yaxis.set_major_locator(MultipleLocator(5))
    axis.xaxis.set_major_formatter(lambda x, _: f"{abs(x):.0f}°{'W' if x < 0 else 'E'}")
    axis.yaxis.set_major_formatter(lambda y, _: f"{abs(y):.0f}°{'S' if y < 0 else 'N'}")
    axis.tick_params(labelsize=8)
    return image
