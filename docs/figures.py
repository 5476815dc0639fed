"""Draws the pictures of the pages into `_figures`, on sample data that is made for them."""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import oceanarrow
from oceanarrow import Augment, Files, Loader, Window
from oceanarrow.dataset import PatchSize, Query, QueryGenerator
from oceanarrow.inventory.catalog import Days
from oceanarrow.plot import plot_batch
from oceanarrow.sample_data import write_sample_data

FIGURES = Path(__file__).parent / "_figures"
DAYS = 6
LOOK = {"origin": "lower", "interpolation": "nearest"}


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "ocean"
        write_sample_data(folder, synthetic=True, scale=8, days=DAYS)
        dataset = folder / "OceanTACO"
        days = oceanarrow.Catalog(dataset).days
        assert days is not None
        normal, context = folder / "months.nc", folder / "context.parquet"
        last = str(np.datetime64(days.last) - 1)
        oceanarrow.climatology(dataset, "l4_sst", normal, days=(days.first, last), progress=False)
        bathymetry = next(folder.rglob("bathymetry.nc"))
        files = [
            Files(normal, {"sst_normal": "l4_sst"}, cycle="month", cycle_interpolate=False),
            Files(bathymetry, {"depth": "elevation"}, static=True),
        ]
        oceanarrow.write_catalog(context, files, progress=False)
        both = [dataset, context]
        anomaly(both, days.last)
        channels(both, days.last)
        cells(dataset, days.last)
        augment(dataset, days.last)
        batch(dataset, days)
        support(dataset, days.last)
        resampling(dataset, days.last)
        order(dataset, days)
        batch(dataset, days)
        support(dataset, days.last)
        order(dataset, days)


def anomaly(dataset: list[Path], day: str) -> None:
    """A field, the mean of its month, and what is left."""
    query = Query(-80.0, -30.0, 25.0, 55.0, day, day)
    shape = {"default_patch_size": (120, 200), "batch_size": 1}
    (both,) = Loader(dataset, [query], ["l4_sst", "sst_normal"], **shape)
    (less,) = Loader(dataset, [query], ["l4_sst"], anomaly={"l4_sst": "sst_normal"}, **shape)
    fields, rest = both.to_numpy(), less.to_numpy()
    panels = [
        ("l4_sst", fields["inputs"]["l4_sst"][0], fields["masks"]["l4_sst"][0]),
        ("sst_normal", fields["inputs"]["sst_normal"][0], fields["masks"]["sst_normal"][0]),
        (
            'anomaly={"l4_sst": "sst_normal"}',
            rest["inputs"]["l4_sst"][0],
            rest["masks"]["l4_sst"][0],
        ),
    ]
    figure, axes = plt.subplots(1, 3, figsize=(12, 2.9), layout="constrained")
    for place, (title, values, valid) in enumerate(panels):
        field = np.ma.masked_array(values, ~valid)
        most = np.abs(field).max() if place == 2 else None
        look = {"cmap": "RdBu_r", "vmin": -most, "vmax": most} if place == 2 else {"cmap": "turbo"}
        drawn = axes[place].imshow(field, extent=query.bbox, aspect="auto", **LOOK, **look)
        axes[place].set_title(title, fontsize=10)
        axes[place].set_facecolor("#d9d9d9")
        figure.colorbar(drawn, ax=axes[place], label="degC", shrink=0.9)
    save(figure, "anomaly.png")


def channels(dataset: list[Path], day: str) -> None:
    """The channels of a tensor, a row a query."""
    queries = [
        Query(-75.0, -60.0, 32.0, 44.0, day, day),
        Query(135.0, 150.0, 30.0, 42.0, day, day),
        Query(15.0, 30.0, -44.0, -32.0, day, day),
    ]
    members = [
        "l4_sst",
        Window("l4_ssh", -1, 0, name="ssh", temporal_agg="stack"),
        Window("l4_ssh", where="l3_swot", name="seen"),
        "depth",
        "land_fraction",
        "sin_latitude",
        "insolation",
    ]
    (batch,) = Loader(
        dataset, queries, {"x": members}, default_patch_size=(64, 64), batch_size=3, shuffle=False
    )
    save(plot_batch(batch), "channels.png")


def cells(dataset: Path, day: str) -> None:
    """A patch of cells beside one a little off the grid."""
    generator = QueryGenerator(catalog=dataset)
    (query,) = generator.generate_eval_queries(
        (-72.0, -60.0, 32.0, 42.0), PatchSize(7, "cells"), (day, day), 0.0, snap="glorys_uo",
        verbose=False,
    )[:1]  # fmt: skip
    step = generator.catalog.grid("glorys_uo").lat.step if generator.catalog else 1.0
    west, east, south, north = query.bbox
    off = Query(west + step / 2, east + step / 2, south + step / 2, north + step / 2, day, day)
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), layout="constrained")
    for panel, asked, title in (
        (axes[0], query, 'snap="glorys_uo": the file\'s values'),
        (axes[1], off, "half a cell off: means of four"),
    ):
        (batch,) = Loader(dataset, [asked], ["glorys_uo"], default_patch_size=(7, 7), batch_size=1)
        values = batch.to_numpy()["inputs"]["glorys_uo"][0]
        drawn = panel.imshow(values, cmap="RdBu_r", vmin=-0.6, vmax=0.6, **LOOK)
        for (i, j), value in np.ndenumerate(values):
            panel.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=6)
        panel.set_title(title, fontsize=10)
        panel.set(xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axes, label="m s-1")
    save(figure, "cells.png")


def augment(dataset: Path, day: str) -> None:
    """One query in six epochs."""
    query = Query(-72.0, -60.0, 32.0, 44.0, day, day)
    how = Augment(shift=4.0, flip_lon=True, rotate=True)
    loader = Loader(
        dataset, [query], ["l4_sst"], augment=how, default_patch_size=(64, 64), batch_size=1, seed=3
    )
    figure, axes = plt.subplots(1, 6, figsize=(12, 2.5), layout="constrained")
    for epoch, panel in enumerate(axes):
        loader.set_epoch(epoch)
        (batch,) = loader
        tree = batch.to_numpy()
        field = np.ma.masked_array(tree["inputs"]["l4_sst"][0], ~tree["masks"]["l4_sst"][0])
        panel.imshow(field, cmap="turbo", **LOOK)
        west, _, south, _ = tree["metadata"]["bbox"][0]
        code = int(tree["metadata"]["augmentation"][0])
        flip = "flipped, " if code & 1 else ""
        panel.set_title(
            f"epoch {epoch}: {west:.1f}, {south:.1f}\n{flip}{90 * (code >> 2)}°", fontsize=9
        )
        panel.set(xticks=[], yticks=[])
        panel.set_facecolor("#d9d9d9")
    save(figure, "augment.png")


def batch(dataset: Path, days: Days) -> None:
    """Four rows of a batch."""
    queries = QueryGenerator(land_mask_path="builtin").generate_training_queries(
        4, PatchSize(10, "deg"), (days.first, days.last), max_land_fraction=0.4, seed=11,
        verbose=False, bbox_constraint=(-80.0, 30.0, -45.0, 60.0),
    )  # fmt: skip
    (drawn,) = Loader(
        dataset, queries, ["l4_sst", "l4_wind", "l3_swot", "l3_ssh"], ["l4_ssh"], batch_size=4,
        default_patch_size=(96, 96),
    )  # fmt: skip
    save(plot_batch(drawn), "batch.png")


def support(dataset: Path, day: str) -> None:
    """Values near a coast, what is valid under each pixel, and what a stricter rule leaves."""
    query = Query(-12.0, 4.0, 36.0, 50.0, day, day)
    shape = {"default_patch_size": (28, 32), "batch_size": 1}
    (loose,) = Loader(dataset, [query], ["l4_sst"], support=True, **shape)
    (strict,) = Loader(dataset, [query], ["l4_sst"], min_support=0.6, **shape)
    tree, kept = loose.to_numpy(), strict.to_numpy()["masks"]["l4_sst"][0]
    values, valid = tree["inputs"]["l4_sst"][0], tree["masks"]["l4_sst"][0]
    panels = [
        ("values", np.ma.masked_array(values, ~valid), {"cmap": "turbo"}),
        ("mask", valid, {"cmap": "Greys", "vmin": -0.4, "vmax": 1.6}),
        ("support", tree["support"]["l4_sst"][0], {"cmap": "cividis", "vmin": 0, "vmax": 1}),
        ("values, min_support=0.6", np.ma.masked_array(values, ~kept), {"cmap": "turbo"}),
    ]
    figure, axes = plt.subplots(1, 4, figsize=(12, 2.9), layout="constrained")
    for panel, (title, field, look) in zip(axes, panels, strict=True):
        panel.imshow(field, extent=query.bbox, aspect="auto", **LOOK, **look)
        panel.set_title(title, fontsize=10)
        panel.set_facecolor("#d9d9d9")
        panel.set(xticks=[], yticks=[])
    save(figure, "support.png")


def resampling(dataset: Path, day: str) -> None:
    """The cells of a file beside the pixels that the rules make of them."""
    query = Query(-12.0, 0.0, 36.0, 48.0, day, day)
    cells = oceanarrow.open_patch(dataset, query, ["l4_ssh"])["l4_ssh"].isel(time=0)
    panels = [("the file's cells", cells.values)]
    for rule in ("nearest", "bilinear", "area"):
        loader = Loader(
            dataset, [query], ["l4_ssh"], default_patch_size=(7, 7), resample=rule, batch_size=1
        )
        (tree,) = (made.to_numpy() for made in loader)
        field = np.ma.masked_array(tree["inputs"]["l4_ssh"][0], ~tree["masks"]["l4_ssh"][0])
        panels.append((f'resample="{rule}", 7 x 7', field))
    most = np.nanmax(np.abs(cells.values))
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
    for panel, (title, field) in zip(axes, panels, strict=True):
        # Pixels lie at the box's edges too: each is drawn around its own place.
        half = 6.0 / (np.shape(field)[0] - 1)
        edges = (-12.0 - half, half, 36.0 - half, 48.0 + half)
        panel.imshow(field, extent=edges, cmap="RdBu_r", vmin=-most, vmax=most, **LOOK)
        panel.add_patch(plt.Rectangle((-12, 36), 12, 12, fill=False, linestyle="--"))
        panel.set(xlim=(-13.2, 1.2), ylim=(34.8, 49.2), xticks=[], yticks=[], facecolor="#d9d9d9")
        panel.set_title(title, fontsize=10)
    save(figure, "resampling.png")


def order(dataset: Path, days: Days) -> None:
    """In which step each query of an epoch is, and where the rows of a few steps lie."""
    queries = QueryGenerator(land_mask_path="builtin").generate_training_queries(
        4096, PatchSize(10, "deg"), (days.first, days.last), seed=5, verbose=False
    )
    # Latitudes are computed: nothing is read.
    loader = Loader(
        dataset, queries, ["latitude"], default_patch_size=(2, 2), batch_size=64, lanes=16,
        window=64,
    )  # fmt: skip
    steps = [drawn.to_numpy()["metadata"]["query"] for drawn in loader]
    boxes = np.array([query.bbox for query in queries])
    lon, lat = boxes[:, :2].mean(1), boxes[:, 2:].mean(1)
    # Where the unshuffled list of clusters has them: near each other on the globe and in time.
    place = np.lexsort((lon // 10, lat // 10, [str(query.time_start) for query in queries]))
    rank = np.empty(len(queries))
    rank[place] = np.arange(len(queries))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, 3.6), layout="constrained", width_ratios=(1, 1.4)
    )
    for step, rows in enumerate(steps):
        left.scatter(np.full(len(rows), step), rank[rows], s=3, c="C0", alpha=0.5, linewidths=0)
    left.set(xlabel="step", ylabel="query, by day, latitude and longitude")
    right.scatter(lon, lat, s=2, c="#cccccc")
    for step, colour in ((0, "#0072B2"), (1, "#D55E00"), (2, "#009E73")):
        rows = steps[step]
        right.scatter(lon[rows], lat[rows], s=22, c=colour, label=f"step {step}")
    right.set(xlabel="longitude", ylabel="latitude", xlim=(-180, 180), ylim=(-85, 85))
    right.legend(loc="upper center", ncols=3, fontsize=9)
    save(figure, "order.png")


def save(figure: plt.Figure, name: str) -> None:
    figure.savefig(FIGURES / name, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
