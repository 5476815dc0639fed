"""Windows of gridded variables equal what independent readers get, value for value."""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from oceanarrow._engine import read_window

from .oracle import Array, by_hand, by_xarray, oriented
from .writers import WRITERS, Spec, axes, raw_values, write

FILTERS: tuple[tuple[str, ...], ...] = (
    (),
    ("deflate",),
    ("shuffle", "deflate"),
    ("shuffle", "deflate", "fletcher32"),
    ("fletcher32",),
)
DTYPES = (
    "<i2",
    ">i2",
    "i1",
    "u1",
    "<u2",
    "<i4",
    ">i4",
    "<u4",
    "<i8",
    "<u8",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
)
DIMS = (
    (("lat", "lon"), 0),
    (("time", "lat", "lon"), 1),
    (("time", "lat", "lon"), 3),
    (("lon", "lat"), 0),
    (("lat", "lon", "time"), 3),
    (("time", "depth", "lat", "lon"), 1),
    (("depth", "lat", "lon"), 0),
    (("lat", "time", "lon"), 3),
)
LON_KINDS = ("pm180", "0-360", "wrapped", "regional")


def packing(kind: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Packing attributes of one kind for a storage type."""
    number = dtype.newbyteorder("=").type
    one, two = (number(99), number(98))
    return {
        "none": {},
        "packed": {"scale_factor": 0.01, "add_offset": 20.0, "_FillValue": one},
        "shape-1": {"scale_factor": np.array([0.5]), "_FillValue": np.array([one])},
        "missing": {"missing_value": np.array([one, two]), "add_offset": np.float32(0.25)},
        "range": {"valid_range": np.array([number(3), number(90)]), "scale_factor": 0.1},
        "min-max": {"valid_min": number(2), "valid_max": number(80), "_FillValue": one},
    }[kind]


PACKINGS = ("none", "packed", "shape-1", "missing", "range", "min-max")


def covering_specs() -> list[Spec]:
    """A few hundred dice over all the properties; each value of each occurs many times."""
    rng = np.random.default_rng(20230401)

    def pick(options: Any) -> Any:
        return options[rng.integers(len(options))]

    specs = []
    for i in range(112):
        writer = WRITERS[i % 4]
        dims, steps = DIMS[i // 4 % len(DIMS)]
        dtype = DTYPES[i % len(DTYPES)]
        layout = pick(("small", "one", "default", "contiguous", "compact"))
        filters = pick(FILTERS)
        if layout == "compact" and not writer.startswith("h5py"):
            layout = "small"
        if layout in ("contiguous", "compact") and (writer == "h5netcdf" or filters):
            layout = "small"
        sizes = (23, 37) if layout != "compact" else (9, 12)
        lengths = {"lat": sizes[0], "lon": sizes[1], "time": steps, "depth": 1}
        chunks: Any = layout
        if layout == "small":
            chunks = tuple(max(1, lengths[d] // 3) for d in dims)
        elif layout == "one":
            chunks = tuple(lengths[d] for d in dims)
        elif layout == "default":
            chunks = None
        chunked = not isinstance(chunks, str)
        unlimited = chunked and chunks is not None and bool(rng.integers(3) == 0)
        specs.append(
            Spec(
                writer=writer,
                dtype=dtype,
                dims=dims,
                sizes=sizes,
                steps=steps,
                chunks=chunks if chunked or layout in ("contiguous", "compact") else None,
                filters=filters if chunked else (),
                descending=bool(rng.integers(2)),
                lon_kind=pick(LON_KINDS),
                lat_dtype=pick(("f4", "f8")),
                attrs=packing(pick(PACKINGS), np.dtype(dtype)),
                extra_attrs=pick((0, 0, 12, 130)),
                unlimited=unlimited,
                sparse=chunked and not unlimited and bool(rng.integers(4) == 0),
                vlen_text=bool(rng.integers(4) == 0),
            )
        )
    return specs


def expected_grid(grid: Array, spec: Spec, day: int) -> Array:
    """(lat, lon) of the day: the mean of the valid over its steps (half a day apart)."""
    if spec.steps == 0:
        return grid
    if spec.steps == 1:
        return grid[0]
    steps = grid[np.floor(axes(spec)["time"]) == day]
    valid = np.isfinite(steps)
    with np.errstate(invalid="ignore"):
        return np.where(valid, steps, 0.0).sum(0) / np.where(valid.any(0), valid.sum(0), np.nan)


def check(path: Path, spec: Spec, grid: Array, rng: np.random.Generator) -> None:
    """The whole grid and random sub-windows are equal to float32, NaN positions included."""
    for day in (19000, 19001):
        want = expected_grid(grid, spec, day).astype("f4")
        got = read_window(str(path), "v", day=day)
        np.testing.assert_array_equal(got["data"], want)
        coords = axes(spec)
        np.testing.assert_array_equal(got["lat"], np.sort(coords["lat"].astype("f8")))
        assert np.all(np.diff(got["lon"]) > 0)
        np.testing.assert_allclose(np.mod(got["lon"] - coords["lon"], 360.0), 0.0, atol=1e-9)
        h, w = want.shape
        for _ in range(3):
            r0, r1 = sorted(rng.integers(0, h + 1, 2).tolist())
            c0, c1 = sorted(rng.integers(0, w + 1, 2).tolist())
            part = read_window(
                str(path), "v", day=day, rows=(r0, r1), cols=(c0, c1), cache_bytes=1 << 20
            )
            np.testing.assert_array_equal(part["data"], want[r0:r1, c0:c1])
            np.testing.assert_array_equal(part["lat"], got["lat"][r0:r1])


def ident(spec: Spec) -> str:
    return "-".join(
        [
            spec.writer,
            spec.dtype,
            "".join(d[:2] for d in spec.dims),
            str(spec.steps),
            str(spec.chunks),
            *list(spec.filters),
        ]
    ).replace(" ", "")


@pytest.mark.filterwarnings("ignore:variable 'v' has multiple fill values")
@pytest.mark.filterwarnings("ignore:endian-ness of dtype")
@pytest.mark.parametrize("spec", covering_specs(), ids=ident)
def test_every_dress_reads_the_same(spec: Spec, tmp_path: Path) -> None:
    rng = np.random.default_rng(zlib.crc32(repr(spec).encode()))
    path = tmp_path / "granule.nc"
    write(path, spec, raw_values(spec, rng))
    hand = by_hand(path)
    if not {"valid_range", "valid_min"} & set(spec.attrs):
        np.testing.assert_allclose(by_xarray(path), hand, rtol=1e-5, atol=1e-4)
    grid = oriented(hand, spec.dims, spec.descending)["grid"]
    check(path, spec, grid, rng)


@pytest.mark.parametrize(
    ("unlimited", "chunks", "sizes"),
    [
        ((), (40, 30), (40, 30)),
        ((), (3, 2), (40, 30)),
        ((), (1, 1), (70, 60)),
        ((0,), (3, 2), (40, 30)),
        ((1,), (3, 2), (40, 30)),
        ((0,), (1, 1), (90, 80)),
        ((0, 1), (3, 2), (40, 30)),
        ((0, 1), (1, 1), (60, 50)),
    ],
    ids=[
        "single",
        "fixed",
        "fixed-paged",
        "extensible",
        "extensible-2",
        "extensible-big",
        "btree2",
        "btree2-big",
    ],
)
@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip", "shuffle": True}], ids=["raw", "gzip"]
)
@pytest.mark.parametrize("sparse", [False, True], ids=["full", "sparse"])
def test_every_chunk_index_of_the_latest_format(
    tmp_path: Path,
    unlimited: tuple[int, ...],
    chunks: tuple[int, int],
    sizes: tuple[int, int],
    options: dict[str, Any],
    sparse: bool,
) -> None:
    path = tmp_path / "granule.nc"
    raw = np.arange(sizes[0] * sizes[1], dtype="<i4").reshape(sizes)
    maxshape = tuple(None if d in unlimited else n for d, n in enumerate(sizes))
    with h5py.File(path, "w", libver="latest") as f:
        for name, n in zip(("lat", "lon"), sizes, strict=True):
            f[name] = np.arange(n) * 0.1
            f[name].make_scale(name)
        v = f.create_dataset(
            "v", sizes, raw.dtype, chunks=chunks, maxshape=maxshape, fillvalue=-5, **options
        )
        v.dims[0].attach_scale(f["lat"])
        v.dims[1].attach_scale(f["lon"])
        part = np.s_[sizes[0] // 2 :, : sizes[1] // 3] if sparse else np.s_[...]
        v[part] = raw[part]
        want = v[...].astype("f4")
    np.testing.assert_array_equal(read_window(str(path), "v")["data"], want)
    got = read_window(str(path), "v", rows=(11, 35), cols=(5, 28))
    np.testing.assert_array_equal(got["data"], want[11:35, 5:28])


def test_implicit_index_and_filter_mask(tmp_path: Path) -> None:
    path = tmp_path / "granule.nc"
    raw = np.arange(24 * 20, dtype="<i2").reshape(24, 20)
    with h5py.File(path, "w", libver="latest") as f:
        for name, n in zip(("lat", "lon"), raw.shape, strict=True):
            f[name] = np.arange(n) * 0.1
            f[name].make_scale(name)
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((8, 5))
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple(raw.shape)
        h5py.h5d.create(f.id, b"implicit", h5py.h5t.STD_I16LE, space, create)
        f["implicit"][...] = raw
        masked = f.create_dataset("masked", raw.shape, raw.dtype, chunks=(8, 5), compression="gzip")
        for i, j in itertools.product(range(0, 24, 8), range(0, 20, 5)):
            chunk = raw[i : i + 8, j : j + 5].tobytes()
            skip = (i + j) % 2
            masked.id.write_direct_chunk((i, j), chunk if skip else zlib.compress(chunk), skip)
        for name in ("implicit", "masked"):
            f[name].dims[0].attach_scale(f["lat"])
            f[name].dims[1].attach_scale(f["lon"])
    for name in ("implicit", "masked"):
        np.testing.assert_array_equal(read_window(str(path), name)["data"], raw.astype("f4"))


def test_unsigned_attribute(tmp_path: Path) -> None:
    for writer in WRITERS:
        attrs = {"_Unsigned": "true", "_FillValue": np.int8(-1), "scale_factor": 0.5}
        spec = Spec(writer, dtype="i1", attrs=attrs)
        path = tmp_path / f"{writer}.nc"
        write(path, spec, raw_values(spec, np.random.default_rng(1)))
        hand = by_hand(path)
        assert np.nanmax(hand) > 64
        np.testing.assert_array_equal(by_xarray(path), hand)
        np.testing.assert_array_equal(read_window(str(path), "v")["data"], hand.astype("f4"))


def test_infinities_and_overflow_are_invalid(tmp_path: Path) -> None:
    spec = Spec("h5netcdf", dtype="<f8")
    raw = np.ones((23, 37))
    raw[0, :5] = [np.inf, -np.inf, 1e300, np.nan, 1e20]
    write(tmp_path / "granule.nc", spec, raw)
    got = read_window(str(tmp_path / "granule.nc"), "v")["data"]
    assert np.isnan(got[0, :4]).all()
    assert got[0, 4] == np.float32(1e20)
    assert np.isfinite(got).sum() == got.size - 4


@pytest.mark.parametrize(
    ("stated", "wanted", "convert"),
    [
        ("kelvin", "degC", lambda v: v - 273.15),
        ("cm", "m", lambda v: v * 0.01),
        ("", "m", lambda v: v),
        (None, "m", lambda v: v),
        ("furlong", None, lambda v: v),
    ],
)
def test_units(tmp_path: Path, stated: str | None, wanted: str | None, convert: Any) -> None:
    for writer in WRITERS:
        attrs: dict[str, Any] = {"scale_factor": 0.01, "add_offset": 273.15}
        if stated is not None:
            attrs["units"] = stated
        path = tmp_path / f"{writer}.nc"
        spec = Spec(writer, attrs=attrs)
        write(path, spec, raw_values(spec, np.random.default_rng(2)))
        got = read_window(str(path), "v", wanted)
        np.testing.assert_array_equal(got["data"], convert(by_hand(path)).astype("f4"))
        assert got["unit"] == (stated or None)


def test_axes_by_unique_length_and_by_auxiliary_coordinate(tmp_path: Path) -> None:
    raw = np.arange(12.0).reshape(3, 4)
    with h5py.File(tmp_path / "bare.h5", "w") as f:
        f["v"], f["latitude"], f["longitude"] = raw, [3.0, 2.0, 1.0], [0.0, 1.0, 2.0, 3.0]
    got = read_window(str(tmp_path / "bare.h5"), "v")
    np.testing.assert_array_equal(got["data"], raw[::-1])
    square = np.arange(16.0).reshape(4, 4)
    with netCDF4.Dataset(tmp_path / "aux.nc", "w") as nc:
        nc.createDimension("j", 4)
        nc.createDimension("i", 4)
        nc.createVariable("v", "f8", ("i", "j"))[:] = square
        nc.createVariable("nav_lat", "f4", ("j",))[:] = [1, 2, 3, 4]
        nc.createVariable("nav_lon", "f4", ("i",))[:] = [5, 6, 7, 8]
    got = read_window(str(tmp_path / "aux.nc"), "v")
    np.testing.assert_array_equal(got["data"], square.T)


def test_a_dimension_longer_than_the_data_reads_as_fill(tmp_path: Path) -> None:
    path = tmp_path / "granule.nc"
    with netCDF4.Dataset(path, "w") as nc:
        for name, n in (("time", None), ("lat", 3), ("lon", 4)):
            nc.createDimension(name, n)
        nc.createVariable("lat", "f4", ("lat",))[:] = [1, 2, 3]
        nc.createVariable("lon", "f4", ("lon",))[:] = [1, 2, 3, 4]
        time = nc.createVariable("time", "f8", ("time",))
        time.units = "days since 1970-01-01"
        v = nc.createVariable("v", "i2", ("time", "lat", "lon"), fill_value=-9)
        v[0] = np.arange(12).reshape(3, 4)
        time[:] = [0.0, 1.0, 2.0]
    assert read_window(str(path), "v", day=0)["data"][2, 3] == 11.0
    assert np.isnan(read_window(str(path), "v", day=2)["data"]).all()
    assert np.isnan(read_window(str(path), "v", day=7)["data"]).all()


def test_a_variable_in_a_group_and_a_user_block(tmp_path: Path) -> None:
    raw = np.arange(12, dtype="i2").reshape(3, 4)
    for compression in (None, "gzip"):
        path = tmp_path / f"{compression}.h5"
        with h5py.File(path, "w", userblock_size=1024) as f:
            f["data/lat"], f["data/lon"] = [1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]
            f.create_dataset("data/v", data=raw, compression=compression)
        got = read_window(str(path), "data/v")["data"]
        np.testing.assert_array_equal(got, raw.astype("f4"))


def test_only_the_chunks_of_the_window_and_the_index_of_the_variable_are_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "granule.nc"
    rng = np.random.default_rng(6)
    raw = rng.integers(0, 30000, (800, 900), dtype="i2")
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("lat", 800)
        nc.createDimension("lon", 900)
        nc.createVariable("lat", "f4", ("lat",))[:] = np.arange(800) * 0.1
        nc.createVariable("lon", "f4", ("lon",))[:] = np.arange(900) * 0.1
        for name in "abcdef":
            v = nc.createVariable(name, "i2", ("lat", "lon"), zlib=True, chunksizes=(25, 29))
            v[:] = raw
    window = read_window(str(path), "f", rows=(30, 60), cols=(100, 130), cache_bytes=1 << 20)
    np.testing.assert_array_equal(window["data"], raw[30:60, 100:130].astype("f4"))
    assert window["stats"]["chunks_decoded"] == 4
    assert window["stats"]["files_opened"] == 1
    assert window["stats"]["bytes_read"] < path.stat().st_size / 8
