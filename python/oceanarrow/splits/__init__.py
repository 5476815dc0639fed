"""Training, validation and test sets that do not leak into each other."""

from oceanarrow.splits.leaks import Leaks, find_leaks
from oceanarrow.splits.split import Split, split_queries

__all__ = ["Leaks", "Split", "find_leaks", "split_queries"]
