"""The data files shipped in the package (made by `land/bake.py`)."""

from __future__ import annotations

import zlib
from importlib.resources import files


def bundled(name: str) -> bytes:
    """The decompressed content of a shipped file."""
    return zlib.decompress(files("oceanarrow.land").joinpath("data", name).read_bytes())
