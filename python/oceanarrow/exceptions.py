"""The errors oceanarrow raises, by what a handler would do about them."""

from __future__ import annotations


class OceanArrowError(Exception):
    """Any error of this library; `kind` is a stable name for programs to test."""

    kind = "error"


class InvalidInputError(OceanArrowError, ValueError):
    """An argument or a file given by the caller is wrong: correct it and call again."""

    kind = "invalid_input"


class NotFoundError(OceanArrowError, FileNotFoundError):
    """Something asked for does not exist."""

    kind = "not_found"
