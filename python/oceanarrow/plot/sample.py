"""Pictures of samples: one map a variable, on the shipped coastlines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require
from oceanarrow.plot.map import Frame, add_map
from oceanarrow.plot.style import Style, colour_limits, style_of, unit_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

_PANEL_INCHES = 3.0


@dataclass(frozen=True)
class _Panel:
    """One variable of the sample, ready to draw; invalid values are masked."""

    title: str
    style: Style
    values: np.ma.MaskedArray[Any, np.dtype[np.float64]] | None
    lats: Array
    lons: Array

    @property
    def valid(self) -> Array:
        """The valid values, flat."""
        return np.empty(0) if self.values is None else self.values.compressed()


def plot_sample(
    sample: Mapping[str, Any],
    *,
    units: Mapping[str, str] | None = None,
    figsize: tuple[float, float] | None = None,
    save_path: str | os.PathLike[str] | None = None,
    title: str = "",
    max_cols: int = 3,
) -> Figure:
    """Draws every variable of a sample of `OceanTACODataset`, inputs first.

    Invalid cells are transparent; sea level has a dark background, on which sparse swaths stand
    out. Variables of one quantity share a colour scale, between the 2nd and the 98th percentile.
    Of stacked days the last with valid cells is shown. Uses cartopy's map axes where cartopy is
    installed, and cmocean's colours likewise; downloads nothing.

    Args:
        sample: what the dataset gives for an index.
        units: {variable: unit} for the colour bars.
        figsize: inches; by default it follows the number and the shape of the panels.
        save_path: where to save the picture; the suffix decides the format.
        title: put before the dates and the box.
        max_cols: panels in a row.

    Returns:
        The figure. In notebooks with inline pictures it is closed for pyplot, so that a cell that
        ends with this call shows it once.

    Raises:
        InvalidInputError: the sample has no variables, or `max_cols` is less than 1.
        ImportError: matplotlib is not installed.
    """
    panels = _panels(sample, units or {})
    if not panels:
        raise InvalidInputError("the sample has no variables to draw")
    if max_cols < 1:
        raise InvalidInputError(f"max_cols must be at least 1, not {max_cols}")
    plt = require("matplotlib.pyplot", "plot_sample", extra="plot")
    frame = Frame.of_bbox(tuple(float(edge) for edge in sample["metadata"]["bbox"]))
    columns = min(max_cols, len(panels))
    rows = -(-len(panels) // columns)
    height = float(np.clip(_PANEL_INCHES * frame.aspect, 1.2, 4.5))
    size = figsize or (columns * (_PANEL_INCHES + 1.3), rows * (height + 0.7) + 0.6)
    figure: Figure = plt.figure(figsize=size, layout="constrained")
    norms = _norms(panels)
    for i, panel in enumerate(panels):
        axes = add_map(figure, (rows, columns, i + 1), frame, panel.style.dark)
        axes.set_title(panel.title, fontsize=10)
        _draw(axes, panel, frame, norms[panel.style.quantity])
    headline = _headline(title, sample["metadata"], frame, one_line=columns > 1)
    figure.suptitle(headline, fontsize=11)
    if save_path is not None:
        figure.savefig(save_path, dpi=200, bbox_inches="tight")
    if "inline" in plt.get_backend():
        plt.close(figure)
    return figure


def _panels(sample: Mapping[str, Any], units: Mapping[str, str]) -> list[_Panel]:
    return [
        _panel(f"{label}: {name}", style_of(name, units.get(name, "")), entry)
        for role, label in (("inputs", "input"), ("targets", "target"))
        for name, entry in sample[role].items()
    ]


def _panel(title: str, style: Style, entry: Mapping[str, Any] | None) -> _Panel:
    if entry is None:
        return _Panel(title, style, None, np.empty(0), np.empty(0))
    data = _array(entry["data"]).astype(np.float64)
    mask = np.ones(data.shape, bool) if entry.get("mask") is None else _array(entry["mask"])
    valid = mask.astype(bool) & np.isfinite(data)
    lats, lons = (_array(entry[axis]).astype(np.float64) for axis in ("lats", "lons"))
    if data.ndim == 3:
        seen = np.flatnonzero(valid.any(axis=(1, 2)))
        day = int(seen[-1]) if seen.size else len(data) - 1
        title += f" (day {day + 1} of {len(data)})"
        data, valid = data[day], valid[day]
    if data.ndim == 1 and "pressure" in entry:
        # Deep levels first, so that the surface lies on top.
        order = np.argsort(-_array(entry["pressure"]), kind="stable")
        data, valid, lats, lons = data[order], valid[order], lats[order], lons[order]
    return _Panel(title, style, np.ma.MaskedArray(data, mask=~valid), lats, lons)


def _array(values: Any) -> npt.NDArray[Any]:
    """A NumPy array of a tensor, wherever it lives."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def _norms(panels: list[_Panel]) -> dict[str, Normalize]:
    """One colour scale a quantity."""
    from matplotlib.colors import Normalize

    norms = {}
    for style in {panel.style.quantity: panel.style for panel in panels}.values():
        values = [panel.valid for panel in panels if panel.style.quantity == style.quantity]
        low, high = colour_limits(np.concatenate(values), style.centred)
        norms[style.quantity] = Normalize(low, high)
    return norms


def _draw(axes: Axes, panel: _Panel, frame: Frame, norm: Normalize) -> None:
    """The values with their colour bar, or a note that there are none."""
    if panel.values is None or not panel.valid.size:
        note = "no data" if panel.values is None else "no valid values"
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        middle: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, note, color="#333333", bbox=box, **middle)
        return
    look: dict[str, Any] = {"cmap": panel.style.colormap(), "norm": norm, "zorder": 1}
    drawn: Any
    if panel.values.ndim == 1:
        keep = ~np.ma.getmaskarray(panel.values)
        x, y = frame.x(frame.near(panel.lons[keep])), panel.lats[keep]
        look |= {"edgecolors": "#333333", "linewidths": 0.4}
        drawn = axes.scatter(x, y, c=panel.valid, s=26, **look)
    else:
        centre = np.array([panel.lons[0], panel.lons[-1]]).mean(keepdims=True)
        lons = panel.lons + (frame.near(centre) - centre)
        x = frame.x(np.clip(_edges(lons), frame.west, frame.east))
        y = np.clip(_edges(panel.lats), frame.south, frame.north)
        drawn = axes.pcolormesh(x, y, panel.values, rasterized=True, **look)
    _add_colour_bar(axes, panel, drawn)


def _add_colour_bar(axes: Axes, panel: _Panel, drawn: Any) -> None:
    """A bar as high as the map, with arrows where values lie beyond the scale."""
    below = panel.valid.min() < drawn.norm.vmin
    above = panel.valid.max() > drawn.norm.vmax
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    bar_axes = axes.inset_axes((1.03, 0.0, 0.045, 1.0))
    bar = axes.figure.colorbar(drawn, cax=bar_axes, extend=extend)
    unit = unit_text(panel.style.unit)
    bar.set_label(f"{panel.style.label} [{unit}]" if unit else panel.style.label, fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _edges(centres: Array) -> Array:
    """Cell borders half-way between the centres, and as far out at the ends; (N + 1,)."""
    if len(centres) < 2:
        # A single cell fills the frame it is clipped to.
        return np.array([-720.0, 720.0])
    middle = (centres[1:] + centres[:-1]) / 2.0
    first, last = 2.0 * centres[0] - middle[0], 2.0 * centres[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])


def _headline(title: str, metadata: Mapping[str, Any], frame: Frame, one_line: bool) -> str:
    first, last = (str(time) for time in metadata["time_range"])
    dates = first if first == last else f"{first} to {last}"
    head = " | ".join(part for part in (title, dates) if part)
    return f"{head}{' | ' if one_line else chr(10)}{frame.text()}"
