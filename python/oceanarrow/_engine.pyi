"""The native engine. `oceanarrow` wraps it; its classes are not made by users, but `Catalog`."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "DISK_CACHE_FORMAT",
    "RULES_VERSION",
    "Batch",
    "Catalog",
    "Engine",
    "Order",
    "Request",
    "Store",
    "Stream",
    "Subset",
    "Survey",
    "Tensor",
    "Transfer",
    "__version__",
    "built_in_variables",
    "cell_digests",
    "content_id",
    "error_kinds",
    "event_kinds",
    "find_leaks",
    "listed_variables",
    "measure_disk_cache",
    "measure_statistics",
    "open_frozen",
    "order_key",
    "order_permute",
    "prune_disk_cache",
    "read_points",
    "read_window",
    "same_unit",
    "seen_days",
    "summarize",
    "survey_files",
    "take_events",
    "write_index",
    "write_shard",
]

__version__: str
DISK_CACHE_FORMAT: str
RULES_VERSION: int

def error_kinds() -> list[str]: ...
def event_kinds() -> list[tuple[str, int]]:
    """The kinds of events, and their levels in the numbers of `logging`."""

def take_events(wanted: int) -> tuple[list[tuple[str, int, float, str]], int]:
    """The events that wait, oldest first, and how many more were dropped.

    Each is its kind, level, seconds since 1970-01-01, and text. From now on only events of the
    level `wanted` or a higher one are noted.
    """

def read_window(
    path: str,
    variable: str,
    unit: str | None = None,
    day: int = 0,
    rows: tuple[int, int] | None = None,
    cols: tuple[int, int] | None = None,
    cache_bytes: int = 0,
) -> dict[str, Any]:
    """Decoded cells of one file. For tests."""

def read_points(path: str, variable: str, unit: str | None = None) -> dict[str, Any]:
    """Point data of one file. For tests."""

def write_index(
    roots: Sequence[str],
    path: str | os.PathLike[str],
    variables: Sequence[tuple[str, str, str]],
    *,
    days: tuple[int, int] | None,
    storage_options: Mapping[str, Any] | None,
    progress: Callable[[int, int], object],
) -> dict[str, Any]:
    """Writes an index of gridded variables, each its source, file and name in the file.

    `days` are the first and the last, since 1970-01-01. `progress` is called with how many of how
    many are done. Returns `entries`, `bytes` and `unreadable`, a list of reasons.
    """

def listed_variables(
    roots: Sequence[str], storage_options: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """What the variables of those roots stand for that are catalogues: (root, JSON) each."""

def survey_files(
    files: Sequence[Mapping[str, Any]],
    *,
    known: str | os.PathLike[str] | None,
    request: str,
    storage_options: Mapping[str, Any] | None,
    progress: Callable[[int, int], object],
) -> Survey:
    """Opens the files of a catalogue.

    Of `known`, an earlier one that was asked for the same `request`, only those that have changed.
    `progress` is called with how many of how many are done.
    """

def measure_disk_cache(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Files and bytes on the disk of the cache in a directory; None if there is no cache."""

def prune_disk_cache(path: str | os.PathLike[str], max_bytes: int | None) -> tuple[int, int]:
    """Removes files, least recently used first, until the rest take at most `max_bytes`.

    None removes all.

    Returns:
        How many, and their bytes.
    """

def content_id(fields: Mapping[str, str]) -> str:
    """One name for what decides the values of rows, of the digests of its fields."""

def order_key(tag: str, numbers: Sequence[int]) -> int:
    """The 64-bit key of a tag and numbers: BLAKE2b over length-prefixed fields. For tests."""

def order_permute(i: int, n: int, key: int) -> int:
    """Place `i` of the keyed permutation of 0..n. For tests."""

def find_leaks(
    boxes: npt.NDArray[np.float64],
    days: npt.NDArray[np.int32],
    other_boxes: npt.NDArray[np.float64],
    other_days: npt.NDArray[np.int32],
    *,
    gap_days: int,
    gap_degrees: float,
    most: int,
) -> tuple[int, npt.NDArray[np.int64]]:
    """Pairs of queries of two lists, each boxes `(N, 4)` and days `(N, 2)`, that come closer than
    the gaps: how many there are, and the first `most` of them, `(K, 2)`."""

def built_in_variables() -> list[tuple[str, str, str, str, str, Any, Any]]: ...
def cell_digests(engine: Engine, batch: Batch) -> npt.NDArray[np.uint64]:
    """The digests of a batch of this engine's: (rows, variables); see `docs/frozen.md`."""

def open_frozen(
    shards: Sequence[str],
    shard_rows: int,
    content_id: str,
    boxes: npt.NDArray[np.float64],
    days: npt.NDArray[np.int32],
    requests: Sequence[Request],
    *,
    support: bool,
    memory_limit: int | None,
    augment: dict[str, Any] | None,
) -> Engine:
    """An engine of rows that were rendered before, in shards of `shard_rows` rows."""

def write_shard(
    engine: Engine,
    path: str | os.PathLike[str],
    order: Order,
    rows: tuple[int, int],
    *,
    content_id: str,
    features: str | None,
    compressed: bool,
    threads: int | None,
    prefetch_bytes: int,
    report: Callable[[int, int], object],
) -> int:
    """Writes rows from the first to before the second, in blocks of the order's batches, into a
    new file.

    `features`: None for Arrow, else what a Parquet file says its columns are. `report` is
    called with rows that were written since. Returns the bytes of the file.

    Raises:
        UnwritableError, TransientIoError: it cannot be written.
    """

def measure_statistics(
    engine: Engine,
    shapes: Sequence[tuple[int, int] | None],
    *,
    by: str | None,
    area_weighted: bool,
    part: tuple[int, int],
    threads: int | None,
    report: Callable[[int, int], object],
) -> bytes:
    """Goes through a part of the queries once; `summarize` tells what parts hold.

    `shapes` gives the pixels of each request, None its native cells.
    """

def seen_days(
    boxes: npt.NDArray[np.float64], days: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Days (D,) and, for each, a bit a cell of a degree (D, 8100), that queries look at: from 90 S
    and 180 W on, row by row, the first cell in the lowest bit of the first byte."""

def summarize(
    parts: Sequence[bytes], quantiles: Sequence[float], partial: bool
) -> list[tuple[int, bool, str | None, dict[str, Any]]]:
    """What the parts of `measure_statistics`, all or (`partial`) some, tell together: the request,
    whether of its differences, the group, and the numbers.

    Raises:
        InvalidInputError: they do not make a whole, or are damaged.
    """

def same_unit(a: str, b: str) -> bool:
    """Whether two units name the same measure: `degC` and `celsius`, not `m` and `cm`."""

@final
class Catalog:
    """The granules of a TACO dataset, sorted by day, region, source and file.

    Args:
        paths: path or address of one FOLDER, `.tacozip` or `.tacocat` directory, or of all parts of
            a split dataset.
        storage_options: {name: value} for a remote dataset; see `docs/remote.md`.

    Raises:
        NotFoundError: there is no dataset (`oceanarrow.exceptions`; also a FileNotFoundError).
        InvalidDatasetError: its metadata break the TACO specification (also a ValueError).
    """

    def __new__(
        cls,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> Catalog: ...
    def __len__(self) -> int: ...
    @property
    def days(self) -> tuple[str, str] | None:
        """First and last day that have a granule, as ISO dates; None if there is no granule."""
    @property
    def regions(self) -> dict[str, tuple[float, float, float, float]]:
        """Footprint of each region by name: (lon_min, lon_max, lat_min, lat_max), degrees."""
    @property
    def sources(self) -> list[str]:
        """The names of the data sources, in alphabetical order."""
    @property
    def warnings(self) -> list[str]:
        """What is odd about the dataset, but no reason to refuse it."""
    def columns(self) -> dict[str, Any]:
        """A column a property of the granules, in their order: `day` (int32, since 1970-01-01),
        `region` and `product` (int32, places in `region_table` and `product_table`), `res_deg_lat`
        (float32), `path`, `offset` and `size` (None where a file lies by itself)."""
    def region_table(self) -> list[tuple[str, float, float, float, float]]:
        """The regions in the order of their numbers: name, west, east, south and north edge in
        degrees."""
    def product_table(self) -> list[tuple[str, str]]:
        """The products in the order of their numbers: source and file of each."""
    def granules(self) -> list[dict[str, Any]]:
        """The granules as dicts: `day` (ISO), `region`, `source`, `file`, `res_deg_lat` (NaN:
        unknown), `path`, and, in an archive, `offset` and `size` in bytes (else None)."""
    def check_zip_entry(self, index: int) -> None:
        """Checks the ZIP local header of granule `index`; nothing to check in a folder."""

@final
class Request:
    def __new__(
        cls,
        *,
        name: str,
        source: str,
        file: str,
        netcdf: str,
        unit: str,
        geometry: str,
        is_input: bool,
        is_target: bool,
        resample: str,
        grid: str,
        temporal_agg: str,
        min_support: float,
        fill_value: float,
        normalize: tuple[float, float] | None,
        shape: tuple[int, int] | None,
        select: Sequence[tuple[str, bool, bool, Sequence[float]]],
        valid: Sequence[tuple[str, str, Sequence[float | str]]],
        days: tuple[int, int],
        masks: list[tuple[Request, bool]],
        supply: str,
        minus: Request | None,
        tensor: str | None,
        holdout: tuple[float | Sequence[str], bool, int] | None,
    ) -> Request: ...

@final
class Engine:
    @staticmethod
    def open(
        roots: Sequence[str],
        boxes: npt.NDArray[np.float64],
        days: npt.NDArray[np.int32],
        requests: Sequence[Request],
        *,
        on_error: str,
        support: bool,
        cache_bytes: int,
        disk_cache: tuple[str, int] | None = None,
        memory_limit: int | None = None,
        index: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        land: bytes | None = None,
        augment: dict[str, Any] | None = None,
    ) -> Engine: ...
    @staticmethod
    def _restore(plan: bytes) -> Engine: ...
    def __reduce__(self) -> tuple[Any, tuple[bytes]]: ...
    def __len__(self) -> int: ...
    @property
    def is_frozen(self) -> bool:
        """Whether its rows were rendered before."""
    @property
    def column_names(self) -> list[str]: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    def fields(self) -> list[tuple[str, str, list[int] | None, dict[str, str]]]:
        """The columns: name, NumPy type, dimensions of a row (None: a list), metadata."""
    def sample(
        self, index: int, shapes: Sequence[tuple[int, int] | None]
    ) -> tuple[list[tuple[npt.NDArray[Any], ...] | None], int]: ...
    def plan_fields(self) -> dict[str, bytes]:
        """What belongs to the plan besides queries and order: canonical bytes by field."""
    def content(self) -> dict[str, str]:
        """What decides the values of rows: digests by field, of which `content_id` makes one."""
    def stream(
        self,
        order: Order,
        fields: Mapping[str, bytes],
        *,
        epoch: int,
        lane_offset: int,
        rank: int,
        world_size: int,
        first_step: int,
        stride: int,
        threads: int | None,
        local_ranks: int,
        prefetch_bytes: int,
        end_step: int | None = None,
    ) -> Stream: ...
    def check_memory(
        self,
        order: Order,
        *,
        rank: int,
        world_size: int,
        threads: int | None,
        local_ranks: int,
        prefetch_bytes: int,
    ) -> None:
        """Checks that the batches made ahead and the one in use fit the memory.

        Raises:
            OutOfMemoryError: they do not.
            InvalidInputError: a tensor has more values than Arrow counts.
        """
    def days(self) -> npt.NDArray[np.int32]:
        """The days of the dataset that have a granule, since 1970-01-01, ascending: (D,)."""
    def cost(
        self, order: Order, world_size: int, cache_bytes: int | None, most_steps: int
    ) -> dict[str, Any]:
        """The predicted cost of an epoch: the numbers of `oceanarrow.explanation.Explanation`."""
    def axes(
        self, request: int
    ) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]: ...
    def states(self, days: Sequence[int]) -> list[list[str | None]]:
        """For each request and each of `days` (since 1970-01-01), what tells its files and their
        state from others, or None where there is no file: `[request][day]`."""
    def coverage(
        self, tasks: Sequence[tuple[int, int]], side: float
    ) -> list[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]] | Exception]:
        """Counts cells and valid cells by coarse cells of `side` degrees, of each (request, day):
        two arrays `(rows, columns)`, rows from the south pole, columns from 180 W; or the error."""
    def pinned(self, roots: Sequence[str]) -> list[str]:
        """Roots of the dataset as they are kept, with a branch pinned to its commit."""
    def files_of(self, query: int, request: int) -> tuple[str, list[str]]:
        """The name of a variable, and the files that it is read from for a query."""
    def subset(self) -> Subset:
        """The granules that the engine would open for any of its queries."""
    def __arrow_c_schema__(self) -> object: ...
    def stats(self) -> dict[str, Any]: ...

@final
class Order:
    """Which queries make up which batch: a pure function of seed, epoch and lane offset.

    Args:
        boxes: (N, 4) float64 lon_min, lon_max, lat_min, lat_max in degrees.
        days: (N, 2) int32 first and last day since 1970-01-01.
        global_batch: G, rows of a batch over all ranks.
        seed: None is the list's own order.
        tail: "drop", "pad", "continue" or "partial".
        lanes: at most; in use is the largest divisor of G that is at most this and N.
        window: queries within which a lane is shuffled.
        weights: (N,) float64; an epoch then has each query as often as its weight asks.
        extra_days: days beside its own that a query reads of one source; clusters are then blocks
            of days.

    Raises:
        InvalidInputError: an argument is wrong.
    """

    def __new__(
        cls,
        boxes: npt.NDArray[np.float64],
        days: npt.NDArray[np.int32],
        *,
        global_batch: int,
        seed: int | None,
        tail: str,
        lanes: int = ...,
        window: int = ...,
        weights: npt.NDArray[np.float64] | None = None,
        extra_days: int = 0,
    ) -> Order: ...
    @property
    def lanes(self) -> int: ...
    @property
    def lane_rows(self) -> int:
        """Rows of a batch that come from one lane: what a step adds to the lane offset."""
    def clusters(self) -> list[list[int]]:
        """The positions of the queries, cluster by cluster. For tests."""
    def steps_left(self, lane_offset: int = 0) -> int | None:
        """Steps left in an epoch, the same on every rank; None if it never ends."""
    def advance(self, epoch: int, lane_offset: int) -> tuple[int, int]:
        """The epoch and lane offset after a step. For tests."""
    def slots(
        self, epoch: int, lane_offset: int, rank: int = 0, world_size: int = 1
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """A rank's rows of a batch: positions of queries (B,), and whether each is padding (B,).

        Raises:
            InvalidInputError: the world size does not divide G, or there is no such rank.
        """
    def plan_id(self, fields: Mapping[str, bytes]) -> str:
        """One name for the whole plan; `fields` are canonical bytes of what else belongs to it."""
    def state(self, epoch: int, lane_offset: int, fields: Mapping[str, bytes]) -> str:
        """Where a run stands, as JSON; `fields` are as in `plan_id`."""
    def resume(self, state: str, fields: Mapping[str, bytes]) -> tuple[Order, int, int]:
        """The order to go on with, the epoch and the lane offset of a state.

        Warns (`UserWarning`) if the state is of another rules version.

        Raises:
            InvalidInputError: it is no state.
            PlanMismatchError: it is that of another plan, or its lanes do not divide G.
        """
    def locality(self, world_size: int, cache: int, most_steps: int = ...) -> dict[str, Any]:
        """The predicted cost of an epoch in clusters; each rank keeps its `cache` latest.

        Returns:
            `steps` simulated, `decodes` of all ranks, `distinct` clusters, `amplification`,
            `distinct_a_batch`, and `wanted_clusters` to keep on a rank.
        """

@final
class Store:
    """Bytes of local and remote objects by their kept names, for tests of the transport.

    Args:
        storage_options: {name: value}, as of a `Loader`.
        roots: addresses of datasets, which may name a hub.
    """

    def __new__(
        cls, storage_options: Mapping[str, Any] | None = None, roots: Sequence[str] = ...
    ) -> Store: ...
    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]: ...
    def read_start(self, name: str, most: int) -> tuple[bytes, int]:
        """The first bytes of an object, and its size."""
    def read_all(self, name: str, limit: int) -> bytes: ...
    def size(self, name: str) -> int: ...
    def traffic(self) -> dict[str, int]:
        """`requests`, `retries`, `network_bytes`."""

@final
class Subset:
    """The files that an engine would open for any of its queries."""

    def files(self) -> list[tuple[str, str, int | None, str | None]]:
        """The files as (path, source, size in bytes or None if unknown, address).

        The path of a tile is `date/region/file`; its address is None. That of a file that a
        catalogue lists is what the catalogue calls it.
        """
    def regions(self) -> list[tuple[str, tuple[float, float, float, float]]]:
        """Footprint of each region: (lon_min, lon_max, lat_min, lat_max), degrees."""
    def sizes(self, rows: Sequence[int]) -> list[int]:
        """The sizes in bytes of the files `rows`, asked for together."""
    def pinned(self, roots: Sequence[str]) -> list[str]:
        """The dataset's roots, with a branch pinned to its commit."""
    def listings(self, roots: Sequence[str]) -> list[tuple[bytes, str]]:
        """The bytes of catalogues, each with the folder that its relative paths start from."""
    def metadata_files(self, roots: Sequence[str]) -> list[tuple[bytes, list[bytes]]]:
        """`COLLECTION.json` and the level tables, of each container."""
    def copy(
        self, rows: Sequence[tuple[int, int, str | os.PathLike[str]]], threads: int
    ) -> Transfer:
        """Starts to copy files, given as (row, bytes, file to be)."""

@final
class Survey:
    """What opening the files of a catalogue told."""

    @property
    def opened(self) -> int:
        """How many files were opened; the others are known from before."""
    @property
    def known_variables(self) -> str | None:
        """The variables of the earlier catalogue; None if it was asked for something else."""
    def names(self) -> list[str]:
        """The variables that any file holds."""
    def units(self) -> list[tuple[str, str | None, str]]:
        """(variable, unit or None, first file) for each unit that files state."""
    def unreadable(self, delivered: Mapping[str, str]) -> list[str]:
        """Why files cannot be listed, those included whose units do not convert."""
    def write(
        self, path: str | os.PathLike[str], variables: str, request: str
    ) -> tuple[int, int, list[str]]:
        """Writes the catalogue and its index; returns granules, files and warnings."""

@final
class Transfer:
    """Copies under way: an iterator over (files, bytes) that have come since the last item."""

    def __iter__(self) -> Transfer: ...
    def __next__(self) -> tuple[int, int]: ...
    def close(self) -> None:
        """Stops the copies; whole files stay."""

@final
class Stream:
    def __iter__(self) -> Stream: ...
    def __next__(self) -> Batch: ...
    def close(self) -> None: ...
    def export_arrow_c_stream(self, requested_schema: object) -> object: ...

@final
class Batch:
    def __len__(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    def fields(self) -> list[tuple[str, str, list[int] | None, dict[str, str]]]:
        """The columns: name, NumPy type, dimensions of a row (None: a list), metadata."""
    def roles(self) -> dict[str, str]: ...
    def tensor(self, name: str) -> Tensor: ...
    def offsets(self, name: str) -> list[int]: ...
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...

@final
class Tensor:
    """One column of a batch; `torch.from_dlpack`, `numpy.from_dlpack` and JAX take it."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def numpy(self) -> npt.NDArray[Any]: ...
    def __dlpack__(self, **kwargs: Any) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
