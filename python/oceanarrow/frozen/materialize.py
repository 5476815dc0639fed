"""`materialize`: renders a loader's rows once, into files."""

from __future__ import annotations

import copy
import json
import os
from functools import partial
from pathlib import Path
from typing import Any, Literal

from oceanarrow import _engine
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.frozen.manifest import FrozenDirectory
from oceanarrow.loader import Loader
from oceanarrow.parts import check_part, in_parts, slice_of
from oceanarrow.progress import progress_bar
from oceanarrow.request import check_positive

Format = Literal["arrow", "parquet"]

_BLOCK_BYTES = 64 * 2**20
"""Rows that are written at once take about this much memory at most."""


def materialize(
    loader: Loader,
    directory: str | os.PathLike[str],
    *,
    format: Format = "arrow",  # noqa: A002 -- as NumPy and pandas call it
    shard_rows: int = 1024,
    compression: Literal["zstd", "none"] | None = None,
    part: tuple[int, int] = (0, 1),
    ray: bool = False,
    progress: bool = True,
) -> None:
    """Writes the rows of a loader's queries, row k that of query k, whatever its order.

    Killed at any point it goes on where it was when it is called again. The directory is complete
    when `manifest.json` is there, and says that it is not by `UNFINISHED.json`. Shards are
    identical whatever the threads, interruptions, parts and machines.

    Args:
        loader: what to freeze. Queries that lie near each other in the list share what is decoded.
        directory: a new or empty one, or that of an earlier call.
        format: `"arrow"`: files that can be mapped and that `Loader.from_materialized` reads;
            or `"parquet"`: nested lists that `datasets.load_dataset` reads as `Array2D` and the
            like.
        shard_rows: rows a file.
        compression: of Parquet, `"zstd"` by default, or `"none"`; Arrow has none.
        part: `(i, n)`: the i-th of n runs of shards, from 0 on; `materialize_finish` completes
            the set when all are there.
        ray: makes parts as tasks of Ray (`docs/how_to/ray.md`), whose workers see the directory.
        progress: a bar on a terminal.

    Raises:
        InvalidInputError: an argument is wrong; the directory holds something else; or the loader
            has `augment`, which is given when the set is read.
        PlanMismatchError: the directory holds another set; the message says what differs.
        UnwritableError, OSError: it cannot be written: the disk is full, say.
        otherwise as iterating the loader.
    """
    if format not in ("arrow", "parquet"):
        raise InvalidInputError(f'format must be "arrow" or "parquet", not {format!r}')
    if compression not in (None, "zstd", "none") or (format == "arrow" and compression == "zstd"):
        raise InvalidInputError(
            f'compression of "parquet" is "zstd" or "none", not {compression!r}; "arrow" has none, '
            "so that it can be mapped"
        )
    check_positive("shard_rows", shard_rows)
    own, parts = check_part(part)
    if loader.config()["augment"] is not None:
        raise InvalidInputError(
            "a set is frozen without augment; flips and turns are given when it is read: "
            "Loader.from_materialized(..., augment=)"
        )
    if ray:
        if parts > 1:
            raise InvalidInputError("ray=True makes the parts itself; leave part out")
        in_parts(
            partial(
                _one_part,
                loader,
                Path(directory).absolute(),
                format=format,
                shard_rows=shard_rows,
                compression=compression,
            )
        )
        materialize_finish(directory)
        return
    engine, queries = loader.engine, loader.query_arrays
    block_rows = _block_rows(loader, int(shard_rows))
    compression = compression or ("zstd" if format == "parquet" else "none")
    receipt = loader.receipt()
    about = {
        "content_id": receipt["content_id"],
        "file_format": format,
        "compression": compression,
        "rows": len(queries[0]),
        "shard_rows": int(shard_rows),
        "receipt": receipt,
    }
    frozen = FrozenDirectory.begin(directory, about, queries)
    if frozen.complete:
        return
    order = _engine.Order(*queries, global_batch=block_rows, seed=None, tail="partial")
    features = None if format == "arrow" else _features(engine)
    share = slice_of(frozen.shards, own, parts)
    rows = sum(end - first for first, end in map(frozen.rows_of, share))
    with progress_bar(rows, "row", shown=progress) as bar:

        def report(written: int, _: int) -> None:
            hand_over()
            if bar is not None:
                bar.update(written)

        for number in share:
            first, end = frozen.rows_of(number)
            if frozen.is_done(number):
                report(end - first, 0)
                continue
            _engine.write_shard(
                engine,
                frozen.shard(number),
                order,
                (first, end),
                content_id=receipt["content_id"],
                features=features,
                compressed=compression == "zstd",
                threads=loader.threads,
                prefetch_bytes=2 * _BLOCK_BYTES,
                report=report,
            )
            frozen.note(number)
    hand_over()
    if parts == 1:
        frozen.finish()


def _one_part(loader: Loader, directory: Path, part: tuple[int, int], **options: Any) -> None:
    """A task of a cluster has one core."""
    one = copy.copy(loader)
    one.threads = 1
    materialize(one, directory, part=part, progress=False, **options)


def materialize_finish(directory: str | os.PathLike[str]) -> None:
    """Completes a set of which all parts were made.

    Raises:
        NotFoundError: there is no set.
        InvalidInputError: shards are missing; the message says which.
        PlanMismatchError: a shard is of another set.
    """
    FrozenDirectory.open(directory).finish()


def _block_rows(loader: Loader, shard_rows: int) -> int:
    """Rows of a shard that are written at once: the same on every machine."""
    most = min(shard_rows, max(1, _BLOCK_BYTES // loader.row_bytes))
    return next(rows for rows in range(most, 0, -1) if shard_rows % rows == 0)


def _features(engine: _engine.Engine) -> str:
    """What the columns are, as `datasets` writes it into Parquet files."""
    features: dict[str, Any] = {}
    for name, dtype, dims, _ in engine.fields():
        item = {"dtype": "date32" if dtype.startswith("datetime") else dtype, "_type": "Value"}
        if dims is None or len(dims) == 1:
            features[name] = {"feature": item, "_type": "List"}
        elif dims:
            shaped = {"shape": dims, "dtype": dtype, "_type": f"Array{len(dims)}D"}
            features[name] = shaped
        else:
            features[name] = item
    features["digests"] = {"feature": {"dtype": "uint64", "_type": "Value"}, "_type": "List"}
    return json.dumps({"info": {"features": features}})
