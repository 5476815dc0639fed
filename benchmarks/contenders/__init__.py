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
    """Where a contender is found; `label` is for tables."""

    label: str
    module: str
    function: str
    #: The part of the queries that it does, because it is slow.
    share: float = 1.0
    #: The others go on if it fails: its library is not ours.
    optional: bool = False

    def prepare(self, task: Task) -> Work:
        """The work of a task; raises `Skipped` if this contender cannot do it."""
        function: Callable[[Task], Work] = getattr(import_module(self.module), self.function)
        return function(task)


def _peer(label: str, module: str, function: str = "prepare", share: float = 0.2) -> Contender:
    return Contender(label, f"contenders.{module}", function, share, optional=True)


CONTENDERS = {
    "dataset": Contender("oceanarrow, dataset", "contenders.with_oceanarrow", "dataset"),
    "loader": Contender("oceanarrow, Loader", "contenders.with_oceanarrow", "loader"),
    "crop": Contender("oceanarrow, Loader, crop", "contenders.with_oceanarrow", "loader_crop"),
    "oceantaco": _peer("oceantaco 0.1.0", "with_oceantaco"),
    "xarray": _peer("xarray + torch loop", "with_xarray"),
    "xbatcher": _peer("xbatcher, a file each", "with_xbatcher", "by_file"),
    "xbatcher-many": _peer("xbatcher, open_mfdataset", "with_xbatcher", "multi_file"),
    "documented": _peer("documented library", "with_documented", share=0.05),
    "floor": Contender("floor: inflate and convert", "contenders.floor", "prepare"),
}
