"""What a measurement was taken on."""

import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path


def describe(*packages: str) -> str:
    """Processor, system, versions of what is installed of `packages`, commit, date: a sentence."""
    facts = details(*packages)
    versions = ", ".join(f"{key} {value}" for key, value in facts.items() if key not in _OTHERS)
    return (
        f"{facts['processor']}, {facts['cores']} cores (load {facts['load']}), {facts['system']}; "
        f"{versions}; commit {facts['commit']}, {facts['date']}."
    )


def details(*packages: str) -> dict[str, str]:
    """The same one by one."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: version for name in packages if (version := _version(name))},
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


_OTHERS = {"processor", "cores", "load", "system", "commit", "date"}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    describe = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
