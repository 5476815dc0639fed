"""Pictures: of samples and batches, of what there is, and of what is learned from.

All need matplotlib (the extra `plot`), which is imported by the first picture.
"""

from oceanarrow.plot.batch import animate, plot_batch
from oceanarrow.plot.coverage import plot_calendar, plot_coverage
from oceanarrow.plot.queries import plot_queries, plot_split
from oceanarrow.plot.sample import plot_sample
from oceanarrow.plot.statistics import plot_statistics

__all__ = [
    "animate",
    "plot_batch",
    "plot_calendar",
    "plot_coverage",
    "plot_queries",
    "plot_sample",
    "plot_split",
    "plot_statistics",
]
