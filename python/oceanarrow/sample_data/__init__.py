"""A small ocean to try things with: real sea level, and a synthetic rest that belongs to it."""

from oceanarrow.sample_data.write import write_sample_data

__all__ = ["write_sample_data"]
