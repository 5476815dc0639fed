"""The workloads: which queries of a dataset, and what to make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from tasks import Task, Where

import oceanarrow
from oceanarrow._engine import Catalog

#: The configuration of the OceanTACO tutorial.
INPUTS = ["l4_sst", "l4_sss", "l3_swot", "l3_ssh"]
TARGETS = ["l4_ssh"]
SIZES = {"l3_ssh": (96, 96), "l3_swot": (128, 128)}
SIZE = (64, 64)
DEGREES = 10.0
BBOX = (-80.0, -10.0, 10.0, 55.0)
WEEK = 7
#: The contenders that take part in everything they can do.
SIDE_BY_SIDE = [
    "dataset",
    "loader",
    "crop",
    "oceantaco",
    "xarray",
    "xbatcher",
    "floor",
]


@dataclass(frozen=True)
class Workload:
    """One way to use a dataset."""

    title: str
    #: One sentence on what it stands for.
    about: str
    inputs: Sequence[str] = tuple(INPUTS)
    targets: Sequence[str] = tuple(TARGETS)
    size: tuple[int, int] = SIZE
    sizes: dict[str, tuple[int, int]] = field(default_factory=lambda: dict(SIZES))
    window: int = 1
    #: Queries a day; one means that no query finds anything opened or decoded by another.
    a_day: int = 1
    warm: bool = False
    contenders: Sequence[str] = tuple(SIDE_BY_SIDE)


_SAMPLE = "the tutorial's 5 variables, patches of 10 degrees"
WORKLOADS = {
    "cold": Workload(
        "Random queries, cold",
        f"{_SAMPLE}; each query on a day of its own, in random order, one process and one engine: "
        "nothing that a query needs was opened or decoded for another",
        contenders=(*SIDE_BY_SIDE, "xbatcher-many", "documented"),
    ),
    "epoch": Workload(
        "An epoch of dense queries",
        f"{_SAMPLE}; many queries a day, each contender in its best order: the loader shuffles "
        "with its default lanes and window, the dataset takes them at random, the others sort "
        "them by day; the floor decodes each chunk of the epoch once",
        a_day=48,
        contenders=(*SIDE_BY_SIDE, "xbatcher-many"),
    ),
    "one": Workload("One variable, cold", "l4_ssh alone, else as the first", inputs=(), sizes={}),
    "currents": Workload(
        "Currents, cold",
        "glorys_uo and glorys_vo, two variables of one file, else as the first",
        inputs=("glorys_uo",),
        targets=("glorys_vo",),
        sizes={},
    ),
    "large": Workload(
        "Patches of 512 pixels, cold",
        "all 5 variables at 512 x 512, else as the first",
        size=(512, 512),
        sizes={},
    ),
    "week": Workload(
        "Windows of 7 days, stacked, cold",
        "7 layers a variable; no two windows share a day",
        window=WEEK,
    ),
    "warm": Workload(
        "Random queries, warm",
        "the second pass over the queries of the first workload in the same process",
        warm=True,
        contenders=[name for name in SIDE_BY_SIDE if name != "floor"],
    ),
}


class Survey:
    """What a TACO folder has of some variables."""

    def __init__(self, dataset: str, variables: Sequence[str]) -> None:
        catalog = Catalog([dataset])
        known = oceanarrow.variables()
        self._wanted = {name: known[name] for name in variables}
        self._regions = catalog.regions
        self._paths: dict[tuple[str, str], dict[str, str]] = {}
        for granule in catalog.granules():
            if granule.get("offset") is not None:
                raise SystemExit(f"{dataset}: the benchmarks need a TACO folder, not an archive")
            place = self._paths.setdefault((granule["day"], granule["region"]), {})
            place[granule["file"]] = granule["path"]
        self.days = sorted({day for day, region in self._paths if self._complete(day, region)})

    @property
    def netcdf(self) -> dict[str, str]:
        """The name of each variable in its files."""
        return {name: variable.netcdf for name, variable in self._wanted.items()}

    def _complete(self, day: str, region: str) -> bool:
        files = self._paths[day, region]
        return all(variable.file in files for variable in self._wanted.values())

    def where(self, box: tuple[float, float, float, float], first: str, last: str) -> Where:
        """The query of a box and a window of days."""
        query = Where(*box, first, last, {})
        overlapping = [name for name, region in self._regions.items() if _overlap(box, region)]
        for name, variable in self._wanted.items():
            query.files[name] = [
                path
                for day in query.days
                for region in overlapping
                if (path := self._paths.get((day, region), {}).get(variable.file))
            ]
        return query


def _overlap(box: Sequence[float], region: Sequence[float]) -> bool:
    return box[0] < region[1] and box[1] > region[0] and box[2] < region[3] and box[3] > region[2]


def make_task(
    workload: Workload,
    dataset: Path | str,
    *,
    samples: int,
    cores: int = 1,
    bbox: tuple[float, float, float, float] = BBOX,
    days: Callable[[list[str]], list[str]] = list,
    documented: str | None = None,
    seed: int = 42,
) -> Task:
    """The queries of a workload: `samples` of them, or as many as there are days for.

    `days` may leave out some of the days. The first window is for the query that does not count.
    """
    variables = [*workload.inputs, *workload.targets]
    survey = Survey(str(dataset), variables)
    rng = np.random.default_rng(seed)
    starts = _windows(days(survey.days), workload.window)
    if len(starts) < 2:
        raise SystemExit(f"{dataset} has too few days with {', '.join(variables)}")
    first, *others = starts
    chosen = rng.permutation(others)[: -(-samples // workload.a_day)]

    def where(day: str) -> Where:
        return survey.where(_box(rng, bbox), day, _later(day, workload.window - 1))

    order = rng.permutation(np.repeat(chosen, workload.a_day))[:samples]
    queries = [where(str(day)) for day in order]
    sizes = {name: workload.sizes.get(name, workload.size) for name in variables}
    return Task(
        dataset=str(dataset),
        queries=queries,
        first_of_all=where(first),
        inputs=list(workload.inputs),
        targets=list(workload.targets),
        sizes=sizes,
        netcdf=survey.netcdf,
        cores=cores,
        stack=workload.window > 1,
        any_order=workload.a_day > 1,
        warm=workload.warm,
        documented=documented,
    )


def _windows(present: list[str], length: int) -> list[str]:
    """The first days of windows of consecutive days, none of which share a day."""
    starts: list[str] = []
    taken = ""
    for day in present:
        if day > taken and all(_later(day, i) in present for i in range(length)):
            starts.append(day)
            taken = _later(day, length - 1)
    return starts


def _later(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _box(
    rng: np.random.Generator, bbox: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """A box of `DEGREES` around a random centre."""
    lon, lat = rng.uniform(bbox[0], bbox[1]), rng.uniform(bbox[2], bbox[3])
    half = DEGREES / 2
    return lon - half, lon + half, lat - half, lat + half
