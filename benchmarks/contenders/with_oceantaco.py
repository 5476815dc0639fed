"""oceantaco 0.1.0 at its best: planned, sorted by day, warm handles, a cache within each batch.

It has no choice of variables by file: a glorys current is the pair of both components.
"""

from tasks import Skipped, Task, Where

from contenders import Result, Work

try:
    from ocean_taco import CatalogConfig, PatchSize, PatchSpec
    from ocean_taco.render import Resample, VectorPair
    from ocean_taco.sampling.ocean_mask import OceanMaskArtifact
    from ocean_taco.torch import OceanTACODataset, collate_ocean_samples
except ImportError as error:
    raise Skipped(f"oceantaco is not installed ({error}); `make peers` does that") from error

from datetime import date

import numpy as np
from torch.utils.data import DataLoader

OPEN_FILES = 64
CURRENTS = ("glorys_uo", "glorys_vo")
#: As `min_support` of oceanarrow.
SUPPORT = 0.01


def prepare(task: Task) -> Work:
    loader = batches(task)

    def work() -> Result:
        return {"samples": sum(len(batch["query"]) for batch in loader)}

    return work


def batches(task: Task, workers: int = 0) -> DataLoader:
    # A coarse mask of ocean everywhere: looking up land is work that the others do not do.
    mask = OceanMaskArtifact(
        np.linspace(-60, 60, 5), np.linspace(-180, 90, 4), np.ones((5, 4), bool), {}
    )
    dataset = OceanTACODataset(
        queries=[_spec(query) for query in task.by_day()],
        sources=_sources(task),
        catalog_config=CatalogConfig(taco_path=task.dataset, max_open_files=OPEN_FILES),
        ocean_mask=mask,
    )
    return DataLoader(
        dataset,
        batch_size=task.batch,
        collate_fn=collate_ocean_samples,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def _sources(task: Task) -> dict[str, Resample | VectorPair]:
    sources: dict[str, Resample | VectorPair] = {}
    for name in task.variables:
        renderer = Resample(task.sizes[name], support_threshold=SUPPORT)
        if name in CURRENTS:
            sources["currents"] = VectorPair(renderer, CURRENTS)
        else:
            sources[name] = renderer
    return sources


def _spec(query: Where) -> PatchSpec:
    days = (date.fromisoformat(query.last) - date.fromisoformat(query.first)).days
    return PatchSpec(
        centre_lon=(query.lon_min + query.lon_max) / 2,
        centre_lat=(query.lat_min + query.lat_max) / 2,
        patch_size=PatchSize(query.lat_max - query.lat_min, "deg"),
        anchor_time=query.first,
        context_start_offset_days=0,
        context_end_offset_days=days,
    )
