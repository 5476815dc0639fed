"""What one writes without a library: open the tiles, cut the box, resize, keep the mask."""

from collections.abc import Callable, Iterator

import xarray as xr
from tasks import Task, Where
from torch.utils.data import DataLoader, Dataset

from contenders import Result, Work
from contenders.patches import Patch, collate, empty, resized


def open_file(path: str) -> xr.Dataset:
    """A tile on this machine."""
    return xr.open_dataset(path, engine="h5netcdf")


class Patches(Dataset):
    """A sample a query; `open_tile` opens what a query names."""

    def __init__(self, task: Task, open_tile: Callable[[str], xr.Dataset] = open_file) -> None:
        self._task, self._queries, self._open_tile = task, task.by_day(), open_tile

    def __len__(self) -> int:
        return len(self._queries)

    def __getitem__(self, index: int) -> dict[str, Patch]:
        query = self._queries[index]
        return {name: self._patch(name, query) for name in self._task.variables}

    def _patch(self, variable: str, query: Where) -> Patch:
        size = self._task.sizes[variable]
        days = []
        for file in query.files[variable]:
            with self._open_tile(file) as opened:
                field = opened[self._task.netcdf[variable]].squeeze(drop=True)
                lon = slice(query.lon_min, query.lon_max)
                lat = slice(query.lat_min, query.lat_max)
                field = field.sel(lon=lon, lat=lat)
                if 0 not in field.shape:
                    days.append(field.load())
        if not days:
            return empty(size)
        return resized(_joined(days), size)


def _joined(pieces: list[xr.DataArray]) -> xr.DataArray:
    """The tiles of each day side by side, and the days one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    if all("time" in piece.coords for piece in pieces):
        pieces = [piece.expand_dims("time") for piece in pieces]
    joined = xr.combine_by_coords([piece.to_dataset(name="field") for piece in pieces])
    assert isinstance(joined, xr.Dataset)
    return joined["field"].squeeze(drop=True)


def batches(task: Task, workers: int = 0) -> DataLoader:
    return DataLoader(
        Patches(task),
        batch_size=task.batch,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def prepare(task: Task) -> Work:
    loader = batches(task)

    def work() -> Result:
        return {"samples": sum(_rows(loader))}

    return work


def _rows(loader: DataLoader) -> Iterator[int]:
    for batch in loader:
        yield len(next(iter(batch.values()))[0])
