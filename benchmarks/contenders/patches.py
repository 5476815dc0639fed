"""From a field of native cells to a patch of pixels, as one writes it with torch."""

import numpy as np
import torch
import xarray as xr
from torch.nn import functional

Patch = tuple[torch.Tensor, torch.Tensor]


def resized(field: xr.DataArray, size: tuple[int, int]) -> Patch:
    """Values and mask of shape (H, W), or (T, H, W) if there is a time axis of more than one day.

    Bilinear, and normalised by the valid weight, so that gaps do not pull values to 0.
    """
    cells = field.transpose(..., "lat", "lon").values
    cells = np.ascontiguousarray(cells, dtype=np.float32).reshape(-1, 1, *cells.shape[-2:])
    values = torch.from_numpy(cells)
    valid = values.isfinite()
    both = torch.cat([values.nan_to_num(), valid.float()], dim=1)
    data, weight = functional.interpolate(both, size=size, mode="bilinear").unbind(1)
    patch, mask = data / weight.clamp(min=1e-6), weight > 0.01
    return (patch, mask) if len(patch) > 1 else (patch[0], mask[0])


def empty(size: tuple[int, int]) -> Patch:
    return torch.zeros(size), torch.zeros(size, dtype=torch.bool)


def collate(samples: list[dict[str, Patch]]) -> dict[str, Patch]:
    """Stacks the patches of each variable."""
    columns = {name: zip(*(sample[name] for sample in samples), strict=True) for name in samples[0]}
    return {name: tuple(torch.stack(part) for part in parts) for name, parts in columns.items()}
