"""oceanarrow feeds ocean data to machine-learning models.

A Rust engine plans, reads, renders and collates; Python gets one Arrow record batch a step.
`Loader` streams batches, `oceanarrow.dataset` holds the documented OceanTACO names.
"""

from oceanarrow import scores
from oceanarrow._engine import __version__
from oceanarrow.augment import Augment
from oceanarrow.batch import Batch
from oceanarrow.catalog_writer import write_catalog
from oceanarrow.exceptions import OceanArrowError
from oceanarrow.explanation import Explanation
from oceanarrow.files import Files
from oceanarrow.frozen.materialize import materialize, materialize_finish
from oceanarrow.inventory.catalog import Catalog
from oceanarrow.inventory.climatology import climatology
from oceanarrow.inventory.coverage import Coverage
from oceanarrow.inventory.measure import coverage
from oceanarrow.inventory.statistics import statistics
from oceanarrow.loader import Loader
from oceanarrow.maps.matchups import matchups
from oceanarrow.maps.stitcher import Stitcher
from oceanarrow.patch import open_patch
from oceanarrow.splits import Leaks, Split, find_leaks, split_queries
from oceanarrow.subset.transfer import DownloadSummary, download
from oceanarrow.summary import Statistics, Summary
from oceanarrow.variables import Variable, register_variable, variables
from oceanarrow.verification import Verification, verify
from oceanarrow.window import Window

__all__ = [
    "Augment",
    "Batch",
    "Catalog",
    "Coverage",
    "DownloadSummary",
    "Explanation",
    "Files",
    "Leaks",
    "Loader",
    "OceanArrowError",
    "Split",
    "Statistics",
    "Stitcher",
    "Summary",
    "Variable",
    "Verification",
    "Window",
    "__version__",
    "climatology",
    "coverage",
    "download",
    "find_leaks",
    "matchups",
    "materialize",
    "materialize_finish",
    "open_patch",
    "register_variable",
    "scores",
    "split_queries",
    "statistics",
    "variables",
    "verify",
    "write_catalog",
]
