"""How Sphinx makes the site of the pages that build.py has gathered."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from inkdigits import __version__  # noqa: E402

project, author, release = "inkdigits", "the authors of inkdigits", __version__
copyright = "the authors of inkdigits"
language = "en-GB"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["html_image", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # build.py has run them, and stops where one fails
nb_merge_streams = True
exclude_patterns = ["tutorials/download"]
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

default_role = "code"  # as our docstrings mean a name between backticks

html_theme = "furo"
html_title = "inkdigits"
html_static_path = [str(HERE / "site.css"), str(HERE.parent / "src/inkdigits/app/page/icon.svg")]
html_css_files = ["site.css"]
html_favicon = str(HERE.parent / "src/inkdigits/app/page/icon.svg")
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {
        "color-background-primary": "#fffefb",
        "color-background-secondary": "#f6f3ed",
        "color-foreground-primary": "#1d1c1a",
        "color-foreground-secondary": "#6b665f",
        "color-background-border": "#dcd7ce",
        "color-brand-primary": "#0b66a8",
        "color-brand-content": "#0b66a8",
        "color-brand-visited": "#0b66a8",
        "color-code-background": "#f6f3ed",
        "color-api-name": "#0b66a8",
        "color-api-pre-name": "#6b665f",
    },
    "dark_css_variables": {
        "color-background-primary": "#202224",
        "color-background-secondary": "#151617",
        "color-foreground-primary": "#ece8e1",
        "color-foreground-secondary": "#a8a299",
        "color-background-border": "#3b3c3f",
        "color-brand-primary": "#6db4ea",
        "color-brand-content": "#6db4ea",
        "color-brand-visited": "#6db4ea",
        "color-code-background": "#151617",
        "color-api-name": "#6db4ea",
        "color-api-pre-name": "#a8a299",
    },
}

# "name, other: what it is" in our docstrings, where Napoleon wants the explanation on a line of its own.
EXPLAINED = re.compile(r"^(\w+(?:, \w+)*): (.*)$")
SECTIONS = ("Parameters", "Attributes")
LEARNT = re.compile(
    r"(?<![`\w])([a-z]\w*_)(?![`\w])"
)  # names that end in an underscore, which is a link in this markup


def explained(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Put the parameters of a docstring into the form that Napoleon reads, and "Raises …" into a paragraph."""
    # Names that take more than a line are put on one.
    lines[:] = re.sub(r"^(\w+(?:, \w+)*,)\n +", r"\1 ", "\n".join(lines), flags=re.MULTILINE).split("\n")
    written, inside = [], False
    for place, line in enumerate(lines):
        if line.strip() and set(line) == {"-"} and lines[place - 1] in SECTIONS:
            inside = True
            written.append(line)
        elif inside and (found := EXPLAINED.match(line)):
            written += [found[1], "    " + found[2]]
        elif inside and line and not line.startswith(" "):
            inside = False
            written += ["", line]
        else:
            written.append(line)
    lines[:] = [LEARNT.sub(r"``\1``", line) if "::" not in line else line for line in written]


def skipped(app: object, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out what scikit-learn gives every estimator for its routing of metadata."""
    return True if re.fullmatch(r"(set_\w+_request|get_metadata_routing)", name) else None


def setup(app) -> None:  # type: ignore[no-untyped-def]
    app.connect("autodoc-skip-member", skipped)
    app.connect("autodoc-process-docstring", explained, priority=100)  # before Napoleon
