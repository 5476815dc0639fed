"""The site that `make docs` built: nothing is dead, nothing is fetched from elsewhere, searching
finds."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import dom_of

SITE = Path(__file__).parents[2] / "docs/_build/html"
# Loads one page after another into a frame as wide as a phone; tells how much wider each one is.
PROBE = """<iframe id="phone" width="390" height="800"></iframe><script>
const names = location.search.slice(1).split(","), told = {};
const frame = document.getElementById("phone");
const next = () => {
  const name = names.shift();
  if (name === undefined) {
    document.body.insertAdjacentHTML("beforeend", `<pre id="said">${JSON.stringify(told)}</pre>`);
    return;
  }
  frame.onload = () => {
    const page = frame.contentDocument.documentElement;
    told[name] = page.scrollWidth - page.clientWidth;
    next();
  };
  frame.src = "/" + name;
};
next();
</script>"""
SEARCHED = ["Window", "min_support", "quality_level", "RateLimit", "state_dict", "torchrun"]


@pytest.fixture(autouse=True, scope="module")
def built() -> None:
    if not (SITE / "index.html").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("the site is not built: make docs")
        pytest.skip("the site is not built: make docs")


class Page(HTMLParser):
    """Where a page leads to, what it loads, and which places it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if "src" in found:
            self.loads.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(found["href"])


@functools.cache
def pages() -> dict[Path, Page]:
    own = (path for path in sorted(SITE.rglob("*.html")) if SITE / "_static" not in path.parents)
    return {path: Page(path) for path in own}


def test_no_link_is_dead() -> None:
    dead = []
    for path, page in pages().items():
        for link in {*page.links, *page.loads}:
            parts = urlsplit(link)
            if parts.scheme or link == "#":
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            place = unquote(parts.fragment)
            there = target.is_file()
            if target in pages() and place:
                there = place in pages()[target].ids
            if not there:
                dead.append(f"{path.relative_to(SITE)}: {link}")
    assert dead == []
    assert len(pages()) > 100


def test_nothing_is_fetched_from_elsewhere() -> None:
    loads = {load for page in pages().values() for load in page.loads}
    assert {load for load in loads if urlsplit(load).netloc} == set()
    for sheet in SITE.rglob("*.css"):
        assert "@import url(http" not in sheet.read_text(), sheet


def test_notebooks_are_shown_with_their_outputs() -> None:
    for name in ("tutorial", "own_files", "channels", "02_train_and_score"):
        page = pages()[SITE / f"_notebooks/{name}.html"]
        assert sum("_images" in load for load in page.loads) >= 2
    assert 'class="oceanarrow-view"' in (SITE / "_notebooks/own_files.html").read_text()


@pytest.fixture(scope="module")
def server(built: None) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/probe"):
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PROBE.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
            pass

    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_no_page_is_wider_than_a_phone(server: str, tmp_path: Path) -> None:
    names = [
        str(path.relative_to(SITE))
        for path in pages()
        if "generated" not in path.parts or "Loader" in path.name
    ]
    said = dom_of(f"{server}/probe?{','.join(names)}", tmp_path)
    told = json.loads(re.findall(r'<pre id="said">(.*?)</pre>', said)[-1])
    assert set(told) == set(names)
    assert {name: beyond for name, beyond in told.items() if beyond > 1} == {}


@pytest.mark.parametrize("word", SEARCHED)
def test_searching_finds(word: str, server: str, tmp_path: Path) -> None:
    found = dom_of(f"{server}/search.html?q={word}", tmp_path).partition('id="search-results"')[2]
    assert found.count("<li") >= 1, found[:500]
    assert word.lower() in found.lower()
