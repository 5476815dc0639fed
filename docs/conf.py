"""How the site is made: `make docs`. Figures and notebooks are made first (figures.py, book.py)."""

import argparse
import os
import re

from sphinx.application import Sphinx

from oceanarrow import __version__
from oceanarrow.cli import _parser

project = "oceanarrow"
author = copyright = "the oceanarrow developers"  # noqa: A001  # Sphinx's name
version = release = __version__

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
nitpicky = False

myst_enable_extensions = ["attrs_inline", "colon_fence"]
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


def add_commands(app: Sphinx, page: str, source: list[str]) -> None:
    """The page of the command line ends with what each `--help` prints."""
    if page == "reference/cli":
        os.environ["COLUMNS"] = "88"
        (commands,) = (
            action
            for action in _parser()._actions
            if isinstance(action, argparse._SubParsersAction)
        )
        for name, command in commands.choices.items():
            source[0] += f"\n## {name}\n\n```text\n{command.format_help()}```\n"


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", add_commands)
    app.connect("autodoc-process-docstring", link_pages)
