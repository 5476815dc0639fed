"""What the pictures have in common: axes to draw on, maps of the globe, colours of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oceanarrow.optional import require
from oceanarrow.plot.map import Frame, add_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Colours that colour-blind people can tell apart (Okabe and Ito 2008)."""

GIVEN_UP = "#8c8c8c"
"""The colour of what belongs to no part."""

GLOBE = (-180.0, 180.0, -90.0, 90.0)


def pyplot(purpose: str) -> Any:
    """matplotlib.pyplot.

    Raises:
        ImportError: it is not installed.
    """
    return require("matplotlib.pyplot", purpose, extra="plot")


def new_axes(purpose: str, ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes that were given, or those of a new figure."""
    plt = pyplot(purpose)
    if ax is not None:
        return ax
    axes: Axes = plt.figure(figsize=size, layout="constrained").add_subplot()
    return axes


def world_map(purpose: str, bbox: tuple[float, float, float, float] = GLOBE) -> tuple[Axes, Frame]:
    """A map of the box on a new figure."""
    frame = Frame.of_bbox(bbox)
    height = min(max(9.0 * frame.aspect, 2.5), 8.0)
    figure = pyplot(purpose).figure(figsize=(9.5, height + 0.6), layout="constrained")
    return add_map(figure, (1, 1, 1), frame, dark=False), frame
