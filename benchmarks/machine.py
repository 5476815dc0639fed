"""What a measurement was taken on."""

import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path


def describe(*packages: str) -> str:
    """Processor, system, versions, commit and date, as a sentence."""
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    return (
        f"{_processor()}, {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}, {versions}; commit {_commit()}, {time.strftime('%Y-%m-%d')}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    describe = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
