"""Draws the pictures of docs/channels.md and docs/patches.md, on a synthetic ocean."""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import oceanarrow
from oceanarrow import Augment, Files, Loader, Window
from oceanarrow.dataset import PatchSize, Query, QueryGenerator
from oceanarrow.plot import plot_batch
from oceanarrow.sample_data import write_sample_data

DOCS = Path(__file__).parents[1] / "docs"
DAYS = 6
LOOK = {"origin": "lower", "interpolation": "nearest"}


def main() -> None:
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


def save(figure: plt.Figure, name: str) -> None:
    figure.savefig(DOCS / name, dpi=90)
    plt.close(figure)
    print(f"Wrote {DOCS / name}")


if __name__ == "__main__":
    main()
