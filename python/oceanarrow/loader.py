"""The stream of batches."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.augment import Augment
from oceanarrow.cache_directory import CacheDirectory
from oceanarrow.config import config_of, listed, read_config, reordered
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.epochs import Epochs
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.explanation import Explanation
from oceanarrow.frozen.rows import FrozenRows
from oceanarrow.normalization import Normalize
from oceanarrow.order_options import Tail, global_batch, order_options
from oceanarrow.ranks import RankSource, find_place
from oceanarrow.receipt import receipt_of
from oceanarrow.request import (
    Augmented,
    Grid,
    OnError,
    PatchShape,
    Rendering,
    Resample,
    choose_variables,
    distinct,
    open_engine,
    patch_shapes,
)
from oceanarrow.roots import StorageOptions, TacoPath, dataset_roots
from oceanarrow.variables import dataset_variables, register_missing
from oceanarrow.window import Asked, Channels, Joint, TemporalAgg, extra_days


class Loader(Epochs):
    """Streams batches of patches: iterate it once an epoch.

    Threads of the engine read, render and collate ahead of the consumer; waiting releases the
    GIL. Leaving an iteration early stops the work, and the next one starts the epoch again;
    finishing one moves on to the next epoch.

    Args:
        taco_path: a TACO folder, a `.tacozip` (or the list of its parts), or a `.tacocat` folder: a
            path, or an address that begins with `https://`, `hf://datasets/`, `s3://`, `gs://` or
            `az://` (`docs/reference/storage_options.md`).
        queries: where and when, N of them.
        input_variables: names of variables, or `Window`s; see `oceanarrow.variables()`. Or a
            mapping `{"x": ["l4_sst", "l4_ssh"]}` of tensors (B, C, H, W) whose channels they are, a
            stack giving one a day and a list of levels one each (`docs/how_to/channels.md`).
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
            `normalize`; their units agree (`docs/how_to/channels.md`).
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
            see `docs/reference/storage_options.md`. They travel with a pickled loader.
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
        normalize: Normalize = None,
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
        input_variables, target_variables = listed(input_variables), listed(target_variables)
        joint = list(joint) if isinstance(joint, Iterator) else joint
        given = dict(locals())
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
        place = find_place(rank, world_size)
        arrays = query_arrays(queries)
        order = order_options(
            global_batch(batch_size, global_batch_size, place.world_size),
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
        engine = open_engine(
            taco_path,
            arrays,
            inputs,
            targets,
            shapes,
            rendering,
            augmented=None
            if augment is None
            else Augmented(
                augment.plan(seed, columns, shapes, rendering, taco_path, storage_options),
                augment.widened(arrays),
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
        super().__init__(engine, arrays, order, place, threads, prefetch_bytes)
        self._config = config_of(given, columns, order["global_batch"])
        self._content: dict[str, str] | None = None
        self._roots = dataset_roots(taco_path)

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any] | str | os.PathLike[str],
        taco_path: TacoPath,
        queries: Iterable[Query],
        **machine: Any,
    ) -> Loader:
        """A loader of what `config` gave, or of a JSON file of it: of the same dataset and queries
        it gives the same batches.

        Args:
            config: what decides rows and order.
            taco_path: the dataset, which may lie elsewhere.
            queries: where and when.
            machine: the other arguments of a loader: `rank`, `threads`, `cache_bytes`, ...; or any,
                in the place of the config's.

        Raises:
            InvalidInputError: it is no config; or a variable means something else here.
            otherwise as `Loader`.
        """
        arguments = read_config(config)
        roots = dataset_roots(taco_path)
        register_missing(
            arguments.pop("variables"), dataset_variables(roots, machine.get("storage_options"))
        )
        if machine.get("batch_size") is not None:
            arguments.pop("global_batch_size")
        return cls(taco_path, queries, **{**arguments, **machine})

    def config(self) -> dict[str, Any]:
        """What decides rows and order, as JSON: every argument but the dataset, the queries and
        those of the machine (ranks, threads, caches, index, `storage_options`), and what the
        variables stand for. Statistics of a file are in it as numbers.
        """
        return copy.deepcopy(self._config)

    @property
    def content_id(self) -> str:
        """A digest of all that decides the values of rows: queries, variables, rendering,
        augmentation, `support`, `on_error`, the rules version, and the dataset; not of their order
        (`docs/reference/identity.md`).
        """
        return _engine.content_id(self._digests())

    @classmethod
    def from_materialized(
        cls,
        directory: str | os.PathLike[str],
        *,
        batch_size: int | None = None,
        global_batch_size: int | None = None,
        lanes: int = 16,
        window: int = 1024,
        weights: npt.ArrayLike | None = None,
        augment: Augment | None = None,
        shuffle: bool = True,
        seed: int = 0,
        tail: Tail | None = None,
        rank: RankSource = None,
        world_size: int | None = None,
        threads: int | None = None,
        prefetch_bytes: int | None = None,
        memory_limit_bytes: int | None = None,
    ) -> Loader:
        """A loader of the rows that `materialize` wrote: the same batches in the same order, and
        with equal arguments the same plan, so that a state of one goes on with the other.

        Rows are copied and compared with their digests. What was rendered stays as it was.

        Args:
            directory: a complete set of `format="arrow"`.
            augment: flips and turns, as rows are copied; it cannot shift.
            batch_size, global_batch_size, lanes, window, weights: as of `Loader`.
            shuffle, seed, tail: likewise.
            rank, world_size, threads, prefetch_bytes, memory_limit_bytes: likewise.

        Raises:
            NotFoundError: there is no set.
            InvalidInputError: it is not complete, or Parquet, or an argument is wrong.
            CorruptGranuleError: a shard is not what was written; raised with the batch that needs
                it, and names the row and the variable.
        """
        given = dict(locals())
        rows = FrozenRows.open(directory, augment, seed, memory_limit_bytes)
        place = find_place(rank, world_size)
        order = order_options(
            global_batch(batch_size, global_batch_size, place.world_size),
            lanes,
            window,
            weights,
            seed if shuffle else None,
            tail or ("drop" if shuffle else "pad"),
            rows.extra_days,
        )
        loader = cls.__new__(cls)
        Epochs.__init__(loader, rows.engine, rows.queries, order, place, threads, prefetch_bytes)
        loader._config = reordered(rows.config, given, order["global_batch"])
        loader._content = rows.content
        loader._roots = dataset_roots(directory)
        return loader

    def receipt(self, steps: range | None = None, *, epoch: int = 0) -> dict[str, Any]:
        """What this loader's batches are made of, as JSON: its config, content id and plan id, the
        versions of the library and of its rules, and the dataset, without secrets.

        Args:
            steps: also a digest of each variable of each row of these global batches (of all ranks
                together), counted from the start of the epoch; `oceanarrow.verify` replays them.
            epoch: of which epoch.

        Raises:
            InvalidInputError: there is no such step.
            otherwise as the iteration.
        """
        return receipt_of(self, self._config, self._digests(), self._roots, steps, epoch)

    def _digests(self) -> dict[str, str]:
        """Of what decides the values of rows."""
        if self._content is None:
            self._content = self._engine.content()
        return self._content

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
            InvalidInputError: the world size does not divide the global batch, a number is
                negative, or the rows are of a frozen set.
            as the iteration, if a file cannot be opened.
        """
        if self._engine.is_frozen:
            raise InvalidInputError("a frozen set is copied: nothing of it is decoded")
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
