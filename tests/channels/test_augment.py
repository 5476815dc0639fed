"""Augmentation: what each row says was done is what NumPy does to the box that the row names."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from own_files import LAT, LON, catalogue

from oceanarrow import Augment, Files, Loader, Window
from oceanarrow.dataset import PatchSize, Query, QueryGenerator
from oceanarrow.exceptions import InvalidInputError, PlanMismatchError

DAYS = [(date(2020, 1, 1) + timedelta(n)).isoformat() for n in range(8)]
QUERIES = [
    Query(5.0 + x, 13.0 + x, -5.0 + y, 3.0 + y, day, day)
    for day in DAYS[1:7]
    for x, y in [(0.0, 0.0), (4.5, 1.0), (8.0, -2.0)]
]
VECTORS = [("u", "v")]
EVERY = Augment(shift=(3.0, 1.5), flip_lon=True, flip_lat=True, rotate=True, vectors=VECTORS)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("augment")
    rng = np.random.default_rng(2)
    coords = {
        "time": np.array(DAYS, "datetime64[ns]"),
        "lat": ("lat", LAT, {"units": "degrees_north"}),
        "lon": ("lon", LON, {"units": "degrees_east"}),
    }
    fields = {}
    for name in ("u", "v", "sla"):
        data = rng.normal(size=(len(DAYS), LAT.size, LON.size)).astype(np.float32)
        data[rng.random(data.shape) < 0.2] = np.nan
        fields[name] = (("time", "lat", "lon"), data, {"units": "m"})
    quality = rng.integers(0, 5, fields["sla"][1].shape).astype("i1")
    fields["q"] = (("time", "lat", "lon"), quality, {})
    xr.Dataset(fields, coords).to_netcdf(folder / "a.nc", engine="h5netcdf")
    months = coords | {"time": np.arange("2000-01", "2001-01", dtype="datetime64[M]")}
    months["time"] = months["time"].astype("datetime64[ns]")
    normal = rng.normal(size=(12, LAT.size, LON.size)).astype(np.float32)
    normals = {"normal": (("time", "lat", "lon"), normal, {"units": "m"})}
    xr.Dataset(normals, months).to_netcdf(folder / "normal.nc", engine="h5netcdf")
    depth = xr.Dataset({"depth": (("lat", "lon"), fields["sla"][1][0], {"units": "m"})}, coords)
    depth.drop_vars("time").to_netcdf(folder / "depth.nc", engine="h5netcdf")
    files = [
        Files(str(folder / "a.nc"), {"u": "u", "v": "v"}),
        Files(str(folder / "a.nc"), {"sla": "sla"}, valid={"q": (1, None)}),
        Files(str(folder / "normal.nc"), {"normal": "normal"}, cycle="month"),
        Files(str(folder / "depth.nc"), {"depth": "depth"}, static=True),
    ]
    return catalogue(folder / "c.parquet", files)


COMMON: dict[str, Any] = {"default_patch_size": (6, 6), "batch_size": 6, "lanes": 3, "window": 4}
WANTED: Any = [
    "sla",
    Window("u", -1, 0, temporal_agg="stack"),
    Window("v", -1, 0, temporal_agg="stack"),
    "depth",
    "latitude",
]


def _laid(array: np.ndarray, code: int) -> np.ndarray:
    """As `augmentation` says: flips, then quarter turns where row 0 is the south."""
    if code & 1:
        array = array[..., ::-1]
    if code & 2:
        array = array[..., ::-1, :]
    return np.rot90(array, -(code >> 2), axes=(-2, -1))


def _expected(tree: dict[str, Any], part: str, name: str, code: int) -> np.ndarray:
    """A column of the batch that reads the same box, laid; of vectors, components turned."""
    if name not in ("u", "v"):
        return _laid(tree[part][name][0], code)
    u, v = (_laid(tree[part][n][0], code) for n in ("u", "v"))
    if part == "inputs":
        valid_u, valid_v = (_laid(tree["masks"][n][0], code) for n in ("u", "v"))
        u = np.where(valid_u & bool(code & 1), -u, u)
        v = np.where(valid_v & bool(code & 2), -v, v)
        for _ in range(code >> 2):
            (u, v), (valid_u, valid_v) = (np.where(valid_v, -v, v), u), (valid_v, valid_u)
    else:
        for _ in range(code >> 2):
            u, v = v, u
    return u if name == "u" else v


def _read(tree: dict[str, Any], row: int) -> Query:
    days = [
        str(np.datetime64(int(tree["metadata"][k][row]), "D")) for k in ("time_start", "time_end")
    ]
    return Query(*map(float, tree["metadata"]["bbox"][row]), *days)


@pytest.mark.parametrize("options", [{}, {"fill_value": -7.0, "support": True}])
def test_each_row_is_its_box_laid_as_it_says(dataset: Path, options: dict[str, Any]) -> None:
    codes, moved = set(), 0
    normalize = {"u": (0.0, 2.0), "v": (0.0, 2.0)}
    for batch in Loader(
        dataset, QUERIES, WANTED, augment=EVERY, normalize=normalize, **COMMON, **options
    ):
        tree = batch.to_numpy()
        for row in range(len(batch)):
            query, code = _read(tree, row), int(tree["metadata"]["augmentation"][row])
            asked = QUERIES[int(tree["metadata"]["query"][row])]
            shift = (query.lon_min - asked.lon_min, query.lat_min - asked.lat_min)
            assert abs(shift[0]) <= 3.0 and abs(shift[1]) <= 1.5
            assert query.lon_max - query.lon_min == pytest.approx(8.0)
            assert query.time_start == asked.time_start
            moved += shift != (0.0, 0.0)
            codes.add(code)
            (plain,) = Loader(
                dataset, [query], WANTED, normalize=normalize, default_patch_size=(6, 6),
                batch_size=1, **options,
            )  # fmt: skip
            due = plain.to_numpy()
            for name in ("sla", "u", "v", "depth", "latitude"):
                for part in ["inputs", "masks", *(["support"] if "support" in tree else [])]:
                    np.testing.assert_array_equal(
                        tree[part][name][row], _expected(due, part, name, code), f"{part} {name}"
                    )
    assert moved == len(QUERIES) and len(codes) > 8


def test_xarray_undoes_flips_and_turns(dataset: Path) -> None:
    for wanted in (WANTED, {"x": WANTED}):
        for batch in Loader(dataset, QUERIES, wanted, augment=EVERY, **COMMON):
            tree, made = batch.to_numpy(), batch.to_xarray()
            for row in range(len(batch)):
                (plain,) = Loader(
                    dataset, [_read(tree, row)], wanted, default_patch_size=(6, 6), batch_size=1
                )
                due = plain.to_xarray()
                names = [n for n in due.data_vars if not str(n).endswith("_present")]
                for name in names:
                    np.testing.assert_array_equal(
                        made[name].values[row], due[name].values[0], str(name)
                    )


def _rows(loaders: list[Loader]) -> list[list[Any]]:
    """What the rows of all ranks hold, batch by batch."""
    found = []
    for batches in zip(*loaders, strict=True):
        rows = []
        for batch in batches:
            tree = batch.to_numpy()
            for row in range(len(batch)):
                content = b"".join(
                    tree[part][name][row].tobytes()
                    for part in ("inputs", "masks")
                    for name in ("x", "sla")
                )
                rows.append(
                    (
                        int(tree["metadata"]["query"][row]),
                        tuple(tree["metadata"]["bbox"][row].tolist()),
                        int(tree["metadata"]["augmentation"][row]),
                        hashlib.sha256(content).hexdigest(),
                    )
                )
        found.append(rows)
    return found


EVERYTHING: dict[str, Any] = {
    "augment": EVERY,
    "anomaly": {"sla": "normal"},
    "joint": [("u", "v")],
    "normalize": {"u": (0.0, 2.0), "v": (0.0, 2.0), "sla": (0.1, 1.0)},
    "default_patch_size": (5, 5),
    "lanes": 3,
    "window": 4,
    "seed": 9,
    "tail": "pad",
}
CHANNELS: Any = {
    "x": [
        "depth",
        "latitude",
        "sin_day_of_year",
        "land_fraction",
        Window("u", -1, 0, temporal_agg="stack"),
        Window("v", -1, 0, temporal_agg="stack"),
    ],
    "sla": Window("sla", 1, where="depth"),
}


def _loaders(dataset: Path, world_size: int, epoch: int, **options: Any) -> list[Loader]:
    made = [
        Loader(
            dataset, QUERIES, CHANNELS, global_batch_size=6, rank=rank, world_size=world_size,
            **(EVERYTHING | options),
        )
        for rank in range(world_size)
    ]  # fmt: skip
    for loader in made:
        loader.set_epoch(epoch)
    return made


@pytest.fixture(scope="module")
def epochs(dataset: Path) -> list[list[list[Any]]]:
    """Two epochs, of one rank and thread."""
    return [_rows(_loaders(dataset, 1, epoch, threads=1)) for epoch in (0, 1)]


def test_epochs_differ_and_so_do_draws_of_one_query(
    dataset: Path, epochs: list[list[list[Any]]]
) -> None:
    by_query = [{row[0]: row[1:3] for rows in epoch for row in rows} for epoch in epochs]
    assert all(by_query[0][query] != by_query[1][query] for query in by_query[0])
    loader = Loader(
        dataset, QUERIES[:2], CHANNELS, global_batch_size=2, weights=[1000, 1],
        **(EVERYTHING | {"lanes": 1}),
    )  # fmt: skip
    boxes = {row[1] for rows in _rows([loader]) for row in rows}
    assert len(boxes) == 2


@settings(max_examples=12, deadline=None)
@given(
    world_size=st.sampled_from([1, 2, 3, 6]),
    threads=st.integers(1, 3),
    epoch=st.integers(0, 1),
    resume=st.integers(0, 2),
    prefetch=st.sampled_from([1, 2**28]),
)
def test_any_cluster_sees_the_same(
    dataset: Path,
    epochs: list[list[list[Any]]],
    world_size: int,
    threads: int,
    epoch: int,
    resume: int,
    prefetch: int,
) -> None:
    loaders = _loaders(dataset, world_size, epoch, threads=threads, prefetch_bytes=prefetch)
    if resume:
        states = []
        for loader in loaders:
            batches = iter(loader)
            for _ in range(resume):
                batch = next(batches)
            states.append(json.loads(batch.metadata["oceanarrow.cursor"]))
        assert all(state == states[0] for state in states)
        loaders = _loaders(dataset, world_size, 0, threads=threads)
        for loader in loaders:
            loader.load_state_dict(states[0])
    assert _rows(loaders) == epochs[epoch][resume:]


def test_workers_of_a_dataloader(dataset: Path, epochs: list[list[list[Any]]]) -> None:
    torch = pytest.importorskip("torch")
    from oceanarrow.torch import OceanTACOIterableDataset

    made = OceanTACOIterableDataset(dataset, QUERIES, CHANNELS, global_batch_size=6, **EVERYTHING)
    batches = torch.utils.data.DataLoader(made, batch_size=None, num_workers=2)
    found = [
        (int(q), int(code))
        for tree in batches
        for q, code in zip(tree["metadata"]["query"], tree["metadata"]["augmentation"], strict=True)
    ]
    assert found == [(row[0], row[2]) for rows in epochs[0] for row in rows]


def test_a_state_is_of_one_augmentation(dataset: Path) -> None:
    (one,) = _loaders(dataset, 1, 0)
    state = one.state_dict()
    (other,) = _loaders(dataset, 1, 0, augment=Augment(shift=1.0))
    assert other.plan_id != one.plan_id
    with pytest.raises(PlanMismatchError, match="augment"):
        other.load_state_dict(state)
    (none,) = _loaders(dataset, 1, 0, augment=None)
    assert "augmentation" not in none.schema.names and "augmentation" in one.schema.names
    assert one.element_spec["metadata"]["augmentation"].dtype == np.uint8


def test_snapped_shifts_keep_the_cells_own_values(ocean: Path) -> None:
    generator = QueryGenerator(catalog=ocean)
    queries = generator.generate_training_queries(
        24, PatchSize(8, "cells"), ("2023-04-01",) * 2, (-180, 180, -75, 75), snap="glorys_ssh",
        verbose=False,
    )  # fmt: skip
    augment = Augment(shift=(8.0, 6.0), snap="glorys_ssh", rotate=True)
    moved = 0
    for batch in Loader(
        ocean, queries, ["glorys_ssh"], augment=augment, default_patch_size=(8, 8), batch_size=8,
        min_support=1.0,
    ):  # fmt: skip
        tree, made = batch.to_numpy(), batch.to_xarray()
        for row in range(len(batch)):
            query, asked = _read(tree, row), queries[int(tree["metadata"]["query"][row])]
            assert (query.lat_min - asked.lat_min) % 1.25 == 0
            moved += query != asked
            wide = Query(
                query.lon_min - 0.3, query.lon_max + 0.3, query.lat_min - 0.3, query.lat_max + 0.3,
                query.time_start, query.time_end,
            )  # fmt: skip
            native = _native(ocean, wide)
            np.testing.assert_array_equal(made["glorys_ssh"].values[row], native)
    assert moved >= 20


def _native(path: Path, query: Query) -> np.ndarray:
    import oceanarrow

    patch = oceanarrow.open_patch(path, query, ["glorys_ssh"], temporal_agg="first")
    return np.asarray(patch["glorys_ssh"].values)


def test_chunks_are_still_shared(ocean: Path) -> None:
    """Half a patch of shift costs no more than a seventh of all decodes."""
    queries = [
        Query(lon, lon + 10.0, lat, lat + 10.0, day, day)
        for day in ("2023-04-01", "2023-04-02", "2023-04-03")
        for lon in np.arange(-160.0, 160.0, 10.0).tolist()
        for lat in np.arange(-60.0, 60.0, 10.0).tolist()
    ]
    decoded = []
    for augment in (None, Augment(shift=5.0)):
        loader = Loader(
            ocean, queries, ["l4_ssh", "l4_sst"], default_patch_size=(8, 8), batch_size=32,
            augment=augment, cache_bytes=8 * 2**20,
        )  # fmt: skip
        for _ in loader:
            pass
        decoded.append(loader.stats()["chunks_decoded"])
        explained = loader.explain(cache_bytes=8 * 2**20)
        assert explained.decodes == pytest.approx(decoded[-1], rel=0.1)
    assert decoded[0] <= decoded[1] <= 1.15 * decoded[0]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Augment(), "does nothing"),
        (lambda: Augment(shift=(200.0, 1.0)), "at most 180 degrees"),
        (lambda: Augment(shift=(1.0, 91.0)), "at most 180 degrees"),
        (lambda: Augment(shift=-1.0), "at most 180 degrees"),
        (lambda: Augment(shift=float("nan")), "at most 180 degrees"),
        (lambda: Augment(shift="far"), "degrees of longitude and latitude"),  # type: ignore[arg-type]
        (lambda: Augment(rotate=True, snap="sla"), "give shift="),
        (lambda: Augment(rotate=True, vectors=["uv"]), "pairs of variables"),  # type: ignore[list-item]
    ],
)
def test_mistaken_augmentations(make: Any, what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        make()


@pytest.mark.parametrize(
    ("augment", "options", "what"),
    [
        (Augment(rotate=True), {"default_patch_size": (6, 4)}, "'sla' has 6 x 4"),
        (Augment(flip_lon=True), {"grid": "crop"}, 'grid="exact"'),
        (Augment(rotate=True, vectors=[("u", "w")]), {}, "vectors names 'w'"),
        (Augment(rotate=True, vectors=[("u", "u")]), {}, "names it twice"),
        (Augment(rotate=True, vectors=[("u", "v"), ("v", "sla")]), {}, "one vector only"),
        (
            Augment(rotate=True, vectors=VECTORS),
            {"normalize": {"u": (1, 2), "v": (1, 2)}},
            "mean of 0",
        ),
        (Augment(rotate=True, vectors=VECTORS), {"normalize": {"u": (0, 2)}}, "rendered alike"),
        (Augment(rotate=True, vectors=VECTORS), {"resample": {"u": "area"}}, "rendered alike"),
        (Augment(rotate=True, vectors=VECTORS), {"patch_sizes": {"u": (4, 4)}}, "rendered alike"),
        (Augment(shift=1.0, snap="nothing"), {}, "nothing"),
        ("all", {}, "Augment"),
    ],
)
def test_augmentations_that_do_not_fit(
    dataset: Path, augment: Any, options: Any, what: str
) -> None:
    with pytest.raises(InvalidInputError, match=what):
        Loader(dataset, QUERIES, ["sla", "u", "v"], augment=augment, **(COMMON | options))


def test_an_irregular_grid_is_no_snap(ocean: Path) -> None:
    with pytest.raises(InvalidInputError, match="equally far apart"):
        Loader(
            ocean, QUERIES, ["l4_ssh"], batch_size=2,
            augment=Augment(shift=1.0, snap="l3_sss_smos_asc"),
        )  # fmt: skip
