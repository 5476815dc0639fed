"""The calls of the documented OceanTACO tutorial, with its names and arguments.

Only the import word, the dataset and the dates that a dataset must hold are ours. Numbers that the
tutorial prints and that do not depend on the data are asserted as printed.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from oceanarrow.dataset import (
    OceanTACODataset,
    PatchSize,
    Query,
    QueryGenerator,
    collate_ocean_samples,
)
from oceanarrow.dataset.retrieve import HF_DEFAULT_URL

STUDY_BBOX = (-80, -10, 10, 55)
PATCH_SIZE = PatchSize(10, "deg")
IMAGE_SIZE = 64
PATCH_SIZES = {"l3_ssh": (96, 96), "l3_swot": (128, 128)}
INPUT_VARS = ["l4_sst", "l4_sss", "l3_swot", "l3_ssh"]
TARGET_VARS = ["l4_ssh"]
# A day on which the synthetic ocean has every source.
DAYS = ("2023-04-01", "2023-04-01")


def test_names_that_the_imports_ask_for() -> None:
    assert HF_DEFAULT_URL.startswith("https://huggingface.co/")


def test_query_and_patch_size_print_what_is_documented() -> None:
    query = Query(
        lon_min=-70,
        lon_max=-60,
        lat_min=35,
        lat_max=45,
        time_start="2023-04-15",
        time_end="2023-04-15",
    )
    assert query.bbox == (-70, -60, 35, 45)
    assert query.to_dict() == {
        "lon_min": -70,
        "lon_max": -60,
        "lat_min": 35,
        "lat_max": 45,
        "time_start": "2023-04-15",
        "time_end": "2023-04-15",
    }
    printed = {
        lat: "{:.2f} {:.2f}".format(*PatchSize(500, "km").to_degrees(center_lat=lat))
        for lat in (0, 30, 45, 60)
    }
    assert printed == {0: "4.50 4.50", 30: "5.20 4.50", 45: "6.37 4.50", 60: "9.01 4.50"}
    assert str(PATCH_SIZE) == "10deg"
    assert PATCH_SIZE.to_degrees() == (10, 10)


def test_queries_are_the_printed_ones() -> None:
    generator = QueryGenerator()
    train = generator.generate_training_queries(
        n_queries=100,
        patch_size=PATCH_SIZE,
        date_range=("2023-04-01", "2023-06-30"),
        bbox_constraint=STUDY_BBOX,
        time_window_days=1,
        max_land_fraction=0.3,
        seed=42,
    )
    assert len(train) == 100
    assert train[0].bbox == (
        -30.581661323117572,
        -20.581661323117572,
        39.82802218501835,
        49.82802218501835,
    )
    assert train[0].time_start == train[0].time_end == "2023-04-02"
    evaluation = generator.generate_eval_queries(
        bbox=STUDY_BBOX,
        patch_size=PATCH_SIZE,
        date_range=("2023-07-01", "2023-08-30"),
        spatial_overlap=0.0,
        temporal_stride_days=7,
        time_window_days=1,
    )
    assert len(evaluation) == 315
    assert evaluation[0].bbox == (-80.0, -70.0, 10.0, 20.0)
    assert evaluation[-1].bbox == (-20.0, -10.0, 45.0, 55.0)
    assert (evaluation[0].time_start, evaluation[-1].time_start) == ("2023-07-01", "2023-08-26")


@pytest.fixture(scope="module")
def train_queries() -> list[Query]:
    return QueryGenerator().generate_training_queries(
        n_queries=20,
        patch_size=PATCH_SIZE,
        date_range=DAYS,
        bbox_constraint=STUDY_BBOX,
        seed=42,
        verbose=False,
    )


@pytest.fixture(scope="module")
def samples(dataset: Path, train_queries: list[Query]) -> OceanTACODataset:
    """On the synthetic ocean, and on a catalogue of its files."""
    return OceanTACODataset(
        taco_path=str(dataset),
        queries=train_queries,
        input_variables=INPUT_VARS,
        target_variables=TARGET_VARS,
        default_patch_size=(IMAGE_SIZE, IMAGE_SIZE),
        patch_sizes=PATCH_SIZES,
        temporal_agg="mean",
    )


def test_sample_has_the_documented_structure(
    samples: OceanTACODataset, train_queries: list[Query]
) -> None:
    assert len(samples) == 20
    assert list(samples.input_variables) == INPUT_VARS
    assert list(samples.target_variables) == TARGET_VARS
    sample = samples[0]
    assert tuple(sample["metadata"]["bbox"]) == train_queries[0].bbox
    assert tuple(sample["metadata"]["time_range"]) == DAYS
    assert sample["metadata"]["n_files"] >= len(INPUT_VARS + TARGET_VARS)
    lon_min, lon_max, lat_min, lat_max = train_queries[0].bbox
    for variable, value in {**sample["inputs"], **sample["targets"]}.items():
        height, width = PATCH_SIZES.get(variable, (IMAGE_SIZE, IMAGE_SIZE))
        assert tuple(value["data"].shape) == (height, width)
        np.testing.assert_allclose(value["lats"], np.linspace(lat_min, lat_max, height), rtol=1e-6)
        np.testing.assert_allclose(value["lons"], np.linspace(lon_min, lon_max, width), rtol=1e-6)
        assert (value["data"][~value["mask"].bool()] == 0.0).all()
    assert tuple(sample["coords"]["lat"].shape) == (IMAGE_SIZE,)
    assert tuple(sample["coords"]["lon"].shape) == (IMAGE_SIZE,)


def test_figure_is_saved(samples: OceanTACODataset, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    target = tmp_path / "sample0.png"
    samples.visualize_sample(samples[0], title="Sample 0", max_cols=5, save_path=str(target))
    assert target.read_bytes().startswith(b"\x89PNG")


def test_batch_has_the_documented_structure(samples: OceanTACODataset) -> None:
    loader = DataLoader(
        samples,
        batch_size=4,
        shuffle=True,
        num_workers=0,
        collate_fn=collate_ocean_samples,
        generator=torch.Generator().manual_seed(0),
    )
    batch = next(iter(loader))
    assert {"inputs", "targets", "coords", "metadata"} <= set(batch)
    shapes = {
        variable: tuple(tensor.shape)
        for variable, tensor in {**batch["inputs"], **batch["targets"]}.items()
    }
    assert shapes == {
        "l4_sst": (4, 64, 64),
        "l4_sss": (4, 64, 64),
        "l3_swot": (4, 128, 128),
        "l3_ssh": (4, 96, 96),
        "l4_ssh": (4, 64, 64),
    }
    assert len(batch["metadata"]["bboxes"]) == len(batch["metadata"]["time_ranges"]) == 4


def test_queries_survive_saving(train_queries: list[Query], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    target = tmp_path / "train_queries_north_atlantic"
    QueryGenerator.save_queries(
        train_queries,
        target,
        metadata={"region": "North Atlantic", "patch_size": str(PATCH_SIZE)},
    )
    assert target.with_suffix(".parquet").exists()
    assert target.with_suffix(".json").exists()
    reloaded, meta = QueryGenerator.load_queries(target)
    assert [r.to_dict() for r in reloaded] == [o.to_dict() for o in train_queries]
    assert meta["n_queries"] == 20
    assert meta["region"] == "North Atlantic"
    assert meta["patch_size"] == "10deg"
