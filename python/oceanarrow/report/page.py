"""The page: gathered, drawn and written."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from oceanarrow import __version__
from oceanarrow.atomic_file import replace_file
from oceanarrow.dataset.days import iso_day
from oceanarrow.dataset.query import Query
from oceanarrow.exceptions import InvalidInputError, OceanArrowError
from oceanarrow.inventory.catalog import Catalog, Days
from oceanarrow.inventory.coverage import Coverage
from oceanarrow.optional import require
from oceanarrow.plot import plot_queries
from oceanarrow.plot.coverage import calendar
from oceanarrow.plot.figure import PARTS
from oceanarrow.plot.style import unit_text
from oceanarrow.progress import progress_bar
from oceanarrow.report.cost import Cost, cost_of
from oceanarrow.roots import StorageOptions, TacoPath, dataset_roots
from oceanarrow.variables import Variable

_SIDE = 20.0
"""Degrees of a sample's box."""

_BINS = 40


def write_report(
    taco_path: TacoPath,
    path: str | os.PathLike[str],
    *,
    queries: Iterable[Query] | None = None,
    coverage: Coverage | str | os.PathLike[str] | None = None,
    storage_options: StorageOptions | None = None,
    progress: bool = True,
) -> None:
    """Writes one page of HTML that needs no network: what there is, a calendar of gaps, a map of
    regions or queries, a sample of each variable with the distribution of its values, what a patch
    costs, and what is odd.

    Args:
        taco_path: a dataset, or a list of several.
        path: where the page goes.
        queries: shown on the map in place of the regions.
        coverage: what `oceanarrow.coverage` counted, for the shares of valid cells in the calendar.
        storage_options: for a remote dataset.
        progress: a bar on a terminal.

    Raises:
        InvalidInputError: the dataset has no granule.
        NotFoundError, InvalidDatasetError: as `Catalog`.
        ImportError: matplotlib is not installed.
        UnwritableError, OSError: the page cannot be written; what was there stays.
    """
    require("matplotlib", "write_report", extra="plot").use("agg")
    catalog = Catalog(taco_path, storage_options=storage_options)
    if catalog.days is None:
        raise InvalidInputError("the dataset has no granule to report on")
    if coverage is not None and not isinstance(coverage, Coverage):
        coverage = Coverage.load(coverage)
    sections = [
        _section("What there is", _what(catalog, catalog.days)),
        _section("Days", _calendar(catalog, coverage)),
        _section("Places", _places(catalog, queries)),
    ]
    odd = list(catalog.warnings)
    samples, costs = [], []
    with progress_bar(len(catalog.variables), "variable", shown=progress) as bar:
        for variable in catalog.variables.values():
            try:
                shown, cost = _sample(taco_path, catalog, variable, storage_options)
            except OceanArrowError as error:
                odd.append(f"{variable.name}: {error}")
            else:
                samples.append(shown)
                if cost is not None:
                    costs.append((variable.name, cost))
                    odd += [f"{variable.name} {cost.advice}"] if cost.advice else []
            if bar is not None:
                bar.update(1)
    sections.append(_section("Samples", "".join(samples)))
    sections.append(_section("What a patch costs", _costs(costs)))
    said = "".join(f"<li>{html.escape(text)}</li>" for text in odd)
    sections.append(_section("Warnings", f"<ul>{said}</ul>" if odd else "<p>None.</p>"))
    template = Template((files("oceanarrow.report") / "page.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=html.escape(", ".join(dataset_roots(taco_path))),
        version=html.escape(__version__),
        sections="\n".join(sections),
    )
    replace_file(Path(path), lambda file: file.write(page.encode()))


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>"


def _what(catalog: Catalog, days: Days) -> str:
    rows = []
    for name, variable in catalog.variables.items():
        there = [iso_day(day) for day in catalog.days_of(variable).tolist()]
        cells = (variable.unit, variable.geometry, f"{len(there):,}", there[0], there[-1])
        told = "".join(f"<td>{html.escape(text)}</td>" for text in cells)
        rows.append(f"<tr><th scope=row>{html.escape(name)}</th>{told}</tr>")
    gaps = f"{len(days.missing):,} between without a file" if days.missing else "every one"
    return (
        f"<p>{days.first} to {days.last}, {gaps}. {len(catalog):,} granules in "
        f"{len(catalog.regions):,} regions.</p><table><thead><tr><th>variable</th><th>unit</th>"
        f"<th>kind</th><th>days</th><th>first</th><th>last</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _calendar(catalog: Catalog, coverage: Coverage | None) -> str:
    """A grid that the page's script draws and answers for; a table for those without a script."""
    names, days, shares = calendar(catalog if coverage is None else coverage)
    rows = [[None if np.isnan(share) else round(share, 4) for share in row] for row in shares]
    data = {
        "names": names,
        "days": [iso_day(day) for day in days.tolist()],
        "rows": rows,
        "shares": coverage is not None,
    }
    text = json.dumps(data).replace("</", "<\\/")
    body = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{sum(v is not None for v in row)}</td>"
        f"<td>{sum(v is None for v in row)}</td></tr>"
        for name, row in zip(names, rows, strict=True)
    )
    return (
        '<p class="hint">Point at a day, or focus the calendar and use the arrow keys.</p>'
        '<div id="calendar" tabindex="0" role="group" aria-label="calendar of files"></div>'
        '<output id="day" aria-live="polite">&nbsp;</output>'
        f'<script type="application/json" id="days">{text}</script>'
        "<details><summary>As a table</summary><table><thead><tr><th>variable</th>"
        f"<th>days with a file</th><th>without</th></tr></thead><tbody>{body}</tbody></table>"
        "</details>"
    )


def _places(catalog: Catalog, queries: Iterable[Query] | None) -> str:
    what = "queries"
    if queries is None:
        what = "regions"
        day = iso_day(0)
        edges = np.unique(catalog.footprints(), axis=0).tolist()
        queries = [
            Query(w, e if e <= 180 or e - w >= 360 else e - 360, s, n, day, day)
            for w, e, s, n in edges
        ]
    axes = plot_queries(queries)
    axes.set_title("")
    return _picture(axes.figure, f"map of {what}")


def _sample(
    taco_path: TacoPath,
    catalog: Catalog,
    variable: Variable,
    storage_options: StorageOptions | None,
) -> tuple[str, Cost | None]:
    """A picture of the fullest of a day's files, its values' distribution, and what it cost."""
    # Needs PyTorch, which nothing else here does.
    from oceanarrow.dataset import OceanTACODataset

    day = int(catalog.days_of(variable)[-1])
    there = catalog.rows_of(variable) & (catalog.columns["day"] == day)
    best: Any = None
    for west, east, south, north in np.unique(catalog.footprints()[there], axis=0).tolist():
        middle, centre = (west + east) / 2, (south + north) / 2
        half = min(_SIDE, east - west) / 2, min(_SIDE, north - south) / 2
        left = (middle - half[0] + 180) % 360 - 180
        right = left + 2 * half[0]
        box = (left, right if right <= 180 else right - 360, centre - half[1], centre + half[1])
        query = Query(*box, iso_day(day), iso_day(day))
        dataset = OceanTACODataset(
            taco_path, [query], [variable.name], [], default_patch_size=None,
            storage_options=storage_options,
        )  # fmt: skip
        sample = dataset[0]
        entry = sample["inputs"][variable.name]
        if entry is None:
            continue
        values = np.asarray(entry["data"], np.float64)
        mask = entry.get("mask")
        good = np.isfinite(values) if mask is None else np.asarray(mask, bool)
        if best is None or good.sum() > best[0]:
            best = (int(good.sum()), values[good], values.size, dataset, sample, query)
    if best is None:
        return (
            f"<h3>{html.escape(variable.name)}</h3><p>No file in the middle of a region.</p>",
            None,
        )
    valid, values, size, dataset, sample, query = best
    picture = _picture(dataset.visualize_sample(sample), f"{variable.name} on {iso_day(day)}")
    spread = ""
    if valid:
        spread = _picture(_histogram(values, variable), f"distribution of {variable.name}")
    text = f"<h3>{html.escape(variable.name)}</h3><div class=pair>{picture}{spread}</div>"
    cost = None
    if variable.geometry == "grid":
        cost = cost_of(taco_path, variable.name, query, size, storage_options)
    return text, cost


def _histogram(values: Any, variable: Variable) -> Any:
    plt = require("matplotlib.pyplot", "write_report", extra="plot")
    figure = plt.figure(figsize=(4.2, 3.0), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(values, bins=_BINS, color=PARTS[0])
    unit = unit_text(variable.unit)
    axes.set(xlabel=f"{variable.name} [{unit}]" if unit else variable.name, ylabel="cells")
    return figure


def _costs(costs: Sequence[tuple[str, Cost]]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{cost.chunks}</td>"
        f"<td>{cost.read / 1e6:.2f}</td><td>{cost.decoded / 1e6:.2f}</td>"
        f"<td>{cost.cells / 1e6:.2f}</td></tr>"
        for name, cost in costs
    )
    return (
        f"<p>Of a box of up to {_SIDE:g} degrees on one day, nothing cached.</p>"
        "<table><thead><tr><th>variable</th><th>chunks</th><th>read, MB</th><th>decoded, MB</th>"
        f"<th>cells in the box, MB</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _picture(figure: Any, text: str) -> str:
    """The figure within the page."""
    plt = require("matplotlib.pyplot", "write_report", extra="plot")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    plt.close(figure)
    data = base64.b64encode(image.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(text)}">'
