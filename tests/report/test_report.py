"""The page of `oceanarrow report`: what it says, that it needs nothing else, and in a browser."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import dom_of

from oceanarrow import Catalog, Coverage, Files, coverage, write_catalog
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.plot.coverage import calendar
from oceanarrow.report import write_report


class Page(HTMLParser):
    """Tags, what they point to, and pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag == "img":
            assert dict(attrs)["alt"]


@pytest.fixture(scope="module")
def counted(ocean: Path) -> Coverage:
    return coverage(ocean, ["l4_ssh", "l3_swot"], progress=False)


@pytest.fixture(scope="module")
def written(ocean: Path, counted: Coverage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(ocean, path, coverage=counted, progress=False)
    return path


def test_it_needs_nothing_else_and_says_what_there_is(
    ocean: Path, counted: Coverage, written: Path
) -> None:
    text = written.read_text(encoding="utf-8")
    page = Page(text)
    assert page.links and all(link.startswith("data:image/png;base64,") for link in page.links)
    for link in page.links:
        assert base64.b64decode(link.partition(",")[2]).startswith(b"\x89PNG")
    assert not re.search(
        r"(https?:)?//(?!www\.w3\.org/2000/svg)\w", re.sub(r'"data:[^"]*"', "", text)
    )
    catalog = Catalog(ocean)
    for name, variable in catalog.variables.items():
        assert f"<th scope=row>{name}</th><td>{html.escape(variable.unit)}</td>" in text
        assert f"<h3>{name}</h3>" in text
    data = json.loads(re.search(r'id="days">(.*?)</script>', text)[1])  # type: ignore[index]
    names, days, shares = calendar(counted)
    assert data["names"] == names and len(data["days"]) == days.size and data["shares"]
    for row, due in zip(data["rows"], shares.tolist(), strict=True):
        assert [None if value != value else pytest.approx(value, abs=1e-4) for value in due] == row
    assert "cells in the box, MB" in text


def test_in_a_browser(written: Path, tmp_path: Path) -> None:
    probe = """<script>
      const wrong = []; window.addEventListener("error", (event) => wrong.push(event.message));
    </script>"""
    asked = """<script>window.addEventListener("load", () => {
      const cells = [...document.querySelectorAll("#calendar rect")];
      cells[1].dispatchEvent(new PointerEvent("pointerenter"));
      const hovered = document.getElementById("day").textContent;
      const holder = document.getElementById("calendar");
      holder.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
      const moved = document.getElementById("day").textContent;
      const pictures = [...document.images].map((image) => image.complete && image.naturalWidth);
      const said = JSON.stringify({ wrong, cells: cells.length, hovered, moved, pictures });
      document.body.insertAdjacentHTML("beforeend", `<pre id="said">${said}</pre>`);
    });</script>"""
    text = written.read_text(encoding="utf-8")
    tested = tmp_path / "tested.html"
    tested.write_text(
        text.replace("<head>", f"<head>{probe}").replace("</body>", f"{asked}</body>")
    )
    dom = dom_of(tested.as_uri(), tmp_path / "profile")
    # The last one: the page has the script that writes it, too.
    told = re.findall(r'<pre id="said">(.*?)</pre>', dom, re.DOTALL)[-1]
    said = json.loads(html.unescape(told))
    assert said["wrong"] == []
    assert said["cells"] == 2 * 4
    assert re.fullmatch(r"l4_ssh, 2023-04-02: \d+\.\d % of the cells valid", said["hovered"])
    assert said["moved"].startswith("l3_swot, 2023-04-02: ")
    assert len(said["pictures"]) > 10 and all(said["pictures"])


def test_chunks_much_larger_than_a_patch_are_named(tmp_path: Path) -> None:
    """A month in one chunk, of which a patch needs a day and a corner."""
    import numpy as np
    import xarray as xr

    dims, axes = ("time", "lat", "lon"), (np.arange(31), np.arange(60.0), np.arange(80.0))
    units = ("days since 2020-01-01", "degrees_north", "degrees_east")
    coordinates = {d: (d, a, {"units": u}) for d, a, u in zip(dims, axes, units, strict=True)}
    values = np.random.default_rng(0).normal(size=(31, 60, 80)).astype("f4")
    field = xr.Dataset({"v": (dims, values, {"units": "m"})}, coordinates)
    for name, chunks in (("month", (31, 60, 80)), ("day", (1, 30, 40))):
        folder = tmp_path / name
        folder.mkdir()
        field.to_netcdf(
            folder / "a.nc", engine="h5netcdf", encoding={"v": {"chunksizes": chunks, "zlib": True}}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write_catalog(folder / "c.parquet", Files(folder / "a.nc"), progress=False)
        write_report(folder / "c.parquet", folder / "r.html", progress=False)
    told = [(tmp_path / name / "r.html").read_text() for name in ("month", "day")]
    assert "<li>v decodes " in told[0] and "nccopy -c time/1" in told[0]
    assert "nccopy" not in told[1]


def test_a_variable_that_cannot_be_read_is_a_warning(ocean: Path, tmp_path: Path) -> None:
    broken = tmp_path / "ocean"
    shutil.copytree(ocean, broken)
    for path in broken.glob("DATA/*/*/l4_sst.nc"):
        path.write_bytes(b"nothing")
    write_report(broken, tmp_path / "r.html", progress=False)
    text = (tmp_path / "r.html").read_text()
    assert "<h3>l4_sst</h3>" not in text
    assert re.search(r"<li>l4_sst: ", text)


def test_the_command(ocean: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "oceanarrow", "report", str(ocean), "-o"]
    target = tmp_path / "r.html"
    done = subprocess.run([*command, str(target)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{target}\n" and done.stderr == ""
    again = subprocess.run([*command, str(target)], capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "--overwrite" in again.stderr


def test_an_empty_dataset_has_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Catalog, "days", None)
    monkeypatch.setattr(Catalog, "__init__", lambda *_, **__: None)
    with pytest.raises(InvalidInputError, match="no granule"):
        write_report("nowhere", tmp_path / "r.html")
