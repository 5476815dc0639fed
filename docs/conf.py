"""How the site is made: `make docs`, which runs figures.py and notebooks.py before."""

import argparse
import os
import re

from sphinx.application import Sphinx

import oceanarrow
from oceanarrow.cli import _parser

project = "oceanarrow"
author = copyright = "the oceanarrow developers"  # noqa: A001  # Sphinx's name
version = release = oceanarrow.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "**/.ipynb_checkpoints"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Notebooks come with their outputs.
nb_execution_mode = "off"
nb_merge_streams = True

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

html_theme = "pydata_sphinx_theme"
html_title = "oceanarrow"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "oceanarrow"},
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"changes": [], "contribute": []}


def link_pages(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Docstrings name pages by their paths, and write code as Markdown does."""

    def marked(found: re.Match[str]) -> str:
        text, after = found.groups()
        page = re.fullmatch(r"docs/([\w/]+)\.md", text)
        end = "\\ " if after else ""
        return f":doc:`/{page[1]}`{end}" if page else f"``{text}``{end}"

    for number, line in enumerate(lines):
        lines[number] = re.sub(r"(?<!`)`([^`]+)`(?=(\w?))(?!`)", marked, line)


def commands() -> str:
    """What each `--help` prints."""
    os.environ["COLUMNS"] = "88"
    (found,) = (
        action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return "".join(
        f"\n## {name}\n\n```text\n{command.format_help()}```\n"
        for name, command in found.choices.items()
    )


def known_variables() -> str:
    """A row a variable that needs no definition."""
    rows = ["", "| name | unit | file | variable in it | |", "|---|---|---|---|---|"]
    for variable in oceanarrow.variables().values():
        computed = variable.supply == "computed"
        file, name = (f"`{variable.file}`", f"`{variable.netcdf}`") if not computed else ("", "")
        kind = "computed" if computed else "profiles" if variable.geometry == "points" else "grid"
        rows.append(f"| `{variable.name}` | {variable.unit} | {file} | {name} | {kind} |")
    return "\n".join(rows)


GENERATED = {"reference/cli": commands, "reference/variables": known_variables}


def add_generated(app: Sphinx, page: str, source: list[str]) -> None:
    """Some pages end with what the package says of itself."""
    if page in GENERATED:
        source[0] += GENERATED[page]()


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", add_generated)
    app.connect("autodoc-process-docstring", link_pages)
