"""The engine and the reference have every property; each mutant lacks the one named for it."""

import math
from functools import partial

import pytest

from . import plans, properties, reference


@pytest.mark.parametrize("make", [plans.EngineOrder, plans.by_reference], ids=["rust", "python"])
@pytest.mark.parametrize("holds", properties.ALL, ids=lambda holds: holds.__name__)
def test_holds(holds, make) -> None:
    holds(make)


class SeedPlusEpoch(reference.Order):
    @staticmethod
    def key(tag, seed, epoch, *rest):
        return reference.key(tag, seed + epoch, *rest)


class StridedRanks(reference.Order):
    def rows(self, rank, world_size):
        return range(rank, self.batch, world_size)


class FloatLog2(reference.Order):
    """The number of bits as the logarithm of the largest index: one short at 2^k + 1."""

    def permute(self, i, n, k):
        half, x = math.ceil(math.log2(max(2, n - 1)) / 2), i
        for _ in range(1000):
            left, right = x >> half, x & (1 << half) - 1
            for r in range(6):
                left, right = right, left ^ reference.mix(right, k, r) & (1 << half) - 1
            x = left << half | right
            if x < n:
                return x
        return -1


class DropOnEachRank(reference.Order):
    def steps(self, world_size=1, rank=0):
        if self.tail != "drop":
            return super().steps(world_size, rank)
        shard = self.n // world_size + (rank < self.n % world_size)
        return shard // (self.batch // world_size)


class LanesToWorkers(reference.Order):
    """Worker v makes batches of the rows whose lanes are v, v + workers, ..."""

    def worker_steps(self, epoch, rank, world_size, worker, workers):
        rows = self.batch // self.lanes
        slots = [
            slot
            for t in range(self.steps(world_size, rank))
            for row, slot in zip(
                self.rows(rank, world_size), self.step(epoch, t, rank, world_size), strict=True
            )
            if row // rows % workers == worker
        ]
        size = self.batch // world_size
        steps = len(range(worker, self.steps(world_size, rank), workers))
        return [slots[t * size : (t + 1) * size] for t in range(steps)]


@pytest.mark.parametrize(
    ("mutant", "holds"),
    [
        (SeedPlusEpoch, properties.seeds_do_not_share_epochs),
        (StridedRanks, properties.ranks_one_after_the_other_are_the_batch),
        (FloatLog2, properties.images_are_a_permutation),
        (DropOnEachRank, properties.every_rank_has_the_same_steps),
        (LanesToWorkers, properties.workers_and_ranks_do_not_change_the_order),
    ],
    ids=lambda x: x.__name__,
)
def test_mutant_is_killed(mutant, holds) -> None:
    with pytest.raises(AssertionError):
        holds(partial(plans.by_reference, kind=mutant))
