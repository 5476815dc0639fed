"""xbatcher: its generator of patches and its torch dataset, over lazily opened files.

xbatcher cuts a dataset along a lattice; it has no boxes at free places. A query is served by the
patch of its day's lattice that lies nearest, of as many cells as the box is wide: the work is the
same, the place is up to half a patch off.

It runs in two ways. `by_file` has a generator a file, over what `xarray.open_dataset` gives without
dask: nothing was found to be faster. `multi_file` has one over `xarray.open_mfdataset`, as its
documentation does; dask's chunks are of the patches' size, with which it reads least.
"""

from collections.abc import Callable

from tasks import Skipped, Task, Where, chosen

from contenders import Result, Work
from contenders.patches import Patch, collate, resized

try:
    import dask
    import xbatcher
    from xbatcher.loaders.torch import MapDataset
except ImportError as error:
    raise Skipped(f"xbatcher is not installed ({error}); `make peers` does that") from error

import numpy as np
import torch
import xarray as xr
from torch.utils.data import DataLoader, Dataset


class Lattice:
    """The patches of one variable on one day or, with a time axis, on many."""

    def __init__(self, field: xr.DataArray, query: Where, size: tuple[int, int]) -> None:
        cells = {
            "lat": _count(field["lat"].values, query.lat_max - query.lat_min),
            "lon": _count(field["lon"].values, query.lon_max - query.lon_min),
        }
        steps = {"time": 1} if "time" in field.dims else {}
        self._counts = [field.sizes[axis] // n for axis, n in cells.items()]
        self._centres = [
            field[axis].values[n // 2 :: n][:count]
            for (axis, n), count in zip(cells.items(), self._counts, strict=True)
        ]
        generator = xbatcher.BatchGenerator(field, steps | cells)
        self._patches = MapDataset(generator, transform=lambda patch: _as_one(patch, size))

    def patch(self, query: Where, step: int = 0) -> Patch:
        """The patch next to the box, at a step of the time axis."""
        wanted = (query.lat_min + query.lat_max) / 2, (query.lon_min + query.lon_max) / 2
        row, column = (
            int(np.abs(axis - x).argmin()) for axis, x in zip(self._centres, wanted, strict=True)
        )
        at = (step * self._counts[0] + row) * self._counts[1] + column
        values, mask = self._patches[at].unbind(0)
        return values, mask > 0


def _count(axis: np.ndarray, degrees: float) -> int:
    """The number of cells in so many degrees."""
    return min(len(axis), max(1, round(degrees / abs(axis[1] - axis[0]))))


def _as_one(patch: xr.DataArray, size: tuple[int, int]) -> torch.Tensor:
    """Values and mask as the one tensor that `MapDataset` wants."""
    values, mask = resized(patch, size)
    return torch.stack([values, mask.float()])


class Days:
    """The lattices of one variable, a file each; they stay open."""

    def __init__(self, task: Task, variable: str) -> None:
        self._name, self._size = task.netcdf[variable], task.sizes[variable]
        self._variable = variable
        self._lattices: dict[str, Lattice] = {}

    def patches(self, query: Where) -> list[Patch]:
        """One a day."""
        return [self._lattice(file, query).patch(query) for file in query.files[self._variable]]

    def _lattice(self, file: str, query: Where) -> Lattice:
        if file not in self._lattices:
            opened = xr.open_dataset(file, engine="h5netcdf")
            field = opened[self._name].squeeze(drop=True)
            self._lattices[file] = Lattice(field, query, self._size)
        return self._lattices[file]


class ManyFiles:
    """The lattice of one variable over all days of a task, opened as one dataset."""

    def __init__(self, task: Task, variable: str) -> None:
        name, one = task.netcdf[variable], task.queries[0]
        files = chosen(task.queries, variable)
        with xr.open_dataset(files[0], engine="h5netcdf") as opened:
            cells = {
                "lat": _count(opened["lat"].values, one.lat_max - one.lat_min),
                "lon": _count(opened["lon"].values, one.lon_max - one.lon_min),
            }
        many = xr.open_mfdataset(
            files,
            engine="h5netcdf",
            preprocess=lambda tile: tile[[name]].squeeze(drop=False),
            combine="nested",
            concat_dim="time",
            chunks=cells,
            data_vars="all",
            coords="minimal",
            compat="override",
            join="override",
        )
        field = many[name].reset_coords(drop=True)
        self._lattice = Lattice(field, one, task.sizes[variable])
        self._steps = {str(day)[:10]: step for step, day in enumerate(field["time"].values)}

    def patches(self, query: Where) -> list[Patch]:
        """One a day."""
        return [self._lattice.patch(query, self._steps[day]) for day in query.days]


Source = Days | ManyFiles


class Samples(Dataset):
    """A sample a query, of all variables. Opening files is part of the work, as for everybody."""

    def __init__(self, task: Task, source: Callable[[Task, str], Source]) -> None:
        self._task, self._queries, self._source = task, task.by_day(), source
        self._sources: dict[str, Source] = {}

    def __len__(self) -> int:
        return len(self._queries)

    def __getitem__(self, index: int) -> dict[str, Patch]:
        return {name: self._patch(name, self._queries[index]) for name in self._task.variables}

    def _patch(self, variable: str, query: Where) -> Patch:
        if variable not in self._sources:
            self._sources[variable] = self._source(self._task, variable)
        days = self._sources[variable].patches(query)
        if not self._task.stack:
            return days[0]
        values, masks = zip(*days, strict=True)
        return torch.stack(values), torch.stack(masks)


def by_file(task: Task) -> Work:
    return _work(task, Days)


def multi_file(task: Task) -> Work:
    return _work(task, ManyFiles)


def _work(task: Task, source: Callable[[Task, str], Source]) -> Work:
    if task.cores == 1:
        dask.config.set(scheduler="synchronous")
    loader = DataLoader(Samples(task, source), batch_size=task.batch, collate_fn=collate)

    def work() -> Result:
        return {"samples": sum(len(next(iter(batch.values()))[0]) for batch in loader)}

    return work
