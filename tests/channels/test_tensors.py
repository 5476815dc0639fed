"""Several variables as the channels of one tensor: what separate columns give, stacked."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import xarray as xr
from own_files import BOX, catalogue, write

import oceanarrow
from oceanarrow import Files, Loader, Window
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.plot import plot_batch

DAYS = [f"2020-01-{day:02d}" for day in range(1, 10)]
QUERIES = [Query(*BOX, day, day) for day in DAYS[3:7]]
COMMON: dict[str, Any] = {"default_patch_size": (6, 5), "batch_size": 2, "shuffle": False}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensors")
    values = [float(day) for day in range(len(DAYS))]
    write(folder / "sla.nc", values, DAYS)
    write(folder / "depth.nc", [500.0], None, name="depth")
    rng = np.random.default_rng(3)
    grid = xr.open_dataset(folder / "sla.nc")
    shape = grid["sla"].shape
    fields = {}
    for name in ("u", "v"):
        data = rng.normal(size=shape)
        data[rng.random(shape) < 0.3] = np.nan
        fields[name] = (("time", "lat", "lon"), data, {"units": "m s-1"})
    xr.Dataset(fields, grid.coords).to_netcdf(folder / "uv.nc", engine="h5netcdf")
    levels = rng.normal(size=(len(DAYS), 3, *shape[1:]))
    depths = ("depth", [0.5, 10.0, 50.0], {"units": "m"})
    coords = {"time": grid["time"], "depth": depths, "lat": grid["lat"], "lon": grid["lon"]}
    theta = (("time", "depth", "lat", "lon"), levels, {"units": "degC"})
    xr.Dataset({"theta": theta}, coords).to_netcdf(folder / "theta.nc", engine="h5netcdf")
    coarse = grid[["sla"]].isel(lat=slice(None, None, 2)).rename(sla="coarse")
    coarse.to_netcdf(folder / "coarse.nc", engine="h5netcdf")
    files = [
        Files(str(folder / "sla.nc"), {"sla": "sla"}),
        Files(str(folder / "depth.nc"), {"depth": "depth"}, static=True),
        Files(str(folder / "uv.nc"), {"u": "u", "v": "v"}),
        Files(str(folder / "theta.nc"), {"theta": "theta"}, select={"depth": [0.5, 50.0]}),
        Files(str(folder / "coarse.nc"), {"coarse": "coarse"}),
    ]
    return catalogue(folder / "c.parquet", files)


MEMBERS: list[Any] = [
    "sla",
    Window("sla", -2, 0, name="week", temporal_agg="stack"),
    "depth",
    "theta",
    "u",
    "sin_latitude",
    Window("sin_day_of_year", -1, 1, name="season", temporal_agg="stack"),
]
NAMES = [
    "sla",
    "week[-2]",
    "week[-1]",
    "week[0]",
    "depth",
    "theta[depth=0.5]",
    "theta[depth=50]",
    "u",
    "sin_latitude",
    "season[-1]",
    "season[0]",
    "season[1]",
]


def _planes(tree: dict[str, Any], part: str, names: list[str]) -> np.ndarray:
    """The columns of the variables as planes, one after the other."""
    arrays = [tree[part][name] for name in names]
    return np.concatenate([a.reshape(len(a), -1, *a.shape[-2:]) for a in arrays], axis=1)


@pytest.mark.parametrize("support", [False, True])
def test_a_tensor_is_its_columns_stacked(dataset: Path, support: bool) -> None:
    options = {
        **COMMON,
        "support": support,
        "normalize": {"sla": (1.5, 2.0), "u": (0.0, 0.5)},
        "fill_value": {"u": -3.0},
        "min_support": {"u": 0.5},
    }
    together = Loader(dataset, QUERIES, {"x": MEMBERS}, {"y": ["v", "sla"]}, **options)
    apart = Loader(dataset, QUERIES, MEMBERS, ["v", "sla"], **options)
    names = ["sla", "week", "depth", "theta", "u", "sin_latitude", "season"]
    batches = list(zip(together, apart, strict=True))
    assert len(batches) == 2
    for one, other in batches:
        found, due = one.to_numpy(), other.to_numpy()
        assert list(found["inputs"]) == ["x"] and list(found["targets"]) == ["y"]
        np.testing.assert_array_equal(found["inputs"]["x"], _planes(due, "inputs", names))
        np.testing.assert_array_equal(found["masks"]["x"], _planes(due, "masks", names))
        targets = np.concatenate([due["targets"][n][:, None] for n in ("v", "sla")], axis=1)
        np.testing.assert_array_equal(found["targets"]["y"], targets)
        assert not found["masks"]["x"].all()
        if support:
            np.testing.assert_array_equal(found["support"]["x"], _planes(due, "support", names))
        assert found["metadata"]["channels"] == {"x": NAMES, "y": ["v", "sla"]}
        assert found["present"]["x"].all()


def test_what_the_schema_says(dataset: Path) -> None:
    loader = Loader(
        dataset, QUERIES, {"x": MEMBERS}, ["v"], normalize={"sla": (1.5, 2.0)}, **COMMON
    )
    field = loader.schema.field("x")
    assert field.shape == (12, 6, 5) and field.channels == tuple(NAMES)
    assert field.roles == ("input",) and field.unit is None
    members = json.loads(field.metadata["members"])
    assert [m["name"] for m in members] == [
        "sla", "week", "depth", "theta", "u", "sin_latitude", "season",
    ]  # fmt: skip
    assert sum(int(m["channels"]) for m in members) == 12
    assert members[0]["unit"] == "m" and json.loads(members[0]["normalize"]) == [1.5, 2.0]
    assert members[1]["days"] == "-2,0"
    spec = loader.element_spec
    assert spec["inputs"]["x"].shape == (2, 12, 6, 5) == spec["masks"]["x"].shape
    (first, *_) = loader
    table = pa.record_batch(first)
    kind = table.schema.field("x").type
    assert kind == pa.fixed_shape_tensor(pa.float32(), (12, 6, 5), dim_names=["channel", "y", "x"])
    assert "sla" not in table.schema.names


def test_a_batch_in_every_framework(dataset: Path) -> None:
    (batch, *_) = Loader(
        dataset, QUERIES, {"x": MEMBERS, "now": "sla", "then": Window("u", -1)}, **COMMON
    )
    due = batch.to_numpy()["inputs"]
    assert due["now"].shape == (2, 6, 5)
    tensors = batch.to_torch()
    assert torch.equal(tensors["inputs"]["x"], torch.from_numpy(due["x"]))
    assert tensors["metadata"]["channels"] == {"x": NAMES}
    made = batch.to_xarray()
    assert made["x"].dims == ("sample", "channel", "y", "x")
    assert made["channel"].values.tolist() == NAMES
    valid = batch.to_numpy()["masks"]["x"]
    np.testing.assert_array_equal(made["x"].values, np.where(valid, due["x"], np.nan))
    jax = pytest.importorskip("jax")
    assert np.array_equal(jax.numpy.asarray(batch.to_jax()["inputs"]["x"]), due["x"])


def test_pictures_show_each_channel(dataset: Path) -> None:
    (batch, *_) = Loader(dataset, QUERIES, {"x": ["sla", "u", "depth"]}, support=True, **COMMON)
    figure = plot_batch(batch, support=True)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["sla", "sla\nsupport", "u", "u\nsupport", "depth", "depth\nsupport"]


def test_the_order_is_that_of_the_columns_and_the_plan_is_another(dataset: Path) -> None:
    options = COMMON | {"shuffle": True, "seed": 4, "tail": "pad"}
    one = Loader(dataset, QUERIES * 5, {"x": ["sla", "u"]}, **options)
    other = Loader(dataset, QUERIES * 5, ["sla", "u"], **options)
    queries = [
        [b.to_numpy()["metadata"]["query"].tolist() for b in loader] for loader in (one, other)
    ]
    assert queries[0] == queries[1]
    ids = {loader.plan_id for loader in (one, other)}
    ids.add(Loader(dataset, QUERIES * 5, {"x": ["u", "sla"]}, **options).plan_id)
    ids.add(Loader(dataset, QUERIES * 5, {"z": ["sla", "u"]}, **options).plan_id)
    assert len(ids) == 4
    assert pickle.loads(pickle.dumps(one)).plan_id == one.plan_id


def test_a_tensor_of_both_roles(dataset: Path) -> None:
    (batch, *_) = Loader(dataset, QUERIES, {"x": ["sla", "u"]}, {"x": ["sla", "u"]}, **COMMON)
    found = batch.to_numpy()
    np.testing.assert_array_equal(found["inputs"]["x"], found["targets"]["x"])
    assert not np.shares_memory(found["inputs"]["x"], found["targets"]["x"])
    with pytest.raises(InvalidInputError, match="other channels"):
        Loader(dataset, QUERIES, {"x": ["sla", "u"]}, {"x": ["sla", "v"]}, **COMMON)


def _masks(dataset: Path, variables: Any, **options: Any) -> Iterator[dict[str, np.ndarray]]:
    for batch in Loader(dataset, QUERIES, variables, **COMMON, **options):
        yield batch.to_numpy()["masks"]


def test_joint_components_are_valid_together(dataset: Path) -> None:
    joint: Any = {"joint": [("u", "v")], "min_support": 0.8}
    alone = list(_masks(dataset, ["u", "v"], min_support=0.8))
    joined = list(_masks(dataset, ["u", "v"], **joint))
    in_one = list(_masks(dataset, {"x": ["u", "v"]}, **joint))
    for separate, together, tensor in zip(alone, joined, in_one, strict=True):
        due = separate["u"] & separate["v"]
        assert not np.array_equal(due, separate["u"])
        for name in ("u", "v"):
            np.testing.assert_array_equal(together[name], due)
        np.testing.assert_array_equal(tensor["x"], np.stack([due, due], axis=1))


def test_joint_means_are_of_the_days_on_which_both_are_valid(dataset: Path) -> None:
    windows = [Window(name, -3, 0) for name in ("u", "v")]
    stacked = [Window(name, -3, 0, temporal_agg="stack") for name in ("u", "v")]
    options: Any = COMMON | {"min_support": 0.8}
    (mean, *_) = Loader(dataset, QUERIES, windows, joint=[("u", "v")], **options)
    (days, *_) = Loader(dataset, QUERIES, stacked, **options)
    found, days_found = mean.to_numpy(), days.to_numpy()
    both = days_found["masks"]["u"] & days_found["masks"]["v"]
    for name in ("u", "v"):
        values = np.where(both, days_found["inputs"][name].astype(float), 0.0)
        count = both.sum(axis=1)
        np.testing.assert_array_equal(found["masks"][name], count > 0)
        due = values.sum(axis=1) / np.maximum(count, 1)
        np.testing.assert_allclose(found["inputs"][name], np.where(count > 0, due, 0), atol=1e-6)


def test_joint_sees_what_masks_the_other(dataset: Path) -> None:
    """An anomaly, or a field seen by a sensor, is valid where all that it is made of is."""
    window = Window("v", where="sla", name="seen")
    (found,) = list(_masks(dataset, ["u", window], joint=[("u", "seen")]))[:1]
    np.testing.assert_array_equal(found["u"], found["seen"])


@pytest.mark.parametrize(
    ("variables", "options", "what"),
    [
        (
            {"x": ["sla", "u"]},
            {"patch_sizes": {"u": (4, 4)}},
            "channel of .x.: it has 4 x 4 pixels, not 6 x 5",
        ),
        ({"x": ["sla", "u"]}, {"grid": {"u": "crop"}}, r'grid="exact"'),
        ({"x": ["sla", "nothing"]}, {}, "nothing"),
        ({"x": []}, {}, "no channel"),
        ({"x": ["sla", "sla"]}, {}, "more than once"),
        ({"x_mask": ["sla", "u"]}, {}, "x_mask"),
        ({"query": "sla"}, {}, "query"),
        (["u", "v"], {"joint": [("u", "w")]}, "joint names 'w'"),
        (["u", "v"], {"joint": ["uv"]}, "pairs"),
        (["u", "v"], {"joint": [("u", "u")]}, "one field only"),
        (["u", "v", "sla"], {"joint": [("u", "v"), ("v", "sla")]}, "one field only"),
        (["u", Window("v", 1)], {"joint": [("u", "v")]}, "other days"),
    ],
)
def test_mistakes(dataset: Path, variables: Any, options: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        Loader(dataset, QUERIES, variables, **(COMMON | options))


def test_joint_variables_on_different_grids(dataset: Path) -> None:
    loader = Loader(dataset, QUERIES, ["u", "coarse"], joint=[("u", "coarse")], **COMMON)
    with pytest.raises(InvalidInputError, match=r"different grids.*where="):
        list(loader)


def test_points_are_no_channel(ocean: Path) -> None:
    query = Query(-10, 10, -10, 10, "2023-01-02", "2023-01-02")
    with pytest.raises(InvalidInputError, match=r"channel of .x.: it has profiles"):
        Loader(ocean, [query], {"x": ["l4_ssh", "argo"]}, batch_size=1)


def test_where_there_are_no_batches(dataset: Path) -> None:
    wanted: Any = {"x": ["sla", "u"]}
    for refused in (
        lambda: OceanTACODataset(dataset, QUERIES, wanted, []),
        lambda: oceanarrow.open_patch(dataset, QUERIES[0], wanted),
    ):
        with pytest.raises(InvalidInputError, match="list"):
            refused()


def test_a_download_takes_what_the_loader_takes(dataset: Path, tmp_path: Path) -> None:
    wanted: Any = {"x": MEMBERS, "y": "v"}
    oceanarrow.download(dataset, QUERIES, wanted, tmp_path / "copy", progress=False)
    (copied,) = [p for p in (tmp_path / "copy").glob("*.parquet") if ".index" not in p.name]
    batches = [list(Loader(path, QUERIES, wanted, **COMMON)) for path in (dataset, copied)]
    for there, here in zip(*batches, strict=True):
        for name in ("x", "y"):
            due, found = (batch.to_numpy()["inputs"][name] for batch in (there, here))
            np.testing.assert_array_equal(found, due)


def test_hugging_face_and_explain(dataset: Path) -> None:
    pytest.importorskip("datasets")
    from oceanarrow.huggingface import to_iterable_dataset

    examples = list(to_iterable_dataset(dataset, QUERIES, {"x": MEMBERS}, **COMMON))
    loader = Loader(dataset, QUERIES, {"x": MEMBERS}, **COMMON)
    for example, batch in zip(examples, loader, strict=True):
        due = batch.to_numpy()
        np.testing.assert_array_equal(example["inputs"]["x"], due["inputs"]["x"])
        assert example["metadata"]["channels"] == {"x": NAMES}
    apart = Loader(dataset, QUERIES, MEMBERS, **COMMON)
    assert loader.explain().decodes == apart.explain().decodes > 0
    # One mask and value a channel and pixel, however they are arranged.
    assert loader.explain().batch_bytes == apart.explain().batch_bytes
