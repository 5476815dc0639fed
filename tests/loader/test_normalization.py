"""Normalised values are the plain ones moved and scaled, where they are valid."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from oceanarrow import Loader
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import InvalidInputError, NotFoundError
from oceanarrow.normalization import denormalize

QUERIES = [Query(-70 + i, -40 + i, -30, 20, "2023-04-01", "2023-04-03") for i in range(4)]
STATISTICS = {"l4_sst": (18.5, 6.25), "argo": (10.0, 4.0)}


def first(path, **options):
    loader = Loader(
        path, QUERIES, ["l4_sst", "l4_ssh", "argo"], batch_size=4, shuffle=False,
        default_patch_size=(9, 7), fill_value=-5.0, **options,
    )  # fmt: skip
    (batch,) = loader
    return batch


def test_valid_cells_only(ocean):
    plain, scaled = first(ocean), first(ocean, normalize=STATISTICS)
    before, after = plain.to_numpy(), scaled.to_numpy()
    mask = before["masks"]["l4_sst"]
    assert mask.any() and not mask.all()
    np.testing.assert_array_equal(after["masks"]["l4_sst"], mask)
    expected = (before["inputs"]["l4_sst"][mask].astype(np.float64) - 18.5) / 6.25
    np.testing.assert_allclose(after["inputs"]["l4_sst"][mask], expected, rtol=1e-5, atol=1e-6)
    assert (after["inputs"]["l4_sst"][~mask] == -5.0).all(), "fill stays fill"
    np.testing.assert_array_equal(after["inputs"]["l4_ssh"], before["inputs"]["l4_ssh"])
    points, scaled_points = before["inputs"]["argo"], after["inputs"]["argo"]
    levels = points["mask"]
    np.testing.assert_allclose(
        scaled_points["data"][levels], (points["data"][levels] - 10.0) / 4.0, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(scaled_points["pressure"], points["pressure"])


def test_back_again(ocean):
    plain = first(ocean).to_torch()["inputs"]["l4_sst"]
    scaled = first(ocean, normalize=STATISTICS).to_torch()
    back = denormalize(scaled["inputs"]["l4_sst"], *STATISTICS["l4_sst"])
    mask = scaled["masks"]["l4_sst"]
    np.testing.assert_allclose(back[mask], plain[mask], rtol=1e-5)


def test_a_file_of_statistics_and_the_schema(ocean, tmp_path):
    file = tmp_path / "statistics.json"
    file.write_text(
        json.dumps({"l4_sst": {"mean": 18.5, "std": 6.25}, "argo": [10.0, 4.0], "l4_ssh": None})
    )
    batch = first(ocean, normalize=file)
    expected = first(ocean, normalize=STATISTICS)
    np.testing.assert_array_equal(batch["l4_sst"].numpy(), expected["l4_sst"].numpy())
    schema = pa.record_batch(batch).schema
    assert json.loads(schema.field("l4_sst").metadata[b"normalize"]) == [18.5, 6.25]
    assert b"normalize" not in schema.field("l4_ssh").metadata


def test_the_dataset_normalises_too(ocean):
    data = OceanTACODataset(
        ocean, QUERIES, ["l4_sst"], [], default_patch_size=(9, 7), normalize=STATISTICS_OF_SST,
        fill_value=-5.0,
    )  # fmt: skip
    expected = first(ocean, normalize=STATISTICS).to_numpy()["inputs"]["l4_sst"][2]
    np.testing.assert_array_equal(data[2]["inputs"]["l4_sst"]["data"], expected)


STATISTICS_OF_SST = {"l4_sst": STATISTICS["l4_sst"]}


@pytest.mark.parametrize(
    ("normalize", "words"),
    [
        ({"l4_sst": (1.0, 0.0)}, "greater than 0"),
        ({"l4_sst": (float("nan"), 1.0)}, "finite mean"),
        ({"l4_sst": 3.0}, "l4_sst"),
        ({"l4_sst": {"mean": 1.0}}, "mean and std"),
        ({"l4_sss": (1.0, 1.0)}, "l4_sss"),
    ],
)
def test_wrong_statistics(ocean, normalize, words):
    with pytest.raises(InvalidInputError, match=words):
        first(ocean, normalize=normalize)


def test_wrong_files(ocean, tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        first(ocean, normalize=tmp_path / "nowhere.json")
    (tmp_path / "s.json").write_text("[1, 2]")
    with pytest.raises(InvalidInputError, match=r"s\.json"):
        first(ocean, normalize=tmp_path / "s.json")


def test_a_file_of_statistics_names_each_variable_and_may_name_others(ocean, tmp_path):
    file = tmp_path / "statistics.json"
    entries = {"l4_sst": [18.5, 6.25], "argo": None, "not_asked_for": [0.0, 1.0]}
    file.write_text(json.dumps(entries))
    with pytest.raises(InvalidInputError, match=r"statistics\.json has no statistics of 'l4_ssh'"):
        first(ocean, normalize=file)
    file.write_text(json.dumps(entries | {"l4_ssh": None}))
    scaled = first(ocean, normalize=file)
    expected = first(ocean, normalize={"l4_sst": (18.5, 6.25), "l4_ssh": None})
    plain = first(ocean)
    np.testing.assert_array_equal(scaled["l4_sst"].numpy(), expected["l4_sst"].numpy())
    np.testing.assert_array_equal(scaled["l4_ssh"].numpy(), plain["l4_ssh"].numpy())
    assert (scaled["l4_sst"].numpy() != plain["l4_sst"].numpy()).any()
