"""Batches share their memory with NumPy, PyTorch and Arrow, and outlive the loader."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pyarrow as pa
import pytest
import torch
from oceanarrow import Loader
from oceanarrow.dataset import Query


@pytest.fixture
def loader(ocean):
    asked = [Query(-60 + i, -40 + i, 10, 30, "2023-04-01", "2023-04-01") for i in range(8)]
    return Loader(
        ocean, asked, ["l4_sst", "argo"], ["l4_sst", "l4_ssh"],
        batch_size=4, default_patch_size=(6, 9), shuffle=False,
    )  # fmt: skip


def test_every_view_has_the_same_address(loader):
    batch = next(iter(loader))
    column = batch["l4_ssh"]
    address = column.numpy().ctypes.data
    assert address % 64 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensors = batch.to_torch()
    assert tensors["targets"]["l4_ssh"].data_ptr() == address
    assert torch.from_dlpack(column).data_ptr() == address
    assert np.from_dlpack(column).ctypes.data == address
    arrow = pa.record_batch(batch).column("l4_ssh")
    assert arrow.to_numpy_ndarray().ctypes.data == address
    mask = tensors["masks"]["l4_ssh"]
    assert mask.dtype == torch.bool
    assert mask.data_ptr() == batch["l4_ssh_mask"].numpy().ctypes.data


def test_tensors_are_writable_and_a_shared_variable_is_copied_for_the_target(loader):
    batch = next(iter(loader))
    tensors = batch.to_torch()
    before = tensors["targets"]["l4_sst"].clone()
    tensors["inputs"]["l4_sst"].add_(1.0)
    assert torch.equal(tensors["targets"]["l4_sst"], before)
    np.testing.assert_array_equal(batch["l4_sst"].numpy(), before.numpy() + 1.0)


def test_tensors_outlive_batch_and_loader(loader):
    batches = list(loader)
    tensors = [batch.to_torch()["targets"]["l4_ssh"] for batch in batches]
    expected = [tensor.clone() for tensor in tensors]
    loader.close()
    del batches, loader
    gc.collect()
    junk = [np.full((64, 64), 7.0) for _ in range(50)]
    assert all(torch.equal(a, b) for a, b in zip(tensors, expected, strict=True))
    assert len(junk) == 50


def test_arrow_sees_tensors_lists_and_metadata(loader):
    batch = next(iter(loader))
    arrow = pa.record_batch(batch)
    ssh = arrow.schema.field("l4_ssh")
    assert ssh.type == pa.fixed_shape_tensor(pa.float32(), (6, 9), dim_names=["y", "x"])
    assert ssh.metadata[b"role"] == b"target"
    assert ssh.metadata[b"unit"] == b"m"
    assert arrow.schema.field("l4_sst").metadata[b"role"] == b"input,target"
    assert arrow.schema.metadata[b"oceanarrow.epoch"] == b"0"
    assert arrow.column("query").to_pylist() == [0, 1, 2, 3]
    assert arrow.column("time_start").to_pylist()[0].isoformat() == "2023-04-01"
    assert arrow.column("lon_min").to_pylist() == [-60, -59, -58, -57]
    rows = arrow.column("argo").to_pylist()
    points = batch.to_numpy()["inputs"]["argo"]
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(points["data"][i][points["mask"][i]], np.float32(row))
    arrow.validate(full=True)


def test_the_stream_can_be_read_again_and_changes_nothing(loader):
    tables = [pa.RecordBatchReader.from_stream(loader).read_all() for _ in range(2)]
    assert tables[0].equals(tables[1])
    assert tables[0].column("query").to_pylist() == list(range(8))
    assert loader.epoch == 0
    assert pa.schema(loader.schema).names == loader.schema.names == tables[0].schema.names


def test_batches_do_not_pile_up(ocean):
    """Memory stays flat over many batches of about 1.3 MB."""
    import resource

    asked = [Query(-60, -40, 10, 30, "2023-04-01", "2023-04-01")] * 4
    loader = Loader(ocean, asked, ["l4_sst"], batch_size=4, default_patch_size=(256, 256))
    peaks = []
    for _ in range(60):
        for batch in loader:
            batch.to_torch()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert peaks[-1] - peaks[20] < 20 * 1024, f"peak RSS in KiB: {peaks}"
