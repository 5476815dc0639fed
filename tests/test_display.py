"""What objects show in a notebook: the same numbers as in Python, escaped, and well-formed."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import oceanarrow
from oceanarrow.dataset import PatchSize, Query, QueryGenerator
from oceanarrow.display import bar, curve, view


def tree_of(shown: object) -> ElementTree.Element:
    """Parses as XML too, so no tag is left open and nothing is unescaped."""
    return ElementTree.fromstring(shown._repr_html_())


def rows_of(shown: object) -> list[list[str]]:
    """The texts of its table, drawings left out."""
    return [
        ["".join(cell.itertext()).strip() for cell in row]
        for row in tree_of(shown).iter("tr")
        if row.find("td") is not None
    ]


@pytest.fixture
def queries() -> list[Query]:
    return QueryGenerator().generate_training_queries(
        20, PatchSize(10, "deg"), ("2023-04-01", "2023-04-03"), seed=4, verbose=False
    )


def test_a_catalog(ocean: Path) -> None:
    catalog = oceanarrow.Catalog(ocean)
    rows = {row[0]: row[1:] for row in rows_of(catalog)}
    assert list(rows) == list(catalog.variables)
    days = catalog.days_of(catalog.variables["l3_swot"]).size
    assert rows["l3_swot"] == ["m", str(days), f"{days / 4:.1%}"]
    text = "".join(tree_of(catalog).itertext())
    assert f"{len(catalog)} in 8 regions" in text
    # A dozen variables are seen, the others unfold.
    (more,) = tree_of(catalog).iter("summary")
    assert more.text == f"{len(rows) - 12} more"


def test_a_coverage_and_a_split(ocean: Path, queries: list[Query]) -> None:
    found = oceanarrow.coverage(ocean, ["l4_ssh", "l3_swot"], progress=False)
    shares = re.findall(r"(\S+) valid", repr(found))
    assert [row[-1] for row in rows_of(found)] == shares
    split = oceanarrow.split_queries(queries, {"a<b": 0.5, "test": 0.5}, by="space")
    assert [row[:2] for row in rows_of(split)] == [
        *([name, str(len(part))] for name, part in split.parts.items()),
        ["left out", str(len(split.left_out))],
    ]


def test_statistics(ocean: Path, queries: list[Query]) -> None:
    found = oceanarrow.statistics(ocean, queries, ["l4_sst", "l3_swot"], by="day", progress=False)
    rows = rows_of(found)
    sst = found["l4_sst"]
    assert rows[0][:4] == [
        "l4_sst degC", f"{sst.count:,}", f"{100 * sst.valid_share:.1f} %", f"{sst.mean:.6g}",
    ]  # fmt: skip
    assert [row[0].split()[0] for row in rows] == [
        name for variable in found for name in (variable, *sorted(found.groups[variable]))
    ]
    assert len(list(tree_of(found).iter("svg"))) == len(rows)


def test_a_batch_and_a_loader(ocean: Path, queries: list[Query]) -> None:
    loader = oceanarrow.Loader(
        ocean, queries, ["l4_sst", "argo"], ["l4_ssh"], batch_size=4, default_patch_size=(8, 9)
    )
    batch = next(iter(loader))
    valid = batch.to_numpy()["masks"]["l4_ssh"].mean()
    assert rows_of(batch)[2] == ["l4_ssh", "target", "8 x 9", "float32", "m", f"{valid:.1%}"]
    assert rows_of(batch)[1][2:] == ["n", "float32", "degC", ""]
    assert rows_of(loader) == [row[:-1] for row in rows_of(batch)]
    text = "".join(tree_of(loader).itertext())
    assert loader.plan_id in text
    assert f"{len(queries)} queries" in text


def test_nothing_is_markup_that_is_not_ours() -> None:
    evil = "<script>alert('&')</script>"
    shown = view(evil, evil, [(evil, evil)], [evil], [[evil]])
    assert "<script" not in shown
    texts = [text for text in ElementTree.fromstring(shown).itertext() if "alert" in text]
    assert len(texts) == 6
    assert all(evil in text for text in texts)


def test_drawings() -> None:
    assert bar(None) == curve([]) == curve([0, 0]) == ""
    widths = [float(w) for w in re.findall(r'<rect width="([\d.]+)"', bar(0.25))]
    assert widths[1] / widths[0] == pytest.approx(0.25)
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"/>', curve([1, 4, 2]))]
    assert heights[1] == pytest.approx(4 * heights[0])
    assert heights[2] == pytest.approx(2 * heights[0])
