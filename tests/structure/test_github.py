"""What runs on GitHub: well-formed, without known holes, and by the targets that a person uses."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted(set((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")))


def checked(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def check_schema(schema: str, *files: Path) -> None:
    checked(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)
    )  # fmt: skip


def test_workflows_follow_their_schema() -> None:
    assert len(WORKFLOWS) == 3
    check_schema("vendor.github-workflows", *WORKFLOWS)


def test_issue_forms_follow_their_schema() -> None:
    forms = [form for form in FORMS if form.name != "config.yml"]
    assert len(forms) == 3
    check_schema("vendor.github-issue-forms", *forms)
    check_schema("vendor.github-issue-config", ROOT / ".github/ISSUE_TEMPLATE/config.yml")


def test_citation_follows_its_schema() -> None:
    check_schema("vendor.citation-file-format", ROOT / "CITATION.cff")


def test_workflows_have_no_known_holes() -> None:
    checked("zizmor", "--offline", "--no-progress", "--persona", "pedantic", *map(str, WORKFLOWS))


def test_workflows_call_the_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {
        target
        for path in WORKFLOWS
        for target in re.findall(r"run: make ([a-z-]+)", path.read_text())
    }
    assert called == {"docs", "wheel", "test-wheel"} <= targets
    assert "run: .ci/run" in (ROOT / ".github/workflows/tests.yml").read_text()
