"""The library that the OceanTACO tutorial documents, from a checkout of its repository."""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from unittest.mock import MagicMock

from tasks import Skipped, Task

from contenders import Result, Work

#: Imported by its modules, but only used to draw, to download and to make masks of land.
NOT_NEEDED = ("cartopy", "shapely", "requests", "rasterio", "geopandas")


def prepare(task: Task) -> Work:
    if task.documented is None:
        raise Skipped("no checkout of the documented library; give one by --documented PATH")
    sys.path.insert(0, task.documented)
    for package in NOT_NEEDED:
        if find_spec(package) is None:
            sys.meta_path.append(_Stubs(package))
    try:
        from ocean_taco.dataset.dataset import OceanTACODataset
        from ocean_taco.dataset.queries import Query
    except ImportError as error:
        raise Skipped(f"the documented library does not import: {error}") from error
    patches = OceanTACODataset(
        task.dataset,
        [Query(q.lon_min, q.lon_max, q.lat_min, q.lat_max, q.first, q.last) for q in task.by_day()],
        task.inputs,
        task.targets,
        temporal_agg="stack" if task.stack else "mean",
        patch_sizes=task.sizes,
    )

    def work() -> Result:
        for index in range(len(patches)):
            patches[index]
        return {"samples": len(patches)}

    return work


class _Stubs:
    """Finds modules of a package that is not installed: they import, and are of no other use."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name.split(".")[0] != self._package:
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = MagicMock(name=spec.name, spec=None)
        module.__path__ = []
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass
