"""What an error tells a person to install brings what was missing."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def asked_for() -> Iterator[tuple[str, str, str]]:
    """Where, which package, and the extra that is said to bring it."""
    for path in sorted((ROOT / "python").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require"):
                continue
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            words += [k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)]
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            # A loop over several modules names them itself; our own are no package.
            if isinstance(node.args[0], ast.Constant) and words[0] != "oceanarrow.plot":
                yield where, str(words[0]).partition(".")[0], str(words[-1])


def test_extras_bring_what_they_are_named_for() -> None:
    found = list(asked_for())
    assert len(found) > 40
    brought = {
        extra: {re.split(r"[\[><=]", requirement)[0] for requirement in requirements}
        for extra, requirements in EXTRAS.items()
    }
    assert [(where, module, extra) for where, module, extra in found if extra not in brought] == []
    # What these bring in turn.
    brought["xarray"] |= {"pandas"}
    brought["huggingface"] |= {"pyarrow"}
    assert [
        (where, module, extra) for where, module, extra in found if module not in brought[extra]
    ] == []


def test_all_is_all_of_them() -> None:
    (everything,) = EXTRAS["all"]
    named = set(re.findall(r"\w+", everything.partition("[")[2]))
    assert named == set(EXTRAS) - {"all", "notebook"}


@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - {"notebook"}))
def test_the_start_page_names_it(extra: str) -> None:
    assert f"`{extra}`" in (ROOT / "docs/start/index.md").read_text()
