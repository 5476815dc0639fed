"""Limits on the size of files, and what must never be committed."""

import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = {".rs": 500, ".py": 500}

# Spelled in pieces, or this file would find itself.
_HOSTS = ["files.python" + "hosted", "pypi" + ".org", "crates" + ".io", "registry.npm" + "js"]
_PRIVATE = re.compile("|".join([re.escape(host) for host in _HOSTS] + [r"(?<![\w.])/wor" + "k/"]))
# cargo writes its registry's address into the lock file itself.
_GENERATED = {"Cargo.lock"}


def _tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name]


@pytest.mark.parametrize(("folder", "suffix"), [("rust", ".rs"), ("python", ".py")])
def test_source_files_stay_short(folder: str, suffix: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / folder).rglob(f"*{suffix}")
    }
    assert lengths, f"no {suffix} file in {folder}"
    assert {name: n for name, n in lengths.items() if n > LONGEST[suffix]} == {}


def test_no_tracked_file_names_a_registry_host_or_a_private_path() -> None:
    found = []
    for path in _tracked():
        if path.name in _GENERATED or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), 1)
            if _PRIVATE.search(line)
        ]
    assert found == []


@pytest.mark.parametrize("name", ["test.txt", "package.txt"])
def test_requirements_are_pinned(name: str) -> None:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    pins = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert pins
    assert [line for line in pins if not re.match(r"[\w.-]+==\S+", line)] == []


def test_installed_version_is_the_workspace_version() -> None:
    try:
        installed = metadata.version("oceanarrow")
    except metadata.PackageNotFoundError:
        pytest.skip("oceanarrow is not installed")
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert installed == workspace["workspace"]["package"]["version"]


def test_everything_that_names_the_version_names_this_one() -> None:
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"oceanarrow-{version}-" in (ROOT / "docs/start/index.md").read_text()


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()
