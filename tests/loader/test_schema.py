"""What a loader says of its batches before the first is what they then are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from oceanarrow import Loader
from oceanarrow.dataset import Query
from oceanarrow.schema import ArraySpec

QUERIES = [Query(-60 + 4 * i, -30 + 4 * i, 5, 35, "2023-04-01", "2023-04-03") for i in range(5)]
VARIABLES = (["l4_sst", "argo", "l3_swot"], ["l4_ssh", "l4_sst"])
OPTIONS: list[dict[str, Any]] = [
    {},
    {"support": True, "grid": {"l4_sst": "crop"}, "tail": "pad"},
    {"temporal_agg": {"l4_ssh": "stack"}, "shuffle": False, "tail": "partial"},
    {"patch_sizes": {"l4_ssh": (3, 9)}, "normalize": {"l4_sst": (290.0, 8.0)}},
]


def made(ocean: Path, **options: Any) -> Loader:
    return Loader(ocean, QUERIES, *VARIABLES, batch_size=2, default_patch_size=(8, 6), **options)


def compare(spec: Any, found: Any, partial: bool) -> None:
    if isinstance(spec, dict):
        assert list(spec) == list(found)
        for key, inner in spec.items():
            compare(inner, found[key], partial)
        return
    assert isinstance(spec, ArraySpec)
    assert spec.dtype == found.dtype and len(spec.shape) == found.ndim
    assert all(n in (None, m) for n, m in zip(spec.shape, found.shape, strict=True))
    assert (spec.shape[0] is None) == partial


@pytest.mark.parametrize("options", OPTIONS)
def test_element_spec_is_the_tree_of_to_numpy(ocean: Path, options: dict[str, Any]) -> None:
    loader = made(ocean, **options)
    spec = loader.element_spec
    for batch in loader:
        compare(spec, batch.to_numpy(), options.get("tail") == "partial")
    if options.get("tail") == "partial":
        assert len(batch) == 1
    assert spec["inputs"]["l4_sst"].unit == spec["targets"]["l4_sst"].unit == "degC"
    assert spec["inputs"]["argo"]["pressure"].unit == "dbar"
    assert spec["masks"]["l4_ssh"].unit is None


@pytest.mark.parametrize("options", OPTIONS)
def test_fields_are_those_of_arrow(ocean: Path, options: dict[str, Any]) -> None:
    loader = made(ocean, **options)
    batch = next(iter(loader))
    for source in (loader, batch):
        arrow = pa.schema(source.schema)
        assert [field.name for field in source.schema] == arrow.names == source.schema.names
        assert len(source.schema) == len(arrow)
        told = {key.decode(): value.decode() for key, value in arrow.metadata.items()}
        assert source.schema.metadata == told
        for ours in source.schema.fields:
            theirs = arrow.field(ours.name)
            kind, shape = theirs.type, ()
            if isinstance(kind, pa.FixedShapeTensorType):
                kind, shape = kind.value_type, tuple(kind.shape)
            elif pa.types.is_list(kind):
                kind, shape = kind.value_type, (None,)
            due = "datetime64[D]" if kind == pa.date32() else kind.to_pandas_dtype()
            assert ours.dtype == np.dtype(due), ours
            assert ours.shape == shape, ours
    column = loader.schema.field("l4_sst")
    assert (column.unit, column.roles) == ("degC", ("input", "target"))
    assert loader.schema.field("query").roles == () and loader.schema.field("query").unit is None
    with pytest.raises(KeyError, match="no column 'sst'; there are l4_sst"):
        loader.schema.field("sst")


def test_a_batch_is_a_mapping_of_its_columns(ocean: Path) -> None:
    batch = next(iter(made(ocean)))
    names = batch.schema.names
    assert list(batch) == batch.keys() == names and len(batch) == 2
    assert "l4_ssh" in batch and "nothing" not in batch and 0 not in batch
    shapes = {name: tensor.shape for name, tensor in batch.items()}
    assert shapes == {name: batch[name].shape for name in names}
    assert [tensor.shape for tensor in batch.values()] == list(shapes.values())
    assert dict(batch).keys() == shapes.keys()
    assert batch.get("l4_ssh").shape == (2, 8, 6) and batch.get("nothing", 7) == 7


def test_a_stream_of_arrow_tells_its_epoch(ocean: Path) -> None:
    loader = made(ocean)
    loader.set_epoch(3)
    reader = pa.RecordBatchReader.from_stream(loader)
    assert reader.schema.metadata[b"oceanarrow.epoch"] == b"3"
    assert reader.read_all().num_rows == 4
