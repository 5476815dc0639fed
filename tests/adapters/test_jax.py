"""JAX shares the batch's memory on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from oceanarrow import Loader
from oceanarrow.dataset import Query

jax = pytest.importorskip("jax")

QUERIES = [Query(-60 + i, -40 + i, 10, 30, "2023-04-01", "2023-04-01") for i in range(8)]


def loader(path, **options) -> Loader:
    return Loader(
        path, QUERIES, ["l4_sst", "argo"], ["l4_sst", "l4_ssh"],
        batch_size=4, default_patch_size=(6, 7), shuffle=False, **options,
    )  # fmt: skip


def test_values_and_addresses(ocean):
    batch = next(iter(loader(ocean)))
    arrays, expected = batch.to_jax(), batch.to_numpy()
    for role in ("inputs", "targets", "masks"):
        for name, values in expected[role].items():
            if name != "argo":
                np.testing.assert_array_equal(np.asarray(arrays[role][name]), values)
    column, mask = batch["l4_ssh"], batch["l4_ssh_mask"]
    address = arrays["targets"]["l4_ssh"].unsafe_buffer_pointer()
    assert address == column.numpy().ctypes.data
    assert arrays["masks"]["l4_ssh"].unsafe_buffer_pointer() == mask.numpy().ctypes.data
    assert arrays["masks"]["l4_ssh"].dtype == bool
    assert arrays["inputs"]["l4_sst"].unsafe_buffer_pointer() != (
        arrays["targets"]["l4_sst"].unsafe_buffer_pointer()
    ), "a target that is also an input is a copy"
    assert jax.dlpack.from_dlpack(column).unsafe_buffer_pointer() == column.numpy().ctypes.data


def test_arrays_outlive_the_loader(ocean):
    stream = loader(ocean)
    arrays = [batch.to_jax()["targets"]["l4_ssh"] for batch in stream]
    copies = [np.array(array) for array in arrays]
    stream.close()
    del stream
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(np.asarray(array), copy)


def test_ranks_make_one_sharded_array(ocean):
    """The recipe of the documentation: ranks' rows are contiguous, so they concatenate."""
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    whole = next(iter(loader(ocean))).to_numpy()["targets"]["l4_ssh"]
    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    sharding = NamedSharding(mesh, PartitionSpec("batch"))
    local = next(iter(loader(ocean, rank=0, world_size=1))).to_numpy()["targets"]["l4_ssh"]
    array = jax.make_array_from_process_local_data(sharding, local)
    np.testing.assert_array_equal(np.asarray(array), whole)
