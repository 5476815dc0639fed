"""What `explain` predicts is what happens; what it advises helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic

from oceanarrow import Loader
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError

VARIABLES = ["l4_sst", "l4_ssh", "l3_swot", "l3_ssh", "l3_sst"]
#: Patches of a few pixels: decoding is what counts here.
PIXELS = (2, 2)
SMALL_WINDOW = {"batch_size": 16, "window": 64, "default_patch_size": PIXELS}


def queries(n: int, n_days: int = 1, seed: int = 0) -> list[Query]:
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(-180, 175, n), rng.uniform(-80, 75, n)
    first = rng.integers(0, len(synthetic.DAYS) + 1 - n_days, n)
    days = [day.isoformat() for day in synthetic.DAYS]
    return [
        Query(x, x + 4, y, y + 4, days[day], days[day + n_days - 1])
        for x, y, day in zip(lon, lat, first, strict=True)
    ]


def observe(loader: Loader) -> dict:
    for _ in loader:
        pass
    return loader.stats()


@pytest.mark.parametrize("n", [20_000, pytest.param(100_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_decodes_what_was_predicted(ocean: Path, n: int, shuffle: bool) -> None:
    asked = queries(n)
    options = {**SMALL_WINDOW, "shuffle": shuffle}
    needed = Loader(ocean, asked, VARIABLES, **options).explain().needed_cache_bytes
    for cache_bytes, threads in [(needed // 4, 1), (needed * 2 // 3, 2), (needed * 2, 2)]:
        loader = Loader(
            ocean, asked, VARIABLES, cache_bytes=cache_bytes, threads=threads, **options
        )
        predicted = loader.explain()
        assert loader.stats()["chunks_decoded"] == 0
        seen = observe(loader)
        assert seen["amplification"] == pytest.approx(predicted.amplification, rel=0.05)
        assert seen["chunks_distinct"] == predicted.distinct
        if threads == 1:
            assert seen["chunks_decoded"] == predicted.decodes
        if cache_bytes < needed:
            assert predicted.amplification > 1.2
        else:
            assert predicted.decodes == predicted.distinct
            assert predicted.decoded_bytes == predicted.distinct_bytes


@pytest.mark.parametrize(
    "options",
    [
        {"temporal_agg": "stack"},
        {"temporal_agg": "last", "tail": "pad"},
        {"grid": "crop", "resample": "nearest"},
        {"resample": "area", "tail": "partial"},
        {"weights": np.linspace(0.1, 3, 1500)},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_every_way_to_render_is_predicted(dataset: Path, options: dict) -> None:
    """On one thread, to the chunk; also what is read, but for the metadata and gaps."""
    asked = queries(1500, n_days=2)
    variables = [*VARIABLES, "argo", "glorys_ssh", "l3_sss_smos_asc"]
    options = {**SMALL_WINDOW, "threads": 1, "cache_bytes": 400_000, **options}
    loader = Loader(dataset, asked, variables, **options)
    predicted, opened = loader.explain(), loader.stats()
    seen = observe(loader)
    assert seen["chunks_decoded"] == predicted.decodes > 1.2 * predicted.distinct
    assert seen["chunks_distinct"] == predicted.distinct
    assert seen["bytes_read"] - opened["bytes_read"] >= predicted.read_bytes


def test_ranks_decode_what_was_predicted_for_all_of_them(dataset: Path) -> None:
    asked = queries(3000)
    options = {**SMALL_WINDOW, "cache_bytes": 2_000_000, "threads": 1}
    options = {**options, "global_batch_size": 16, "batch_size": None}
    alone = Loader(dataset, asked, VARIABLES, **options)
    for world_size in (2, 8):
        ranks = [
            Loader(dataset, asked, VARIABLES, rank=rank, world_size=world_size, **options)
            for rank in range(world_size)
        ]
        decoded = sum(observe(loader)["chunks_decoded"] for loader in ranks)
        assert alone.explain(world_size=world_size).decodes == decoded
        assert ranks[0].explain().decodes == decoded


def test_bytes_are_those_that_the_cache_weighs(dataset: Path) -> None:
    """The exact budget keeps every chunk for a second epoch; a byte less does not."""
    asked = queries(200)
    options = {**SMALL_WINDOW, "shuffle": False, "threads": 1}
    whole = Loader(dataset, asked, VARIABLES, **options).explain().distinct_bytes
    for cache_bytes, kept in ((whole, True), (whole - 1, False)):
        loader = Loader(dataset, asked, VARIABLES, cache_bytes=cache_bytes, **options)
        assert loader.explain().distinct_bytes == whole
        once = observe(loader)["chunks_decoded"]
        assert (observe(loader)["chunks_decoded"] == once) == kept


def test_the_size_of_chunks_is_that_of_the_file(dataset: Path) -> None:
    """l4_ssh: int16 in chunks of 37 x 41, also where they reach beyond the tile."""
    inside = [Query(-60.0, -58.0, 20.0, 22.0, "2023-04-01", "2023-04-01")]
    known = Loader(dataset, inside, ["l4_ssh"], shuffle=False, default_patch_size=PIXELS).explain()
    assert (known.distinct, known.distinct_bytes) == (1, 37 * 41 * 2)
    assert known.needed_cache_bytes == pytest.approx(37 * 41 * 2, rel=0.02)
    # A batch: 16 rows of 2 x 2 float32 values and bytes of mask.
    assert known.batch_bytes == 16 * 4 * 5
    assert known.steps == 1 and known.clusters_per_batch == 1.0


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_needed_cache_is_just_enough(dataset: Path, shuffle: bool) -> None:
    loader = Loader(dataset, queries(4000), VARIABLES, shuffle=shuffle, **SMALL_WINDOW)
    needed = loader.explain(cache_bytes=0).needed_cache_bytes
    assert loader.explain(cache_bytes=needed).amplification <= 1.05
    assert loader.explain(cache_bytes=int(needed * 0.97)).amplification > 1.05


def test_without_a_cache_every_row_decodes_its_chunks(ocean: Path) -> None:
    asked = [Query(-60.0, -58.0, 20.0, 22.0, "2023-04-01", "2023-04-01")] * 30
    # Two threads that want the same chunk at the same time share a decode.
    options = {"batch_size": 10, "default_patch_size": PIXELS, "threads": 1}
    loader = Loader(ocean, asked, ["l4_ssh"], cache_bytes=0, **options)
    predicted = loader.explain()
    assert (predicted.decodes, predicted.amplification) == (30, 30.0)
    assert observe(loader)["amplification"] == 30.0


def test_only_the_steps_asked_for_are_simulated(ocean: Path) -> None:
    loader = Loader(ocean, queries(1000), VARIABLES, **SMALL_WINDOW)
    few = loader.explain(max_steps=3)
    assert (few.steps, few.epoch_steps) == (3, 62)
    assert few.distinct < loader.explain().distinct
    endless = Loader(ocean, queries(1000), VARIABLES, tail="continue", **SMALL_WINDOW).explain()
    assert (endless.steps, endless.epoch_steps) == (63, None)
    assert "63 simulated of an endless epoch" in str(endless)


def test_it_says_what_the_plan_is(ocean: Path) -> None:
    loader = Loader(ocean, queries(1000), VARIABLES, rank=1, world_size=2, **SMALL_WINDOW)
    told = str(loader.explain())
    assert loader.plan_id in told
    assert "rank           1 (from arguments); the prediction is for 2 ranks" in told
    assert "16 lanes, each mixed over 64 queries" in told
    assert loader.explain() == loader.explain()
    assert loader.explain(world_size=1).advice == []


def test_it_says_which_cache_would_do(ocean: Path) -> None:
    loader = Loader(ocean, queries(4000), VARIABLES, cache_bytes=500_000, **SMALL_WINDOW)
    tight = loader.explain()
    (advice,) = tight.advice
    assert f"cache_bytes={tight.needed_cache_bytes} " in advice and "smaller window" in advice
    assert loader.explain(cache_bytes=tight.needed_cache_bytes).advice == []


@pytest.mark.parametrize(
    ("n", "options", "said"),
    [
        (1000, {"batch_size": 17}, "1 of the 16 lanes asked for are in use"),
        (1000, {"batch_size": 17}, "17 has no larger divisor up to 16"),
        (1000, {"batch_size": 17}, "a global batch of 32 has 16"),
        (1000, {"batch_size": 4}, "a batch has 4 rows, one a lane"),
        (5, {"tail": "pad"}, "there are only 5 queries"),
        (1000, {"prefetch_bytes": 1000, "batch_size": 16}, "only one is made ahead"),
    ],
)
def test_it_says_what_lanes_and_memory_allow(ocean: Path, n: int, options: dict, said: str) -> None:
    loader = Loader(ocean, queries(n), VARIABLES, default_patch_size=PIXELS, **options)
    (advice,) = loader.explain().advice
    assert said in advice
    assert advice in str(loader.explain())


def test_it_says_when_ranks_share_lanes(ocean: Path) -> None:
    options = {**SMALL_WINDOW, "batch_size": 48}
    loader = Loader(ocean, queries(4000), VARIABLES, **options)
    (advice,) = loader.explain(world_size=8).advice
    assert "although the cache is large enough: 8 ranks need the same chunks" in advice
    (advice,) = loader.explain(world_size=8, cache_bytes=500_000).advice
    assert "is too small" in advice and "would bring that to 1." in advice
    advice = " ".join(loader.explain(world_size=3).advice)
    assert "3 ranks share 16 lanes" in advice and "lanes=3 would avoid it" in advice
    listed = Loader(ocean, queries(4000), VARIABLES, shuffle=False, **options)
    advice = " ".join(listed.explain(world_size=3).advice)
    assert "each decodes them for itself" in advice and "share 1 lane:" in advice


def test_bad_arguments_are_refused(ocean: Path) -> None:
    loader = Loader(ocean, queries(100), VARIABLES, **SMALL_WINDOW)
    with pytest.raises(InvalidInputError, match="one of 1, 2, 4, 8, 16"):
        loader.explain(world_size=3)
    with pytest.raises(InvalidInputError, match="does not divide"):
        loader.explain(world_size=2**70)
    assert loader.explain(cache_bytes=2**70, max_steps=2**70).amplification == 1.0
    for argument, value in [
        ("world_size", 0),
        ("cache_bytes", -1),
        ("max_steps", 0),
        ("max_steps", 1.5),
        ("world_size", True),
    ]:
        with pytest.raises(InvalidInputError, match=argument):
            loader.explain(**{argument: value})
    for argument in ("cache_bytes", "prefetch_bytes"):
        with pytest.raises(InvalidInputError, match=argument):
            Loader(ocean, queries(100), VARIABLES, **{argument: -1})


@pytest.mark.parametrize("cache_bytes", [None, 20_000])
def test_a_window_is_decoded_while_the_one_before_it_is_rendered(
    ocean: Path, cache_bytes: int | None
) -> None:
    """After the first window the chunks of the second are there, if the cache can hold both."""
    steps = 40
    loader = Loader(
        ocean, queries(1200), VARIABLES, batch_size=2, lanes=2, window=steps, threads=1,
        prefetch_bytes=1, default_patch_size=PIXELS, cache_bytes=cache_bytes,
    )  # fmt: skip
    first = loader.explain(max_steps=steps).distinct
    both = loader.explain(max_steps=2 * steps).distinct
    assert both > first + 5
    running = iter(loader)
    for _ in range(steps + 2):  # one thread makes batches and decodes ahead in turn
        next(running)
    decoded = loader.stats()["chunks_distinct"]
    if cache_bytes is None:
        assert decoded >= both
    else:
        assert decoded <= loader.explain(max_steps=steps + 4).distinct < both
    running.close()
