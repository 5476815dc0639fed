"""Pictures of samples: panels, colours, labels, masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.plot import plot_sample
from oceanarrow.plot.map import lat_text, lon_text
from oceanarrow.plot.style import colour_limits, style_of

UNITS = {"l4_sst": "degC", "l3_swot": "m", "l4_ssh": "m", "argo": "degC", "glorys_uo": "m s-1"}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def grid(values: Any, box: tuple[float, ...], mask: Any = None) -> dict[str, torch.Tensor]:
    data = torch.as_tensor(values, dtype=torch.float32)
    west, east, south, north = box
    return {
        "data": data,
        "mask": torch.ones(data.shape, dtype=torch.bool) if mask is None else torch.as_tensor(mask),
        "lats": torch.linspace(south, north, data.shape[-2]),
        "lons": torch.linspace(west, east, data.shape[-1]),
    }


def sample(box: tuple[float, ...] = (-30, -20, 40, 50), **targets: Any) -> dict[str, Any]:
    swath = np.zeros((4, 5), dtype=bool)
    swath[:, 2] = True
    values = np.linspace(-0.4, 0.1, 20).reshape(4, 5)
    scattered = {
        "data": torch.tensor([10.0, 5.0, 99.0]), "mask": torch.tensor([True, True, False]),
        "lats": torch.tensor([41.0, 42.0, 43.0]), "lons": torch.tensor([-29.0, -28.0, -27.0]),
        "time": torch.zeros(3), "pressure": torch.tensor([5.0, 1000.0, 7.0]),
    }  # fmt: skip
    inputs = {
        "l4_sst": grid(values + 20, box), "l3_swot": grid(values, box, swath), "l4_wind": None,
        "argo": scattered,
    }  # fmt: skip
    return {
        "inputs": inputs,
        "targets": {"l4_ssh": grid(values * 2, box), **targets},
        "coords": {},
        "metadata": {"bbox": box, "time_range": ("2023-04-02", "2023-04-03"), "n_files": 5},
    }


def panels(figure: Figure) -> dict[str, Any]:
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def mesh(axes: Any) -> QuadMesh:
    (found,) = [item for item in axes.collections if isinstance(item, QuadMesh)]
    return found


def bar_label(axes: Any) -> str:
    return str(axes.child_axes[0].get_ylabel())


def test_every_variable_has_a_panel_with_its_unit(tmp_path: Path) -> None:
    path = tmp_path / "sample.png"
    figure = plot_sample(sample(), units=UNITS, title="Sample 0", max_cols=5, save_path=path)
    shown = panels(figure)
    assert list(shown) == [
        "input: l4_sst", "input: l3_swot", "input: l4_wind", "input: argo", "target: l4_ssh"
    ]  # fmt: skip
    assert bar_label(shown["input: l4_sst"]) == "temperature [°C]"
    assert bar_label(shown["input: l3_swot"]) == "sea level anomaly [m]"
    assert figure.get_suptitle() == (
        "Sample 0 | 2023-04-02 to 2023-04-03 | 40°N to 50°N, 30°W to 20°W"
    )
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len({round(axes.get_position().y0, 3) for axes in shown.values()}) == 1


def test_rows_follow_max_cols_and_figsize_is_kept() -> None:
    figure = plot_sample(sample(), max_cols=2, figsize=(7, 9))
    grids = {
        axes.get_subplotspec().get_gridspec().get_geometry() for axes in panels(figure).values()
    }
    assert grids == {(3, 2)}
    assert tuple(figure.get_size_inches()) == (7, 9)


def test_invalid_cells_are_transparent_on_a_dark_sea() -> None:
    axes = panels(plot_sample(sample()))["input: l3_swot"]
    values = mesh(axes).get_array()
    assert values.mask.reshape(4, 5).any(axis=0).tolist() == [True, True, False, True, True]
    colours = mesh(axes).cmap(mesh(axes).norm(values)).reshape(4, 5, 4)
    assert (colours[:, [0, 1, 3, 4], 3] == 0).all() and (colours[:, 2, 3] == 1).all()
    assert sum(to_rgba(axes.get_facecolor())[:3]) < 0.5
    light = panels(plot_sample(sample()))["input: l4_sst"]
    assert sum(to_rgba(light.get_facecolor())[:3]) > 2.5


def test_anomalies_share_a_scale_centred_at_zero() -> None:
    shown = panels(plot_sample(sample()))
    target, swath = mesh(shown["target: l4_ssh"]).norm, mesh(shown["input: l3_swot"]).norm
    assert (target.vmin, target.vmax) == (swath.vmin, swath.vmax)
    assert target.vmin == -target.vmax and 0.6 < target.vmax < 0.8
    temperature = mesh(shown["input: l4_sst"]).norm
    assert 19.6 <= temperature.vmin < temperature.vmax <= 20.1


def test_points_are_scattered_surface_last() -> None:
    axes = panels(plot_sample(sample()))["input: argo"]
    (dots,) = [item for item in axes.collections if isinstance(item, PathCollection)]
    assert dots.get_array().tolist() == [5.0, 10.0]
    assert np.asarray(dots.get_offsets())[:, 1].tolist() == [42.0, 41.0]


def test_missing_and_empty_variables_say_so() -> None:
    box = (-30.0, -20.0, 40.0, 50.0)
    empty = grid(np.zeros((2, 2)), box, np.zeros((2, 2), bool))
    shown = panels(plot_sample(sample(glorys_uo=empty)))
    assert [text.get_text() for text in shown["input: l4_wind"].texts] == ["no data"]
    assert [text.get_text() for text in shown["target: glorys_uo"].texts] == ["no valid values"]
    assert not shown["input: l4_wind"].child_axes


def test_stacked_days_show_the_last_one_seen() -> None:
    box = (-30.0, -20.0, 40.0, 50.0)
    days = np.arange(3.0)[:, None, None] * np.ones((3, 2, 2))
    mask = np.ones((3, 2, 2), dtype=bool)
    mask[2] = False
    shown = panels(plot_sample(sample(glorys_uo=grid(days, box, mask))))
    assert mesh(shown["target: glorys_uo (day 2 of 3)"]).get_array().ravel().tolist() == [1.0] * 4


def test_boxes_across_the_antimeridian_are_whole() -> None:
    for box in ((175.0, -175.0, -20.0, -10.0), (175.0, 185.0, -20.0, -10.0)):
        east = box[1] + 360 if box[1] < 0 else box[1]
        values = grid(np.ones((3, 3)), (box[0], east, *box[2:]))
        one = {
            "inputs": {"l4_sss": values}, "targets": {},
            "metadata": {"bbox": box, "time_range": ("2023-04-02", "2023-04-02")},
        }  # fmt: skip
        figure = plot_sample(one)
        (axes,) = panels(figure).values()
        low, high = axes.get_xlim()
        assert high - low == 10.0
        corners = mesh(axes).get_coordinates()[..., 0]
        assert corners.min() == low and corners.max() == high
        # Fiji lies here.
        assert axes.patches
        labels = [axes.xaxis.get_major_formatter()(x, 0) for x in axes.get_xticks()]
        assert "180°" in labels and any(label.endswith("W") for label in labels)
        assert "175°E to 175°W" in figure.get_suptitle()


def test_longitudes_of_another_turn_are_moved_into_the_frame() -> None:
    one = {
        "inputs": {"l4_sss": grid(np.ones((3, 3)), (-170, -160, 0, 10))}, "targets": {},
        "metadata": {"bbox": (190, 200, 0, 10), "time_range": ("2023-04-02", "2023-04-02")},
    }  # fmt: skip
    figure = plot_sample(one, title="Hawaii is north")
    (axes,) = panels(figure).values()
    corners = mesh(axes).get_coordinates()[..., 0]
    assert (corners.min(), corners.max()) == axes.get_xlim()
    assert figure.get_suptitle() == "Hawaii is north | 2023-04-02\n0° to 10°N, 170°W to 160°W"


def test_a_single_cell_fills_the_frame() -> None:
    box = (0.0, 1.0, 0.0, 1.0)
    one = {
        "inputs": {"l4_sst": grid([[3.0]], box)}, "targets": {},
        "metadata": {"bbox": box, "time_range": ("2023-04-02", "2023-04-02")},
    }  # fmt: skip
    (axes,) = panels(plot_sample(one)).values()
    assert mesh(axes).norm.vmin < 3.0 < mesh(axes).norm.vmax
    low, high = axes.get_xlim()
    assert high - low == 1.0


def test_limits_and_labels() -> None:
    assert colour_limits(np.arange(101.0), centred=False) == (2.0, 98.0)
    assert colour_limits(np.arange(101.0) - 100, centred=True) == (-98.0, 98.0)
    assert colour_limits(np.zeros(3), centred=True) == (-0.01, 0.01)
    assert [lon_text(x) for x in (-30, 0, 180, 190, -180, 540.5)] == [
        "30°W", "0°", "180°", "170°W", "180°", "179.5°W"
    ]  # fmt: skip
    assert [lat_text(y) for y in (-12.5, 0, 90)] == ["12.5°S", "0°", "90°N"]
    assert style_of("l4_ssh", "m").centred and not style_of("glorys_ssh", "m").centred
    assert style_of("chlorophyll", "mg m-3").label == "chlorophyll"


def test_errors() -> None:
    nothing = {"inputs": {}, "targets": {}, "metadata": {}}
    with pytest.raises(InvalidInputError, match="no variables to draw"):
        plot_sample(nothing)
    with pytest.raises(InvalidInputError, match="max_cols must be at least 1"):
        plot_sample(sample(), max_cols=0)
