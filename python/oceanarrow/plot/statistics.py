"""Histograms of what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.plot.figure import PARTS, new_axes
from oceanarrow.plot.style import style_of, unit_text
from oceanarrow.summary import Statistics, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_statistics(
    statistics: Statistics, variable: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """The histogram of a variable, by default the first, or of each of its groups; lines are the
    mean and the mean plus and minus a standard deviation.

    Raises:
        InvalidInputError: there is no such variable, or it was never valid.
        ImportError: matplotlib is not installed.
    """
    name = next(iter(statistics), None) if variable is None else variable
    if name is None or name not in statistics:
        raise InvalidInputError(f"there are no statistics of {name!r}; of {list(statistics)}")
    whole = statistics[name]
    if whole.mean is None or whole.std is None:
        raise InvalidInputError(f"{name!r} was never valid; there is no histogram")
    axes = new_axes("plot_statistics", ax, (6.5, 3.6))
    groups = statistics.groups.get(name, {})
    shown = {group: summary for group, summary in groups.items() if summary.histogram}
    if not 1 < len(shown) <= len(PARTS):
        shown = {name: whole}
    for colour, (label, summary) in zip(PARTS, shown.items(), strict=False):
        _draw(axes, summary, label, colour, alone=len(shown) == 1)
    axes.axvline(whole.mean, color="black", linewidth=1)
    for edge in (whole.mean - whole.std, whole.mean + whole.std):
        axes.axvline(edge, color="black", linewidth=1, linestyle=":")
    style = style_of(name, whole.unit)
    unit = unit_text(whole.unit)
    axes.set_xlabel(f"{style.label} ({unit})" if unit else style.label)
    axes.set_ylabel("share of values a bin")
    axes.set_title(f"{name}: {whole.mean:.4g} ± {whole.std:.4g} {unit}".rstrip())
    if len(shown) > 1:
        axes.legend(frameon=False)
    return axes


def _draw(axes: Axes, summary: Summary, label: str, colour: str, *, alone: bool) -> None:
    if summary.histogram is None:
        return
    edges, counts = summary.histogram
    shares = [count / max(summary.count, 1) for count in counts]
    axes.stairs(shares, edges, fill=alone, color=colour, label=label, linewidth=1.5)
