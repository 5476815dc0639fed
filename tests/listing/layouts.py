"""Files as people have them, drawn, and how xarray reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import strategies as st

FIRST_DAY = np.datetime64("2021-02-27")
RULES: dict[str, tuple[Any, Any]] = {
    # What `valid` says, and the cells that obey.
    "from": ((2, None), lambda q: q >= 2),
    "between": ((1, 3), lambda q: (q >= 1) & (q <= 3)),
    "one of": ({0, 4}, lambda q: (q == 0) | (q == 4)),
    "bits": (("bits", 6, 2), lambda q: (q.fillna(255).astype(int) & 6) == 2),
}

CLASSIC = ("NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF3_64BIT_DATA")


@dataclass(frozen=True)
class Packing:
    """How one file stores the variable."""

    dtype: str
    scale: float | None
    offset: float
    fill: float
    chunks: bool
    filters: dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """A folder of files.

    Attributes:
        rows, columns: the size of the grid.
        west: its first longitude.
        lat_first: south or north first.
        lon_first: west or east first.
        regional: whether it covers a part of the globe only.
        names: of latitude, longitude and time.
        order: of the dimensions, by their places in (time, depth, latitude, longitude).
        days: of each file.
        steps: a day.
        time: `"axis"`, `"scalar"` or `"name"`, the last two with one step a file.
        units: of time.
        levels: how many, 0 without such a dimension.
        select: places along it, as `Files` takes them.
        rule: of `RULES`, or None.
        packings: of each file.
        format: of the files, as the netCDF library names it.
        records: whether more may be added along the first dimension.
        seed: of the values.
    """

    rows: int
    columns: int
    west: float
    lat_first: str
    lon_first: str
    regional: bool
    names: tuple[str, str, str]
    order: tuple[int, ...]
    days: tuple[int, ...]
    steps: int
    time: str
    units: str
    levels: int
    select: Any
    rule: str | None
    packings: tuple[Packing, ...]
    format: str
    records: bool
    seed: int

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self.days)


def _packing() -> st.SearchStrategy[Packing]:
    integers = st.sampled_from([("int16", 0.01, 4.0, -32768), ("int32", 1e-4, 0.0, -2147483647)])
    small = st.sampled_from([("int8", 0.5, 10.0, -128), ("uint8", 0.5, -20.0, 255)])
    floats = st.sampled_from(
        [
            ("float32", None, 0.0, np.nan),
            ("float32", None, 0.0, 9.96921e36),
            ("float64", None, 0.0, -999.0),
        ]
    )
    filters = st.sampled_from(
        [
            {},
            {"compression": "gzip", "compression_opts": 3, "shuffle": True},
            {"compression": "gzip", "compression_opts": 6, "fletcher32": True},
            {"compression": "lzf"},
        ]
    )
    return st.builds(
        lambda kind, chunks, filters: Packing(*kind, chunks, filters if chunks else {}),
        st.one_of(integers, small, floats),
        st.booleans(),
        filters,
    )


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Any of them."""
    time = draw(st.sampled_from(["axis", "axis", "scalar", "name"]))
    files = draw(st.integers(1, 3))
    one = time != "axis"
    levels = draw(st.sampled_from([0, 0, 1, 4]))
    places: Any = None
    if levels:
        depths = depths_of(levels)
        places = draw(
            st.sampled_from(
                [
                    1.02 * float(depths[-1]),
                    ("index", 0),
                    [float(depths[0])],
                    [float(depths[-1]), float(depths[0])],
                    ("index", [levels - 1]),
                ]
            )
        )
    return Layout(
        rows=draw(st.integers(6, 20)),
        columns=draw(st.integers(8, 30)),
        west=draw(st.sampled_from([-180.0, 0.0, -177.5, 20.0])),
        lat_first=draw(st.sampled_from(["south", "north"])),
        lon_first=draw(st.sampled_from(["west", "west", "east"])),
        regional=draw(st.booleans()),
        names=draw(
            st.sampled_from(
                [("lat", "lon", "time"), ("latitude", "longitude", "time"), ("y", "x", "t")]
            )
        ),
        order=tuple(draw(st.permutations(range(4)))),
        days=tuple(1 if one else draw(st.integers(1, 4)) for _ in range(files)),
        steps=1 if one else draw(st.integers(1, 2)),
        time=time,
        units=draw(
            st.sampled_from(
                [
                    "days since 1950-01-01",
                    "hours since 2021-01-01 00:00:00",
                    "seconds since 1981-01-01 00:00:00",
                    "minutes since 2000-01-01T12:00:00Z",
                ]
            )
        ),
        levels=levels,
        select=places,
        rule=draw(st.sampled_from([None, None, *RULES])),
        packings=tuple(draw(_packing()) for _ in range(files)),
        format=draw(st.sampled_from(["NETCDF4", "NETCDF4", "NETCDF4", *CLASSIC])),
        records=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


def depths_of(levels: int) -> np.ndarray:
    """Depths of so many levels."""
    return np.array([0.5, 10.0, 47.5, 320.0])[:levels]


def axes(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes, in the order of the file."""
    if layout.regional:
        lat = np.linspace(-21.0, 33.0, layout.rows)
        lon = layout.west + 2.0 * np.arange(layout.columns)
    else:
        lat = -90.0 + 180.0 / layout.rows * (np.arange(layout.rows) + 0.5)
        lon = layout.west + 360.0 / layout.columns * np.arange(layout.columns)
    lat = lat if layout.lat_first == "south" else lat[::-1]
    return lat, lon if layout.lon_first == "west" else lon[::-1]


def write(layout: Layout, folder: Path) -> None:
    """Writes the files, with h5netcdf or, those of the classic formats, netCDF4."""
    classic = layout.format in CLASSIC
    rng = np.random.default_rng(layout.seed)
    lat, lon = axes(layout)
    day = FIRST_DAY
    for number, (days, packing) in enumerate(zip(layout.days, layout.packings, strict=True)):
        stamps = [
            day + np.timedelta64(k, "D") + np.timedelta64(6 + 12 * step, "h")
            for k in range(days)
            for step in range(layout.steps)
        ]
        full = {
            "time": len(stamps) if layout.time == "axis" else None,
            "depth": layout.levels or None,
            "lat": lat.size,
            "lon": lon.size,
        }
        names = dict(zip(("lat", "lon", "time"), layout.names, strict=True)) | {"depth": "depth"}
        kept = [name for name in (list(full)[i] for i in layout.order) if full[name]]
        shape = [full[name] for name in kept]
        dims = [names[name] for name in kept]
        low, high = (-3, 60) if "int8" in packing.dtype and packing.dtype[0] != "u" else (-10, 60)
        values = rng.uniform(low, high, shape)
        values[rng.uniform(size=shape) < 0.2] = np.nan
        quality = rng.integers(0, 8, shape).astype(np.int8)
        quality[rng.uniform(size=shape) < 0.1] = -1
        dataset = xr.Dataset({"field": (dims, values, {"units": "degC"})})
        if layout.rule:
            flags = (dims, quality, {"_FillValue": np.int8(-1)})
            dataset["quality"] = flags
        coordinates: dict[str, Any] = {
            names["lat"]: (names["lat"], lat, {"units": "degrees_north"}),
            names["lon"]: (names["lon"], lon, {"units": "degrees_east"}),
        }
        if layout.levels:
            depth = {"units": "m", "positive": "down"}
            coordinates["depth"] = ("depth", depths_of(layout.levels), depth)
        if layout.time == "axis":
            coordinates[names["time"]] = (names["time"], np.array(stamps, "datetime64[ns]"))
        elif layout.time == "scalar":
            coordinates[names["time"]] = ((), np.datetime64(stamps[0], "ns"))
        dataset = dataset.assign_coords(coordinates)
        dtype, fill = packing.dtype, packing.fill
        if dtype == "uint8" and classic:
            dtype, fill = "int16", -32768
        stored: dict[str, Any] = {"dtype": dtype, "_FillValue": fill}
        if packing.scale is not None:
            stored |= {"scale_factor": packing.scale, "add_offset": packing.offset}
        if packing.chunks and not classic:
            stored |= {"chunksizes": tuple(max(1, n // 2) for n in shape), **packing.filters}
        encoding: dict[str, Any] = {"field": stored}
        if layout.time != "name":
            encoding[names["time"]] = {"units": layout.units, "dtype": "float64"}
        name = f"part{number}_{str(day).replace('-', '')}.nc"
        if classic:
            dataset.to_netcdf(
                folder / name,
                engine="netcdf4",
                format=layout.format,  # type: ignore[arg-type]  # it takes CDF-5 as well
                unlimited_dims=dims[:1] if layout.records else [],
                encoding=encoding,
            )
        else:
            dataset.to_netcdf(folder / name, engine="h5netcdf", encoding=encoding)
        day = day + np.timedelta64(days, "D")


def expected(layout: Layout, folder: Path, box: tuple[float, float, float, float]) -> xr.DataArray:
    """Days, levels, rows and columns of a box (west, east, south, north), by xarray alone."""
    lat, lon, time = layout.names
    west, east, south, north = box
    daily = []
    for number, path in enumerate(sorted(folder.glob("*.nc"))):
        engine = "netcdf4" if layout.format in CLASSIC else "h5netcdf"
        with xr.open_dataset(path, engine=engine) as opened:
            opened = opened.load()
        field = opened["field"].astype(np.float64)
        if layout.rule:
            field = field.where(
                RULES[layout.rule][1](opened["quality"]) & opened["quality"].notnull()
            )
        first = FIRST_DAY + np.timedelta64(sum(layout.days[:number]), "D")
        if time in field.dims:
            days = field[time].values.astype("datetime64[D]")
            field = field.groupby(xr.DataArray(days, dims=time, name="day")).mean(skipna=True)
        else:
            field = field.drop_vars(time, errors="ignore").expand_dims(day=[first])
        daily.append(field)
    field = xr.concat(daily, "day") if len(daily) > 1 else daily[0]
    if layout.levels:
        match layout.select:
            case ("index", places):
                field = field.isel(depth=places)
            case places:
                field = field.sel(depth=places, method="nearest")
    turned = (field[lon] - west) % 360 + west
    field = field.assign_coords({lon: turned}).sortby(lon).sortby(lat)
    field = field.sel({lat: slice(south, north), lon: slice(west, east)})
    order = ["day", *(["depth"] if "depth" in field.dims else []), lat, lon]
    return field.transpose(*order)
