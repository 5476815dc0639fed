"""Pictures show the data that they say: what is drawn is asked back from matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from oceanarrow import Catalog, Coverage, Loader, Window, coverage, split_queries
from oceanarrow.dataset import Query, QueryGenerator
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.inventory.coverage import DayCounts, Measured
from oceanarrow.plot import (
    animate,
    plot_batch,
    plot_calendar,
    plot_coverage,
    plot_queries,
    plot_split,
)
from oceanarrow.plot.queries import density

plt = pytest.importorskip("matplotlib.pyplot")

DAY = "2023-04-01"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def boxes(n: int) -> list[Query]:
    rng = np.random.default_rng(0)
    west, south = rng.uniform(-180, 180, n), rng.uniform(-80, 70, n)
    east = (west + 12 + 180) % 360 - 180
    edges = zip(west.tolist(), east.tolist(), south.tolist(), strict=True)
    days = [f"2023-04-{1 + i % 9:02}" for i in range(n)]
    return [Query(w, e, s, s + 7, days[i], days[i]) for i, (w, e, s) in enumerate(edges)]


def test_few_queries_are_boxes_and_many_a_density() -> None:
    few = [Query(-20, -10, 30, 40, DAY, DAY), Query(175, -175, -5, 5, DAY, DAY)]
    axes = plot_queries(few)
    (drawn,) = axes.collections[-1:]
    spans = [(path.vertices.min(axis=0), path.vertices.max(axis=0)) for path in drawn.get_paths()]
    west = sorted(round(float(low[0])) for low, _ in spans)
    assert west == [-180, -20, 175] and axes.get_title() == "2 queries"
    many = boxes(2000)
    mesh = plot_queries(many).collections[-1]
    counts = np.asarray(mesh.get_array().filled(0)).reshape(90, 180)
    due = np.zeros((90, 180), int)
    for query in many:
        for i in range(90):
            if not (query.lat_min < -88 + 2 * i and query.lat_max > -90 + 2 * i):
                continue
            left = -180 + 2 * np.arange(180)
            ends = [(query.lon_min, query.lon_max)]
            if query.lon_max < query.lon_min:
                ends = [(query.lon_min, 180.0), (-180.0, query.lon_max)]
            for low, high in ends:
                due[i] += (left < high) & (left + 2 > low)
    np.testing.assert_array_equal(counts, due)
    assert density(np.empty((0, 4))).sum() == 0


def test_days_of_queries() -> None:
    axes = plot_queries(boxes(100), days=True)
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) == 100 and max(heights) - min(heights) <= 1
    assert axes.get_ylabel() == "queries"


def test_parts_of_a_split() -> None:
    queries = boxes(600)
    shares = {"train": 0.6, "test": 0.4}
    axes = plot_split(split_queries(queries, shares))
    assert sum(bar.get_height() for bar in axes.patches) == 600
    split = split_queries(queries, shares, by="space", block=(1, 45.0))
    axes = split.plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    due = [f"{name} ({len(part):,})" for name, part in split.parts.items()]
    assert labels == [*due, f"left out ({len(split.left_out):,})"]
    with pytest.raises(InvalidInputError, match="no query"):
        plot_split(split_queries([], shares))


def test_a_calendar_of_files_and_of_shares(ocean: Path) -> None:
    catalog = Catalog(ocean)
    axes = plot_calendar(catalog)
    drawn = axes.collections[0].get_array()
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == list(catalog.variables)
    there = np.ma.filled(drawn, np.nan).reshape(len(names), -1)
    for name, row in zip(names, there, strict=True):
        assert np.nansum(row) == catalog.days_of(catalog.variables[name]).size
    found = coverage(ocean, ["l4_ssh", "l3_swot"], progress=False)
    axes = plot_calendar(found)
    shares = np.ma.filled(axes.collections[0].get_array(), np.nan).reshape(2, -1)
    for name, row in zip(found.variables, shares, strict=True):
        for day, share in zip(found.days.tolist(), row, strict=True):
            counts = found.counts(name, day)
            if counts is None:
                assert np.isnan(share)
            else:
                assert share == pytest.approx(counts[1].sum() / counts[0].sum())


def test_a_map_of_coverage(ocean: Path) -> None:
    found = coverage(ocean, ["l4_ssh", "l3_swot"], cell=5.0, days=(DAY, DAY), progress=False)
    axes = plot_coverage(found, "l3_swot", day=DAY)
    counts = found.counts("l3_swot", DAY)
    assert counts is not None
    drawn = axes.collections[-1].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn).reshape(36, 72), counts[0] == 0)
    there = counts[0] > 0
    np.testing.assert_allclose(
        np.asarray(drawn.filled(0)).reshape(36, 72)[there], (counts[1] / counts[0].clip(1))[there]
    )
    assert axes.get_title() == f"l3_swot, {DAY}"


def batches(ocean: Path) -> Loader:
    queries = [Query(-58, -40, 18, 33, DAY, DAY), Query(-60, -42, 20, 35, DAY, DAY)]
    week = Window("l4_ssh", 0, 2, temporal_agg="stack", name="ssh_days")
    return Loader(
        ocean, queries, ["l4_ssh", "l3_swot"], [week], batch_size=2, support=True,
        default_patch_size=(12, 16), shuffle=False,
    )  # fmt: skip


def test_a_mosaic_of_a_batch(ocean: Path) -> None:
    (batch,) = batches(ocean)
    tree = batch.to_numpy()
    figure = plot_batch(batch, support=True)
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 2 * 6
    titles = [axes.get_title() for axes in panels[:6]]
    assert titles[:2] == ["l4_ssh", "l4_ssh\nsupport"] and "ssh_days" in titles
    for i in range(2):
        for j, name in enumerate(("l4_ssh", "l3_swot")):
            shown = panels[6 * i + 2 * j].images[0].get_array()
            np.testing.assert_array_equal(~np.ma.getmaskarray(shown), tree["masks"][name][i])
            valid = tree["masks"][name][i]
            np.testing.assert_array_equal(shown[valid], tree["inputs"][name][i][valid])
    last = panels[4].images[0].get_array()
    np.testing.assert_array_equal(~np.ma.getmaskarray(last), tree["masks"]["ssh_days"][0, -1])


def test_a_film_has_a_frame_a_day(ocean: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (batch,) = batches(ocean)
    animate(batch, "ssh_days", tmp_path / "days.gif")
    with image.open(tmp_path / "days.gif") as film:
        assert film.n_frames == 3
    for wrong, text in (("l4_ssh", "has no days"), ("nothing", "no gridded variable")):
        with pytest.raises(InvalidInputError, match=text):
            animate(batch, wrong, tmp_path / "x.gif")
    with pytest.raises(InvalidInputError, match=r"a film is \.gif or \.mp4"):
        animate(batch, "ssh_days", tmp_path / "x.png")
    with pytest.raises(InvalidInputError, match="row must be from 0 to 1"):
        animate(batch, "ssh_days", tmp_path / "x.gif", row=7)


BASELINE = Path(__file__).parent / "calendar.png"
DRAWN_BY = "3.11"
"""The matplotlib that drew the baseline: others draw text a little differently."""


def test_the_calendar_looks_as_it_did(tmp_path: Path) -> None:
    """After a change that is meant, look at the new picture and copy it over the old one."""
    matplotlib = pytest.importorskip("matplotlib")
    if not matplotlib.__version__.startswith(DRAWN_BY):
        pytest.skip(f"drawn by matplotlib {DRAWN_BY}, not {matplotlib.__version__}")
    compare = pytest.importorskip("matplotlib.testing.compare")
    cells = np.full((4, 8), 100, np.uint8)
    days = [
        None if day % 7 == 3 else DayCounts(str(day), cells, (cells * (day / 30)).astype(np.uint8))
        for day in range(30)
    ]
    seen = Coverage(45.0, np.arange(19448, 19478, dtype=np.int32), {"l3_swot": Measured.of(days)})
    with plt.style.context("default"):
        axes = plot_calendar(seen)
        axes.figure.savefig(tmp_path / "drawn.png", dpi=60)
    assert compare.compare_images(str(BASELINE), str(tmp_path / "drawn.png"), tol=3) is None


def test_an_evaluation_grid_is_drawn_once() -> None:
    grid = QueryGenerator().generate_eval_queries(
        (-60, 0, 0, 40), 10, (DAY, "2023-04-20"), verbose=False
    )
    assert len(plot_queries(grid).collections[-1].get_paths()) == 24
