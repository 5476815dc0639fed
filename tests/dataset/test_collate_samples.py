"""collate_ocean_samples: where values, padding and masks end up."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from oceanarrow import Loader
from oceanarrow.dataset import OceanTACODataset, Query, collate_ocean_samples
from oceanarrow.exceptions import InvalidInputError


def grid(value: float, *shape: int) -> dict[str, torch.Tensor]:
    data = torch.full(shape, value)
    mask = torch.ones(shape, dtype=torch.bool)
    mask[..., 0] = False
    return {
        "data": data, "mask": mask,
        "lats": torch.linspace(0, 1, shape[-2]), "lons": torch.linspace(5, 6, shape[-1]),
    }  # fmt: skip


def points(*values: float) -> dict[str, torch.Tensor]:
    data = torch.tensor(values)
    return {
        "data": data, "lats": data + 1, "lons": data + 2, "pressure": data * 10,
        "time": torch.arange(len(values)) + 19462, "mask": torch.ones(len(values), dtype=bool),
    }  # fmt: skip


def sample(
    i: int, inputs: dict[str, Any], targets: dict[str, Any], **shapes: Any
) -> dict[str, Any]:
    day = f"2023-04-0{i + 1}"
    return {
        "inputs": inputs,
        "targets": targets,
        "coords": {"lat": torch.tensor([float(i)]), "lon": torch.tensor([float(i)])},
        "metadata": {
            "bbox": (i, i + 1, 0, 1), "time_range": (day, day), "n_files": 1, "shapes": shapes
        },
    }  # fmt: skip


def test_values_padding_and_masks() -> None:
    batch = collate_ocean_samples(
        [
            sample(0, {"a": grid(1, 2, 3)}, {"t": grid(5, 2, 2)}),
            sample(1, {"a": grid(2, 3, 2)}, {"t": grid(6, 2, 2)}),
        ]
    )
    assert list(batch) == ["inputs", "targets", "coords", "masks", "metadata"]
    assert batch["inputs"]["a"].tolist() == [
        [[1, 1, 1], [1, 1, 1], [0, 0, 0]],
        [[2, 2, 0], [2, 2, 0], [2, 2, 0]],
    ]
    assert batch["masks"]["a"].int().tolist() == [
        [[0, 1, 1], [0, 1, 1], [0, 0, 0]],
        [[0, 1, 0], [0, 1, 0], [0, 1, 0]],
    ]
    assert batch["masks"]["a"].dtype == torch.bool
    assert batch["targets"]["t"].tolist() == [[[5, 5], [5, 5]], [[6, 6], [6, 6]]]
    assert batch["masks"]["t"].int().tolist() == [[[0, 1], [0, 1]]] * 2
    assert batch["coords"]["lat"].tolist() == [0.0]
    assert batch["metadata"] == {
        "bboxes": [(0, 1, 0, 1), (1, 2, 0, 1)],
        "time_ranges": [("2023-04-01", "2023-04-01"), ("2023-04-02", "2023-04-02")],
    }


def test_samples_without_a_variable_drop_out_of_it() -> None:
    samples = [
        sample(0, {"a": None, "b": None}, {"a": None}),
        sample(1, {"a": grid(2, 2, 2), "b": None}, {"a": grid(2, 2, 2)}),
        sample(2, {"a": grid(3, 2, 2), "b": None}, {"a": grid(3, 2, 2)}),
    ]
    batch = collate_ocean_samples(samples)
    assert batch["inputs"]["a"][:, 0, 0].tolist() == [2, 3]
    assert batch["masks"]["a"].shape == (2, 2, 2)
    assert batch["inputs"]["b"] is None and batch["masks"]["b"] is None
    assert batch["targets"]["a"].shape == (2, 2, 2)
    assert "present" not in batch and len(batch["metadata"]["bboxes"]) == 3


def test_fill_keeps_rows_aligned() -> None:
    samples = [
        sample(0, {"a": None, "b": None}, {}, a=(4, 2), b=(1, 2)),
        sample(1, {"a": grid(2, 2, 3), "b": None}, {}, a=(2, 3), b=(1, 2)),
    ]
    batch = collate_ocean_samples(samples, missing="fill")
    assert batch["inputs"]["a"].shape == (2, 4, 3)
    assert batch["inputs"]["a"][0].count_nonzero() == 0 and not batch["masks"]["a"][0].any()
    assert batch["inputs"]["a"][1].tolist() == [[2, 2, 2], [2, 2, 2], [0, 0, 0], [0, 0, 0]]
    assert batch["inputs"]["b"].tolist() == [[[0, 0]], [[0, 0]]]
    assert batch["inputs"]["b"].dtype == torch.float32
    assert {name: flags.tolist() for name, flags in batch["present"].items()} == {
        "a": [False, True],
        "b": [False, False],
    }


def test_stacked_days_are_padded_too() -> None:
    samples = [sample(0, {"a": grid(1, 1, 2, 2)}, {}), sample(1, {"a": grid(2, 3, 2, 2)}, {})]
    batch = collate_ocean_samples(samples)
    assert batch["inputs"]["a"].sum(dim=(2, 3)).tolist() == [[4, 0, 0], [8, 8, 8]]
    assert batch["masks"]["a"].sum(dim=(2, 3)).tolist() == [[2, 0, 0], [2, 2, 2]]


def test_points_become_padded_columns() -> None:
    samples = [
        sample(0, {"argo": points(4.0)}, {}, argo=(1,)),
        sample(1, {"argo": None}, {}, argo=(0,)),
        sample(2, {"argo": points(7.0, 8.0)}, {}, argo=(2,)),
        sample(3, {"argo": points()}, {}, argo=(0,)),
    ]
    batch = collate_ocean_samples(samples)
    argo = batch["inputs"]["argo"]
    assert {name: column.tolist() for name, column in argo.items()} == {
        "data": [[4, 0], [7, 8], [0, 0]],
        "lats": [[5, 0], [8, 9], [0, 0]],
        "lons": [[6, 0], [9, 10], [0, 0]],
        "time": [[19462, 0], [19462, 19463], [0, 0]],
        "pressure": [[40, 0], [70, 80], [0, 0]],
        "mask": [[True, False], [True, True], [False, False]],
    }
    assert argo["time"].dtype == torch.int64 and torch.equal(batch["masks"]["argo"], argo["mask"])
    filled = collate_ocean_samples(samples, missing="fill")
    assert filled["inputs"]["argo"]["data"].tolist() == [[4, 0], [0, 0], [7, 8], [0, 0]]
    assert filled["present"]["argo"].tolist() == [True, False, True, True]
    nobody = collate_ocean_samples(samples[1:2], missing="fill")
    assert nobody["inputs"]["argo"]["pressure"].shape == (1, 0)


def test_batches_with_and_without_points_have_the_same_types(ocean: Path) -> None:
    edges = [(-60.0, -20.0, 5.0, 50.0), (-60.0, -59.99, 5.0, 5.01)]
    queries = [Query(*box, "2023-04-01", "2023-04-01") for box in edges]
    dataset = OceanTACODataset(ocean, queries, ["argo"], [])
    loader = Loader(ocean, queries, ["argo"], batch_size=1, shuffle=False)
    absent = {**dataset[0], "inputs": {"argo": None}}
    absent["metadata"] = {**absent["metadata"], "shapes": {"argo": (0,)}}
    batches = [collate_ocean_samples([sample], missing="fill") for sample in (*dataset, absent)]
    batches += [batch.to_torch() for batch in loader]
    points = [batch["inputs"]["argo"] for batch in batches]
    assert [bool(len(p["data"][0])) for p in points] == [True, False, False, True, False]
    types = [{name: p[name].dtype for name in sorted(p)} for p in points]
    assert all(found == types[0] for found in types)
    assert types[0]["time"] == torch.float64


def test_a_sample_without_mask_is_valid_throughout() -> None:
    entry = grid(1, 2, 2)
    del entry["mask"]
    batch = collate_ocean_samples(
        [sample(0, {"a": entry}, {}), sample(1, {"a": grid(1, 2, 3)}, {})]
    )
    assert batch["masks"]["a"][0].tolist() == [[True, True, False]] * 2


def test_batches_do_not_share_memory_with_samples() -> None:
    entry = grid(1, 2, 2)
    batch = collate_ocean_samples([sample(0, {"a": entry}, {})])
    batch["inputs"]["a"].zero_()
    assert entry["data"].eq(1).all()


def test_workers_can_collate() -> None:
    samples = [sample(i, {"a": grid(i, 2, 2)}, {}) for i in range(4)]
    loader = torch.utils.data.DataLoader(
        samples, batch_size=2, num_workers=1, collate_fn=collate_ocean_samples
    )
    assert [batch["inputs"]["a"][:, 0, 0].tolist() for batch in loader] == [[0, 1], [2, 3]]
    assert pickle.loads(pickle.dumps(collate_ocean_samples)) is collate_ocean_samples


def test_errors() -> None:
    with pytest.raises(InvalidInputError, match="empty batch"):
        collate_ocean_samples([])
    with pytest.raises(InvalidInputError, match="'drop' or 'fill', not 'skip'"):
        collate_ocean_samples([sample(0, {}, {})], missing="skip")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"sample 1 of the batch has the inputs \['b'\]"):
        collate_ocean_samples([sample(0, {"a": None}, {}), sample(1, {"b": None}, {})])
    with pytest.raises(
        InvalidInputError, match=r"sample 0 .* lacks a .*metadata\['shapes'\]\['a'\]"
    ):
        collate_ocean_samples([sample(0, {"a": None}, {})], missing="fill")
    with pytest.raises(InvalidInputError, match="axes differ"):
        collate_ocean_samples(
            [sample(0, {"a": grid(1, 2, 2)}, {}), sample(1, {"a": grid(1, 1, 2, 2)}, {})]
        )
