"""Writes golden.json anew, or parts of it; a changed value is a changed promise.

    PYTHONPATH=tests python -m golden.freeze                          # says what differs
    PYTHONPATH=tests python -m golden.freeze --overwrite plans        # writes that part alone

Parts: plans, orders, columns, values.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import dataset, observe


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--overwrite", nargs="+", choices=observe.PARTS, default=[])
    overwrite = parser.parse_args().overwrite
    with tempfile.TemporaryDirectory() as scratch:
        seen = observe.observe(dataset.write(Path(scratch) / "golden"))
    frozen = json.loads(observe.GOLDEN.read_text()) if observe.GOLDEN.exists() else {}
    differing = [
        (part, name)
        for part in observe.PARTS
        for name in seen[part]
        if frozen.get(part, {}).get(name) != seen[part][name]
    ]
    for part, name in differing:
        print(f"{part} of {name!r}: {'written' if part in overwrite else 'differ'}")
    if overwrite:
        observe.GOLDEN.write_text(_text(frozen | {part: seen[part] for part in overwrite}))
    return int(any(part not in overwrite for part, _ in differing))


def _text(golden: dict[str, Any]) -> str:
    """JSON with a line for each loader and part."""
    parts = []
    for part in observe.PARTS:
        lines = [
            f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in golden[part].items()
        ]
        parts.append(f"{json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
