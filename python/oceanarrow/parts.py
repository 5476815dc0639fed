"""Parts of work: what one of several machines takes."""

from __future__ import annotations

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.request import check_positive


def check_part(part: tuple[int, int]) -> tuple[int, int]:
    """The number of a part and how many there are.

    Raises:
        InvalidInputError: it is none of them.
    """
    try:
        own, parts = part
        check_positive("part", own, minimum=0)
        check_positive("part", parts)
        if own < parts:
            return int(own), int(parts)
    except (TypeError, ValueError):
        pass
    raise InvalidInputError(f"part must be (i, n) with 0 <= i < n, not {part!r}")


def slice_of(count: int, own: int, parts: int) -> range:
    """The numbers below `count` that a part has: runs, as equal as can be."""
    return range(count * own // parts, count * (own + 1) // parts)
