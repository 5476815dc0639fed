"""A damaged file raises an error that names everything, or masks its row."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest

from oceanarrow import Loader
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import CorruptGranuleError, NotFoundError, OceanArrowError

BAD = Query(-60, -40, 10, 30, "2023-04-01", "2023-04-01")
GOOD = Query(20, 60, -50, -30, "2023-04-01", "2023-04-01")
FILE = "DATA/2023_04_01/NORTH_ATLANTIC/l4_ssh.nc"


@pytest.fixture
def damaged(ocean, tmp_path):
    def make(damage):
        path = tmp_path / "ocean"
        shutil.copytree(ocean, path)
        damage(path / FILE)
        return path

    return make


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def scribble(file):
    content = bytearray(file.read_bytes())
    content[:8] = b"nonsense"
    file.write_bytes(content)


DAMAGE = {"truncated": truncate, "scribbled": scribble, "gone": lambda file: file.unlink()}


@pytest.mark.parametrize("damage", DAMAGE)
def test_raise_names_file_variable_and_query(damaged, damage):
    path = damaged(DAMAGE[damage])
    expected = NotFoundError if damage == "gone" else CorruptGranuleError
    data = OceanTACODataset(path, [GOOD, BAD], ["l4_sst"], ["l4_ssh"], default_patch_size=(4, 4))
    assert data[0]["targets"]["l4_ssh"]["mask"].any()
    with pytest.raises(expected) as caught:
        data[1]
    for words in (FILE, "l4_ssh", "lon -60..-40, lat 10..30", "2023-04-01"):
        assert words in str(caught.value)
    loader = Loader(path, [GOOD, BAD], ["l4_ssh"], batch_size=1, shuffle=False)
    running = iter(loader)
    next(running)
    with pytest.raises(expected, match="l4_ssh"):
        next(running)


@pytest.mark.parametrize("damage", DAMAGE)
def test_mask_keeps_the_row_and_lists_the_file(damaged, damage):
    path = damaged(DAMAGE[damage])
    loader = Loader(
        path, [GOOD, BAD], ["l4_sst", "l4_ssh"], batch_size=2, shuffle=False, on_error="mask",
        default_patch_size=(4, 4), fill_value=np.nan,
    )  # fmt: skip
    (batch,) = loader
    arrays = batch.to_numpy()
    assert arrays["metadata"]["status"].tolist() == [0, 2]
    assert arrays["present"]["l4_ssh"].tolist() == [True, True]
    assert arrays["masks"]["l4_ssh"][0].any()
    assert not arrays["masks"]["l4_ssh"][1].any()
    assert np.isnan(arrays["inputs"]["l4_ssh"][1]).all()
    assert arrays["masks"]["l4_sst"][1].any(), "other variables of the row are delivered"
    (masked,) = json.loads(batch.metadata["oceanarrow.masked"])
    assert FILE in masked
    ((file, _),) = loader.stats()["unreadable"].items()
    assert file.endswith(FILE)
    assert loader.stats()["masked"] == 1


@pytest.mark.parametrize("aggregate", ["mean", "stack"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_mask_keeps_the_shape_of_a_sample(damaged, damage, aggregate):
    path = damaged(DAMAGE[damage])
    dataset = OceanTACODataset(
        path, [BAD], ["l4_ssh"], [], default_patch_size=(4, 5), on_error="mask",
        temporal_agg=aggregate, fill_value=-9.0,
    )  # fmt: skip
    entry = dataset[0]["inputs"]["l4_ssh"]
    assert tuple(entry["data"].shape) == ((1, 4, 5) if aggregate == "stack" else (4, 5))
    assert (entry["data"] == -9.0).all() and not entry["mask"].any()
    np.testing.assert_allclose(entry["lats"], np.linspace(10, 30, 4))
    np.testing.assert_allclose(entry["lons"], np.linspace(-60, -40, 5))


def test_a_variable_that_the_file_lacks_names_it(ocean, monkeypatch):
    import oceanarrow

    # The registry belongs to the process, which has other tests to run.
    monkeypatch.setattr(sys.modules["oceanarrow.variables"], "_registered", {})
    oceanarrow.register_variable(
        "nothing", source="l4_ssh", file="l4_ssh.nc", netcdf="no_such_variable", unit="m"
    )
    data = OceanTACODataset(ocean, [GOOD], ["nothing"], [], default_patch_size=(4, 4))
    with pytest.raises(OceanArrowError, match="no_such_variable"):
        data[0]


def test_an_unknown_unit_is_an_error_that_names_it(ocean_units):
    day2 = Query(-60, -40, 10, 30, "2023-04-02", "2023-04-02")
    data = OceanTACODataset(ocean_units, [BAD, day2], ["l4_ssh", "l4_sst"], [])
    sample = data[0]["inputs"]
    np.testing.assert_allclose(sample["l4_ssh"]["data"], 0.25, rtol=1e-6)
    np.testing.assert_allclose(sample["l4_sst"]["data"], 15.0, atol=0.011)
    with pytest.raises(OceanArrowError, match="furlong"):
        data[1]
