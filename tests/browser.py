"""What a browser makes of a page."""

import shutil
import subprocess
from pathlib import Path

import pytest

_NAMES = ("chromium", "google-chrome")


def dom_of(address: str, profile: Path) -> str:
    """The page's elements after its scripts have run; `profile` is a folder for the browser."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        pytest.skip("no browser is installed: chromium or google-chrome")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={profile}",
        "--virtual-time-budget=60000", "--dump-dom", address,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
