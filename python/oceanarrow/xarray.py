"""Batches and patches as xarray datasets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray

from oceanarrow.orientation import undone
from oceanarrow.schema import row_columns
from oceanarrow.window import Column

if TYPE_CHECKING:
    from oceanarrow.batch import Batch
    from oceanarrow.dataset.query import Query
    from oceanarrow.schema import Field
    from oceanarrow.variables import Variable

_LAT = {"standard_name": "latitude", "units": "degrees_north"}
_LON = {"standard_name": "longitude", "units": "degrees_east"}
_PRESSURE = {"standard_name": "sea_water_pressure", "units": "dbar"}
_TIME = {"standard_name": "time"}

Array = npt.NDArray[Any]


def to_dataset(batch: Batch) -> xarray.Dataset:
    """See `Batch.to_xarray`."""
    made = _Rows(batch)
    for field in batch.schema:
        if not field.roles:
            continue
        if f"{field.name}_mask" in batch:
            made.add_grid(field)
        else:
            made.add_points(field)
    return xarray.Dataset(made.variables, made.coordinates, made.attributes())


class _Made:
    """A dataset under way."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {}
        self.coordinates: dict[str, Any] = {}
        self._first: dict[str, tuple[Array, ...]] = {}

    def level(self, name: str, dimension: str, places: tuple[float, ...]) -> str:
        """The dimension of a variable's levels, with the places that were asked for."""
        values = np.array(places)
        dim = dimension + self.ending(f"level {dimension}", name, values)
        self.coordinates[dim] = (dim, values)
        return dim

    def ending(self, kind: str, name: str, *axes: Array) -> str:
        """What ends the names of a variable's axes: nothing, if they are those of the first."""
        first = self._first.setdefault(kind, axes)
        same = len(first) == len(axes) and all(map(np.array_equal, first, axes))
        return "" if same else f"_{name}"


class _Rows(_Made):
    """The dataset of a batch."""

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.batch = batch
        self.tree = batch.to_numpy()
        self._lay_back()
        days = self.tree["metadata"]
        self.starts = days["time_start"].astype("datetime64[D]")
        ends = days["time_end"].astype("datetime64[D]")
        self.coordinates |= {name: ("sample", days[name]) for name in row_columns(days)}
        self.coordinates["time_start"] = ("sample", self.starts.astype("datetime64[ns]"))
        self.coordinates["time_end"] = ("sample", ends.astype("datetime64[ns]"))

    def _lay_back(self) -> None:
        """Undoes flips and turns."""
        codes = self.tree["metadata"].get("augmentation")
        if codes is None:
            return
        support = self.tree.get("support", {})
        of_role = self.tree["inputs"] | self.tree["targets"]
        arrays = {n: (of_role[n], mask, support.get(n)) for n, mask in self.tree["masks"].items()}
        vectors = self.batch.metadata.get("oceanarrow.vectors")
        for name, (values, mask, shares) in undone(arrays, codes, vectors).items():
            for role in ("inputs", "targets"):
                if name in self.tree[role]:
                    self.tree[role][name] = values
            self.tree["masks"][name] = mask
            if shares is not None:
                support[name] = shares

    def attributes(self) -> dict[str, str]:
        """What the schema says of the batch as a whole."""
        told = self.batch.metadata
        keys = ("oceanarrow.version", "oceanarrow.plan_id", "oceanarrow.epoch")
        return {key.replace(".", "_"): told[key] for key in keys if key in told}

    def add_grid(self, field: Field) -> None:
        """Adds a gridded variable and its coordinates."""
        name, data = field.name, self._data(field)
        mask = self.tree["masks"][name]
        dims = self._dims(field, data.shape[1:])
        values = np.where(mask, data, np.float32("nan"))
        self.variables[name] = (dims, values, _attributes(field))
        self._add_present(name)
        if "support" in self.tree:
            share = {"long_name": f"valid share of weight behind {name}", "units": "1"}
            self.variables[f"{name}_support"] = (dims, self.tree["support"][name].copy(), share)

    def add_points(self, field: Field) -> None:
        """Adds a point variable, padded to the longest row."""
        name, columns = field.name, self._data(field)
        dims, mask = ("sample", f"level_{name}"), columns["mask"]
        nan = np.float32("nan")
        self.variables[name] = (dims, np.where(mask, columns["data"], nan), _attributes(field))
        levels = np.where(mask, columns["pressure"], nan)
        self.variables[f"{name}_pressure"] = (dims, levels, _PRESSURE)
        self._add_present(name)
        for key, attributes in (("lat", _LAT), ("lon", _LON)):
            values = np.where(mask, columns[f"{key}s"], nan)
            self.coordinates[f"{key}_{name}"] = (dims, values, attributes)
        stamps = np.where(mask, _stamps(columns["time"]), np.datetime64("NaT", "ns"))
        self.coordinates[f"time_{name}"] = (dims, stamps, _TIME)

    def _data(self, field: Field) -> Any:
        return self.tree[f"{field.roles[0]}s"][field.name]

    def _add_present(self, name: str) -> None:
        told = {"long_name": f"a file of {name} covers the sample"}
        self.variables[f"{name}_present"] = ("sample", self.tree["present"][name], told)

    def _dims(self, field: Field, shape: tuple[int, ...]) -> tuple[str, ...]:
        """The dimensions of a variable, new ones with their coordinates."""
        name = field.name
        lat, lon = self._axes(name, shape[-2], shape[-1])
        end = self.ending("pixels", name, lat, lon)
        dims = ("sample", f"y{end}", f"x{end}")
        self.coordinates[f"lat{end}"] = (("sample", f"y{end}"), lat, _LAT)
        self.coordinates[f"lon{end}"] = (("sample", f"x{end}"), lon, _LON)
        before = []
        levels = _levels(field)
        if field.channels:
            return "sample", self._channels(field), *dims[1:]
        if len(shape) == (3 if levels is None else 4):
            before.append(self._day(field, shape[0]))
        if levels is not None:
            before.append(self.level(name, *levels))
        return "sample", *before, *dims[1:]

    def _channels(self, field: Field) -> str:
        names = np.array(field.channels)
        dim = f"channel{self.ending('channels', field.name, names)}"
        self.coordinates[dim] = (dim, names)
        return dim

    def _day(self, field: Field, count: int) -> str:
        first = int(field.metadata.get("days", "0,0").split(",")[0])
        times = (self.starts[:, None] + first + np.arange(count)).astype("datetime64[ns]")
        end = self.ending("days", field.name, times)
        dims = ("sample", f"day{end}")
        self.coordinates[f"time{end}"] = (dims, times, _TIME)
        return dims[1]

    def _axes(self, name: str, height: int, width: int) -> tuple[Array, Array]:
        """Latitudes (B, H) and longitudes (B, W) of a variable's pixels."""
        told = self.tree.get("coords", {}).get(name)
        if told is not None:
            return told["lat"].copy(), told["lon"].copy()
        return _over(self.tree["metadata"]["bbox"].T, height, width)


class Patch(_Made):
    """The dataset of one query; of some days of its window, if these are given."""

    def __init__(self, query: Query, days: Sequence[int] | None = None) -> None:
        super().__init__()
        self.query = query
        first, last = query.days()
        self.window = np.array([first, last]).astype("datetime64[D]")
        wanted = np.arange(first, last + 1) if days is None else np.array(days, np.int64)
        self.days = wanted.astype("datetime64[D]")

    def dataset(self) -> xarray.Dataset:
        """What was added."""
        edges = dict(
            zip(("lon_min", "lon_max", "lat_min", "lat_max"), self.query.bbox, strict=True)
        )
        times = {"time_start": str(self.window[0]), "time_end": str(self.window[1])}
        return xarray.Dataset(self.variables, self.coordinates, edges | times)

    def add_grid(
        self, variable: Variable, column: tuple[Array, ...], stacked: bool, told: dict[str, Any]
    ) -> None:
        """Adds a gridded variable: data (H, W), days and levels before, mask, lats and lons."""
        data, mask, lat, lon = column
        values = np.where(mask.view(bool), data, np.float32("nan"))
        dims = self._dims(variable.name, lat, lon)
        if variable.levels is not None:
            dims = (self.level(variable.name, *variable.levels), *dims)
        if stacked:
            stamps = self._days_of(variable).astype("datetime64[ns]")
            time = "time" + self.ending("days", variable.name, stamps)
            dims = (time, *dims)
            self.coordinates[time] = (time, stamps, _TIME)
        self.variables[variable.name] = (dims, values, _described(variable.unit, told))

    def add_nothing(
        self, variable: Variable, shape: tuple[int, int], stacked: bool, told: dict[str, Any]
    ) -> None:
        """Adds a gridded variable of which there is no file."""
        lat, lon = _over(np.array(self.query.bbox), *shape)
        days = (len(self._days_of(variable)),) if stacked else ()
        levels = (len(variable.levels[1]),) if variable.levels else ()
        data = np.full((*days, *levels, *shape), np.nan, np.float32)
        column = (data, np.zeros(data.shape, np.uint8), lat, lon)
        self.add_grid(variable, column, stacked, told)

    def add_points(
        self, name: str, unit: str, column: tuple[Array, ...] | None, told: dict[str, Any]
    ) -> None:
        """Adds a point variable: data, latitudes, longitudes, time, pressure, (N,) each."""
        if column is None:
            return
        data, lat, lon, time, pressure = column
        dim = f"level_{name}"
        self.coordinates[f"lat_{name}"] = (dim, lat, _LAT)
        self.coordinates[f"lon_{name}"] = (dim, lon, _LON)
        self.coordinates[f"time_{name}"] = (dim, _stamps(time), _TIME)
        self.variables[name] = (dim, data, _described(unit, told))
        self.variables[f"{name}_pressure"] = (dim, pressure, _PRESSURE)

    def add_observations(
        self, variable: Variable, column: tuple[Array, ...], told: dict[str, Any]
    ) -> None:
        """Adds a point variable along `obs`, or `obs_<name>` if its points are not the first's."""
        data, lat, lon, time, pressure = column
        end = self.ending("cells", variable.name, lat, lon, time, pressure)
        dim = f"obs{end}"
        self.coordinates[f"lat{end}"] = (dim, lat, _LAT)
        self.coordinates[f"lon{end}"] = (dim, lon, _LON)
        self.coordinates[f"time{end}"] = (dim, _stamps(time), _TIME)
        self.variables[variable.name] = (dim, data, _described(variable.unit, told))
        self.variables[f"PRES{end}"] = (dim, pressure, _PRESSURE)

    def _days_of(self, variable: Variable) -> Array:
        if not isinstance(variable, Column) or variable.first == variable.last == 0:
            return self.days
        first, last = self.window
        return np.arange(first + variable.first, last + variable.last + 1)

    def _dims(self, name: str, lat: Array, lon: Array) -> tuple[str, ...]:
        end = self.ending("cells", name, lat, lon)
        self.coordinates[f"lat{end}"] = (f"lat{end}", lat, _LAT)
        self.coordinates[f"lon{end}"] = (f"lon{end}", lon, _LON)
        return f"lat{end}", f"lon{end}"


def _levels(field: Field) -> tuple[str, tuple[float, ...]] | None:
    """The dimension of which a list of places was read, and these."""
    for told in field.metadata.get("levels", "").split(";"):
        dimension, _, places = told.partition("=")
        if places.startswith("["):
            return dimension, tuple(float(p.lstrip("#")) for p in places[1:-1].split(","))
    return None


def _stamps(days: Array) -> Array:
    """Times out of days since 1970-01-01; any, where they are not finite."""
    nanoseconds = np.round(np.nan_to_num(days) * 86_400e9)
    return nanoseconds.astype("int64").astype("datetime64[ns]")


def _over(bbox: Array, height: int, width: int) -> tuple[Array, Array]:
    """Latitudes (..., H) and longitudes (..., W) of pixels over boxes (4, ...)."""
    west, east, south, north = bbox
    east = np.where(east < west, east + 360, east)
    lat = np.linspace(south, north, height, axis=-1)
    return lat, np.linspace(west, east, width, axis=-1)


def _attributes(field: Field) -> dict[str, Any]:
    told = {"role": ",".join(field.roles), "resample": field.metadata.get("resample", "none")}
    normalize = json.loads(field.metadata.get("normalize", "null"))
    return _described(field.unit or "1", {**told, "normalize": normalize})


def _described(unit: str, told: dict[str, Any]) -> dict[str, Any]:
    """Attributes of values in `unit`, or that were normalised with a mean and deviation in it."""
    normalize = told.pop("normalize")
    if normalize is None:
        return {"units": unit, **told}
    mean, std = normalize
    whence = {"normalized_units": unit, "normalized_mean": mean, "normalized_std": std}
    return {"units": "1", **whence, **told}
