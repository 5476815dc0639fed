"""Weighted queries come as often as their weights say, the same in every run."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from oceanarrow.exceptions import InvalidInputError

from . import runs

N = 65
WEIGHTS = np.concatenate([np.zeros(5), np.full(20, 0.25), np.linspace(0.5, 4.0, 40)])


def counts(rows) -> list[int]:
    drawn = Counter(query for query, weight in rows if weight == 1.0)
    return [drawn[query] for query in range(N)]


def test_counts_are_the_expectation_rounded_up_or_down(ocean):
    expected = N * WEIGHTS / WEIGHTS.sum()
    loader = runs.make(ocean, N, weights=WEIGHTS, tail="pad")
    epochs = [counts(runs.query_rows(loader)) for _ in range(40)]
    # Weights are integers of 32 bits inside.
    slack = 1e-6
    for epoch in epochs:
        assert sum(epoch) == N
        assert all(np.floor(expected - slack) <= epoch)
        assert all(epoch <= np.ceil(expected + slack))
        assert epoch[:5] == [0] * 5, "a weight of 0 is never drawn"
    assert len({tuple(epoch) for epoch in epochs}) > 20, "each epoch starts elsewhere"
    # 40 epochs with an error of less than 1 each way; systematic starts are spread evenly.
    np.testing.assert_allclose(np.mean(epochs, axis=0), expected, atol=0.35)


def test_only_the_ratios_of_weights_count(ocean):
    rows = runs.query_rows(runs.make(ocean, N, weights=WEIGHTS, tail="pad"))
    assert runs.query_rows(runs.make(ocean, N, weights=WEIGHTS * 2**20, tail="pad")) == rows
    assert runs.query_rows(runs.make(ocean, N, weights=list(WEIGHTS), tail="pad")) == rows
    assert runs.query_rows(runs.make(ocean, N, weights=WEIGHTS, tail="pad", seed=12)) != rows


def test_equal_weights_draw_each_query_once(ocean):
    loader = runs.make(ocean, N, weights=np.full(N, 0.3), tail="pad")
    assert counts(runs.query_rows(loader)) == [1] * N


@pytest.mark.parametrize("world_size", [2, 3, 12])
def test_ranks_share_the_draws_and_states_go_on(ocean, world_size):
    options = {"weights": WEIGHTS, "tail": "pad"}
    alone = runs.make(ocean, N, **options)
    epochs = [runs.steps(alone) for _ in range(2)]
    ranks = runs.world(ocean, world_size, N, **options)
    assert runs.joined(islice(rank, 2) for rank in ranks) == epochs[0][:2]
    state = ranks[-1].state_dict()
    resumed = runs.world(ocean, 4, N, **options)
    for loader in resumed:
        loader.load_state_dict(state)
    assert runs.joined(resumed) == epochs[0][2:]
    assert runs.joined(resumed) == epochs[1]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(N - 1), f"{N - 1} weights for {N} queries"),
        (np.zeros(N), "all weights are 0"),
        ([-1.0] + [1.0] * (N - 1), r"weights\[0\] is -1"),
        ([1.0] * (N - 1) + [float("nan")], rf"weights\[{N - 1}\] is NaN"),
        (np.ones((N, 2)), "weights"),
        (["much"] * N, "weights"),
        ({"a": 1}, "weights"),
    ],
)
def test_wrong_weights_say_what_is_right(ocean, weights, words):
    with pytest.raises(InvalidInputError, match=words):
        runs.make(ocean, N, weights=weights)


def test_weights_draw_at_random_only(ocean):
    with pytest.raises(InvalidInputError, match="shuffle=True"):
        runs.make(ocean, N, weights=WEIGHTS, shuffle=False)
