"""The map-style dataset of PyTorch."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from oceanarrow.cache_directory import CacheDirectory
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.normalization import Normalize
from oceanarrow.request import (
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
from oceanarrow.roots import StorageOptions, TacoPath
from oceanarrow.window import TemporalAgg, Window

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FALLBACK_SHAPE = (128, 128)
_MAX_PIXELS = 2**28


class OceanTACODataset(Dataset[dict[str, Any]]):
    """A map-style dataset: one sample a query.

    The catalog is read once, here; worker processes (fork, spawn or forkserver) get the plan and
    never touch it.

    Args:
        taco_path: a TACO folder, a `.tacozip` (or the list of its parts), or a `.tacocat` folder: a
            path, or an address that begins with `https://`, `hf://datasets/`, `s3://`, `gs://` or
            `az://` (`docs/how_to/remote.md`).
        queries: where and when, one a sample.
        input_variables: names of variables; see `oceanarrow.variables()`.
        target_variables: likewise; a variable may be both.
        target_resolution: degrees a pixel of gridded variables that `patch_sizes` leaves out:
            `round(extent / target_resolution) + 1` pixels a side.
        temporal_agg: how the days of a window become one patch: `"mean"` of the valid values,
            `"first"` or `"last"` day that has the file, or `"stack"`, which gives (T, H, W).
        default_patch_size: pixels `(H, W)` of gridded variables; None delivers the native cells
            inside the box, with their own axes.
        patch_sizes: {variable: (H, W)}, where it differs.
        resample, grid, min_support, fill_value, normalize, anomaly, on_error: as in
            `oceanarrow.Loader`.
        cache_bytes, cache_dir, disk_cache_bytes, index, storage_options: likewise.
        memory_limit_bytes: memory that a sample may take; by default what the system leaves.

    Raises:
        InvalidInputError: an argument is wrong (it is also a ValueError); of variables that are
            not known the message begins "Unknown variables".
        NotFoundError: there is no dataset at `taco_path` (also a FileNotFoundError).
        AccessDeniedError: a server refuses access to it (also a PermissionError).
        TransientIoError: a server cannot be reached, or keeps failing (also an OSError).
        InvalidDatasetError: its metadata break the TACO specification (also a ValueError).
    """

    def __init__(
        self,
        taco_path: TacoPath,
        queries: Iterable[Query],
        input_variables: Iterable[str | Window],
        target_variables: Iterable[str | Window],
        target_resolution: float | None = None,
        temporal_agg: TemporalAgg | Mapping[str, TemporalAgg] = "mean",
        default_patch_size: PatchShape | None = (128, 128),
        patch_sizes: Mapping[str, PatchShape] | None = None,
        *,
        resample: Resample | Mapping[str, Resample] = "bilinear",
        grid: Grid | Mapping[str, Grid] = "exact",
        min_support: float | Mapping[str, float] = 0.01,
        fill_value: float | Mapping[str, float] = 0.0,
        normalize: Normalize = None,
        anomaly: Mapping[str, str] | None = None,
        on_error: OnError = "raise",
        cache_bytes: int | None = None,
        cache_dir: CacheDirectory = "auto",
        disk_cache_bytes: int | None = None,
        index: str | os.PathLike[str] | None = None,
        storage_options: StorageOptions | None = None,
        memory_limit_bytes: int | None = None,
    ) -> None:
        inputs, targets = choose_variables(
            input_variables, target_variables, taco_path, storage_options, anomaly
        )
        self.taco_path = taco_path
        self.queries = list(queries)
        self.input_variables = [variable.name for variable in inputs]
        self.target_variables = [variable.name for variable in targets]
        self.target_resolution = _resolution(target_resolution)
        self.default_patch_size = default_patch_size
        self.patch_sizes = dict(patch_sizes or {})
        self._variables = distinct(inputs, targets)
        shapes = patch_shapes(self._variables, default_patch_size, patch_sizes)
        self._shapes = {v.name: shape for v, shape in zip(self._variables, shapes, strict=True)}
        rendering = Rendering(temporal_agg, resample, grid, min_support, fill_value, normalize)
        rules = zip(self._variables, rendering.of(self._variables), strict=True)
        self._stacked = {column.name: own["temporal_agg"] == "stack" for column, (own, _) in rules}
        self._engine = open_engine(
            taco_path,
            query_arrays(self.queries),
            inputs,
            targets,
            shapes,
            rendering,
            on_error=on_error,
            cache_bytes=cache_bytes,
            cache_dir=cache_dir,
            disk_cache_bytes=disk_cache_bytes,
            index=index,
            storage_options=storage_options,
            memory_limit_bytes=memory_limit_bytes,
        )
        if self.target_resolution is not None:
            _check_pixels(self.queries, self.target_resolution)

    def __len__(self) -> int:
        """The number of queries."""
        return len(self.queries)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Renders a sample.

        Returns:
            `inputs` and `targets`: {variable: {"data": (H, W) float32 (after T stacked days and Z
            levels, if any), "lats": (H,), "lons": (W,), "mask": bool like the data} or None where
            no file covers the query}; a point variable gives `data`, `lats`, `lons`, `time` (days
            since 1970-01-01), `pressure` (dbar) and `mask`, (N,) each. `coords`: {"lat": (H,),
            "lon": (W,)} of the first gridded variable present. `metadata`: `bbox`, `time_range`,
            `n_files`, and `shapes`, {variable: shape of its data}.

        Raises:
            IndexError: there is no such sample.
            OceanArrowError: a file cannot be read; the message names it, the variable and the
                query.
        """
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of a dataset of {len(self)}")
        index %= len(self)
        query = self.queries[index]
        shapes = [self._shape(variable.name, query) for variable in self._variables]
        try:
            columns, n_files = self._engine.sample(index, shapes)
        finally:
            hand_over()
        entries = {
            variable.name: None if column is None else self._entry(variable.name, column)
            for variable, column in zip(self._variables, columns, strict=True)
        }
        return {
            "inputs": {name: entries[name] for name in self.input_variables},
            "targets": {
                name: _copy(entries[name]) if name in self.input_variables else entries[name]
                for name in self.target_variables
            },
            "coords": self._coords(entries, query),
            "metadata": {
                "bbox": query.bbox,
                "time_range": (query.time_start, query.time_end),
                "n_files": n_files,
                "shapes": self._data_shapes(entries, query),
            },
        }

    def visualize_sample(
        self,
        sample: Mapping[str, Any],
        figsize: tuple[float, float] | None = None,
        save_path: str | os.PathLike[str] | None = None,
        title: str = "",
        max_cols: int = 3,
    ) -> Figure:
        """Draws every variable of a sample, inputs first; see `oceanarrow.plot.plot_sample`."""
        from oceanarrow.plot import plot_sample

        return plot_sample(
            sample,
            units={variable.name: variable.unit for variable in self._variables},
            figsize=figsize,
            save_path=save_path,
            title=title,
            max_cols=max_cols,
        )

    def _shape(self, name: str, query: Query) -> PatchShape | None:
        """The pixels of a gridded variable; None for its native cells."""
        if self.target_resolution is None or name in self.patch_sizes:
            return self._shapes[name]
        return _pixels(query, self.target_resolution)

    def _entry(self, name: str, column: tuple[Any, ...]) -> dict[str, torch.Tensor]:
        tensors = [torch.from_numpy(array) for array in column]
        if len(tensors) == 5:
            data, lats, lons, time, pressure = tensors
            mask = torch.ones(len(data), dtype=torch.bool)
            return {"data": data, "lats": lats, "lons": lons} | {
                "time": time,
                "pressure": pressure,
                "mask": mask,
            }
        data, mask, lats, lons = tensors
        return {"data": data, "lats": lats, "lons": lons, "mask": mask.view(torch.bool)}

    def _coords(
        self, entries: Mapping[str, Mapping[str, torch.Tensor] | None], query: Query
    ) -> dict[str, torch.Tensor]:
        gridded = [v.name for v in self._variables if v.geometry == "grid"]
        for name in gridded:
            if (entry := entries[name]) is not None:
                return {"lat": entry["lats"], "lon": entry["lons"]}
        lon_min, lon_max, lat_min, lat_max = query.bbox
        height, width = self.default_patch_size or _FALLBACK_SHAPE
        east = lon_max + (360.0 if lon_min > lon_max else 0.0)
        return {
            "lat": torch.from_numpy(np.linspace(lat_min, lat_max, height, dtype=np.float32)),
            "lon": torch.from_numpy(np.linspace(lon_min, east, width, dtype=np.float32)),
        }

    def _data_shapes(
        self, entries: Mapping[str, Mapping[str, torch.Tensor] | None], query: Query
    ) -> dict[str, tuple[int, ...]]:
        """The shape of each variable's data, also of those that this sample lacks."""
        shapes: dict[str, tuple[int, ...]] = {}
        first, last = query.days()
        for variable in self._variables:
            name, entry = variable.name, entries[variable.name]
            if entry is not None:
                shapes[name] = tuple(entry["data"].shape)
            elif variable.geometry == "points":
                shapes[name] = (0,)
            else:
                days = last + variable.last - first - variable.first + 1
                layers = (days,) if self._stacked[name] else ()
                levels = (len(variable.levels[1]),) if variable.levels else ()
                shapes[name] = layers + levels + (self._shape(name, query) or (0, 0))
        return shapes


def _resolution(degrees: float | None) -> float | None:
    if degrees is None:
        return None
    number = isinstance(degrees, (int, float, np.integer, np.floating))
    if not number or isinstance(degrees, bool) or not 0 < degrees < np.inf:
        raise InvalidInputError(f"target_resolution must be positive degrees, not {degrees!r}")
    return float(degrees)


def _pixels(query: Query, degrees: float) -> PatchShape:
    """The pixels `(H, W)` of a query's box, `degrees` apart."""
    lon_min, lon_max, lat_min, lat_max = query.bbox
    width = lon_max - lon_min + (360.0 if lon_min > lon_max else 0.0)
    return round((lat_max - lat_min) / degrees) + 1, round(width / degrees) + 1


def _check_pixels(queries: Iterable[Query], degrees: float) -> None:
    for i, query in enumerate(queries):
        height, width = _pixels(query, degrees)
        if height * width > _MAX_PIXELS:
            raise InvalidInputError(
                f"queries[{i}]: target_resolution {degrees} makes a patch of {height} x {width} "
                "pixels; 2^28 pixels at most"
            )


def _copy(entry: Mapping[str, torch.Tensor] | None) -> dict[str, torch.Tensor] | None:
    return None if entry is None else {key: value.clone() for key, value in entry.items()}
