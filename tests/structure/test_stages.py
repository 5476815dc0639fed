"""A stage imports only words and the stages it consumes (docs/decisions/0006)."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "rust" / "engine"

WORDS = {
    *("calendar", "error", "events", "geo", "interrupt", "memory", "new_file", "parallel"),
    *("orientation", "query", "unit", "variable"),
}
CONSUMES = {
    **{word: set() for word in WORDS},
    "store": set(),
    "catalog": {"store"},
    "plan": {"catalog"},
    "granule": {"store"},
    "render": {"granule"},
    "collate": {"render"},
    "export": {"collate"},
    "frozen": {"store", "render", "collate"},
    "engine": {"store", "catalog", "plan", "granule", "render", "collate", "export", "frozen"},
    "stream": {"plan", "granule", "render", "collate", "export", "engine"},
    "materialize": {"collate", "frozen", "engine", "stream"},
    "statistics": {"catalog", "plan", "granule", "engine"},
    "subset": {"store", "catalog", "engine"},
    "indexing": {"store", "catalog", "plan", "granule"},
    "listing": {"store", "catalog", "granule"},
}

_COMMENT = re.compile(r"//[^\n]*")
_PATH = re.compile(r"\bcrate::(\w+)")
_GROUP = re.compile(r"\bcrate::\{")


def _imported(source: str) -> set[str]:
    """Top-level modules named by `crate::x` paths and `use crate::{x, y::Z}` groups."""
    code = _COMMENT.sub("", source)
    found = set(_PATH.findall(code))
    for match in _GROUP.finditer(code):
        depth, name, expect = 1, "", True
        for char in code[match.end() :]:
            if depth == 1 and expect and (char.isalnum() or char == "_"):
                name += char
                continue
            if name:
                found.add(name)
                name, expect = "", False
            depth += (char == "{") - (char == "}")
            if depth == 0:
                break
            if depth == 1 and char == ",":
                expect = True
    return found


def _allowed(stage: str) -> set[str]:
    return WORDS | {stage} | CONSUMES[stage]


def _sources() -> list[tuple[str, Path]]:
    src = ENGINE / "src"
    return [
        (path.relative_to(src).parts[0].removesuffix(".rs"), path)
        for path in sorted(src.rglob("*.rs"))
        if path != src / "lib.rs"
    ]


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("use crate::geo::BBox;", {"geo"}),
        ("use crate::{error::{Error, Kind}, store};", {"error", "store"}),
        ("use crate::{\n    geo::{A, B},\n    plan::Plan,\n};", {"geo", "plan"}),
        ("let x = crate::stream::run();", {"stream"}),
        ("// see crate::render\nuse std::io;", set()),
    ],
)
def test_imports_are_seen(source: str, modules: set[str]) -> None:
    assert _imported(source) == modules


def test_every_module_is_a_known_stage() -> None:
    assert {stage for stage, _ in _sources()} <= set(CONSUMES)


def test_no_stage_imports_one_that_it_does_not_consume() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for stage, path in _sources()
        for module in sorted(_imported(path.read_text()) - _allowed(stage))
    ]
    assert wrong == []


def test_stages_are_declared_in_the_order_of_the_data() -> None:
    """Whoever reads lib.rs meets a stage only after those it consumes."""
    declared = re.findall(r"^pub mod (\w+);", (ENGINE / "src" / "lib.rs").read_text(), re.M)
    for index, stage in enumerate(declared):
        assert CONSUMES[stage] <= set(declared[:index]), f"{stage} comes too early"


def test_rendering_knows_no_reader() -> None:
    """A recipe is made and painted without reading: whoever has the windows can paint it."""
    wrong = [
        f"{path.relative_to(ROOT)} names {name}"
        for stage, path in _sources()
        if stage == "render"
        for name in ("GranuleReader", "ByteSource", "std::fs", "crate::store")
        if name in _COMMENT.sub("", path.read_text())
    ]
    assert wrong == []


def test_engine_depends_on_neither_python_nor_torch() -> None:
    manifest = tomllib.loads((ENGINE / "Cargo.toml").read_text())
    names = {
        name
        for table in ("dependencies", "dev-dependencies", "build-dependencies")
        for name in manifest.get(table, {})
    }
    foreign = sorted(name for name in names if re.search(r"py(o3|thon)|numpy|torch|\btch\b", name))
    assert foreign == []
