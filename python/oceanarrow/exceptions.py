"""Exceptions: one class for each kind of error of the engine.

Each class is also a built-in exception of the nearest meaning, so code that catches `ValueError`,
`FileNotFoundError` or `OSError` keeps working.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessDeniedError",
    "CancelledError",
    "CorruptGranuleError",
    "InternalError",
    "InvalidDatasetError",
    "InvalidInputError",
    "NotFoundError",
    "OceanArrowError",
    "OutOfMemoryError",
    "PlanMismatchError",
    "TransientIoError",
    "UnsupportedError",
    "UnwritableError",
]


class OceanArrowError(Exception):
    """Any error of oceanarrow's; `kind` is its stable name."""

    kind: ClassVar[str] = ""


class InvalidInputError(OceanArrowError, ValueError):
    """An argument is wrong; the message says what is right."""

    kind = "invalid_input"


class NotFoundError(OceanArrowError, FileNotFoundError):
    """A dataset, file or variable does not exist."""

    kind = "not_found"


class AccessDeniedError(OceanArrowError, PermissionError):
    """A server refuses access; a token or other credentials are missing or wrong."""

    kind = "access_denied"


class InvalidDatasetError(OceanArrowError, ValueError):
    """The dataset's metadata break the TACO specification."""

    kind = "invalid_dataset"


class CorruptGranuleError(OceanArrowError, OSError):
    """A granule's bytes are damaged, truncated, or not what the metadata say."""

    kind = "corrupt_granule"


class UnsupportedError(OceanArrowError, ValueError):
    """A granule is sound but uses something that oceanarrow does not read."""

    kind = "unsupported"


class TransientIoError(OceanArrowError, OSError):
    """Reading failed for a reason outside the data; trying again may help."""

    kind = "io"


class UnwritableError(OceanArrowError, OSError):
    """A file cannot be written, and trying again will not help: the disk is full, say."""

    kind = "unwritable"


class OutOfMemoryError(OceanArrowError, MemoryError):
    """What is asked for needs more memory than there is."""

    kind = "out_of_memory"


class PlanMismatchError(OceanArrowError, ValueError):
    """A saved state belongs to another plan; the message names the fields that differ."""

    kind = "plan_mismatch"


class CancelledError(OceanArrowError):
    """The loader was closed or interrupted."""

    kind = "cancelled"


class InternalError(OceanArrowError, RuntimeError):
    """A defect of oceanarrow's own; please report it."""

    kind = "internal"
