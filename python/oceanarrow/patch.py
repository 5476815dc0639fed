"""One query as an xarray dataset."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from oceanarrow.cache_directory import CacheDirectory
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.events import hand_over
from oceanarrow.normalization import Normalize
from oceanarrow.optional import require
from oceanarrow.request import (
    Grid,
    OnError,
    PatchShape,
    Rendering,
    Resample,
    choose_variables,
    open_engine,
    patch_shapes,
)
from oceanarrow.roots import StorageOptions, TacoPath
from oceanarrow.window import TemporalAgg, Window

if TYPE_CHECKING:
    import xarray


def open_patch(
    taco_path: TacoPath,
    query: Query,
    variables: Iterable[str | Window],
    shape: PatchShape | Mapping[str, PatchShape] | None = None,
    *,
    temporal_agg: TemporalAgg | Mapping[str, TemporalAgg] = "stack",
    resample: Resample | Mapping[str, Resample] = "bilinear",
    grid: Grid | Mapping[str, Grid] = "exact",
    min_support: float | Mapping[str, float] = 0.01,
    normalize: Normalize = None,
    anomaly: Mapping[str, str] | None = None,
    on_error: OnError = "raise",
    cache_bytes: int | None = None,
    cache_dir: CacheDirectory = "auto",
    disk_cache_bytes: int | None = None,
    index: str | os.PathLike[str] | None = None,
    storage_options: StorageOptions | None = None,
    memory_limit_bytes: int | None = None,
) -> xarray.Dataset:
    """What a query's box and days hold, as an `xarray.Dataset`, read by byte ranges of chunks.

    Args:
        taco_path: the dataset, as in `oceanarrow.Loader`.
        query: where and when.
        variables: names of variables, see `oceanarrow.variables()`, or `oceanarrow.Window`s.
        shape: pixels `(H, W)`, or by variable; None gives the files' own cells in the box.
        temporal_agg: `"stack"` gives every day of the query, NaN where there is no file; `"mean"`,
            `"first"` and `"last"` give one field.
        resample, grid, min_support, normalize, anomaly, on_error: as in `oceanarrow.Loader`.
        cache_bytes, cache_dir, disk_cache_bytes, index: likewise.
        storage_options, memory_limit_bytes: likewise.

    Returns:
        Each gridded variable with dimensions `time, lat, lon` (`lat, lon` unless stacked), float32,
        NaN where invalid, with CF attributes. A variable whose axes are not those of the first has
        `lat_<name>` and `lon_<name>`, one on other days `time_<name>`. A point variable has the
        dimension `level_<name>` and the coordinates `lat_<name>`, `lon_<name>`, `time_<name>`, and
        `<name>_pressure` beside it. A variable of which no file covers the query is left out,
        unless `shape` gives its pixels.

    Raises:
        ImportError: xarray is not installed.
        UnsupportedError: the native cells change between the days; give a shape.
        otherwise as `oceanarrow.Loader`.
    """
    require("xarray", "open_patch", extra="xarray")
    from oceanarrow.xarray import Patch

    chosen, _ = choose_variables(variables, (), taco_path, storage_options, anomaly)
    sizes = shape if isinstance(shape, Mapping) else None
    shapes = patch_shapes(chosen, None if isinstance(shape, Mapping) else shape, sizes)
    rendering = Rendering(temporal_agg, resample, grid, min_support, float("nan"), normalize)
    engine = open_engine(
        taco_path,
        query_arrays([query]),
        chosen,
        [],
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
    try:
        columns, _ = engine.sample(0, shapes)
    finally:
        hand_over()
    patch = Patch(query)
    every = zip(chosen, columns, shapes, rendering.of(chosen), strict=True)
    for variable, column, size, (rules, _) in every:
        stacked = rules["temporal_agg"] == "stack"
        told: dict[str, Any] = {"source": variable.source, "normalize": rules["normalize"]}
        if variable.geometry == "points":
            patch.add_points(variable.name, variable.unit, column, told)
        elif column is not None:
            patch.add_grid(variable, column, stacked, told)
        elif size is not None:
            patch.add_nothing(variable, size, stacked, told)
    return patch.dataset()
