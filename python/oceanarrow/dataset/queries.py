"""Where and when: the names that the reference library has in its module `dataset.queries`."""

from oceanarrow.dataset.generator import QueryGenerator
from oceanarrow.dataset.query import PatchSize, Query
from oceanarrow.land.mask import LandMask

__all__ = ["LandMask", "PatchSize", "Query", "QueryGenerator"]
