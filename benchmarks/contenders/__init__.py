"""Who takes part: for each contender a function that prepares a task and returns the work.

Preparing (opening the catalog, planning, finding files) does not count; the work is one pass over
the task's queries. It returns the number of samples made, and what else the contender can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from tasks import Task

Result = dict[str, float]
Work = Callable[[], Result]


@dataclass(frozen=True)
class Contender:
    """`label` is for tables; `share` is the part of the queries that it does where each sample
    costs the same, because it is slow."""

    label: str
    module: str
    function: str
    share: float = 1.0

    def prepare(self, task: Task) -> Work:
        """The work of a task; raises `Skipped` if this contender cannot do it."""
        function: Callable[[Task], Work] = getattr(import_module(self.module), self.function)
        return function(task)


CONTENDERS = {
    "dataset": Contender("oceanarrow, dataset", "contenders.with_oceanarrow", "dataset"),
    "loader": Contender("oceanarrow, Loader", "contenders.with_oceanarrow", "loader"),
    "crop": Contender("oceanarrow, Loader, crop", "contenders.with_oceanarrow", "loader_crop"),
    "oceantaco": Contender("oceantaco 0.1.0", "contenders.with_oceantaco", "prepare", 0.2),
    "xarray": Contender("xarray + torch loop", "contenders.with_xarray", "prepare", 0.2),
    "xbatcher": Contender("xbatcher, a file each", "contenders.with_xbatcher", "by_file", 0.2),
    "xbatcher-many": Contender(
        "xbatcher, open_mfdataset", "contenders.with_xbatcher", "multi_file", 0.2
    ),
    "documented": Contender("documented library", "contenders.with_documented", "prepare", 0.05),
    "floor": Contender("floor: inflate and convert", "contenders.floor", "prepare"),
}
