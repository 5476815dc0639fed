"""One batch: an Arrow record batch whose columns NumPy, PyTorch and Arrow share without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oceanarrow import _engine
from oceanarrow.display import bar, view
from oceanarrow.optional import require
from oceanarrow.schema import POINT_COLUMNS, Schema, row_columns, told

if TYPE_CHECKING:
    import xarray


class Batch:
    """One Arrow record batch (`docs/reference/batch.md` lists its columns).

    By name it is a mapping of columns to tensors: `batch["l4_ssh"]`, `"l4_ssh" in batch`, `keys`,
    `values`, `items`, `get`, and `dict(batch)`. Its length is that of its columns, B rows.

    The arrays and tensors that a batch gives share its memory and may be written to; use one
    batch with one framework, or copy. They stay valid when the batch and the loader are gone.
    """

    def __init__(self, native: _engine.Batch) -> None:
        self._native = native

    def __len__(self) -> int:
        return len(self._native)

    @property
    def native(self) -> _engine.Batch:
        """The engine's own, for what builds upon batches."""
        return self._native

    @property
    def schema(self) -> Schema:
        """The schema, with this batch's metadata."""
        return Schema(self._native)

    @property
    def metadata(self) -> dict[str, str]:
        """The schema's metadata; `docs/reference/batch.md` lists the keys."""
        return self._native.metadata

    @property
    def variables(self) -> list[str]:
        """Names of the variables, inputs first."""
        return list(self._roles)

    def __getitem__(self, name: str) -> _engine.Tensor:
        """A column as a tensor, `(B, H, W)` for a gridded variable; of a list, its flat values.

        Raises:
            KeyError: there is no such column.
        """
        return self._native.tensor(name)

    def __contains__(self, name: object) -> bool:
        return name in self._native.column_names

    def __iter__(self) -> Iterator[str]:
        """The names of the columns, in order."""
        return iter(self._native.column_names)

    def keys(self) -> list[str]:
        """The names of the columns, in order."""
        return self._native.column_names

    def values(self) -> list[_engine.Tensor]:
        """The columns as tensors, in order."""
        return [self[name] for name in self]

    def items(self) -> list[tuple[str, _engine.Tensor]]:
        """The columns' names and tensors, in order."""
        return [(name, self[name]) for name in self]

    def get(self, name: str, default: Any = None) -> Any:
        """A column as a tensor, or `default` if there is none of this name."""
        try:
            return self[name]
        except KeyError:
            return default

    def to_numpy(self) -> dict[str, Any]:
        """The batch as NumPy arrays, without a copy.

        Returns:
            `inputs` and `targets`: {variable: (B, H, W) float32}, (B, T, H, W) for stacked days;
            a point variable gives a dict of `data`, `lats`, `lons`, `time` (days since
            1970-01-01), `pressure` and `mask`, each (B, Nmax), padded with zeros. `masks`:
            {gridded variable: bool, shaped like the data}. `present`: {variable: (B,) bool}.
            `metadata`: `query` (B,) int64, `bbox` (B, 4) float64, `time_start` and `time_end`
            (B,) int64 days since 1970-01-01, `n_files`, `status` and `sample_weight` (B,), with an
            `Augment` also `augmentation`; of tensors of channels `channels`, {tensor: the names of
            its channels}.
            Where the columns exist, also `coords`: {variable: {"lat": (B, H), "lon": (B, W)}}
            and `support`: {variable: (B, H, W)}. A variable that is input and target is copied
            for the target.
        """
        result: dict[str, Any] = {"inputs": {}, "targets": {}, "masks": {}, "present": {}}
        columns = set(self._native.column_names)
        for name, roles in self._roles.items():
            points = f"{name}_mask" not in columns
            data = self._points(name) if points else self._array(name)
            for role in roles:
                shared = role == "target" and len(roles) > 1
                result[f"{role}s"][name] = _copy(data) if shared else data
            if not points:
                result["masks"][name] = self._array(f"{name}_mask").view(np.bool_)
            result["present"][name] = self._array(f"{name}_present")
            if f"{name}_support" in columns:
                result.setdefault("support", {})[name] = self._array(f"{name}_support")
            if not points and f"{name}_lat" in columns:
                lat, lon = self._array(f"{name}_lat"), self._array(f"{name}_lon")
                result.setdefault("coords", {})[name] = {"lat": lat, "lon": lon}
        edges = [self._array(edge) for edge in ("lon_min", "lon_max", "lat_min", "lat_max")]
        result["metadata"] = {name: self._array(name) for name in row_columns(columns)} | {
            "bbox": np.stack(edges, axis=1),
            "time_start": self._array("time_start").astype(np.int64),
            "time_end": self._array("time_end").astype(np.int64),
        }
        if channels := {f.name: list(f.channels) for f in self.schema if f.channels}:
            result["metadata"]["channels"] = channels
        return result

    def to_torch(self) -> dict[str, Any]:
        """The batch as tensors, structured as `to_numpy` does; writable, without a copy.

        Raises:
            ImportError: PyTorch is not installed.
        """
        torch = require("torch", "to_torch", extra="torch")
        return _convert(self.to_numpy(), torch.from_numpy)

    def to_jax(self) -> dict[str, Any]:
        """The batch as JAX arrays on the CPU, structured as `to_numpy` does.

        Float tensors and masks share the batch's memory, which is aligned for it; do not write to
        the batch's other views afterwards. `metadata` stays in NumPy, because JAX has no 64-bit
        numbers by default.

        Raises:
            ImportError: JAX is not installed.
        """
        jax = require("jax", "to_jax", extra="jax")
        cpu = jax.devices("cpu")[0]
        tree = self.to_numpy()
        metadata = tree.pop("metadata")

        def convert(array: npt.NDArray[Any]) -> Any:
            if array.nbytes == 0 or array.dtype == np.float64:
                return jax.device_put(array, cpu)
            return jax.dlpack.from_dlpack(array)

        return _convert(tree, convert) | {"metadata": metadata}

    def to_xarray(self) -> xarray.Dataset:
        """The batch as an `xarray.Dataset`, to look at and to compute with; copied.

        Each gridded variable has dimensions `sample, y, x` (`sample, day, y, x` for stacked days,
        `sample, channel, y, x` for a tensor of several), NaN where it is invalid, coordinates
        `lat (sample, y)` and `lon (sample, x)`, and CF attributes. A variable whose pixels are not
        those of the first has `y_<name>`, `x_<name>`, `lat_<name>` and `lon_<name>`, and of other
        days `day_<name>`. Point variables have
        dimensions `sample, level_<name>`, padded with NaN. `query`, `time_start`, `time_end`,
        `n_files`, `status` and `sample_weight` are coordinates of `sample` (flips and turns of an
        `Augment` are undone, and what they were is `augmentation`), and `time (sample, day)` of
        stacked days; `<name>_present` and `<name>_support` are variables.

        Raises:
            ImportError: xarray is not installed.
        """
        require("xarray", "to_xarray", extra="xarray")
        from oceanarrow.xarray import to_dataset

        return to_dataset(self)

    @cached_property
    def _roles(self) -> dict[str, list[str]]:
        return {name: roles.split(",") for name, roles in self._native.roles().items()}

    def _array(self, column: str) -> npt.NDArray[Any]:
        return self._native.tensor(column).numpy()

    def _points(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """A point variable's columns, padded to the longest row."""
        offsets = np.asarray(self._native.offsets(name))
        counts = np.diff(offsets)
        mask = np.arange(max(counts, default=0)) < counts[:, None]
        padded = {}
        for key, suffix in POINT_COLUMNS.items():
            values = self._array(name + suffix)
            padded[key] = np.zeros(mask.shape, values.dtype)
            padded[key][mask] = values
        return padded | {"mask": mask}

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return self._native.__arrow_c_array__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._native.__arrow_c_schema__()

    def __repr__(self) -> str:
        return f"Batch({len(self)} rows; {', '.join(self.variables)})"

    def _repr_html_(self) -> str:
        rows = []
        for name, *rest in told(self.schema):
            mask = self._array(f"{name}_mask") if f"{name}_mask" in self else None
            rows.append((name, *rest, bar(float(mask.mean()) if mask is not None else None)))
        head = ("variable", "role", "row", "dtype", "unit", "valid")
        return view("Batch", f"{len(self)} rows", (), head, rows)


def _copy(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: value.copy() for key, value in data.items()}
    return data.copy()


def _convert(tree: dict[str, Any], convert: Any) -> dict[str, Any]:
    """The tree with its arrays converted; what is no array stays as it is."""

    def converted(value: Any) -> Any:
        if isinstance(value, dict):
            return _convert(value, convert)
        return convert(value) if isinstance(value, np.ndarray) else value

    return {key: converted(value) for key, value in tree.items()}
