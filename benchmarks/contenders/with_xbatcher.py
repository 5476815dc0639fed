"""xbatcher: lazily opened files, a generator of patches, its own torch dataset.

xbatcher cuts a dataset along a lattice; it has no boxes at free places. A query is served by the
patch of its day's lattice that lies nearest, of as many cells as the box is wide: the work is the
same, the place is up to half a patch off.
"""

from contenders import Result, Work
from contenders.patches import Patch, collate, resized
from tasks import Skipped, Task, Where, chosen

try:
    import xbatcher
    from xbatcher.loaders.torch import MapDataset
except ImportError as error:
    raise Skipped("xbatcher is not installed; `make peers` does that") from error

import dask
import numpy as np
import xarray as xr
from torch.utils.data import DataLoader, Dataset


class Lattice:
    """The patches of one variable over all the days of a task."""

    def __init__(self, task: Task, variable: str) -> None:
        size = task.sizes[variable]
        one = task.queries[0]
        # One dask chunk a file: with the chunks of the files, the graph takes longer than the data.
        opened = xr.open_mfdataset(
            chosen(task.queries, variable),
            engine="h5netcdf",
            combine="nested",
            concat_dim="time",
            preprocess=lambda tile: tile[[task.netcdf[variable]]].squeeze(drop=False),
            chunks={"lat": -1, "lon": -1},
            data_vars="all",
            coords="minimal",
            compat="override",
            join="override",
        )
        field = opened[task.netcdf[variable]].reset_coords(drop=True)
        cells = {
            "lat": _count(opened["lat"].values, one.lat_max - one.lat_min),
            "lon": _count(opened["lon"].values, one.lon_max - one.lon_min),
        }
        self.days = {str(day)[:10]: i for i, day in enumerate(opened["time"].values)}
        self.counts = [field.sizes[axis] // n for axis, n in cells.items()]
        self.centres = [
            opened[axis].values[n // 2 :: n][:count]
            for (axis, n), count in zip(cells.items(), self.counts, strict=True)
        ]
        window = len(one.days) if task.stack else 1
        generator = xbatcher.BatchGenerator(field, {"time": window, **cells})
        self.window = window
        self.patches = MapDataset(generator, transform=lambda patch: _pair(patch, size))

    def patch(self, query: Where) -> Patch:
        lat, lon = (query.lat_min + query.lat_max) / 2, (query.lon_min + query.lon_max) / 2
        row, column = (
            int(np.abs(axis - x).argmin()) for axis, x in zip(self.centres, (lat, lon), strict=True)
        )
        day = self.days[query.first] // self.window
        index = (day * self.counts[0] + row) * self.counts[1] + column
        values, mask = self.patches[index].unbind(0)
        return values, mask > 0


def _count(axis: np.ndarray, degrees: float) -> int:
    """The number of cells in so many degrees."""
    return min(len(axis), max(1, round(degrees / abs(axis[1] - axis[0]))))


def _pair(patch: xr.DataArray, size: tuple[int, int]):
    """A tensor of values and mask, as `MapDataset` wants one tensor."""
    import torch

    values, mask = resized(patch, size)
    return torch.stack([values, mask.float()])


class Patches(Dataset):
    """A sample a query, of all variables."""

    def __init__(self, task: Task) -> None:
        self._task, self._queries = task, task.by_day()
        self._lattices: dict[str, Lattice] = {}

    def __len__(self) -> int:
        return len(self._queries)

    def __getitem__(self, index: int) -> dict[str, Patch]:
        # Opening the files is part of the work, as it is for everybody.
        for name in self._task.variables:
            if name not in self._lattices:
                self._lattices[name] = Lattice(self._task, name)
        query = self._queries[index]
        return {name: lattice.patch(query) for name, lattice in self._lattices.items()}


def prepare(task: Task) -> Work:
    if task.cores == 1:
        dask.config.set(scheduler="synchronous")
    loader = DataLoader(Patches(task), batch_size=task.batch, collate_fn=collate)

    def work() -> Result:
        rows = [len(next(iter(batch.values()))[0]) for batch in loader]
        return {"samples": sum(rows)}

    return work
