"""How objects show themselves in a notebook: `_repr_html_`.

Everything is escaped. Colours are those of the page, so that it is readable in dark mode too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """<style>
.oceanarrow-view{font-size:90%;line-height:1.4;overflow-x:auto}
.oceanarrow-view header{border-bottom:1px solid rgba(128,128,128,.5);padding:2px 0}
.oceanarrow-view header b{opacity:.65;font-weight:normal;margin-right:.6em}
.oceanarrow-view dl{display:grid;grid-template-columns:max-content auto;gap:0 1em;margin:4px 0}
.oceanarrow-view dt{opacity:.65;font-weight:normal}
.oceanarrow-view dd{margin:0;overflow-wrap:anywhere}
.oceanarrow-view table{border-collapse:collapse;background:none;color:inherit;margin:4px 0}
.oceanarrow-view th,.oceanarrow-view td{padding:1px 10px 1px 0;text-align:right;border:0;
background:none;color:inherit;font-weight:normal;white-space:pre}
.oceanarrow-view th{opacity:.65}
.oceanarrow-view :is(th,td):first-child{text-align:left}
.oceanarrow-view summary{cursor:pointer}
.oceanarrow-view svg{vertical-align:middle;fill:currentColor;opacity:.75}
</style>"""
_SHOWN = 12
"""Rows of a table that are seen at once; the others unfold."""

_BAR = (90, 10)
_CURVE = (90, 16)


class Drawing(str):
    """Markup of our own making, which is not escaped."""

    __slots__ = ()


def view(
    kind: str,
    name: str,
    facts: Iterable[tuple[str, object]] = (),
    head: Sequence[str] = (),
    rows: Sequence[Sequence[object]] = (),
) -> str:
    """A headline, facts, and a table of which long ones unfold."""
    told = "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>" for key, value in facts)
    parts = [f"<header><b>oceanarrow.{_text(kind)}</b>{_text(name)}</header>"]
    if told:
        parts.append(f"<dl>{told}</dl>")
    if rows:
        parts.append(_table(head, rows[:_SHOWN]))
    if len(rows) > _SHOWN:
        more = _table(head, rows[_SHOWN:])
        parts.append(f"<details><summary>{len(rows) - _SHOWN} more</summary>{more}</details>")
    return f'<div class="oceanarrow-view">{_STYLE}{"".join(parts)}</div>'


def bar(share: float | None) -> Drawing:
    """A share of one, as a number and a bar."""
    if share is None:
        return Drawing("")
    width, height = _BAR
    filled = width * min(max(share, 0.0), 1.0)
    return Drawing(
        f'{share:.1%} <svg width="{width}" height="{height}" role="img">'
        f'<rect width="{width}" height="{height}" opacity=".2"/>'
        f'<rect width="{filled:.1f}" height="{height}"/></svg>'
    )


def curve(counts: Sequence[float]) -> Drawing:
    """A histogram without its axes."""
    most = max(counts, default=0.0)
    if not most > 0:
        return Drawing("")
    width, height = _CURVE
    step = width / len(counts)
    columns = "".join(
        f'<rect x="{i * step:.2f}" y="{height * (1 - count / most):.2f}" width="{step:.2f}" '
        f'height="{height * count / most:.2f}"/>'
        for i, count in enumerate(counts)
    )
    return Drawing(f'<svg width="{width}" height="{height}" role="img">{columns}</svg>')


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    heads = "".join(f"<th>{_text(text)}</th>" for text in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return str(value) if isinstance(value, Drawing) else escape(str(value))
