"""The rows of a frozen set, in the place of a dataset's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from oceanarrow import _engine
from oceanarrow.augment import Augment
from oceanarrow.config import read_config
from oceanarrow.dataset.query import QueryArrays
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.frozen.manifest import FrozenDirectory
from oceanarrow.request import Rendering, check_positive, distinct, patch_shapes, requests_of
from oceanarrow.window import columns_of, extra_days


@dataclass(frozen=True)
class FrozenRows:
    """What a loader of a frozen set is made of.

    Attributes:
        engine: makes batches of its rows.
        queries: of the rows.
        extra_days: of the order.
        config: of the loader that it came from.
        content: the digests of what decides the rows.
    """

    engine: _engine.Engine
    queries: QueryArrays
    extra_days: int
    config: dict[str, Any]
    content: dict[str, str]

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        augment: Augment | None,
        seed: int,
        memory_limit_bytes: int | None,
    ) -> FrozenRows:
        """The rows of a complete set.

        Raises:
            NotFoundError: there is no set.
            InvalidInputError: it is not complete, or Parquet; or `augment` moves boxes.
            CorruptGranuleError: the queries are damaged.
        """
        frozen = FrozenDirectory.open(directory)
        about = frozen.about
        if not frozen.complete:
            raise InvalidInputError(
                f"{frozen.path} is not finished; run materialize again, or materialize_finish if "
                "all its parts were made"
            )
        if about["file_format"] != "arrow":
            raise InvalidInputError(
                f"{frozen.path} is Parquet, for datasets.load_dataset; a loader reads "
                'format="arrow"'
            )
        if memory_limit_bytes is not None:
            check_positive("memory_limit_bytes", memory_limit_bytes)
        receipt = about["receipt"]
        asked = read_config(receipt["config"])
        roles = {role: asked[role] for role in ("input_variables", "target_variables")}
        known, joint = asked["variables"], asked["joint"]
        inputs, targets = columns_of(roles, known, asked["anomaly"], joint)
        columns = distinct(inputs, targets)
        shapes = patch_shapes(columns, asked["default_patch_size"], asked["patch_sizes"])
        rules = ("temporal_agg", "resample", "grid", "min_support", "fill_value", "normalize")
        rendering = Rendering(*(asked[name] for name in rules))
        plan = None
        if augment is not None:
            if not isinstance(augment, Augment):
                raise InvalidInputError(f"augment must be an oceanarrow.Augment, not {augment!r}")
            if augment.degrees != (0.0, 0.0):
                raise InvalidInputError(
                    "the rows of a frozen set lie where they lie: augment flips and turns them, "
                    "and shift needs the dataset"
                )
            plan = augment.plan(seed, columns, shapes, rendering, [], None)
        queries = frozen.queries()
        engine = _engine.open_frozen(
            [str(frozen.shard(number)) for number in range(frozen.shards)],
            about["shard_rows"],
            about["content_id"],
            *queries,
            requests_of(inputs, targets, shapes, rendering),
            support=asked["support"],
            memory_limit=memory_limit_bytes,
            augment=plan,
        )
        # The dataset and the rules are those of when the rows were made.
        then = {field: receipt["content"][field] for field in ("dataset", "delivery")}
        content = {**engine.content(), **then}
        return cls(engine, queries, extra_days(columns), receipt["config"], content)
