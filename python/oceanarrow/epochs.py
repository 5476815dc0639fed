"""Epochs of batches, and where a run stands in them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from oceanarrow import _engine
from oceanarrow.batch import Batch
from oceanarrow.dataset.query import QueryArrays
from oceanarrow.display import view
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.ranks import Place, local_ranks
from oceanarrow.request import check_positive
from oceanarrow.schema import Schema, element_spec, told

_PREFETCH_BYTES = 256 * 2**20


class Epochs:
    """The batches of an engine in an order, epoch after epoch.

    Args:
        engine: what makes the rows.
        queries: what they are of.
        order_options: what fixes their order.
        place: this process among the ranks.
        threads, prefetch_bytes: as of `Loader`.
    """

    def __init__(
        self,
        engine: _engine.Engine,
        queries: QueryArrays,
        order_options: Mapping[str, Any],
        place: Place,
        threads: int | None,
        prefetch_bytes: int | None,
    ) -> None:
        self.place = place
        self.threads = threads
        if prefetch_bytes is not None:
            check_positive("prefetch_bytes", prefetch_bytes)
        self._prefetch_bytes = prefetch_bytes or _PREFETCH_BYTES
        self._queries = queries
        self._order_options = dict(order_options)
        self._engine = engine
        # Says now, not at the first batch, if the queries cannot make tensors of one shape.
        self._engine.__arrow_c_schema__()
        self._fields = self._engine.plan_fields()
        self._epoch = 0
        self._start_offset = 0
        self._reached: tuple[int, int] | None = None
        self._streams: list[_engine.Stream] = []
        self._order = self._make_order()
        self._order.slots(0, 0, self.place.rank, self.place.world_size)
        self._engine.check_memory(self._order, **self._share())

    def _share(self) -> dict[str, Any]:
        """What this process takes of the batches and of the machine."""
        rows = {"rank": self.place.rank, "world_size": self.place.world_size}
        machine = {"threads": self._threads, "local_ranks": local_ranks()}
        return {**rows, **machine, "prefetch_bytes": self._prefetch_bytes}

    def _make_order(self) -> _engine.Order:
        return _engine.Order(*self._queries, **self._order_options)

    @property
    def engine(self) -> _engine.Engine:
        """What makes the rows; for what builds upon loaders."""
        return self._engine

    @property
    def query_arrays(self) -> QueryArrays:
        """The queries' edges `(N, 4)` and days `(N, 2)`."""
        return self._queries

    @property
    def steps(self) -> int | None:
        """Steps of a whole epoch; None if it never ends."""
        return self._order.steps_left(0)

    @property
    def global_batch_size(self) -> int:
        """Rows of a batch of all ranks together."""
        rows: int = self._order_options["global_batch"]
        return rows

    @property
    def row_bytes(self) -> int:
        """Bytes of the tensors of a row."""
        sizes = ((np.dtype(dtype).itemsize, dims) for _, dtype, dims, _ in self._engine.fields())
        return sum(item * math.prod(dims or ()) for item, dims in sizes)

    @property
    def threads(self) -> int | None:
        """Threads of the engine; None: one a core."""
        return self._threads

    @threads.setter
    def threads(self, threads: int | None) -> None:
        if threads is not None:
            check_positive("threads", threads)
        self._threads = threads

    def __len__(self) -> int:
        """Steps left in this epoch, the same on every rank: all of them, unless a state was loaded.

        Raises:
            TypeError: with `tail="continue"` an epoch has no last step.
        """
        steps = self._order.steps_left(self._start_offset)
        if steps is None:
            raise TypeError('a loader with tail="continue" has no length')
        return steps

    def __iter__(self) -> Iterator[Batch]:
        return self.iterate()

    def iterate(self, first_step: int = 0, stride: int = 1) -> Iterator[Batch]:
        """The steps `first_step`, `first_step + stride`, ... of what `iter` would give.

        For adapters that deal whole steps to `stride` processes, which share the threads.
        """
        epoch, start = self._epoch, self._start_offset
        stream = self._stream(first_step, stride)
        self._streams.append(stream)
        step, finished = first_step, False
        self._reached = (epoch, start + step * self._order.lane_rows)
        try:
            for native in stream:
                step += stride
                self._reached = (epoch, start + step * self._order.lane_rows)
                hand_over()
                yield Batch(native)
            hand_over()
            finished = step >= (self._order.steps_left(start) or 0) and stream in self._streams
        finally:
            if stream in self._streams:
                self._streams.remove(stream)
                stream.close()
            if finished and self._epoch == epoch:
                self.set_epoch(epoch + 1)

    def replay(self, steps: range, epoch: int, threads: int | None = None) -> Iterator[Batch]:
        """Global batches, of all ranks together: these steps of an epoch, from its start."""
        check_positive("epoch", epoch, minimum=0)
        if steps.step < 1 or steps.start < 0:
            raise InvalidInputError(f"steps must be a range of steps that ascends, not {steps!r}")
        last = self._order.steps_left(0)
        if not steps or (last is not None and steps[-1] >= last):
            raise InvalidInputError(f"an epoch has the steps 0 to {(last or 1) - 1}, not {steps!r}")
        stream = self._engine.stream(
            self._make_order(),
            self._fields,
            epoch=epoch,
            lane_offset=0,
            first_step=steps.start,
            stride=steps.step,
            end_step=steps[-1] + 1,
            **{**self._share(), "rank": 0, "world_size": 1, "threads": threads or self._threads},
        )
        try:
            for native in stream:
                hand_over()
                yield Batch(native)
        finally:
            stream.close()

    def _stream(self, first_step: int = 0, stride: int = 1) -> _engine.Stream:
        hand_over()
        return self._engine.stream(
            self._order,
            self._fields,
            epoch=self._epoch,
            lane_offset=self._start_offset,
            first_step=first_step,
            stride=stride,
            **self._share(),
        )

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration runs."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration runs, from its start; 0 or more."""
        check_positive("epoch", epoch, minimum=0)
        self._epoch, self._start_offset, self._reached = int(epoch), 0, None

    def left_out(self) -> list[int]:
        """The queries that `tail="drop"` leaves out of this epoch: fewer than a global batch.

        Another epoch leaves out others; other tails leave out none.
        """
        steps = self._order.steps_left(0)
        if self._order_options["tail"] != "drop" or steps is None:
            return []
        queries, _ = self._order.slots(self._epoch, steps * self._order.lane_rows)
        return sorted(queries.tolist())

    @property
    def plan_id(self) -> str:
        """A digest of the queries, the variables and the order, but not of the batch size."""
        return self._order.plan_id(self._fields)

    def state_dict(self) -> dict[str, Any]:
        """Where this run stands: after the last batch handed out. Identical on all ranks.

        It fits 512 bytes as JSON, and may be loaded with another world size, number of workers,
        or batch size (a multiple of the lanes). Each batch carries the state after itself, as
        JSON, in `metadata["oceanarrow.cursor"]`: use that where batches are made ahead of the
        training loop.
        """
        epoch, offset = self._reached or (self._epoch, self._start_offset)
        if self._order.steps_left(offset) == 0:
            epoch, offset = epoch + 1, 0
        return self._state(epoch, offset)

    def worker_state_dict(self, first_step: int = 0) -> dict[str, Any]:
        """Where one of several workers stands: before the next step of its own.

        Args:
            first_step: the one that its next iteration would begin with.

        It keeps to its epoch when its steps have ended, until the iteration ends too.
        """
        start = self._start_offset + first_step * self._order.lane_rows
        return self._state(*(self._reached or (self._epoch, start)))

    def _state(self, epoch: int, lane_offset: int) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._order.state(epoch, lane_offset, self._fields))
        return state

    def load_state_dict(self, state: Mapping[str, Any] | str) -> None:
        """Goes on where another run stood; the next iteration starts there.

        Args:
            state: what `state_dict` gave, or a batch's cursor.

        Raises:
            PlanMismatchError: the state is of another plan; the message names what differs.
            InvalidInputError: it is no state, or that of another version of states.

        Warns:
            UserWarning: a release with another rules version saved it
                (`docs/reference/identity.md`): the order is the same, but some values may differ.
        """
        order, epoch, offset = self._make_order().resume(_state_text(state), self._fields)
        self.close()
        self._order = order
        self._epoch, self._start_offset, self._reached = epoch, offset, None

    @property
    def schema(self) -> Schema:
        """The schema of the batches."""
        return Schema(self._engine)

    @property
    def element_spec(self) -> dict[str, Any]:
        """What `Batch.to_numpy` will give: in the place of each array its `ArraySpec`.

        Shapes begin with B, the rows of this rank, or None with `tail="partial"`; None is also the
        longest row of a point variable.
        """
        rows = self._order_options["global_batch"] // self.place.world_size
        return element_spec(self.schema, None if self._order_options["tail"] == "partial" else rows)

    def stats(self) -> dict[str, Any]:
        """What this process has done so far.

        Returns:
            `samples` rendered, `recipes` made (plans of what a query's variable reads and how it is
            painted: one each, also where it is looked at ahead), `recipe_seconds` that it took
            (opening files included), `bytes_read`, `chunks_decoded` of gridded variables, and
            `chunks_distinct` among them (within 2% if over 200,000), `chunk_hits` (chunks found in
            the cache), `files_opened`, `index_hits` (files that an index or `cache_dir` spared
            opening), `index_failure` (why `index` could not be read, or None), `requests` over the
            network, `retries` among them, `network_bytes`, `disk_blocks_read` (chunks found in
            `cache_dir`), `disk_blocks_damaged`, `disk_bytes_written`, `disk_cache_failure` (why
            nothing more is written, or None), `masked` (cells of unreadable files), `unreadable`,
            {file: reason}, `seconds`,
            {variable: time spent opening, decoding and rendering it, summed over the threads},
            and `amplification`: decodes a distinct chunk in this process, 1.0 at first. It grows
            with every epoch of which the caches cannot hold all chunks; `explain` predicts it for
            one epoch without `cache_dir`.
        """
        hand_over()
        stats = self._engine.stats()
        decoded, distinct = stats["chunks_decoded"], stats["chunks_distinct"]
        return stats | {"amplification": decoded / distinct if distinct else 1.0}

    def close(self) -> None:
        """Stops all running iterations. Batches already handed out stay valid."""
        while self._streams:
            self._streams.pop().close()
        hand_over()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A fresh run of the current epoch, for `pyarrow.RecordBatchReader.from_stream` and others.

        It changes nothing about the loader.
        """
        return self._stream().export_arrow_c_stream(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._engine.__arrow_c_schema__()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_order"] = self._order.state(self._epoch, self._start_offset, self._fields)
        state["_streams"], state["_reached"] = [], None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._order = self._make_order()
        self.load_state_dict(state["_order"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._summary())})"

    def _repr_html_(self) -> str:
        facts = [
            ("plan", self.plan_id),
            ("batch", f"{self.global_batch_size} rows of {self.row_bytes:,} bytes"),
        ]
        head = ("variable", "role", "row", "dtype", "unit")
        rows = list(told(self.schema))
        return view(type(self).__name__, ", ".join(self._summary()), facts, head, rows)

    def _summary(self) -> tuple[str, str, str]:
        steps = self._order.steps_left(self._start_offset)
        return (
            f"{len(self._engine)} queries",
            "endless" if steps is None else f"{steps} steps left in epoch {self._epoch}",
            f"rank {self.place.rank} of {self.place.world_size}",
        )


def _state_text(state: Mapping[str, Any] | str) -> str:
    if isinstance(state, str):
        return state
    if not isinstance(state, Mapping):
        raise InvalidInputError(f"not a state of a loader: {state!r:.80}")
    try:
        return json.dumps(dict(state))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"not a state of a loader: {error}") from None
