"""Small NetCDF-4 files of given numbers, written fast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

_UNITS = {"lat": "degrees_north", "lon": "degrees_east"}

#: Dimensions, stored numbers, attributes.
Variable = tuple[tuple[str, ...], np.ndarray, Mapping[str, Any]]


def write_file(
    path: Path, axes: Mapping[str, np.ndarray], variables: Mapping[str, Variable]
) -> Path:
    """A file of `variables` on dimensions that have `axes`; chunks of about a third each way."""
    with h5py.File(path, "w") as file:
        scales = {}
        for dimension, values in axes.items():
            scale = file.create_dataset(dimension, data=values)
            if dimension in _UNITS:
                scale.attrs["units"] = _UNITS[dimension]
            scale.make_scale(dimension)
            scales[dimension] = scale
        for name, (dimensions, numbers, attributes) in variables.items():
            chunks = tuple(n // 3 + 1 for n in numbers.shape)
            data = file.create_dataset(name, data=numbers, chunks=chunks, compression="gzip")
            data.attrs.update(attributes)
            for axis, dimension in zip(data.dims, dimensions, strict=True):
                axis.attach_scale(scales[dimension])
    return path
