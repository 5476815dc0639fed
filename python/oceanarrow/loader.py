"""The stream of batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Literal

from oceanarrow import _engine
from oceanarrow.batch import Batch, Schema
from oceanarrow.dataset.query import Query
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.normalization import Statistics
from oceanarrow.request import (
    Grid,
    OnError,
    PatchShape,
    Rendering,
    Resample,
    TacoPath,
    TemporalAgg,
    check_positive,
    choose_variables,
    distinct,
    open_engine,
    patch_shapes,
)

_PREFETCH_BYTES = 256 * 2**20


class Loader:
    """Streams batches of patches: iterate it once an epoch.

    Threads of the engine read, render and collate ahead of the consumer; waiting releases the
    GIL. Leaving an iteration early stops the work, and the next one starts the epoch again;
    finishing one moves on to the next epoch.

    Args:
        taco_path: a TACO folder, a `.tacozip` (or the list of its parts), or a `.tacocat` folder.
        queries: where and when, N of them.
        input_variables: names of variables; see `oceanarrow.variables()`.
        target_variables: likewise; a variable may be both.
        batch_size: B, rows a batch.
        default_patch_size: pixels `(H, W)` of gridded variables.
        patch_sizes: {variable: (H, W)}, where it differs.
        temporal_agg: how the days of a window become one patch: `"mean"` of the valid values,
            `"first"` or `"last"` day that has the file, or `"stack"`, which gives (T, H, W).
        resample: `"bilinear"`, `"area"`, `"nearest"`, or `"auto"` (area where both axes shrink).
        grid: `"exact"` samples at `linspace` over the box; `"crop"` stretches the cells whose
            centres lie in the box.
        min_support: pixels with less valid weight than this share are invalid.
        fill_value: what invalid pixels hold; may be NaN.
        normalize: {variable: (mean, std)} or a JSON file of such, in the variable's unit: valid
            values are delivered as `(value - mean) / std`;
            `oceanarrow.normalization.denormalize` undoes it.
        shuffle: a new order each epoch; otherwise the list's own.
        seed: seeds the order; epochs of different seeds never coincide.
        tail: what becomes of a last batch that is not full: `"drop"`, `"pad"` (repeated queries
            with `sample_weight` 0), or `"partial"`. By default `"drop"` if shuffled, else `"pad"`.
        threads: threads of the engine; by default one a core.
        cache_bytes: budget of the cache of decoded chunks; by default 512 MiB.
        prefetch_bytes: budget of batches made ahead; by default 256 MiB.
        on_error: `"raise"`, or `"mask"` to keep the row of an unreadable file, masked, and list
            the file in the batch's metadata and in `stats()`.
        support: adds a column `<variable>_support`, the valid share of weight behind each pixel.

    `temporal_agg`, `resample`, `grid`, `min_support` and `fill_value` also take a mapping by
    variable.

    Raises:
        InvalidInputError: an argument is wrong (it is also a ValueError).
        NotFoundError: there is no dataset at `taco_path` (also a FileNotFoundError).
        InvalidDatasetError: its metadata break the TACO specification (also a ValueError).
    """

    def __init__(
        self,
        taco_path: TacoPath,
        queries: Iterable[Query],
        input_variables: Iterable[str],
        target_variables: Iterable[str] = (),
        *,
        batch_size: int = 16,
        default_patch_size: PatchShape = (128, 128),
        patch_sizes: Mapping[str, PatchShape] | None = None,
        temporal_agg: TemporalAgg | Mapping[str, TemporalAgg] = "mean",
        resample: Resample | Mapping[str, Resample] = "bilinear",
        grid: Grid | Mapping[str, Grid] = "exact",
        min_support: float | Mapping[str, float] = 0.01,
        fill_value: float | Mapping[str, float] = 0.0,
        normalize: Statistics | str | os.PathLike[str] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        tail: Literal["drop", "pad", "partial"] | None = None,
        threads: int | None = None,
        cache_bytes: int | None = None,
        prefetch_bytes: int | None = None,
        on_error: OnError = "raise",
        support: bool = False,
    ) -> None:
        inputs, targets = choose_variables(input_variables, target_variables)
        names = [variable.name for variable in distinct(inputs, targets)]
        check_positive("batch_size", batch_size)
        check_positive("seed", seed, minimum=0)
        if seed >= 2**64:
            raise InvalidInputError(f"seed must be less than 2**64, not {seed}")
        if threads is not None:
            check_positive("threads", threads)
        if prefetch_bytes is not None:
            check_positive("prefetch_bytes", prefetch_bytes)
        self._order: dict[str, Any] = {
            "batch_size": batch_size,
            "seed": seed if shuffle else None,
            "tail": tail or ("drop" if shuffle else "pad"),
        }
        self._run: dict[str, Any] = {
            "threads": threads,
            "prefetch_bytes": prefetch_bytes or _PREFETCH_BYTES,
        }
        self._epoch = 0
        self._streams: list[_engine.Stream] = []
        self._engine = open_engine(
            taco_path,
            queries,
            inputs,
            targets,
            patch_shapes(names, default_patch_size, patch_sizes),
            Rendering(temporal_agg, resample, grid, min_support, fill_value, normalize),
            on_error=on_error,
            cache_bytes=cache_bytes,
            support=support,
        )
        self._steps = self._engine.steps(**self._order)
        # Says now, not at the first batch, if the queries cannot make tensors of one shape.
        self._engine.__arrow_c_schema__()

    def __len__(self) -> int:
        """Steps an epoch."""
        return self._steps

    def __iter__(self) -> Iterator[Batch]:
        epoch, delivered = self._epoch, 0
        stream = self._start()
        self._streams.append(stream)
        try:
            for native in stream:
                delivered += 1
                yield Batch(native)
            if delivered == len(self) and self._epoch == epoch:
                self._epoch += 1
        finally:
            stream.close()
            if stream in self._streams:
                self._streams.remove(stream)

    def _start(self) -> _engine.Stream:
        return self._engine.stream(epoch=self._epoch, **self._order, **self._run)

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration runs."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration runs, 0 or more."""
        check_positive("epoch", epoch, minimum=0)
        self._epoch = int(epoch)

    @property
    def schema(self) -> Schema:
        """The schema of the batches."""
        return Schema(self._engine)

    def stats(self) -> dict[str, Any]:
        """What this process has done so far.

        Returns:
            `samples` rendered, `bytes_read`, `chunks_decoded`, `chunk_hits` (chunks that the
            cache had), `files_opened`, `masked` (cells of unreadable files), and `unreadable`,
            {file: reason}.
        """
        return self._engine.stats()

    def close(self) -> None:
        """Stops all running iterations. Batches already handed out stay valid."""
        while self._streams:
            self._streams.pop().close()

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
        return self._start().export_arrow_c_stream(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._engine.__arrow_c_schema__()

    def __repr__(self) -> str:
        return f"Loader({len(self._engine)} queries, {len(self)} steps an epoch)"
