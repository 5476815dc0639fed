"""The native engine. `oceanarrow` wraps it; its classes are not made by users, but `Catalog`."""

import os
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Batch",
    "Catalog",
    "Engine",
    "Request",
    "Stream",
    "Tensor",
    "__version__",
    "built_in_variables",
    "error_kinds",
    "read_points",
    "read_window",
]

__version__: str

def error_kinds() -> list[str]: ...
def read_window(
    path: str,
    variable: str,
    unit: str | None = None,
    day: int = 0,
    rows: tuple[int, int] | None = None,
    cols: tuple[int, int] | None = None,
    cache_bytes: int = 0,
) -> dict[str, Any]: ...
def read_points(path: str, variable: str, unit: str | None = None) -> dict[str, Any]: ...
def built_in_variables() -> list[tuple[str, str, str, str, str, Any]]: ...

@final
class Catalog:
    """The granules of a local TACO dataset, sorted by day, region, source and file.

    Args:
        paths: one FOLDER, `.tacozip` or `.tacocat` directory, or all parts of a split dataset.

    Raises:
        NotFoundError: there is no dataset (`oceanarrow.exceptions`; also a FileNotFoundError).
        InvalidDatasetError: its metadata break the TACO specification (also a ValueError).
    """

    def __new__(
        cls, paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
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
    ) -> Engine: ...
    @staticmethod
    def _restore(plan: bytes) -> Engine: ...
    def __reduce__(self) -> tuple[Any, tuple[bytes]]: ...
    def __len__(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    def sample(
        self, index: int, shapes: Sequence[tuple[int, int] | None]
    ) -> tuple[list[tuple[npt.NDArray[Any], ...] | None], int]: ...
    def stream(
        self,
        *,
        batch_size: int,
        seed: int | None,
        tail: str,
        epoch: int,
        threads: int | None,
        prefetch_bytes: int,
    ) -> Stream: ...
    def steps(self, *, batch_size: int, seed: int | None, tail: str) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def stats(self) -> dict[str, Any]: ...

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
    def field_metadata(self, name: str) -> dict[str, str]: ...
    def tensor(self, name: str) -> Tensor: ...
    def offsets(self, name: str) -> list[int]: ...
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...

@final
class Tensor:
    """One column of a batch; `torch.from_dlpack`, `numpy.from_dlpack` and JAX take it."""

    @property
    def shape(self) -> list[int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def numpy(self) -> npt.NDArray[Any]: ...
    def __dlpack__(self, **kwargs: Any) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
