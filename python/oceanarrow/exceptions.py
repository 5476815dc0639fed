"""Exceptions, one class for each kind of error."""


class OceanArrowError(Exception):
    """Base of all exceptions of oceanarrow."""

    kind: str = "internal"


class InvalidInputError(OceanArrowError, ValueError):
    """An argument is wrong."""

    kind = "invalid_input"


class NotFoundError(OceanArrowError, FileNotFoundError):
    """A dataset, file or variable does not exist."""

    kind = "not_found"


class InvalidDatasetError(OceanArrowError, ValueError):
    """The dataset's metadata break the TACO specification."""

    kind = "invalid_dataset"


class CorruptGranuleError(OceanArrowError, OSError):
    """A granule's bytes are damaged, truncated, or not what the metadata say."""

    kind = "corrupt_granule"


class UnsupportedError(OceanArrowError, ValueError):
    """A granule is sound but uses something that is not read."""

    kind = "unsupported"


class TransientIoError(OceanArrowError, OSError):
    """Reading failed for a reason outside the data."""

    kind = "io"


class CancelledError(OceanArrowError):
    """The loader was closed or interrupted."""

    kind = "cancelled"


class InternalError(OceanArrowError, RuntimeError):
    """A defect of oceanarrow's own."""

    kind = "internal"
