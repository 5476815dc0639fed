"""What an epoch will cost, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oceanarrow import _engine
from oceanarrow.events import hand_over
from oceanarrow.ranks import Place
from oceanarrow.request import check_positive

_NO_LIMIT = 2**63
_TOO_MUCH = 1.05
"""More decodes a chunk than this are worth a word."""


@dataclass(frozen=True)
class Explanation:
    """The predicted cost of an epoch; `str()` is a table with advice.

    The prediction simulates the caches of all ranks, empty at first, over the steps from the
    start of an epoch. Chunks are those of gridded variables; point files are read whole, once.

    Attributes:
        plan_id: the digest of the plan.
        queries: N.
        rank, rank_source: this process's, and where it was learnt.
        world_size: the ranks of the prediction.
        global_batch: G, rows of a batch over all ranks.
        lanes, lanes_asked: in use, and as asked for.
        window: queries that a lane mixes.
        shuffle: whether there is a new order each epoch.
        tail: what becomes of a last batch that is not full.
        steps: simulated.
        epoch_steps: of a whole epoch; None if it never ends.
        cache_bytes: of each rank.
        needed_cache_bytes: the smallest cache of a rank that decodes at most 5 % more than one
            without a limit.
        decodes, decoded_bytes: chunks decoded by all ranks, and their size.
        least_decodes: with caches without a limit; more than `distinct` where ranks need the same.
        read_bytes: what is read of the files to decode them.
        distinct, distinct_bytes: different chunks, and their size.
        amplification: decodes a distinct chunk; 1.0 is the least.
        chunks_per_batch, clusters_per_batch: distinct ones in a global batch, on average. A
            cluster is up to 64 queries a day of one region, on one day or, where variables are read
            on several, on a block of days.
        batch_bytes: memory of a batch of one rank, about.
        prefetch_bytes: budget of the batches that a rank makes ahead.
    """

    plan_id: str
    queries: int
    rank: int
    rank_source: str
    world_size: int
    global_batch: int
    lanes: int
    lanes_asked: int
    window: int
    shuffle: bool
    tail: str
    steps: int
    epoch_steps: int | None
    cache_bytes: int
    needed_cache_bytes: int
    decodes: int
    decoded_bytes: int
    read_bytes: int
    least_decodes: int
    distinct: int
    distinct_bytes: int
    amplification: float
    chunks_per_batch: float
    clusters_per_batch: float
    batch_bytes: int
    prefetch_bytes: int

    @classmethod
    def of(
        cls,
        engine: _engine.Engine,
        order: _engine.Order,
        order_options: Mapping[str, Any],
        place: Place,
        plan_id: str,
        *,
        world_size: int | None,
        cache_bytes: int | None,
        prefetch_bytes: int,
        max_steps: int | None,
    ) -> Explanation:
        """The cost of an order of the queries of an engine; see `Loader.explain`."""
        world_size = place.world_size if world_size is None else world_size
        max_steps = _NO_LIMIT if max_steps is None else max_steps
        check_positive("world_size", world_size)
        check_positive("max_steps", max_steps)
        if cache_bytes is not None:
            check_positive("cache_bytes", cache_bytes, minimum=0)
            cache_bytes = min(cache_bytes, _NO_LIMIT)
        hand_over()
        try:
            cost = engine.cost(
                order, min(world_size, _NO_LIMIT), cache_bytes, min(max_steps, _NO_LIMIT)
            )
        finally:
            hand_over()
        return cls(
            plan_id=plan_id,
            queries=len(engine),
            rank=place.rank,
            rank_source=place.source,
            world_size=int(world_size),
            global_batch=order_options["global_batch"],
            lanes=order.lanes,
            lanes_asked=order_options["lanes"],
            window=order_options["window"],
            shuffle=order_options["seed"] is not None,
            tail=order_options["tail"],
            epoch_steps=order.steps_left(),
            prefetch_bytes=prefetch_bytes,
            **cost,
        )

    @property
    def advice(self) -> list[str]:
        """What could be better, a sentence or two each; empty if nothing is."""
        found = [
            self._on_the_cache(),
            self._on_lanes(),
            self._on_ranks(),
            self._on_prefetch(),
        ]
        return [sentence for sentence in found if sentence is not None]

    def _on_the_cache(self) -> str | None:
        if self.amplification <= _TOO_MUCH:
            return None
        decoded = f"Each chunk is decoded {self.amplification:.2f} times"
        least = self.least_decodes / self.distinct
        if self.decodes <= _TOO_MUCH * self.least_decodes:
            return (
                f"{decoded}, although the cache is large enough: {self.world_size} ranks need the "
                "same chunks, and each decodes them for itself."
            )
        would_do = "would do" if least <= _TOO_MUCH else f"would bring that to {least:.2f}"
        smaller = "; fewer lanes or a smaller window need less" if self.shuffle else ""
        return (
            f"{decoded}: the cache of {_size(self.cache_bytes)} is too small. cache_bytes="
            f"{self.needed_cache_bytes} ({_size(self.needed_cache_bytes)}) {would_do}{smaller}."
        )

    def _on_lanes(self) -> str | None:
        if not self.shuffle or self.lanes == self.lanes_asked:
            return None
        in_use = f"{self.lanes} of the {self.lanes_asked} lanes asked for are in use"
        if self.lanes == self.global_batch:
            return f"{in_use}: a batch has {self.global_batch} rows, one a lane."
        if self.lanes == self.queries:
            return f"{in_use}: there are only {self.queries} queries, one a lane."
        if self.queries < self.lanes_asked:
            return f"{in_use}: there are only {self.queries} queries."
        multiple = -(-self.global_batch // self.lanes_asked) * self.lanes_asked
        return (
            f"{in_use}: lanes divide the global batch, and {self.global_batch} has no larger "
            f"divisor up to {self.lanes_asked}. Fewer lanes mix a batch less; a global batch of "
            f"{multiple} has {self.lanes_asked}."
        )

    def _on_ranks(self) -> str | None:
        if self.world_size == 1 or self.lanes % self.world_size == 0:
            return None
        shared = (
            f"{self.world_size} ranks share {self.lanes} "
            f"{'lane' if self.lanes == 1 else 'lanes'}: the order stays exact, but ranks that "
            "share a lane decode its chunks each for itself."
        )
        if not self.shuffle:
            return f"{shared} The list's own order has one lane; a shuffled one has more."
        divides = self.global_batch % self.world_size == 0 and self.queries >= self.world_size
        return f"{shared} lanes={self.world_size} would avoid it." if divides else shared

    def _on_prefetch(self) -> str | None:
        if self.batch_bytes <= self.prefetch_bytes:
            return None
        return (
            f"A batch takes {_size(self.batch_bytes)}, more than prefetch_bytes="
            f"{self.prefetch_bytes}: only one is made ahead. prefetch_bytes={2 * self.batch_bytes} "
            "holds two."
        )

    def __str__(self) -> str:
        epoch = "an endless epoch" if self.epoch_steps is None else f"{self.epoch_steps}"
        order = "in the list's order"
        if self.shuffle:
            order = f"{self.lanes} lanes, each mixed over {self.window} queries"
        rows = [
            ("plan", f"{self.plan_id}: {self.queries} queries, {order}"),
            ("rank", f"{self.rank} (from {self.rank_source}); the prediction is for "
                     f"{self.world_size} rank{'s' if self.world_size > 1 else ''}"),
            ("global batch", f"{self.global_batch} rows, tail={self.tail!r}"),
            ("steps", f"{self.steps} simulated of {epoch}"),
            ("chunks", f"{self.distinct} distinct, {_size(self.distinct_bytes)} decoded"),
            ("decodes", f"{self.decodes}, {_size(self.decoded_bytes)} out of "
                        f"{_size(self.read_bytes)} read"),
            ("amplification", f"{self.amplification:.3f} decodes a chunk"),
            ("in a batch", f"{self.chunks_per_batch:.1f} chunks, {self.clusters_per_batch:.1f} "
                           "clusters"),
            ("cache a rank", f"{_size(self.cache_bytes)}; {_size(self.needed_cache_bytes)} needed"),
            ("made ahead", f"{_size(self.batch_bytes)} a batch, {_size(self.prefetch_bytes)} "
                           "in all"),
        ]  # fmt: skip
        table = [f"{name:<14} {value}" for name, value in rows]
        return "\n".join([*table, *(f"* {sentence}" for sentence in self.advice)])


def _size(number: int) -> str:
    """Bytes for people."""
    size, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
