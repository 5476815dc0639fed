"""Tables, charts and the raw numbers of a run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from contenders import CONTENDERS
from machine import describe, details
from turns import Rows, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PACKAGES = (
    "oceanarrow", "numpy", "torch", "xarray", "h5netcdf", "h5py", "dask", "xbatcher", "oceantaco",
    "deflate",
)  # fmt: skip
#: Colours of the bars: ours, the others', the floor.
OURS, OTHERS, FLOOR = "#0b6e99", "#b8b8b8", "#444444"


def table(results: dict[str, Rows], reference: str) -> str:
    """A line a contender; the last columns compare it with the reference and with the floor."""
    against = CONTENDERS[reference].label
    lines = [
        "| | samples/s | CPU ms a sample | peak MB | beyond torch, MB | MB read a sample "
        f"| chunks a sample | decodes a chunk | its CPU / {against} | its CPU / floor |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, rows in results.items():
        cpu = median(rows, "cpu")
        cells = [
            _number(1 / median(rows, "wall")),
            _number(1e3 * cpu),
            f"{median(rows, 'peak') / 1e6:.0f}",
            f"{median(rows, 'beyond_import') / 1e6:.0f}",
            f"{median(rows, 'read') / 1e6:.2f}",
            _number(median(rows, "chunks")),
            _number(median(rows, "amplification")),
            _ratio(cpu, results, reference),
            _ratio(cpu, results, "floor"),
        ]
        lines.append(f"| {CONTENDERS[name].label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(cpu: float, results: dict[str, Rows], name: str) -> str:
    return _number(cpu / median(results[name], "cpu")) if name in results else "–"


def _number(value: float) -> str:
    """Three digits; a dash for what is not known."""
    if value != value:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def footnote(text: str) -> str:
    """What was measured, and on what."""
    return f"{text}  \n{describe(*PACKAGES)}"


def turns_of(repetitions: int) -> str:
    return f"Medians of {repetitions} turns." if repetitions > 1 else "A single turn."


def write_json(path: Path, content: dict) -> None:
    """The raw numbers of a run, with the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    described = {"machine": details(*PACKAGES), **content}
    path.write_text(json.dumps(described, indent=1) + "\n")


def draw(path: Path, workloads: dict[str, tuple[str, dict[str, Rows]]], reference: str) -> None:
    """A panel a workload: CPU a sample of each contender, in units of the reference's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [panel for panel in workloads.values() if reference in panel[1]]
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    bars = max(len(results) for _, results in shown)
    figure, panels = plt.subplots(
        lines, columns, figsize=(6 * columns, lines * (0.8 + 0.22 * bars)), squeeze=False
    )
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    for panel, (title, results) in zip(panels.flat, shown, strict=False):
        _draw_panel(panel, title, results, reference)
    label = f"CPU time of a sample, in units of {CONTENDERS[reference].label} (log scale)"
    figure.supxlabel(label, fontsize=9)
    save(figure, path)


def _draw_panel(panel: "Axes", title: str, results: dict[str, Rows], reference: str) -> None:
    base = median(results[reference], "cpu")
    names = list(results)[::-1]
    ratios = [median(results[key], "cpu") / base for key in names]
    labels = [CONTENDERS[key].label for key in names]
    bars = panel.barh(labels, ratios, color=[_colour(key) for key in names])
    panel.bar_label(bars, [f"{_number(ratio)}x" for ratio in ratios], padding=3, fontsize=8)
    panel.set_xscale("log")
    panel.set_xlim(min(0.1, *ratios) / 1.5, 3 * max(ratios))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.axvline(1, color=OURS, linewidth=0.8)
    panel.set_title(f"{title} ({1e3 * base:.2g} ms)", fontsize=10, loc="left")
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _colour(name: str) -> str:
    if name == "floor":
        return FLOOR
    return OURS if CONTENDERS[name].label.startswith("oceanarrow") else OTHERS


def save(figure: "Figure", path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
