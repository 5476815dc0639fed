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
# # Your own files
#
# NetCDF files as data centres deliver them stay where they are: a catalogue lists them, and stands
# wherever the path of a dataset does. Here sea level on 0..360, temperature with quality levels,
# and a model with three depths become one batch, beside a sensor of OceanTACO. The files are made
# up; put your own paths in their place.

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
import xarray as xr

import oceanarrow
from oceanarrow import Files
from oceanarrow.dataset import PatchSize, Query, QueryGenerator
from oceanarrow.plot import plot_batch
from oceanarrow.sample_data import write_sample_data

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
made = write_sample_data(
    folder / "made_up", synthetic=True, start=TRAIN_DATES[0], days=3, scale=16, progress=False
)
files = made / "files"
sorted(str(path.relative_to(files)) for path in files.glob("*/*_*1.nc"))

# %% [markdown]
# Each kind has its habits. This one has its longitudes from 0 to 360, and stamps its days at
# midnight:

# %%
xr.open_dataset(next(files.glob("ssh/*.nc")))

# %% [markdown]
# ## Listing them
#
# `Files` says which paths belong together, which of their variables are wanted and what they are
# called here. Everything else (days, grids, packing, units, which chunk is where) is found in the
# files. `valid` lets a cell count only where a quality variable says so, `select` takes levels.

# %%
catalogue = folder / "own.parquet"
oceanarrow.write_catalog(
    catalogue,
    [
        Files(str(files / "ssh/*.nc"), {"ssh": "sla", "current": "ugos"}),
        Files(
            str(files / "ghrsst/*.nc"),
            {"sst": "analysed_sst"},
            units={"sst": "degC"},
            valid={"quality_level": (4, 5), "sea_ice_fraction": (None, 0.15)},
        ),
        Files(str(files / "ghrsst/*.nc"), {"sst_any": "analysed_sst"}, units={"sst_any": "degC"}),
        Files(str(files / "model/*.nc"), {"theta": "thetao"}, select={"depth": [0.5, 47, 318]}),
    ],
    progress=False,
)
oceanarrow.Catalog(catalogue)

# %% [markdown]
# ## What a quality rule does
#
# A cell that the rule excludes is as one without data: it has no weight in any mean, and pixels
# that only it would cover are invalid.

# %%
day = TRAIN_DATES[0]
query = Query(-80, -10, 10, 55, day, day)
(batch,) = oceanarrow.Loader(
    catalogue, [query], ["sst_any", "sst"], default_patch_size=(90, 140), batch_size=1
)
tree = batch.to_numpy()
figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
for axis, name, title in zip(
    axes, ("sst_any", "sst"), ("every cell", "quality 4 and 5, little ice"), strict=True
):
    field = np.ma.masked_array(tree["inputs"][name][0], ~tree["masks"][name][0])
    drawn = axis.imshow(field, origin="lower", extent=query.bbox, cmap="turbo", vmin=0, vmax=30)
    axis.set(title=title, facecolor="#d9d9d9", xlabel="longitude", ylabel="latitude")
figure.colorbar(drawn, ax=axes, label="sea surface temperature [°C]")
plt.show()

# %% [markdown]
# ## One batch out of several datasets
#
# A list of datasets is one dataset. Sea level, temperature and three depths come from the files
# above, the swath of SWOT from OceanTACO; all lie on the same pixels.

# %%
queries = QueryGenerator(land_mask_path="builtin").generate_training_queries(
    16, PatchSize(12, "deg"), (day, day), bbox_constraint=(-70, -20, 20, 45),
    max_land_fraction=0.2, seed=3, verbose=False,
)  # fmt: skip
loader = oceanarrow.Loader(
    [DATASET, catalogue],
    queries,
    ["sst", "theta", "current", "l3_swot"],
    ["ssh"],
    default_patch_size=(96, 96),
    batch_size=8,
)
batch = next(iter(loader))
{name: values.shape for name, values in batch.to_numpy()["inputs"].items()}

# %%
plot_batch(batch, rows=3)
plt.show()

# %% [markdown]
# ## When files change
#
# The catalogue knows of each file its size, its time and a digest of what says where values lie. A
# file that was replaced is an error that names it, never old values; `update=True` lists what is
# new and leaves out what is gone.

# %%
newest = sorted(files.glob("ssh/*.nc"))[-1]
newest.unlink()
oceanarrow.write_catalog(
    catalogue, Files(str(files / "ssh/*.nc"), {"ssh": "sla"}), update=True, progress=False
)
print(oceanarrow.Catalog(catalogue).days)
scratch.cleanup()
