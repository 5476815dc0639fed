"""Batches: all rows and variables at once, and windows of days as films."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from oceanarrow.batch import Batch
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require
from oceanarrow.plot.figure import pyplot
from oceanarrow.plot.style import Style, colour_limits, style_of, unit_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INCHES = 1.5
_DARK, _LIGHT = "#14171f", "#eef1f4"


def plot_batch(batch: Batch, *, rows: int = 6, support: bool = False) -> Figure:
    """A mosaic: a row a query, a column a gridded variable, or a channel of several in one tensor;
    invalid pixels show the background, and of stacked days the last one is shown.

    Args:
        batch: what a loader gives.
        rows: the most rows that are shown.
        support: columns of the support too, of a loader with `support=True`.

    Raises:
        InvalidInputError: the batch has no gridded variable, or no support.
        ImportError: matplotlib is not installed.
    """
    tree, names = batch.to_numpy(), _gridded(batch)
    if not names:
        raise InvalidInputError("the batch has no gridded variable to draw")
    if support and "support" not in tree:
        raise InvalidInputError("the batch has no support: Loader(..., support=True)")
    shown = min(rows, len(batch))
    fields = [field for name in names for field in _fields(batch, tree, name)]
    panels = [(field, part) for field in fields for part in ["values", "support"][: 1 + support]]
    size = (_INCHES * len(panels) + 1.2, _INCHES * shown + 1.0)
    figure: Figure = pyplot("plot_batch").figure(figsize=size, layout="constrained")
    grid = figure.subplots(shown, len(panels), squeeze=False)
    for column, (shown_field, part) in enumerate(panels):
        name, values, valid = shown_field.name, shown_field.values, shown_field.valid
        style = style_of(shown_field.variable, shown_field.unit)
        look = _look(style, values[valid])
        if part == "support":
            values, valid = shown_field.support, np.ones_like(valid)
            look = {"cmap": "cividis", "vmin": 0.0, "vmax": 1.0}
        for i in range(shown):
            axes = grid[i, column]
            axes.set_facecolor(_DARK if style.dark and part == "values" else _LIGHT)
            field = np.ma.masked_array(values[i], mask=~valid[i])
            drawn = axes.imshow(field, origin="lower", interpolation="nearest", **look)
            axes.set(xticks=[], yticks=[])
            if column == 0:
                query = int(tree["metadata"]["query"][i])
                day = np.datetime64(int(tree["metadata"]["time_start"][i]), "D")
                axes.set_ylabel(f"query {query}\n{day}", fontsize=7)
        title = name if part == "values" else f"{name}\nsupport"
        grid[0, column].set_title(title, fontsize=9)
        label = _label(style) if part == "values" else "share of valid weight"
        bar = figure.colorbar(drawn, ax=list(grid[:, column]), location="bottom", shrink=0.9)
        bar.set_label(label, fontsize=7)
        bar.ax.tick_params(labelsize=7)
    return figure


def animate(
    batch: Batch,
    variable: str,
    path: str | os.PathLike[str],
    *,
    row: int = 0,
    frames_per_second: float = 2.0,
) -> None:
    """Writes the days of a stacked variable as a film: GIF by Pillow, or MP4 by ffmpeg, as the
    suffix of `path` says.

    Args:
        batch: what a loader gives.
        variable: a variable (or window) with `temporal_agg="stack"`.
        path: `.gif` or `.mp4`.
        row: which query.
        frames_per_second: days a second.

    Raises:
        InvalidInputError: the variable has no days, there is no such row, or another suffix.
        ImportError: matplotlib is not installed.
        OSError: ffmpeg is not installed, or the file cannot be written.
    """
    plt = pyplot("animate")
    animation = require("matplotlib.animation", "animate", extra="plot")
    if variable not in _gridded(batch):
        raise InvalidInputError(f"{variable!r} is no gridded variable of the batch")
    field = batch.schema.field(variable)
    values, valid = (
        np.asarray(batch[variable].numpy()),
        np.asarray(batch[f"{variable}_mask"].numpy()).astype(bool),
    )
    if values.ndim != 4 or field.channels:
        raise InvalidInputError(f"{variable!r} has no days: ask for temporal_agg='stack'")
    if not 0 <= row < len(values):
        raise InvalidInputError(f"row must be from 0 to {len(values) - 1}, not {row}")
    writers = {".gif": "pillow", ".mp4": "ffmpeg"}
    suffix = Path(path).suffix.lower()
    if suffix not in writers:
        raise InvalidInputError(f"a film is .gif or .mp4, not {os.fspath(path)!r}")
    if not animation.writers.is_available(writers[suffix]):
        raise OSError(f"{suffix} films need {writers[suffix]}: install it, or write the other kind")
    style = style_of(variable, field.metadata.get("unit", ""))
    look = _look(style, values[row][valid[row]])
    first = int(batch.to_numpy()["metadata"]["time_start"][row])
    first += int(field.metadata["days"].split(",")[0])
    figure = plt.figure(figsize=(4.6, 4.0), layout="constrained")
    try:
        axes = figure.add_subplot()
        axes.set_facecolor(_DARK if style.dark else _LIGHT)
        axes.set(xticks=[], yticks=[])
        days = zip(values[row], valid[row], strict=True)
        field_of = [np.ma.masked_array(field, mask=~there) for field, there in days]
        drawn = axes.imshow(field_of[0], origin="lower", interpolation="nearest", **look)
        figure.colorbar(drawn, ax=axes, label=_label(style))

        def show(day: int) -> list[Any]:
            drawn.set_data(field_of[day])
            axes.set_title(f"{variable}, {np.datetime64(first + day, 'D')}")
            return [drawn]

        film = animation.FuncAnimation(figure, show, frames=len(field_of))
        film.save(os.fspath(path), writer=writers[suffix], fps=frames_per_second)
    finally:
        plt.close(figure)


def _gridded(batch: Batch) -> list[str]:
    return [name for name in batch.variables if f"{name}_mask" in batch]


class _Field(NamedTuple):
    """Values, validity and support `(B, H, W)` of what one column of the mosaic shows."""

    name: str
    variable: str
    unit: str
    values: Any
    valid: Any
    support: Any


def _fields(batch: Batch, tree: dict[str, Any], name: str) -> list[_Field]:
    """A variable as one, or the channels of a tensor."""
    told = batch.schema.field(name)
    values = tree["inputs"][name] if name in tree["inputs"] else tree["targets"][name]
    arrays = [values, tree["masks"][name], tree.get("support", {}).get(name)]
    if not told.channels:
        days = [None if array is None else _last_day(array) for array in arrays]
        return [_Field(name, name, told.unit or "", *days)]
    members = json.loads(told.metadata["members"])
    of = [member for member in members for _ in range(int(member["channels"]))]
    return [
        _Field(
            channel, member["name"], member["unit"], *(a if a is None else a[:, i] for a in arrays)
        )
        for i, (channel, member) in enumerate(zip(told.channels, of, strict=True))
    ]


def _last_day(values: Any) -> Any:
    while values.ndim > 3:
        values = values[:, -1]
    return values


def _look(style: Style, values: Any) -> dict[str, Any]:
    low, high = colour_limits(values, style.centred)
    return {"cmap": style.colormap(), "vmin": low, "vmax": high}


def _label(style: Style) -> str:
    unit = unit_text(style.unit)
    return f"{style.label} [{unit}]" if unit else style.label
