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
# # From a frozen training set to a score
#
# What comes before and after the loader, in one piece: the numbers that inputs are normalised by, a
# training set that is rendered once, a training that is interrupted and goes on, forecasts stitched
# to maps, and their errors beside those of persistence. The network is a small one and sees two
# days: what counts here is the way.

# %% tags=["parameters"]
# Where your dataset is, and days that it holds (both ends count).
DATASET = "OceanTACO"
TRAIN_DATES = ("2023-04-01", "2023-06-30")
EVAL_DATES = ("2023-07-05", "2023-07-07")

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import oceanarrow
from oceanarrow import Loader, Stitcher, Window, scores
from oceanarrow.dataset import PatchSize, QueryGenerator

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# Sea level of yesterday and today; of tomorrow and the day after. Training patches are drawn at
# random, those of the evaluation cover the region and overlap by half.

# %%
REGION = (-75.0, -15.0, 15.0, 50.0)
PIXELS, LEADS = (32, 32), 2
generator = QueryGenerator("builtin")
train = generator.generate_training_queries(
    96, PatchSize(10, "deg"), TRAIN_DATES, bbox_constraint=REGION, seed=0, verbose=False
)
train = sorted(train, key=lambda query: str(query.time_start))
evaluation = generator.generate_eval_queries(
    REGION, PatchSize(10, "deg"), EVAL_DATES, spatial_overlap=0.5, verbose=False
)
INPUTS = {"x": Window("l4_ssh", -1, 0, name="past", temporal_agg="stack")}
TARGETS = {"y": Window("l4_ssh", 1, LEADS, name="future", temporal_agg="stack")}
len(train), len(evaluation)

# %% [markdown]
# ## Numbers of the training part
#
# One mean and one deviation serve both days and both leads: sea level is sea level. Whether the
# numbers have seen anything of the evaluation, `find_leaks` says. On a few days they have.

# %%
numbers = oceanarrow.statistics(
    DATASET, train, ["l4_ssh"], default_patch_size=PIXELS, by="month", progress=False
)
numbers.to_json(folder / "statistics.json")
axes = numbers.plot()
print(numbers)
print(oceanarrow.find_leaks(folder / "statistics.json", evaluation))

# %%
sea_level = numbers["l4_ssh"]
moments = (sea_level.mean, sea_level.std)
common = {
    "default_patch_size": PIXELS,
    "normalize": {"x": moments, "y": moments},
    "batch_size": 16,
}

# %% [markdown]
# ## A training set that is rendered once
#
# Row k of the set is that of query k. Its loader has the order, the states and the batches of the
# one that it came from.

# %%
source = Loader(DATASET, train, INPUTS, TARGETS, seed=1, **common)
oceanarrow.materialize(source, folder / "frozen", shard_rows=32, progress=False)
frozen = Loader.from_materialized(folder / "frozen", batch_size=16, seed=1)
assert frozen.plan_id == source.plan_id
sorted(path.name for path in (folder / "frozen").iterdir())

# %% [markdown]
# ## Training, interrupted and resumed
#
# The network adds to today's map what convolutions see in two days.


# %%
class Forecast(nn.Module):
    """Sea level of days to come (B, LEADS, H, W) from that of yesterday and today (B, 2, H, W)."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 2
        for dilation in (1, 2, 4, 1):
            convolution = nn.Conv2d(before, channels, 3, padding=dilation, dilation=dilation)
            layers += [convolution, nn.SiLU()]
            before = channels
        last = nn.Conv2d(channels, LEADS, 3, padding=1)
        nn.init.zeros_(last.weight)  # training starts from persistence itself
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, past: torch.Tensor) -> torch.Tensor:
        return past[:, -1:] + self.layers(past)


def step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: oceanarrow.Batch) -> float:
    tensors = batch.to_torch()
    error = network(tensors["inputs"]["x"]) - tensors["targets"]["y"]
    loss = error[tensors["masks"]["y"]].square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


torch.set_num_threads(1)
torch.manual_seed(0)
network = Forecast()
optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
losses = []
for done, batch in enumerate(frozen, 1):
    losses.append(step(network, optimizer, batch))
    if done == len(frozen) // 2:
        break
saved = {
    "network": network.state_dict(),
    "optimizer": optimizer.state_dict(),
    "loader": frozen.state_dict(),
}
torch.save(saved, folder / "checkpoint.pt")
frozen.close()

# %% [markdown]
# Another process would begin here. It goes on with the next batch, and could as well go on with a
# loader of the dataset itself.

# %%
EPOCHS = 8
checkpoint = torch.load(folder / "checkpoint.pt", weights_only=False)
network, frozen = Forecast(), Loader.from_materialized(folder / "frozen", batch_size=16, seed=1)
network.load_state_dict(checkpoint["network"])
optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
optimizer.load_state_dict(checkpoint["optimizer"])
frozen.load_state_dict(checkpoint["loader"])
while frozen.epoch < EPOCHS:
    losses += [step(network, optimizer, batch) for batch in frozen]

figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
axes.plot(losses, color="#0072B2")
axes.axvline(len(losses) // (2 * EPOCHS), color="black", linewidth=1, linestyle=":")
axes.set_xlabel("step (dotted: interrupted and resumed)")
axes.set_ylabel("squared error")
axes.set_ylim(bottom=0)

# %% [markdown]
# ## Back to maps
#
# Overlapping patches are blended; each lead is a map of its own.

# %%
forecasts = Stitcher(REGION, 0.25, name="sla", attrs={"units": "m"})
truths = Stitcher(REGION, 0.25, name="sla", attrs={"units": "m"})
unchanged = Stitcher(REGION, 0.25, name="sla", attrs={"units": "m"})
loader = Loader(DATASET, evaluation, INPUTS, TARGETS, shuffle=False, tail="pad", **common)
with torch.no_grad():
    for batch in loader:
        tensors = batch.to_torch()
        past, future = tensors["inputs"]["x"], tensors["targets"]["y"]
        mask = tensors["masks"]["y"]
        for stitcher, values in (
            (forecasts, network(past)),
            (truths, future),
            (unchanged, past[:, -1:].expand(-1, LEADS, -1, -1)),
        ):
            metres = oceanarrow.normalization.denormalize(values, *moments)
            stitcher.add(tensors["metadata"], metres, mask)
forecast, truth, persistence = (s.to_xarray()["sla"] for s in (forecasts, truths, unchanged))

# %%
figure, panels = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained", sharey=True)
fields = {"truth": truth, "forecast": forecast, "error, on a scale of its own": forecast - truth}
for panel, (title, field) in zip(panels, fields.items(), strict=True):
    limit = float(np.nanpercentile(np.abs(field), 98)) or 1.0
    look = {"vmin": -limit, "vmax": limit, "cmap": "coolwarm"}
    picture = panel.pcolormesh(field["lon"], field["lat"], field[0, 0], **look)
    bar = figure.colorbar(picture, ax=panel, label="m")
    panel.set_title(title)
    panel.set_facecolor("#d9d9d9")

# %% [markdown]
# ## Scores
#
# By lead, beside the forecast that nothing changes. A score of 1 is right, 0 as good as a map of
# zeros.

# %%
errors = {
    "network": scores.rmse(forecast, truth, by="lead"),
    "persistence": scores.rmse(persistence, truth, by="lead"),
}
figure, axes = plt.subplots(figsize=(5, 2.8), layout="constrained")
for place, (name, error) in enumerate(errors.items()):
    days = np.arange(1, LEADS + 1) + 0.35 * place - 0.175
    axes.bar(days, 100 * error, 0.35, label=name, color=("#0072B2", "#E69F00")[place])
axes.set_xticks(range(1, LEADS + 1))
axes.set_xlabel("days ahead")
axes.set_ylabel("error (cm)")
axes.legend(frameon=False)
{name: scores.normalized_rmse_score(field, truth).item() for name, field in
 (("network", forecast), ("persistence", persistence))}  # fmt: skip

# %% [markdown]
# ## What this was trained on
#
# The receipt says it, and `oceanarrow verify` replays its steps.

# %%
receipt = frozen.receipt(range(2))
assert oceanarrow.verify(receipt, DATASET, train, progress=False)
{key: receipt[key] for key in ("content_id", "plan_id", "version", "rules_version")}
