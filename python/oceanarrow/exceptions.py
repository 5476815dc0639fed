"""What oceanarrow raises."""

from __future__ import annotations


class OceanArrowError(Exception):
    """Base of every error oceanarrow raises on its own."""


class InvalidInputError(OceanArrowError, ValueError):
    """An argument that cannot be used; the message says which one and why."""
