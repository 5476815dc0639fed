"""Where the disk cache lies, unless the caller says so."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

CacheDirectory = str | os.PathLike[str] | Literal["auto"] | None

VARIABLE = "OCEANARROW_CACHE_DIR"
"""The environment variable that names the directory."""

DEFAULT_DISK_CACHE_BYTES = 32 * 2**30
"""Budget of the disk cache, unless the caller names one."""


def default_cache_directory() -> Path:
    """`OCEANARROW_CACHE_DIR`, else `oceanarrow` in the platform's directory for caches."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "oceanarrow"
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says to ignore a relative path.
    caches = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return caches / "oceanarrow"


def choose_cache_directory(cache_dir: CacheDirectory, roots: Iterable[str]) -> str | None:
    """The directory of the disk cache for a dataset, as an absolute path; None for no cache.

    Args:
        cache_dir: a path, None, or `"auto"`: the default directory if any of the roots is remote,
            else none. Where the default directory cannot be written, there is a warning and none.
        roots: the dataset's paths or addresses.
    """
    if cache_dir is None:
        return None
    if cache_dir != "auto":
        # Workers may have another working directory.
        return str(Path(cache_dir).absolute())
    if not any(is_remote(root) for root in roots):
        return None
    try:
        chosen = default_cache_directory()
        chosen.mkdir(parents=True, exist_ok=True)
        writable = os.access(chosen, os.W_OK)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory.
        _warn(str(error))
        return None
    if not writable:
        _warn(f"{chosen} is not writable")
        return None
    return str(chosen)


def is_remote(root: str) -> bool:
    """Whether a dataset is read over the network."""
    scheme, separator, _ = root.partition("://")
    return bool(separator) and scheme.lower() != "file"


def _warn(reason: str) -> None:
    warnings.warn(
        f"no disk cache: {reason}; give cache_dir= or set {VARIABLE}, or cache_dir=None for none",
        stacklevel=2,
    )
