# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What a network eats: anomalies, constants and patches that move
#
# The tutorial ends with tensors of observations. Models are trained on more: fields that never
# change, the season, anomalies from a climatology, patches that are a little elsewhere in each
# epoch. Here they become the channels of one tensor. `docs/how_to/channels.md` and
# `docs/how_to/patches.md` have the rules.

# %% tags=["parameters"]
# Where your dataset is, and days that it holds (both ends count).
DATASET = "OceanTACO"
TRAIN_DATES = ("2023-04-01", "2023-06-30")
EVAL_DATES = ("2023-07-01", "2023-08-30")

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import oceanarrow
from oceanarrow import Augment, Files, Loader, Window
from oceanarrow.dataset import PatchSize, QueryGenerator
from oceanarrow.plot import plot_batch

# %% [markdown]
# Patches of 16 x 16 cells of the sea level map: their pixels are the file's own values.

# %%
generator = QueryGenerator("builtin", catalog=DATASET)
queries = generator.generate_training_queries(
    32,
    PatchSize(16, "cells"),
    TRAIN_DATES,
    bbox_constraint=(-75, -15, 15, 50),
    snap="l4_ssh",
    seed=0,
    verbose=False,
)
queries[0]

# %% [markdown]
# A climatology of the training days, and of nothing else: `find_leaks` says whether a test patch
# was seen by it.

# %%
folder = Path(tempfile.mkdtemp())
oceanarrow.climatology(DATASET, "glorys_sst", folder / "normal.nc", days=queries, progress=False)
oceanarrow.write_catalog(
    folder / "context.parquet",
    Files(
        folder / "normal.nc", {"sst_normal": "glorys_sst"}, cycle="month", cycle_interpolate=False
    ),
    progress=False,
)
oceanarrow.find_leaks(folder / "normal.nc", queries[:3])

# %% [markdown]
# One tensor: the anomaly of temperature, sea level of two days, where SWOT saw it, and what is
# known everywhere. Each epoch moves the boxes by whole cells and flips them from west to east.

# %%
loader = Loader(
    [DATASET, folder / "context.parquet"],
    queries,
    {
        "x": [
            "glorys_sst",
            Window("l4_ssh", -1, 0, name="ssh", temporal_agg="stack"),
            Window("l4_ssh", where="l3_swot", name="seen"),
            "land_fraction",
            "sin_latitude",
            "sin_day_of_year",
        ]
    },
    {"y": ["glorys_uo", "glorys_vo"]},
    anomaly={"glorys_sst": "sst_normal"},
    joint=[("glorys_uo", "glorys_vo")],
    augment=Augment(
        shift=(3, 3), snap="l4_ssh", flip_lon=True, vectors=[("glorys_uo", "glorys_vo")]
    ),
    default_patch_size=(16, 16),
    batch_size=8,
    seed=1,
)
batch = next(iter(loader))
tensors = batch.to_torch()
tensors["metadata"]["channels"], tensors["inputs"]["x"].shape, tensors["targets"]["y"].shape

# %%
figure = plot_batch(batch, rows=3)

# %% [markdown]
# The same draw of three epochs: elsewhere, and the other way round. `to_xarray` turns it back.

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for epoch, panel in enumerate(axes):
    loader.set_epoch(epoch)
    for batch in loader:
        tree = batch.to_numpy()
        (rows,) = np.nonzero(tree["metadata"]["query"] == 0)
        for row in rows:
            panel.imshow(tree["inputs"]["x"][row, 2], origin="lower", cmap="coolwarm")
            west, _, south, _ = tree["metadata"]["bbox"][row]
            how = "flipped" if tree["metadata"]["augmentation"][row] & 1 else "as it is"
            panel.set_title(f"epoch {epoch}: {west:.1f}, {south:.1f}, {how}")
batch.to_xarray()
