"""Batches hold the samples of the dataset, in the order that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from oceanarrow import Loader
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import CancelledError, InvalidInputError

INPUTS, TARGETS = ["l4_sst", "l3_swot", "argo"], ["l4_ssh", "l4_sst"]
SIZES = {"l3_swot": (12, 20)}


def queries(n: int) -> list[Query]:
    days = ["2023-04-01", "2023-04-02", "2023-04-03"]
    return [
        Query(-170 + 7.0 * i, -150 + 7.0 * i, -60 + 2.0 * i, -45 + 2.0 * i, day, day)
        for i, day in zip(range(n), days * n, strict=False)
    ]


def make(path, n=7, **options) -> Loader:
    options = {"batch_size": 3, "default_patch_size": (8, 10), "patch_sizes": SIZES} | options
    return Loader(path, queries(n), INPUTS, TARGETS, **options)


def order(loader: Loader) -> list[int]:
    return [int(q) for batch in loader for q in batch.to_numpy()["metadata"]["query"]]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("container", ["ocean", "ocean_zip", "ocean_listed"])
def test_rows_equal_the_samples_of_the_dataset(request, container, shuffle):
    path = request.getfixturevalue(container)
    asked = queries(7)
    samples = OceanTACODataset(
        path, asked, INPUTS, TARGETS, default_patch_size=(8, 10), patch_sizes=SIZES
    )
    rows = 0
    for batch in make(path, shuffle=shuffle, tail="partial"):
        arrays = batch.to_numpy()
        for row, query in enumerate(arrays["metadata"]["query"]):
            sample = samples[int(query)]
            for role in ("inputs", "targets"):
                for name, entry in sample[role].items():
                    _same(name, arrays, role, row, entry)
            assert arrays["metadata"]["n_files"][row] == sample["metadata"]["n_files"]
            assert tuple(arrays["metadata"]["bbox"][row]) == sample["metadata"]["bbox"]
            days = asked[int(query)].days()
            assert (
                arrays["metadata"]["time_start"][row],
                arrays["metadata"]["time_end"][row],
            ) == days
            rows += 1
    assert rows == 7


def _same(name, arrays, role, row, entry):
    data = arrays[role][name]
    assert arrays["present"][name][row] == (entry is not None)
    if name == "argo":
        columns = {key: values[row][data["mask"][row]] for key, values in data.items()}
        for key in ("data", "lats", "lons", "time", "pressure"):
            expected = entry[key].numpy() if entry is not None else np.empty(0)
            np.testing.assert_array_equal(columns[key], expected)
    elif entry is None:
        assert not data[row].any()
        assert not arrays["masks"][name][row].any()
    else:
        np.testing.assert_array_equal(data[row], entry["data"].numpy())
        np.testing.assert_array_equal(arrays["masks"][name][row], entry["mask"].numpy())


def test_a_missing_source_keeps_its_row(ocean):
    """l3_swot has no file on the second day: that row is fill, masked and not present."""
    loader = make(ocean, shuffle=False, fill_value=-9.0, batch_size=3)
    first = next(iter(loader)).to_numpy()
    assert first["present"]["l3_swot"].tolist() == [True, False, True]
    assert (first["inputs"]["l3_swot"][1] == -9.0).all()
    assert not first["masks"]["l3_swot"][1].any()
    assert first["masks"]["l4_ssh"][1].any()


def test_list_order_and_tails(ocean):
    assert order(make(ocean, shuffle=False)) == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert order(make(ocean, shuffle=False, tail="drop")) == [0, 1, 2, 3, 4, 5]
    assert order(make(ocean, shuffle=False, tail="partial")) == list(range(7))
    *_, last = make(ocean, shuffle=False)
    metadata = last.to_numpy()["metadata"]
    assert metadata["status"].tolist() == [0, 1, 1]
    assert metadata["sample_weight"].tolist() == [1.0, 0.0, 0.0]
    assert len(make(ocean, shuffle=False)) == 3
    assert len(make(ocean, shuffle=False, tail="drop")) == 2


def test_a_shuffled_epoch_is_a_function_of_seed_and_epoch(ocean):
    loader = make(ocean, n=40, batch_size=8, seed=3)
    first, second = order(loader), order(loader)
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second
    loader.set_epoch(0)
    assert order(loader) == first
    assert loader.epoch == 1
    # Seeds are not added to epochs: seed 4 does not start where seed 3 goes on.
    assert order(make(ocean, n=40, batch_size=8, seed=4)) not in (first, second)
    assert order(make(ocean, n=40, batch_size=8, seed=3, threads=1)) == first


def test_what_a_dropped_tail_leaves_out_is_listed(ocean):
    loader = make(ocean, n=29, batch_size=8, lanes=4)
    left = []
    for _ in range(3):
        left.append(loader.left_out())
        assert sorted([*order(loader), *left[-1]]) == list(range(29))
    assert [len(queries) for queries in left] == [5, 5, 5]
    assert left[0] != left[1]
    assert make(ocean, n=29, batch_size=8, tail="pad").left_out() == []


def test_leaving_early_starts_the_epoch_again(ocean):
    loader = make(ocean, n=40, batch_size=8)
    whole = order(loader)
    loader.set_epoch(0)
    for batch in loader:
        assert batch.to_numpy()["metadata"]["query"].tolist() == whole[:8]
        break
    assert loader.epoch == 0
    assert order(loader) == whole


def test_close_ends_a_running_iteration(ocean):
    with make(ocean, n=40, batch_size=1) as loader:
        running = iter(loader)
        batch = next(running)
    assert list(running) == []
    assert len(batch) == 1
    assert loader.epoch == 0


def test_an_end_that_was_reached_stays_one(ocean):
    loader = make(ocean, n=6)
    running = iter(loader)
    assert len(list(running)) == 2
    loader.close()
    assert list(running) == []


def test_shapes_are_tuples(ocean):
    batch = next(iter(make(ocean)))
    assert batch["l4_ssh"].shape == (3, 8, 10)
    assert isinstance(batch["l4_ssh"].shape, tuple)


def test_stats_count(ocean):
    loader = make(ocean, n=6, shuffle=False)
    for _ in loader:
        pass
    stats = loader.stats()
    assert stats["samples"] == 6
    assert stats["bytes_read"] > 0
    assert stats["chunks_decoded"] > 0
    assert stats["masked"] == 0
    assert set(stats["seconds"]) == set(INPUTS + TARGETS)
    assert all(0 < seconds < 600 for seconds in stats["seconds"].values())
    decoded = stats["chunks_decoded"]
    for _ in loader:
        pass
    assert loader.stats()["chunks_decoded"] == decoded
    assert loader.stats()["chunk_hits"] > stats["chunk_hits"]


def test_a_small_cache_changes_nothing(ocean):
    expected = [b.to_numpy()["targets"]["l4_ssh"] for b in make(ocean, shuffle=False)]
    for cache_bytes in (0, 1, 5000):
        batches = make(ocean, shuffle=False, cache_bytes=cache_bytes, prefetch_bytes=1)
        for batch, values in zip(batches, expected, strict=True):
            np.testing.assert_array_equal(batch.to_numpy()["targets"]["l4_ssh"], values)


def test_stacked_days_support_and_crop_axes(ocean):
    window = [Query(-40, -20, 10, 30, "2023-04-01", "2023-04-03")] * 2
    loader = Loader(
        ocean, window, ["l3_swot"], ["l4_ssh"], batch_size=2, default_patch_size=(6, 7),
        temporal_agg={"l3_swot": "stack"}, grid={"l4_ssh": "crop"}, support=True, shuffle=False,
    )  # fmt: skip
    (batch,) = loader
    arrays = batch.to_numpy()
    assert arrays["inputs"]["l3_swot"].shape == (2, 3, 6, 7)
    assert not arrays["masks"]["l3_swot"][:, 1].any(), "no swath on the second day"
    assert arrays["masks"]["l3_swot"][:, [0, 2]].any()
    support = arrays["support"]["l3_swot"]
    np.testing.assert_array_equal(support >= 0.01, arrays["masks"]["l3_swot"])
    assert set(arrays["coords"]) == {"l4_ssh"}
    lat = arrays["coords"]["l4_ssh"]["lat"][0]
    assert lat.shape == (6,)
    assert 10 < lat[0] < lat[-1] < 30, "kernel centres lie inside the box, not on its edges"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"n": 0}, "empty"),
        ({"n": 2, "tail": "drop"}, 'tail="pad"'),
        ({"tail": "repeat"}, '"drop", "pad", "continue", "partial"'),
        ({"seed": -1}, "seed"),
        ({"threads": 0}, "threads"),
        ({"cache_bytes": -1}, "cache_bytes"),
        ({"prefetch_bytes": 0}, "prefetch_bytes"),
        ({"default_patch_size": (0, 3)}, "default_patch_size"),
        ({"default_patch_size": None}, "patch size"),
        ({"patch_sizes": {"l4_sss": (3, 3)}}, "l4_sss"),
        ({"resample": "cubic"}, '"bilinear", "area"'),
        ({"grid": {"l4_ssh": "mercator"}}, '"exact", "crop"'),
        ({"temporal_agg": "median"}, "temporal_agg"),
        ({"min_support": 1.5}, "min_support"),
        ({"on_error": "ignore"}, "on_error"),
    ],
)
def test_wrong_arguments_say_what_is_right(ocean, options, words):
    with pytest.raises(InvalidInputError, match=words):
        make(ocean, **options)


def test_stack_needs_windows_of_one_length(ocean):
    mixed = [
        Query(0, 10, 0, 10, "2023-04-01", "2023-04-01"),
        Query(0, 10, 0, 10, "2023-04-01", "2023-04-02"),
    ]
    with pytest.raises(InvalidInputError, match="one window length"):
        Loader(ocean, mixed, ["l4_ssh"], temporal_agg="stack", batch_size=2)


def test_the_kinds_of_cancellation_are_errors_of_oceanarrow():
    assert CancelledError.kind == "cancelled"
