"""The documented OceanTACO names: queries, their generator, the dataset, the collate function."""

from typing import TYPE_CHECKING, Any

from oceanarrow.dataset.collate import collate_ocean_samples
from oceanarrow.dataset.generator import QueryGenerator
from oceanarrow.dataset.query import PatchSize, Query
from oceanarrow.optional import require

if TYPE_CHECKING:
    from oceanarrow.dataset.dataset import OceanTACODataset

__all__ = ["OceanTACODataset", "PatchSize", "Query", "QueryGenerator", "collate_ocean_samples"]


def __getattr__(name: str) -> Any:
    # Queries and batches need no PyTorch; only the dataset does.
    if name == "OceanTACODataset":
        require("torch", "OceanTACODataset", extra="torch")
        from oceanarrow.dataset.dataset import OceanTACODataset

        return OceanTACODataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
