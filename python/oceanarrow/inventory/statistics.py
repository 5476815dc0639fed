"""`statistics`: goes once through what queries see."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, get_args

from oceanarrow import _engine
from oceanarrow.dataset.extent import extents
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.parts import check_part, in_parts
from oceanarrow.progress import progress_bar, reporter
from oceanarrow.request import (
    Grid,
    OnError,
    PatchShape,
    Rendering,
    Resample,
    check_positive,
    choose_variables,
    distinct,
    open_engine,
    patch_shapes,
)
from oceanarrow.roots import StorageOptions, TacoPath
from oceanarrow.summary import Statistics, seen_by
from oceanarrow.window import Asked, Joint, TemporalAgg, Window

By = Literal["month", "region", "day"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def statistics(
    taco_path: TacoPath,
    queries: Iterable[Query],
    variables: Iterable[Asked],
    *,
    default_patch_size: PatchShape | None = None,
    patch_sizes: Mapping[str, PatchShape] | None = None,
    temporal_agg: TemporalAgg | Mapping[str, TemporalAgg] = "mean",
    resample: Resample | Mapping[str, Resample] = "bilinear",
    grid: Grid | Mapping[str, Grid] = "exact",
    min_support: float | Mapping[str, float] = 0.01,
    anomaly: Mapping[str, str] | None = None,
    joint: Joint = (),
    by: By | None = None,
    quantiles: Sequence[float] = QUANTILES,
    area_weighted: bool = False,
    part: tuple[int, int] = (0, 1),
    ray: bool = False,
    on_error: OnError = "raise",
    threads: int | None = None,
    cache_bytes: int | None = None,
    index: str | os.PathLike[str] | None = None,
    storage_options: StorageOptions | None = None,
    progress: bool = True,
) -> Statistics:
    """Mean, standard deviation, extremes, quantiles and histogram of what queries see, of the
    training part, say.

    One pass over the queries. A cell under two queries counts twice, as it is seen twice. Moments
    are added by the formula of Chan, Golub and LeVeque (1979), quantiles are of a t-digest
    (Dunning 2021); both along a fixed tree, so that the digits are the same whatever the threads,
    parts and machines.

    Args:
        taco_path: a dataset, or a list of several.
        queries: where and when.
        variables: names, or `Window`s; profiles too.
        default_patch_size: pixels `(H, W)` that are counted, as a loader renders them; None: the
            cells of the source that lie in the boxes.
        patch_sizes, temporal_agg, resample, grid, min_support, anomaly, joint: as of `Loader`.
            With cells of the source, what masks a variable and what it is an anomaly from must
            have the same ones.
        by: also tells apart the months or days of the queries' first days, or the regions that
            their centres lie in.
        quantiles: shares from 0 to 1.
        area_weighted: a value weighs as the cosine of its latitude; `count` stays a number.
        part: `(i, n)`: the i-th of n parts of the queries, from 0 on; `Statistics.merge` joins
            them.
        ray: makes parts as tasks of Ray (`docs/how_to/ray.md`).
        on_error: `"raise"`, or `"mask"` to go on without what an unreadable file has.
        threads: by default one a core; of a remote dataset as many as its `concurrency`.
        cache_bytes, index, storage_options: as of `Loader`.
        progress: a bar on a terminal.

    Returns:
        The numbers. Those of a variable that was never valid are None.

    Raises:
        InvalidInputError: an argument is wrong; or cells of the source lie elsewhere than those of
            what masks them, and a patch size is needed.
        otherwise as `Loader`.
    """
    given = dict(locals())
    if by is not None and by not in get_args(By):
        raise InvalidInputError(f'by must be "month", "region", "day" or None, not {by!r}')
    shares = [float(share) for share in quantiles]
    if not all(math.isfinite(share) and 0 <= share <= 1 for share in shares):
        raise InvalidInputError(f"quantiles must be shares from 0 to 1, not {quantiles!r}")
    if threads is not None:
        check_positive("threads", threads)
    if ray:
        return _on_ray(given)
    queries = list(queries)
    if not queries:
        raise InvalidInputError("the list of queries is empty")
    columns = distinct(*choose_variables(variables, (), taco_path, storage_options, anomaly, joint))
    shapes = patch_shapes(columns, default_patch_size, patch_sizes)
    engine = open_engine(
        taco_path,
        query_arrays(queries),
        columns,
        [],
        shapes,
        Rendering(temporal_agg, resample, grid, min_support),
        on_error=on_error,
        cache_bytes=cache_bytes,
        index=index,
        storage_options=storage_options,
    )
    content = engine.content()
    windows = [Window(c.of, c.first, c.last) for c in columns if c.supply == "daily"]
    own, parts = check_part(part)
    provenance: dict[str, Any] = {
        "format": 1,
        "version": _engine.__version__,
        "content_id": _engine.content_id(content),
        "content": content,
        "queries": len(queries),
        "by": by,
        "area_weighted": bool(area_weighted),
        "quantiles": shares,
        "part": None if parts == 1 else [own, parts],
        "columns": [
            {
                "name": column.name,
                "unit": column.unit,
                "anomaly": None if column.minus is None else column.minus.of,
            }
            for column in columns
        ],
        "seen": seen_by(*extents(queries, windows, (0.0, 0.0))),
    }
    with progress_bar(len(queries) // parts, "query", shown=progress) as bar:
        state = _engine.measure_statistics(
            engine,
            shapes,
            by=by,
            area_weighted=bool(area_weighted),
            part=(own, parts),
            threads=threads,
            report=reporter(bar),
        )
    hand_over()
    return Statistics.of_states([state], provenance)


def _on_ray(arguments: dict[str, Any]) -> Statistics:
    """The same, a part a task."""
    if check_part(arguments["part"]) != (0, 1):
        raise InvalidInputError("ray=True makes the parts itself; leave part out")
    told = {**arguments, "queries": list(arguments["queries"]), "ray": False, "progress": False}
    told |= {"threads": 1, "variables": list(arguments["variables"])}
    parts = in_parts(partial(_one_part, told))
    return Statistics.merge(parts) if len(parts) > 1 else parts[0]


def _one_part(arguments: dict[str, Any], part: tuple[int, int]) -> Statistics:
    return statistics(**{**arguments, "part": part})
