"""Where and when: the names that the reference library has in its module `dataset.queries`, and
published sets."""

from oceanarrow.dataset.generator import QueryGenerator
from oceanarrow.dataset.query import PatchSize, Query
from oceanarrow.dataset.query_sets import read_query_set
from oceanarrow.land.mask import LandMask

__all__ = ["LandMask", "PatchSize", "Query", "QueryGenerator", "read_query_set"]
