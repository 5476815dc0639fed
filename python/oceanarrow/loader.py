"""The stream of batches."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.augment import Augment
from oceanarrow.batch import Batch
from oceanarrow.cache_directory import CacheDirectory
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.explanation import Explanation
from oceanarrow.normalization import Statistics
from oceanarrow.order_options import Tail, global_batch, order_options
from oceanarrow.ranks import RankSource, find_place, local_ranks
from oceanarrow.request import (
    Augmented,
    Grid,
    OnError,
    PatchShape,
    Rendering,
    Resample,
    check_positive,
    choose_variables,
    distinct,
    open_engine,
    patch_shapes,
)
from oceanarrow.roots import StorageOptions, TacoPath
from oceanarrow.schema import Schema, element_spec
from oceanarrow.window import Asked, Channels, Joint, TemporalAgg, extra_days

_PREFETCH_BYTES = 256 * 2**20


class Loader:
    """Streams batches of patches: iterate it once an epoch.

    Threads of the engine read, render and collate ahead of the consumer; waiting releases the
    GIL. Leaving an iteration early stops the work, and the next one starts the epoch again;
    finishing one moves on to the next epoch.

    Args:
        taco_path: a TACO folder, a `.tacozip` (or the list of its parts), or a `.tacocat` folder: a
            path, or an address that begins with `https://`, `hf://datasets/`, `s3://`, `gs://` or
            `az://` (`docs/remote.md`).
        queries: where and when, N of them.
        input_variables: names of variables, or `Window`s; see `oceanarrow.variables()`. Or a
            mapping `{"x": ["l4_sst", "l4_ssh"]}` of tensors (B, C, H, W) whose channels they are, a
            stack giving one a day and a list of levels one each (`docs/channels.md`).
        target_variables: likewise; a variable may be both.
        batch_size: B, rows a batch on this rank; 16 by default. The global batch has B times
            `world_size` rows.
        global_batch_size: rows of the batches of all ranks together, instead: the batches stay
            the same when the world size changes.
        lanes: how many places of the epoch a batch is drawn from.
        window: queries that a lane mixes; more mix better and need a larger cache.
        weights: (N,) how often each query should be drawn, relative to the others.
        default_patch_size: pixels `(H, W)` of gridded variables.
        patch_sizes: {variable: (H, W)}, where it differs.
        temporal_agg: how the days of a window become one patch: `"mean"` of the valid values,
            `"first"` or `"last"` day that has the file, or `"stack"`, which gives (T, H, W).
        resample: `"bilinear"`, `"area"`, `"nearest"`, or `"auto"` (area where both axes shrink).
        grid: `"exact"` samples at `linspace` over the box; `"crop"` stretches the cells whose
            centres lie in the box.
        min_support: pixels with less valid weight than this share are invalid.
        fill_value: what invalid pixels hold; may be NaN.
        anomaly: {variable: climatology}: on each day and pixel the variable less the climatology,
            both rendered by the same method, valid where both are, before `temporal_agg` and
            `normalize`; their units agree (`docs/channels.md`).
        joint: pairs of variables that are components of one field, `[("glorys_uo", "glorys_vo")]`:
            a pixel of either is valid only where both are.
        augment: an `Augment`: how boxes move and patches are flipped and turned, drawn from `seed`.
        normalize: {variable: (mean, std)} in the variable's unit: valid values are delivered as
            `(value - mean) / std` (`oceanarrow.normalization.denormalize` undoes it). Or a JSON
            file of such, which has each variable asked for (null: as it is) and may have others.
        shuffle: a new order each epoch; otherwise the list's own.
        seed: seeds the order; epochs of different seeds never coincide.
        tail: what becomes of a last batch that is not full: `"drop"`, `"pad"` (repeated queries
            with `sample_weight` 0), `"continue"` (lanes run on into the next epoch, without end),
            or, on one rank, `"partial"`. By default `"drop"` if shuffled, else `"pad"`.
        rank: of this process, with `world_size`; `"slurm"` or `"mpi"` to ask their environment.
            By default torch.distributed where initialised, else RANK and WORLD_SIZE, else 0 of 1.
            Ranks take contiguous rows of each global batch: together they are the batches of
            one rank, whatever their number.
        world_size: the number of ranks.
        threads: threads of the engine; by default one a core, at most 32, where the ranks that the
            launcher started on this machine (LOCAL_WORLD_SIZE) share its cores. Workers of a
            DataLoader share their rank's.
        cache_bytes: budget of the cache of decoded chunks; by default 512 MiB.
        cache_dir: a directory on a local disk where decoded chunks are kept for later epochs, runs
            and other processes; missing, empty, or such a cache. `"auto"` is the user's cache
            directory (`~/.cache/oceanarrow`, or OCEANARROW_CACHE_DIR) for remote datasets and none
            for local ones; None is none for both.
        disk_cache_bytes: its budget, for all processes together; by default 32 GiB.
        index: a file made by `oceanarrow index`, for any copy of the dataset: the granules in it
            need not be opened before their data are read.
        prefetch_bytes: budget of batches made ahead; by default 256 MiB.
        on_error: `"raise"`, or `"mask"` to keep the row of an unreadable file, masked, and list
            the file in the batch's metadata and in `stats()`.
        support: adds a column `<variable>_support`, the valid share of weight behind each pixel.
        storage_options: {name: value} for a remote dataset: credentials, timeouts and the like,
            see `docs/remote.md`. They travel with a pickled loader.
        memory_limit_bytes: what the batches made ahead and the one in use may take together; by
            default what the system (its control group, its available memory) leaves.

    `temporal_agg`, `resample`, `grid`, `min_support` and `fill_value` also take a mapping by
    variable.

    Warns:
        UserWarning: the dataset has no day of some of the queries; it names those that there are.

    Raises:
        InvalidInputError: an argument is wrong (it is also a ValueError).
        OutOfMemoryError: the batches need more memory than there is (also a MemoryError).
        NotFoundError: there is no dataset at `taco_path` (also a FileNotFoundError).
        AccessDeniedError: a server refuses access to it (also a PermissionError).
        TransientIoError: a server cannot be reached, or keeps failing (also an OSError).
        InvalidDatasetError: its metadata break the TACO specification (also a ValueError).
    """

    def __init__(
        self,
        taco_path: TacoPath,
        queries: Iterable[Query],
        input_variables: Iterable[Asked] | Channels,
        target_variables: Iterable[Asked] | Channels = (),
        *,
        batch_size: int | None = None,
        global_batch_size: int | None = None,
        lanes: int = 16,
        window: int = 1024,
        weights: npt.ArrayLike | None = None,
        default_patch_size: PatchShape = (128, 128),
        patch_sizes: Mapping[str, PatchShape] | None = None,
        temporal_agg: TemporalAgg | Mapping[str, TemporalAgg] = "mean",
        resample: Resample | Mapping[str, Resample] = "bilinear",
        grid: Grid | Mapping[str, Grid] = "exact",
        min_support: float | Mapping[str, float] = 0.01,
        fill_value: float | Mapping[str, float] = 0.0,
        normalize: Statistics | str | os.PathLike[str] | None = None,
        anomaly: Mapping[str, str] | None = None,
        joint: Joint = (),
        augment: Augment | None = None,
        shuffle: bool = True,
        seed: int = 0,
        tail: Tail | None = None,
        rank: RankSource = None,
        world_size: int | None = None,
        threads: int | None = None,
        cache_bytes: int | None = None,
        cache_dir: CacheDirectory = "auto",
        disk_cache_bytes: int | None = None,
        index: str | os.PathLike[str] | None = None,
        prefetch_bytes: int | None = None,
        on_error: OnError = "raise",
        support: bool = False,
        storage_options: StorageOptions | None = None,
        memory_limit_bytes: int | None = None,
    ) -> None:
        inputs, targets = choose_variables(
            input_variables,
            target_variables,
            taco_path,
            storage_options,
            anomaly,
            joint,
            channels=True,
        )
        columns = distinct(inputs, targets)
        self.place = find_place(rank, world_size)
        if threads is not None:
            check_positive("threads", threads)
        if prefetch_bytes is not None:
            check_positive("prefetch_bytes", prefetch_bytes)
        self._threads = threads
        self._prefetch_bytes = prefetch_bytes or _PREFETCH_BYTES
        self._queries = query_arrays(queries)
        self._order_options = order_options(
            global_batch(batch_size, global_batch_size, self.place.world_size),
            lanes,
            window,
            weights,
            seed if shuffle else None,
            tail or ("drop" if shuffle else "pad"),
            extra_days(columns),
        )
        shapes = patch_shapes(columns, default_patch_size, patch_sizes)
        rendering = Rendering(temporal_agg, resample, grid, min_support, fill_value, normalize)
        if augment is not None and not isinstance(augment, Augment):
            raise InvalidInputError(f"augment must be an oceanarrow.Augment, not {augment!r}")
        self._engine = open_engine(
            taco_path,
            self._queries,
            inputs,
            targets,
            shapes,
            rendering,
            augmented=None
            if augment is None
            else Augmented(
                augment.plan(seed, columns, shapes, rendering, taco_path, storage_options),
                augment.widened(self._queries),
            ),
            on_error=on_error,
            cache_bytes=cache_bytes,
            cache_dir=cache_dir,
            disk_cache_bytes=disk_cache_bytes,
            index=index,
            support=support,
            storage_options=storage_options,
            memory_limit_bytes=memory_limit_bytes,
        )
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
            UserWarning: a release with another rules version saved it (`docs/identity.md`): the
                order is the same, but some values may differ.
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

    def explain(
        self,
        world_size: int | None = None,
        cache_bytes: int | None = None,
        max_steps: int | None = None,
    ) -> Explanation:
        """Predicts what an epoch decodes; opens the files it needs, but decodes no data.

        Args:
            world_size: ranks that share the global batch, which stays as it is; by default this
                run's.
            cache_bytes: of each rank; by default this loader's.
            max_steps: predicts only so many steps from the start of an epoch; by default all.
                With `tail="continue"` an epoch is N queries.

        Raises:
            InvalidInputError: the world size does not divide the global batch, or a number is
                negative.
            as the iteration, if a file cannot be opened.
        """
        return Explanation.of(
            self._engine,
            self._order,
            self._order_options,
            self.place,
            self.plan_id,
            world_size=world_size,
            cache_bytes=cache_bytes,
            prefetch_bytes=self._prefetch_bytes,
            max_steps=max_steps,
        )

    def close(self) -> None:
        """Stops all running iterations. Batches already handed out stay valid."""
        while self._streams:
            self._streams.pop().close()
        hand_over()

    def __enter__(self) -> Loader:
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
        steps = self._order.steps_left(self._start_offset)
        return (
            f"Loader({len(self._engine)} queries, "
            f"{'endless' if steps is None else f'{steps} steps left in epoch {self._epoch}'}, "
            f"rank {self.place.rank} of {self.place.world_size})"
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
