"""Samples to batches, the documented way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.optional import require

if TYPE_CHECKING:
    import torch

Sample = Mapping[str, Any]
Entry = Mapping[str, Any]
"""One variable of one sample: `data`, `lats`, `lons`, `mask` and, for points, more columns."""

_POINT_COLUMNS = ("lats", "lons", "time", "pressure")


def collate_ocean_samples(
    batch: Sequence[Sample], missing: Literal["drop", "fill"] = "drop"
) -> dict[str, Any]:
    """Makes a batch of samples of `OceanTACODataset`; give it to a `DataLoader` as `collate_fn`.

    Tensors are padded with zeros at the end of each axis to the largest shape a variable has in
    the batch.

    Args:
        batch: B samples with the same variables.
        missing: what to do with a sample that lacks a variable (None). `"drop"` leaves it out of
            that variable's tensor, which then has k < B rows, and gives None for a variable that
            nobody has. `"fill"` keeps all B rows aligned: zeros, masked out, in the shape that
            `sample["metadata"]["shapes"]` tells.

    Returns:
        `inputs` and `targets`: {variable: (k, H, W) float32}, (k, T, H, W) for stacked days; a
        point variable gives a dict of `data`, `lats`, `lons`, `time`, `pressure` and `mask`,
        each (k, Nmax). `coords`: of the first sample. `masks`: {variable: bool, shaped like the
        data}, False where invalid or padded. `metadata`: `bboxes` and `time_ranges`, B each. With
        `"fill"` also `present`: {variable: (B,) bool}.

    Raises:
        InvalidInputError: the batch is empty, its samples differ in their variables, or a shape
            needed to fill a gap is not known.
    """
    if missing not in ("drop", "fill"):
        raise InvalidInputError(f"missing must be 'drop' or 'fill', not {missing!r}")
    if not batch:
        raise InvalidInputError("cannot collate an empty batch")
    require("torch", "collate_ocean_samples", extra="torch")
    masks: dict[str, torch.Tensor | None] = {}
    present: dict[str, torch.Tensor] = {}
    roles: dict[str, dict[str, Any]] = {"inputs": {}, "targets": {}}
    for role, columns in roles.items():
        for name in _variables(batch, role):
            entries = [sample[role][name] for sample in batch]
            shapes = _missing_shapes(batch, name, entries) if missing == "fill" else None
            columns[name], masks[name] = _collate_variable(entries, shapes)
            present[name] = _flags([entry is not None for entry in entries])
    result: dict[str, Any] = {
        **roles,
        "coords": batch[0]["coords"],
        "masks": masks,
        "metadata": {
            "bboxes": [sample["metadata"]["bbox"] for sample in batch],
            "time_ranges": [sample["metadata"]["time_range"] for sample in batch],
        },
    }
    if missing == "fill":
        result["present"] = present
    return result


def _variables(batch: Sequence[Sample], role: str) -> list[str]:
    names = list(batch[0][role])
    for i, sample in enumerate(batch):
        if set(sample[role]) != set(names):
            raise InvalidInputError(
                f"sample {i} of the batch has the {role} {sorted(sample[role])}, the first one "
                f"{sorted(names)}; collate samples of one dataset"
            )
    return names


def _missing_shapes(
    batch: Sequence[Sample], name: str, entries: Sequence[Entry | None]
) -> list[tuple[int, ...] | None]:
    """The shape to fill in for each sample that lacks the variable."""
    shapes: list[tuple[int, ...] | None] = []
    for i, (sample, entry) in enumerate(zip(batch, entries, strict=True)):
        known = sample["metadata"].get("shapes", {})
        if entry is None and name not in known:
            raise InvalidInputError(
                f"sample {i} of the batch lacks {name} and does not tell its shape: "
                f"metadata['shapes'][{name!r}] is needed for missing='fill'"
            )
        shapes.append(None if entry is not None else tuple(known[name]))
    return shapes


def _collate_variable(
    entries: Sequence[Entry | None], missing_shapes: Sequence[tuple[int, ...] | None] | None
) -> tuple[torch.Tensor | dict[str, torch.Tensor] | None, torch.Tensor | None]:
    """Data and mask of one variable; without shapes to fill in, gaps are left out."""
    import torch

    if missing_shapes is None:
        entries = [entry for entry in entries if entry is not None]
        missing_shapes = [None] * len(entries)
    shapes = [
        tuple(shape or ()) if entry is None else tuple(torch.as_tensor(entry["data"]).shape)
        for entry, shape in zip(entries, missing_shapes, strict=True)
    ]
    if not shapes:
        return None, None
    if len({len(shape) for shape in shapes}) > 1:
        raise InvalidInputError(f"cannot stack data of {sorted(set(shapes))}: axes differ")
    largest = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
    mask = _stack([None if e is None else _mask(e) for e in entries], largest, torch.bool)
    data = _stack(_column(entries, "data"), largest, torch.float32)
    if len(largest) != 1:
        return data, mask
    points = {"data": data}
    for name in _POINT_COLUMNS:
        if any(entry is not None and name not in entry for entry in entries):
            continue
        dtype = torch.float64 if name == "time" else torch.float32
        points[name] = _stack(_column(entries, name), largest, dtype)
    return {**points, "mask": mask}, mask


def _column(entries: Sequence[Entry | None], name: str) -> list[Any]:
    return [None if entry is None else entry[name] for entry in entries]


def _mask(entry: Entry) -> torch.Tensor:
    """The sample's mask; everything is valid where it has none."""
    import torch

    if entry.get("mask") is None:
        return torch.ones(tuple(torch.as_tensor(entry["data"]).shape), dtype=torch.bool)
    return torch.as_tensor(entry["mask"]).to(torch.bool)


def _stack(rows: Sequence[Any], shape: tuple[int, ...], fallback: torch.dtype) -> torch.Tensor:
    """Rows in one zero-padded tensor (len(rows), *shape); `fallback` types one with no data."""
    import torch

    tensors = [None if row is None else torch.as_tensor(row) for row in rows]
    dtype = next((tensor.dtype for tensor in tensors if tensor is not None), fallback)
    stacked = torch.zeros((len(tensors), *shape), dtype=dtype)
    for target, tensor in zip(stacked, tensors, strict=True):
        if tensor is not None:
            target[tuple(slice(size) for size in tensor.shape)] = tensor
    return stacked


def _flags(values: Sequence[bool]) -> torch.Tensor:
    import torch

    return torch.tensor(list(values), dtype=torch.bool)
