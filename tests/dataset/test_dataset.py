"""The documented map-style dataset: structure, sizes, presence, access, containers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import oracle
import pytest
import synthetic
import torch

matplotlib.use("Agg")

from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.taco import GranuleFile, write_taco, write_tacocat

DAY = "2023-04-01"
#: In NORTH_ATLANTIC, at sea.
BOX = (-50.3, -40.1, 20.2, 31.7)
#: Where four tiles meet.
CORNER = (-95.3, -84.9, -5.2, 5.1)


def query(box: tuple[float, float, float, float] = BOX, first: str = DAY, last: str = "") -> Query:
    return Query(*box, first, last or first)


def same(first: Any, second: Any) -> bool:
    """Whether two samples are equal, tensors to the last bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(
            first.nan_to_num(-1e9), second.nan_to_num(-1e9)
        )
    return bool(first == second)


def check_against_oracle(
    entry: dict[str, torch.Tensor], root: Path, asked: Query, name: str, **options: Any
) -> None:
    want = oracle.render(root, asked, name, tuple(entry["data"].shape[-2:]), **options)
    np.testing.assert_array_equal(entry["mask"], want.mask)
    np.testing.assert_allclose(entry["data"], want.data, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(entry["lats"], want.lats, rtol=0, atol=2e-5)
    np.testing.assert_allclose(entry["lons"], want.lons, rtol=0, atol=2e-5)


# ---- structure ----------------------------------------------------------------------------------


def test_a_sample_has_the_documented_structure(ocean: Path) -> None:
    asked = query(last="2023-04-02")
    dataset = OceanTACODataset(ocean, [asked], ["l4_sst", "l3_swot", "argo"], ["l4_ssh"])
    sample = dataset[0]
    assert list(sample) == ["inputs", "targets", "coords", "metadata"]
    assert list(sample["inputs"]) == ["l4_sst", "l3_swot", "argo"]
    assert list(sample["targets"]) == ["l4_ssh"]
    for entry in (sample["inputs"]["l4_sst"], sample["targets"]["l4_ssh"]):
        shapes = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in entry.items()}
        assert shapes == {
            "data": (torch.float32, (128, 128)),
            "lats": (torch.float32, (128,)),
            "lons": (torch.float32, (128,)),
            "mask": (torch.bool, (128, 128)),
        }
    assert list(sample["inputs"]["argo"]) == ["data", "lats", "lons", "time", "pressure", "mask"]
    assert sample["coords"].keys() == {"lat", "lon"}
    shapes = sample["metadata"].pop("shapes")
    assert shapes == {
        "l4_sst": (128, 128),
        "l3_swot": (128, 128),
        "argo": tuple(sample["inputs"]["argo"]["data"].shape),
        "l4_ssh": (128, 128),
    }
    # One file a variable and day; the swath has none on the second day.
    floats = len(oracle.render_points(ocean, asked).files)
    assert sample["metadata"] == {
        "bbox": BOX,
        "time_range": (DAY, "2023-04-02"),
        "n_files": 2 + 1 + 2 + floats,
    }
    assert dataset.input_variables == ["l4_sst", "l3_swot", "argo"]
    assert dataset.target_variables == ["l4_ssh"]
    assert dataset.queries == [asked] and dataset.default_patch_size == (128, 128)


@pytest.mark.parametrize("aggregate", ["mean", "first", "last", "stack"])
def test_values_of_every_variable_are_the_oracles(ocean: Path, aggregate: str) -> None:
    asked = query(CORNER, DAY, "2023-04-03")
    dataset = OceanTACODataset(
        ocean, [asked], ["l4_sst", "l3_swot"], ["l4_ssh"], temporal_agg=aggregate,
        default_patch_size=(9, 7), patch_sizes={"l3_swot": (6, 11)},
    )  # fmt: skip
    sample = dataset[0]
    layers = (3,) if aggregate == "stack" else ()
    for role, name, size in (
        ("inputs", "l4_sst", (9, 7)),
        ("inputs", "l3_swot", (6, 11)),
        ("targets", "l4_ssh", (9, 7)),
    ):
        entry = sample[role][name]
        assert tuple(entry["data"].shape) == layers + size
        check_against_oracle(entry, ocean, asked, name, temporal_agg=aggregate)
    # One file a tile, variable and day that is rendered.
    days = {"mean": 3, "stack": 3, "first": 1, "last": 1}[aggregate]
    swath_days = min(days, 2)
    assert sample["metadata"]["n_files"] == 4 * (2 * days + swath_days)


def test_a_missing_source_is_none_and_still_has_a_shape(ocean: Path) -> None:
    day = synthetic.DAY_WITHOUT_SWOT.isoformat()
    dataset = OceanTACODataset(
        ocean, [query(first=day)], ["l3_swot", "l4_ssh"], ["l3_swot"],
        default_patch_size=(5, 6), temporal_agg={"l3_swot": "stack"},
    )  # fmt: skip
    sample = dataset[0]
    assert sample["inputs"]["l3_swot"] is None and sample["targets"]["l3_swot"] is None
    assert sample["inputs"]["l4_ssh"] is not None
    assert sample["metadata"]["shapes"] == {"l3_swot": (1, 5, 6), "l4_ssh": (5, 6)}
    assert sample["metadata"]["n_files"] == 1


def test_coords_are_those_of_the_first_variable_present(ocean: Path) -> None:
    day = synthetic.DAY_WITHOUT_SWOT.isoformat()
    sizes = {"l3_swot": (3, 3), "l4_ssh": (5, 4)}
    names = ["argo", "l3_swot", "l4_ssh"]
    asked = [query(first=day), query(first="2031-01-01"), query((170, -160, 0, 20), "2031-01-01")]
    dataset = OceanTACODataset(
        ocean, asked, names, ["l4_sst"], default_patch_size=(7, 8), patch_sizes=sizes
    )
    np.testing.assert_allclose(dataset[0]["coords"]["lat"], np.linspace(20.2, 31.7, 5), rtol=1e-6)
    np.testing.assert_allclose(dataset[0]["coords"]["lon"], np.linspace(-50.3, -40.1, 4), rtol=1e-6)
    nothing = dataset[1]
    assert all(nothing["inputs"][name] is None for name in names)
    assert nothing["metadata"]["n_files"] == 0
    np.testing.assert_allclose(nothing["coords"]["lat"], np.linspace(20.2, 31.7, 7), rtol=1e-6)
    np.testing.assert_allclose(dataset[2]["coords"]["lon"], np.linspace(170, 200, 8), rtol=1e-6)


def test_files_are_counted_once(ocean: Path) -> None:
    names = ["glorys_ssh", "glorys_uo", "glorys_vo"]
    dataset = OceanTACODataset(
        ocean, [query(), query(CORNER)], names, ["glorys_ssh"], default_patch_size=(8, 8)
    )
    assert [sample["metadata"]["n_files"] for sample in dataset] == [1, 4]


def test_a_variable_may_be_input_and_target_without_sharing_memory(ocean: Path) -> None:
    dataset = OceanTACODataset(ocean, [query()], ["l4_ssh"], ["l4_ssh"], default_patch_size=(8, 8))
    sample = dataset[0]
    first, second = sample["inputs"]["l4_ssh"], sample["targets"]["l4_ssh"]
    assert same(first, second)
    first["data"].zero_()
    assert not same(first, second)


# ---- sizes --------------------------------------------------------------------------------------


def test_target_resolution_sets_the_pixels(ocean: Path) -> None:
    boxes = [BOX, (175.0, -175.0, -10.0, -8.0), (-50.0, -40.0, 20.0, 20.3)]
    dataset = OceanTACODataset(
        ocean, [query(box) for box in boxes], ["l4_ssh", "l4_sst", "argo"], [], 0.5,
        patch_sizes={"l4_sst": (4, 6)}, default_patch_size=(9, 9),
    )  # fmt: skip
    shapes = [sample["metadata"]["shapes"] for sample in dataset]
    # round(11.5 / 0.5) + 1, round(10.2 / 0.5) + 1, and so on.
    assert [shape["l4_ssh"] for shape in shapes] == [(24, 21), (5, 21), (2, 21)]
    assert all(shape["l4_sst"] == (4, 6) for shape in shapes)
    for sample in dataset:
        entry = sample["inputs"]["l4_ssh"]
        check_against_oracle(entry, ocean, Query(*sample["metadata"]["bbox"], DAY, DAY), "l4_ssh")
    spacing = np.diff(dataset[1]["inputs"]["l4_ssh"]["lons"])
    np.testing.assert_allclose(spacing, 0.5, atol=1e-4)


def test_one_number_is_a_square(ocean: Path) -> None:
    dataset = OceanTACODataset(
        ocean, [query()], ["l4_ssh"], [], default_patch_size=6, patch_sizes={"l4_ssh": np.int64(3)}
    )  # fmt: skip
    assert tuple(dataset[0]["inputs"]["l4_ssh"]["data"].shape) == (3, 3)


@pytest.mark.parametrize("grid", ["exact", "crop"])
def test_full_support_is_reached_where_every_cell_is_valid(ocean: Path, grid: str) -> None:
    options: Any = {"default_patch_size": (37, 41), "grid": grid}
    native, full = (
        OceanTACODataset(ocean, [query()], ["l4_ssh"], [], **changes)[0]["inputs"]["l4_ssh"]
        for changes in ({"default_patch_size": None}, {**options, "min_support": 1.0})
    )
    assert native["mask"].all()
    assert full["mask"].all()


# ---- access -------------------------------------------------------------------------------------


def test_indices(ocean: Path) -> None:
    boxes = [(west, west + 10.0, 20.0, 30.0) for west in (-50.0, -40.0, -30.0)]
    dataset = OceanTACODataset(
        ocean, [query(box) for box in boxes], ["l4_ssh"], [], default_patch_size=(4, 4)
    )
    assert len(dataset) == 3
    assert dataset[-1]["metadata"]["bbox"] == boxes[2]
    assert same(dataset[-3], dataset[0]) and same(dataset[np.int64(1)], dataset[1])
    assert [sample["metadata"]["bbox"] for sample in dataset] == boxes
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"sample {index} of a dataset of 3"):
            dataset[index]
    for index in (1.0, "1", slice(0, 2)):
        with pytest.raises(TypeError):
            dataset[index]
    assert len(OceanTACODataset(ocean, [], ["l4_ssh"], [])) == 0


def test_pickling_keeps_everything(ocean: Path) -> None:
    dataset = OceanTACODataset(
        ocean, [query(), query(CORNER)], ["l4_sst", "argo"], ["l4_ssh"], 0.7,
        temporal_agg={"l4_sst": "stack"}, patch_sizes={"l4_ssh": (5, 5)}, fill_value=np.nan,
    )  # fmt: skip
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.queries == dataset.queries and copy.patch_sizes == dataset.patch_sizes
    for i in range(2):
        assert same(copy[i], dataset[i])


def test_visualize_sample_draws_every_variable(ocean: Path, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    dataset = OceanTACODataset(
        ocean, [query()], ["l4_sst", "l3_swot"], ["l4_ssh"], default_patch_size=(8, 8)
    )
    path = tmp_path / "sample.png"
    figure = dataset.visualize_sample(dataset[0], save_path=path, title="One", max_cols=2)
    assert isinstance(figure, Figure) and path.stat().st_size > 1000
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["input: l4_sst", "input: l3_swot", "target: l4_ssh"]
    assert "°C" in figure.axes[0].child_axes[0].get_ylabel()


# ---- containers ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archives(ocean: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A folder with two ZIP parts, a day each, joined by an index."""
    folder = tmp_path_factory.mktemp("archives")
    parts = []
    for day in (DAY, "2023-04-02"):
        files = [
            GranuleFile(day, path.parts[-2], path.stem, path)
            for name in ("l4_ssh.nc", "argo.nc")
            for path in sorted((ocean / "DATA" / day.replace("-", "_")).glob(f"*/{name}"))
        ]
        parts.append(write_taco(folder / f"part_{day}.tacozip", files, container="zip", id=day))
    write_tacocat(parts, folder)
    return folder, parts


def test_every_container_gives_the_same_samples(
    ocean: Path, ocean_zip: Path, archives: tuple[Path, list[Path]]
) -> None:
    folder, parts = archives
    asked = [query(last="2023-04-02"), query(CORNER, "2023-04-02")]
    args: Any = (asked, ["l4_ssh", "argo"], [])
    want = list(OceanTACODataset(ocean, *args, default_patch_size=(12, 9)))
    assert want[0]["inputs"]["l4_ssh"]["mask"].any() and want[0]["metadata"]["n_files"] >= 2
    places: list[Any] = [
        ocean_zip, str(ocean_zip), parts, [str(part) for part in parts[::-1]], folder,
        folder / ".tacocat",
    ]  # fmt: skip
    for place in places:
        got = list(OceanTACODataset(place, *args, default_patch_size=(12, 9)))
        assert all(map(same, got, want)), place
