"""What every order must satisfy, whoever computes it. `make(n, batch, seed, tail, **options)`."""

from collections import Counter

BATCH = 48
WORLDS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 48)
WORKERS = (1, 2, 3, 5, 8)
SIZES = (1, 47, 48, 49, 97, 257, 509, 1025)


def whole(order, epoch=0) -> list:
    return [order.step(epoch, t) for t in range(order.steps())]


def images_are_a_permutation(make) -> None:
    order = make(1, 1, 0, "pad")
    for n in [*range(1, 70), 127, 128, 129, 255, 256, 257, 1023, 1024, 1025, 4096, 4097]:
        assert sorted(order.permute(i, n, 99) for i in range(n)) == list(range(n)), n


def seeds_do_not_share_epochs(make) -> None:
    one, two = (make(500, 50, seed, "drop") for seed in (1, 2))
    assert whole(one, 1) != whole(two, 0)
    assert whole(one, 0) != whole(one, 1)
    assert whole(one, 1) == whole(make(500, 50, 1, "drop"), 1)


def ranks_one_after_the_other_are_the_batch(make) -> None:
    order = make(257, BATCH, 3, "pad")
    for world in WORLDS:
        for t, step in enumerate(whole(order)):
            ranks = [order.step(0, t, rank, world) for rank in range(world)]
            assert [slot for rank in ranks for slot in rank] == step, world


def every_rank_has_the_same_steps(make) -> None:
    for n in SIZES:
        for tail in ("drop", "pad") if n >= BATCH else ("pad",):
            order = make(n, BATCH, 4, tail)
            expected = n // BATCH if tail == "drop" else -(-n // BATCH)
            for world in WORLDS:
                assert {order.steps(world, r) for r in range(world)} == {expected}, (n, tail, world)
                for rank in range(world):
                    last = order.step(0, expected - 1, rank, world)
                    assert len(last) == BATCH // world


def workers_and_ranks_do_not_change_the_order(make) -> None:
    """One sequence of global batches for 50 pairs of world size and number of workers."""
    for n, tail in [(257, "drop"), (49, "pad")]:
        order = make(n, BATCH, 5, tail)
        expected = whole(order)
        for world in WORLDS:
            for workers in WORKERS:
                dealt = [
                    [order.worker_steps(0, rank, world, v, workers) for v in range(workers)]
                    for rank in range(world)
                ]
                # A trainer takes a step of each worker in turn.
                steps = [
                    [slot for rank in dealt for slot in rank[t % workers][t // workers]]
                    for t in range(len(expected))
                ]
                assert steps == expected, (world, workers)


def every_query_occurs_once(make) -> None:
    for n in SIZES:
        for seed in (None, 6):
            for epoch in (0, 3):
                order = make(n, BATCH, seed, "pad", window=32)
                slots = [slot for step in whole(order, epoch) for slot in step]
                assert sorted(q for q, padded in slots if not padded) == list(range(n))
                assert len(slots) % BATCH == 0
                partial = make(n, BATCH, seed, "partial", window=32)
                slots = [slot for step in whole(partial, epoch) for slot in step]
                assert sorted(slots) == [(q, False) for q in range(n)]
                if n >= BATCH:
                    dropped = make(n, BATCH, seed, "drop", window=32)
                    counts = Counter(slot for step in whole(dropped, epoch) for slot in step)
                    assert set(counts.values()) == {1}
                    assert n - len(counts) == n % BATCH


ALL = (
    images_are_a_permutation,
    seeds_do_not_share_epochs,
    ranks_one_after_the_other_are_the_batch,
    every_rank_has_the_same_steps,
    workers_and_ranks_do_not_change_the_order,
    every_query_occurs_once,
)
