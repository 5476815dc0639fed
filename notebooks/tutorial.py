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
# # From a box on the map to a batch of tensors
#
# OceanTACO keeps one NetCDF file per day, region and data source. A model wants something else:
# stacks of equally large patches, several variables at the same place and time, and the knowledge
# of which pixels were measured. This notebook goes from the one to the other:
#
# 1. a **query** says where and when,
# 2. a **generator** draws many of them for training, or lays a grid of them for evaluation,
# 3. a **dataset** or a **loader** turns them into tensors.
#
# You need to know PyTorch's `Dataset` and `DataLoader`; oceanography is not required. Everything
# runs offline on a TACO dataset on your disk. Open `tutorial.ipynb` in Jupyter; `tutorial.py` is
# the same notebook as text.

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
from matplotlib.patches import Polygon, Rectangle
from torch.utils.data import DataLoader

import oceanarrow
from oceanarrow.dataset import (
    OceanTACODataset,
    PatchSize,
    Query,
    QueryGenerator,
    collate_ocean_samples,
)
from oceanarrow.land import outlines
from oceanarrow.plot import plot_coverage

# %% [markdown]
# What the model is to see. `l4_` products are maps without gaps on the sea; `l3_` products hold
# only what a satellite passed over. Patches are 10 by 10 degrees and are delivered as 64 x 64
# pixels, except the two altimetry products, where small structures are the point.

# %%
STUDY_BBOX = (
    -80,
    -10,
    10,
    55,
)  # lon_min, lon_max, lat_min, lat_max: the Gulf Stream and east of it
PATCH_SIZE = PatchSize(10, "deg")
IMAGE_SIZE = 64
PATCH_SIZES = {"l3_ssh": (96, 96), "l3_swot": (128, 128)}
INPUTS = ["l4_sst", "l4_sss", "l3_swot", "l3_ssh"]
TARGETS = ["l4_ssh"]

# %% [markdown]
# ## 1. Queries
#
# A query is a box and a range of days. It opens nothing and holds no data, so it can be stored,
# sent to a worker or compared with another.

# %%
query = Query(
    lon_min=-70, lon_max=-60, lat_min=35, lat_max=45, time_start="2023-04-15", time_end="2023-04-15"
)
print(query.bbox)
print(query.to_dict())

# %% [markdown]
# A size in kilometres becomes more degrees of longitude the farther from the equator it is used,
# because meridians converge.

# %%
for lat in (0, 30, 45, 60):
    lon_deg, lat_deg = PatchSize(500, "km").to_degrees(center_lat=lat)
    print(f"500 km at {lat:2d}°N: {lon_deg:5.2f}° of longitude, {lat_deg:.2f}° of latitude")

# %% [markdown]
# ## 2. Patches for training
#
# Random places, random days, and a seed: the same seed gives the same patches. A land mask rejects
# patches that are mostly land. `"builtin"` is the one that comes with the package; without a mask
# every patch is taken. With the same mask, the reference library draws the same patches.

# %%
generator = QueryGenerator(land_mask_path="builtin")
train_queries = generator.generate_training_queries(
    n_queries=100,
    patch_size=PATCH_SIZE,
    date_range=TRAIN_DATES,
    bbox_constraint=STUDY_BBOX,
    time_window_days=1,
    max_land_fraction=0.3,
    seed=42,
)

# %% [markdown]
# ## 3. Patches for evaluation
#
# A grid without a random number in it. `spatial_overlap=0.5` would make neighbours share half of
# their width; `temporal_stride_days=7` takes every seventh day. The list is in the order of time.

# %%
eval_queries = generator.generate_eval_queries(
    bbox=STUDY_BBOX,
    patch_size=PATCH_SIZE,
    date_range=EVAL_DATES,
    spatial_overlap=0.0,
    temporal_stride_days=7,
    time_window_days=1,
)
print(f"{len(train_queries)} patches for training, {len(eval_queries)} for evaluation")


# %%
def draw_queries(axis, queries, colour, title):
    """Boxes on a map: where they overlap, the colour gets darker."""
    lon_min, lon_max, lat_min, lat_max = STUDY_BBOX
    axis.set_facecolor("#dcebf5")
    for shore, *_ in outlines():
        axis.add_patch(Polygon(shore, facecolor="#e6e1d6", edgecolor="#777", linewidth=0.5))
    for query in queries:
        corner = (query.lon_min, query.lat_min)
        width, height = query.lon_max - query.lon_min, query.lat_max - query.lat_min
        axis.add_patch(Rectangle(corner, width, height, facecolor=colour, alpha=0.06))
        axis.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, lw=0.4))
    study = ((lon_min, lat_min), lon_max - lon_min, lat_max - lat_min)
    axis.add_patch(Rectangle(*study, fill=False, edgecolor="#b3261e", linestyle="--"))
    axis.set(
        xlim=(lon_min - 8, lon_max + 8),
        ylim=(lat_min - 8, lat_max + 8),
        aspect=1 / np.cos(np.radians((lat_min + lat_max) / 2)),
        title=title,
        xlabel="longitude",
        ylabel="latitude",
    )


figure, axes = plt.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
draw_queries(axes[0], train_queries, "#1f5f99", f"Training: {len(train_queries)} random patches")
draw_queries(axes[1], eval_queries, "#2c7a4b", f"Evaluation: a grid, {len(eval_queries)} patches")
plt.show()

# %% [markdown]
# The centres of random patches lie in the red box, so patches may leave it. The cells of the grid
# stay inside.
#
# ## 4. From degrees to pixels
#
# The query fixes the ground a patch covers, the patch size fixes how many pixels it gets. Row `i`
# lies at latitude `linspace(lat_min, lat_max, H)[i]`, for every variable, whatever grid its file
# has: the variables of a sample fit on top of each other. How much that magnifies or shrinks
# depends on the file:

# %%
NATIVE_DEG = {"l4_sst": 0.05, "l4_sss": 0.125, "l3_swot": 0.018, "l3_ssh": 0.063, "l4_ssh": 0.125}
lon_deg, lat_deg = PATCH_SIZE.to_degrees()
print(f"{'variable':<10}{'step':>8}{'cells in a patch':>18}{'pixels':>9}{'ratio':>8}")
for variable in INPUTS + TARGETS:
    rows, _ = PATCH_SIZES.get(variable, (IMAGE_SIZE, IMAGE_SIZE))
    cells = round(lat_deg / NATIVE_DEG[variable])
    print(f"{variable:<10}{NATIVE_DEG[variable]:>7}°{cells:>18}{rows:>9}{rows / cells:>7.2f}x")

# %% [markdown]
# Below 1x a pixel stands for several cells. The default takes the value at the point;
# `resample="area"` takes the mean of the cells in the pixel, which suits `l3_swot` better. The
# steps above are those of the published files; nothing is assumed from them, each file is asked
# for its own.
#
# ## 5. A dataset
#
# The catalog is read once, when the dataset is made. Workers of a `DataLoader` never see it.

# %%
dataset = OceanTACODataset(
    taco_path=DATASET,
    queries=train_queries[:20],
    input_variables=INPUTS,
    target_variables=TARGETS,
    default_patch_size=(IMAGE_SIZE, IMAGE_SIZE),
    patch_sizes=PATCH_SIZES,
    temporal_agg="mean",
)
print(f"{len(dataset)} samples: {dataset.input_variables} -> {dataset.target_variables}")

# %% [markdown]
# ## 6. One sample
#
# Each variable is a dictionary of `data`, `lats`, `lons` and `mask`, or `None` when there is no
# file for the box and day. Pixels without a measurement are 0.0 in `data` and false in `mask`.

# %%
sample = dataset[0]
print(sample["metadata"])
for variable, field in {**sample["inputs"], **sample["targets"]}.items():
    if field is None:
        print(f"{variable:<10}no file")
    else:
        measured = field["mask"].float().mean()
        print(f"{variable:<10}{tuple(field['data'].shape)!s:<12}{measured:6.1%} measured")

# %%
dataset.visualize_sample(sample, title="The first training sample", max_cols=3)

# %% [markdown]
# ## 7. Batches from a DataLoader
#
# `collate_ocean_samples` stacks samples variable by variable. A sample that lacks a variable
# drops out of that variable's tensor, as the reference documents it; `missing="fill"` keeps its
# row and marks it instead.

# %%
batches = DataLoader(dataset, batch_size=4, shuffle=True, collate_fn=collate_ocean_samples)
batch = next(iter(batches))
for part in ("inputs", "targets"):
    for variable, tensor in batch[part].items():
        print(f"{part:<8}{variable:<10}{None if tensor is None else tuple(tensor.shape)}")
for bbox, days in zip(batch["metadata"]["bboxes"], batch["metadata"]["time_ranges"], strict=True):
    print([round(float(edge), 2) for edge in bbox], days)

# %% [markdown]
# ## 8. Batches from the loader
#
# `oceanarrow.Loader` makes whole batches itself, on its own threads, while the model works. Rows
# stay aligned: a missing variable is a row of zeros with an empty mask and `present` false. The
# tensors are not copies.

# %%
with oceanarrow.Loader(
    DATASET,
    train_queries[:20],
    INPUTS,
    TARGETS,
    batch_size=4,
    default_patch_size=(IMAGE_SIZE, IMAGE_SIZE),
    patch_sizes=PATCH_SIZES,
    shuffle=True,
    seed=0,
) as loader:
    for step, batch in enumerate(loader):
        tensors = batch.to_torch()
        sea_level, measured = tensors["targets"]["l4_ssh"], tensors["masks"]["l4_ssh"]
        if measured.any():
            spread = 100 * sea_level[measured].std()
            print(f"step {step}: {tuple(sea_level.shape)}, standard deviation {spread:.1f} cm")

# %% [markdown]
# ## 9. Keeping queries
#
# A saved set outlives changes of NumPy, of this package and of your memory. The table goes to
# `.parquet`, what you want to say about it to `.json`.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "north_atlantic"
    QueryGenerator.save_queries(
        train_queries, path, metadata={"region": "North Atlantic", "patch_size": str(PATCH_SIZE)}
    )
    again, metadata = QueryGenerator.load_queries(path)
print(metadata)
print("the same queries:", again == train_queries)

# %% [markdown]
# ## 10. What there is, and patches that see something
#
# A catalogue tells days, gaps and variables. A coverage has looked into the files: how many cells
# of each sensor are valid, by day and place. With both, a generator draws only patches in which the
# swath has passed, and a split gives parts that do not share ocean.

# %%
catalog = oceanarrow.Catalog(DATASET)
catalog

# %%
coverage = oceanarrow.coverage(DATASET, ["l3_swot", "l4_ssh"], days=TRAIN_DATES, progress=False)
plot_coverage(coverage, "l3_swot")
plt.show()

# %%
seen = QueryGenerator("builtin", catalog=catalog, coverage=coverage).generate_training_queries(
    60, PATCH_SIZE, TRAIN_DATES, STUDY_BBOX, seed=7, min_valid={"l3_swot": 0.02}, verbose=False
)
for name, queries in (("random", train_queries), ("chosen", seen)):
    print(f"{name}: {coverage.valid_share(queries, 'l3_swot').mean():.1%} of a patch is valid")

# %%
split = oceanarrow.split_queries(seen, {"train": 0.6, "test": 0.4}, by="time", gap_days=1)
split

# %%
split.plot()
plt.show()
