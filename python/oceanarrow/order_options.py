"""The arguments of the order, checked."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.request import check_positive

Tail = Literal["drop", "pad", "continue", "partial"]


def global_batch(batch_size: int | None, global_batch_size: int | None, world_size: int) -> int:
    """G out of either argument."""
    if batch_size is not None and global_batch_size is not None:
        raise InvalidInputError("give batch_size (per rank) or global_batch_size, not both")
    if global_batch_size is not None:
        check_positive("global_batch_size", global_batch_size)
        return int(global_batch_size)
    size = 16 if batch_size is None else batch_size
    check_positive("batch_size", size)
    return int(size) * world_size


def order_options(
    rows: int,
    lanes: int,
    window: int,
    weights: npt.ArrayLike | None,
    seed: int | None,
    tail: str,
    extra_days: int,
) -> dict[str, Any]:
    """What `_engine.Order` takes besides the queries; `rows` is the global batch."""
    check_positive("lanes", lanes)
    check_positive("window", window)
    if seed is not None:
        check_positive("seed", seed, minimum=0)
        if seed >= 2**64:
            raise InvalidInputError(f"seed must be less than 2**64, not {seed}")
    return {
        "global_batch": rows,
        "lanes": lanes,
        "window": window,
        "weights": None if weights is None else _weights(weights),
        "seed": seed,
        "tail": tail,
        "extra_days": extra_days,
    }


def _weights(weights: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(weights, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"weights must be numbers, one a query: {error}") from None
    if array.ndim != 1:
        raise InvalidInputError(f"weights must be of one dimension, not {array.shape}")
    return array
