"""The documented OceanTACO names: queries, their generator, and the collate function."""

from oceanarrow.dataset.collate import collate_ocean_samples
from oceanarrow.dataset.generator import QueryGenerator
from oceanarrow.dataset.query import PatchSize, Query

__all__ = ["PatchSize", "Query", "QueryGenerator", "collate_ocean_samples"]
