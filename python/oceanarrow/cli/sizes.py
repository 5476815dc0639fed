"""Sizes in bytes as people write them."""

from __future__ import annotations

import argparse
import re

_UNITS: dict[str, int] = {
    **{unit: 1000**k for k, unit in enumerate(("b", "kb", "mb", "gb", "tb"))},
    **{unit: 1024**k for k, unit in enumerate(("kib", "mib", "gib", "tib"), 1)},
}


def size(text: str) -> int:
    """The bytes of a size such as `10GB`, `512 MiB`, `1.5TB` or `1000`; a type for argparse."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    factor = None
    if found is not None:
        # `10G` is 10 GB.
        unit = found[2] if found[2].endswith("b") else found[2] + "b"
        factor = _UNITS.get(unit)
    if found is None or factor is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size; write a number with kB, MB, GB, TB, KiB, MiB, GiB or TiB"
        )
    return round(float(found[1]) * factor)


def written(count: int) -> str:
    """A size for people: three digits and a decimal unit."""
    if count < 1000:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.5 or unit == "TB":
            break
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{digits}f} {unit}"
