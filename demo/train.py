"""Fill the gaps between satellite tracks: a small network learns it from real sea level maps.

The full maps are real (DUACS, see fetch.py). The gaps are synthetic: stripes as wide as the two
swaths of SWOT keep what they cover, everything else is hidden from the network. No patch of the
training touches the Gulf Stream, which is what the network is tested on. The baseline is the
Gaussian smoothing that fills the training patches best; the network starts from it. It is trained
twice: on what was seen alone, and with channels that are known everywhere.
"""

import sys
import time
from collections.abc import Iterator

import numpy as np
import torch
from fetch import CONTEXT, DATASET
from model import FillGaps, hide, smooth
from picture import draw
from torch import Tensor

import oceanarrow
from oceanarrow.dataset import PatchSize, Query, QueryGenerator

PATCH = PatchSize(10, "deg")
PIXELS = (64, 64)
BATCH = 16
EPOCHS = 6
CHANNELS = ["shelf", "sin_latitude", "sin_day_of_year", "cos_day_of_year"]
GULF_STREAM = (-80.0, -40.0, 25.0, 50.0)  # lon_min, lon_max, lat_min, lat_max
TRAINING_DAYS = ("2018-12-31", "2019-01-02")
TEST_DAY = "2019-01-03"


def queries() -> tuple[list[Query], list[Query]]:
    """Random patches of the world's ocean for training, a grid over the Gulf Stream for testing."""
    generator = QueryGenerator(land_mask_path="builtin")
    world = generator.generate_training_queries(
        640, PATCH, TRAINING_DAYS, max_land_fraction=0.2, seed=0, verbose=False
    )
    test = generator.generate_eval_queries(
        GULF_STREAM, PATCH, (TEST_DAY, TEST_DAY), spatial_overlap=0.5, verbose=False
    )
    return [query for query in world if not touches(query, GULF_STREAM)], test


def touches(query: Query, bbox: tuple[float, float, float, float]) -> bool:
    lon_min, lon_max, lat_min, lat_max = bbox
    return (
        query.lon_min < lon_max
        and query.lon_max > lon_min
        and query.lat_min < lat_max
        and query.lat_max > lat_min
    )


def stream(
    selection: list[Query], *, shuffle: bool, pixels: tuple[int, int] = PIXELS
) -> oceanarrow.Loader:
    """Batches of `adt`, (B, H, W) float32 in metres with a mask that is true over water, and of
    `context`, (B, 4, H, W)."""
    return oceanarrow.Loader(
        [str(DATASET), str(CONTEXT)],
        selection,
        input_variables={"adt": "adt", "context": CHANNELS},
        batch_size=min(BATCH, len(selection)),
        default_patch_size=pixels,
        shuffle=shuffle,
        seed=0,
    )


def pace(loader: oceanarrow.Loader) -> float:
    """Samples a second when nobody computes anything with them."""
    started = time.perf_counter()
    samples = sum(len(water) for _, water, _, _ in timed(loader, "reading"))
    return samples / (time.perf_counter() - started)


def train(network: FillGaps, loader: oceanarrow.Loader) -> None:
    """Squared error on the hidden pixels; one line an epoch."""
    loader.set_epoch(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    steps = EPOCHS * len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    noise = torch.Generator().manual_seed(0)
    print("epoch   network   smoothing   samples/s   waiting for data")
    for epoch in range(1, EPOCHS + 1):
        total = np.zeros(3)  # squared error of the network, of the baseline, number of pixels
        started, waited = time.perf_counter(), 0.0
        for sea, water, context, wait in timed(loader, f"epoch {epoch}"):
            waited += wait
            seen = hide(water, noise)
            hidden = water & ~seen
            error = fill(network, sea, seen, context) - sea
            loss = error[hidden].square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += squares(error, smooth(sea, seen) - sea, hidden)
        elapsed = time.perf_counter() - started
        ours, baseline = centimetres(total)
        rate = len(loader) * BATCH / elapsed
        share = f"{waited / elapsed:.1%}"
        print(f"{epoch:5}   {ours:4.1f} cm   {baseline:6.1f} cm   {rate:9.0f}   {share:>16}")


@torch.no_grad()
def test(network: FillGaps, loader: oceanarrow.Loader) -> tuple[float, float]:
    """Root mean square error over hidden water in cm: of the network, of smoothing."""
    noise = torch.Generator().manual_seed(1)
    total = np.zeros(3)
    for sea, water, context, _ in timed(loader, "test"):
        seen = hide(water, noise)
        error = fill(network, sea, seen, context) - sea
        total += squares(error, smooth(sea, seen) - sea, water & ~seen)
    return centimetres(total)


def fill(network: FillGaps, sea: Tensor, seen: Tensor, context: Tensor) -> Tensor:
    """What a network makes of it, with the context if it takes one."""
    return network(sea, seen, context if network.takes_context else None)


def timed(loader: oceanarrow.Loader, label: str) -> Iterator[tuple[Tensor, Tensor, Tensor, float]]:
    """The batches as (sea level, water, context, seconds waited), with a bar on a terminal.

    The last batch of an unshuffled run is filled up with repeated patches. They weigh nothing, and
    have no water here.
    """
    bar = sys.stderr.isatty()
    steps = len(loader)
    asked = time.perf_counter()
    for step, batch in enumerate(loader, 1):
        tensors = batch.to_torch()
        wait = time.perf_counter() - asked
        if bar:
            done = "#" * (30 * step // steps)
            print(f"\r{label} [{done:<30}] {step}/{steps}", end="", file=sys.stderr)
        weight = tensors["metadata"]["sample_weight"]
        water = tensors["masks"]["adt"] & (weight > 0)[:, None, None]
        yield tensors["inputs"]["adt"], water, tensors["inputs"]["context"], wait
        asked = time.perf_counter()
    if bar:
        print(f"\r{'':60}\r", end="", file=sys.stderr)


def squares(network: Tensor, baseline: Tensor, where: Tensor) -> np.ndarray:
    """Sums over `where` of both squared errors, and its size."""
    sums = [network[where].square().sum().item(), baseline[where].square().sum().item()]
    return np.array([*sums, where.sum().item()])


def centimetres(total: np.ndarray) -> tuple[float, float]:
    network, baseline = 100 * np.sqrt(total[:2] / total[2])
    return float(network), float(baseline)


@torch.no_grad()
def show(networks: list[FillGaps]) -> None:
    """The Gulf Stream in one piece, as the networks do not mind a larger map; draws the last's."""
    lon_min, lon_max, lat_min, lat_max = GULF_STREAM
    height, width = (
        round(side / PATCH.value * PIXELS[0]) for side in (lat_max - lat_min, lon_max - lon_min)
    )
    whole = Query(lon_min, lon_max, lat_min, lat_max, TEST_DAY, TEST_DAY)
    loader = stream([whole], shuffle=False, pixels=(height, width))
    sea, water, context, _ = next(timed(loader, "picture"))
    seen = hide(water, torch.Generator().manual_seed(2))
    errors = []
    for network in networks:
        filled = fill(network, sea, seen, context)
        both = squares(filled - sea, smooth(sea, seen) - sea, water & ~seen)
        errors.append(centimetres(both))
    print(f"  as one map, where more is seen around the gaps: {told(errors)}")
    path = draw(sea[0], seen[0], filled[0], water[0], errors[-1][0], GULF_STREAM, TEST_DAY)
    print(f"Wrote {path}")


def told(errors: list[tuple[float, float]]) -> str:
    """The errors of both networks, and of the smoothing beside them."""
    (alone, baseline), (ours, _) = errors
    return (
        f"smoothing {baseline:.1f} cm, on what was seen {alone:.1f}, with the channels {ours:.1f}"
    )


def main() -> None:
    torch.set_num_threads(1)  # leaves the other cores to the engine, and gives everyone one result
    oceanarrow.register_variable("adt", source="l4_ssh", file="l4_ssh.nc", netcdf="adt", unit="m")
    training, testing = queries()
    print(f"{len(training)} training patches, {len(testing)} test patches over the Gulf Stream")
    loader = stream(training, shuffle=True)
    first, again = pace(loader), pace(loader)
    print(f"The loader alone: {first:.0f} samples/s, {again:.0f} with its cache filled")
    networks = []
    for context, what in ((0, "what was seen alone"), (len(CHANNELS), ", ".join(CHANNELS))):
        torch.manual_seed(0)
        network = FillGaps(context=context)
        print(f"\nA network on {what}: root mean square error of gaps, and its pace")
        train(network, loader)
        networks.append(network)
    errors = [test(network, stream(testing, shuffle=False)) for network in networks]
    print(f"Gulf Stream on {TEST_DAY}, a region that no training patch touches:")
    print(f"  patch by patch, as in the training: {told(errors)}")
    show(networks)


if __name__ == "__main__":
    main()
